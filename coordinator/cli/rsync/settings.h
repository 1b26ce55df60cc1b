// Settings: a command line of ursync, or of uringsync sync, plan and verify, as values: what was asked for, before
// anything is looked at. The option table (option_table.h) says which option sets which member.
//
// Thread rule: values.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/link/shell_command.h"
#include "proto/messages.h"

namespace uringsync {

// Who is asked. Bits, so that a row of the table can be for several.
enum class Command : uint8_t {
  kUrsync = 1,
  kSync = 2,
  kPlan = 4,
  kVerify = 8,
  kApply = 16,
  kExplain = 32,
  kProve = 64
};

// A filter option as given.
struct FilterOption {
  enum class Kind : uint8_t { kRule = 1, kExclude, kInclude, kExcludeFrom, kIncludeFrom, kPerDirectory };
  Kind kind = Kind::kRule;
  std::string value;  // rule, pattern or file
  friend bool operator==(const FilterOption&, const FilterOption&) = default;
};

// Members that belong to an option have its name; a value that was not given is empty or nullopt.
struct Settings {
  Command command = Command::kUrsync;
  // SRC... DST, or SRC alone.
  std::vector<std::string> operands;
  // The options that were given, as words of a command line: "--name" or "--name=value".
  std::vector<std::string> words;

  // What is looked at.
  bool recursive = false;
  bool recursive_itself = false;  // by -r, not by -a: it then holds for the names of --files-from, too
  bool dirs = false;
  std::optional<bool> relative;  // unset: as --files-from says
  bool implied_dirs = true;
  std::optional<std::string> files_from;
  bool ignore_missing_args = false;
  bool delete_missing_args = false;
  bool old_dirs = false;
  bool inc_recursive = true;
  int one_file_system = 0;  // 2: mount points are left out themselves
  bool links = false;
  bool copy_links = false;
  bool copy_unsafe_links = false;
  bool copy_dirlinks = false;
  bool keep_dirlinks = false;
  bool devices = false;
  bool specials = false;
  bool checksum = false;
  bool size_only = false;
  bool ignore_times = false;
  std::optional<int64_t> modify_window;  // seconds; below 0: to the nanosecond
  bool update = false;
  bool existing = false;
  bool ignore_existing = false;
  bool old_args = false;  // these two change nothing, but exclude each other
  bool secluded_args = false;
  std::optional<uint64_t> max_size;
  std::optional<uint64_t> min_size;
  bool safe_links = false;
  bool munge_links = false;
  bool prune_empty_dirs = false;
  std::vector<FilterOption> filters;  // in order
  bool cvs_exclude = false;
  bool from0 = false;
  bool no_index = false;
  bool allow_extra = false;

  // What is kept.
  bool perms = false;
  bool executability = false;
  std::vector<std::string> chmod;
  bool owner = false;
  bool group = false;
  bool times = false;
  bool omit_dir_times = false;
  bool omit_link_times = false;
  bool atimes = false;
  bool acls = false;
  bool xattrs = false;
  bool hard_links = false;
  bool sparse = false;
  bool selinux = false;
  std::vector<std::string> extra_xattrs;
  bool omit_root_metadata = false;
  bool numeric_ids = false;
  std::optional<std::string> usermap;
  std::optional<std::string> groupmap;
  std::optional<std::string> chown;
  // Failing to set them is an error.
  bool must_owner = false;
  bool must_devices = false;
  bool must_xattrs = false;

  // What is changed.
  bool dry_run = false;
  std::string plan_out;  // with dry_run; empty: no plan is written
  std::string proof;     // of verify: what DIR is compared with; empty: another tree
  std::string out;       // of prove
  std::string verify;    // none or readback; empty: none
  std::string show;      // a plan is shown, nothing else; empty: none
  bool delete_extraneous = false;
  int delete_whens = 0;  // how many --delete-WHEN were given
  bool delete_before = false;
  bool delete_after = false;  // --delete-after itself: nothing but the telling depends on it
  bool delete_excluded = false;
  bool ignore_errors = false;
  std::optional<uint64_t> max_delete;
  bool allow_empty_source = false;
  bool force = false;
  std::optional<bool> preflight;  // unset: what is cheap
  bool mkpath = false;
  bool remove_source_files = false;
  bool inplace = false;
  AppendMode append = AppendMode::kNone;
  bool partial = false;
  std::optional<std::string> partial_dir;
  std::optional<std::string> temp_dir;
  bool delay_updates = false;
  int fuzzy = 0;  // how often it was given
  bool detect_renames = false;
  int xattrs_given = 0;  // -XX: twice
  bool fake_super = false;
  bool far_fake_super = false;  // of the other end
  bool copy_devices = false;
  bool write_devices = false;
  bool resume = true;
  std::string unstable;  // skip or copy; empty: as is usual for the program
  bool snapshot = false;
  std::string snapshot_mode;  // require, auto, tree or files, which ask for one; empty: require, if one is asked for
  uint32_t block_size = 0;    // that the delta engine takes; 0: its own
  bool preallocate = false;
  bool backup = false;
  std::optional<std::string> backup_dir;  // as written
  std::optional<std::string> suffix;      // of backups
  std::string basis_option;               // compare-dest, copy-dest or link-dest; empty: none
  std::vector<std::string> basis_directories;

  // How it runs.
  std::string durability;
  std::string reflink;
  std::string direct_io;
  std::string io_backend;
  std::string rsh;
  std::string far_program;
  bool trust_sender = false;
  bool direct = false;
  unsigned direct_port = 0;  // 0: any
  AddressFamily family = AddressFamily::kAny;
  unsigned jobs = 0;
  unsigned connections = 0;
  bool background = false;
  std::optional<bool> whole_file;
  bool compress = false;
  std::string compress_choice;
  std::optional<std::string> compress_level;
  std::string bwlimit;
  bool wait = false;
  unsigned timeout = 0;       // seconds; 0: none
  unsigned contimeout = 0;    // seconds; 0: the usual
  unsigned stop_minutes = 0;  // after the start; 0: no end
  std::optional<std::time_t> stop_at;
  bool insecure = false;
  std::string cert;
  std::string key;
  std::string ca;
  std::string crl;

  // What is told.
  int verbose = 0;
  bool quiet = false;
  int itemize = 0;
  std::optional<std::string> out_format;
  std::string log_file;
  std::optional<std::string> log_file_format;
  bool stats = false;
  bool list_only = false;
  std::optional<bool> progress;
  std::vector<std::string> info;  // texts of --info, in order
  int human = 1;                  // 0: plain digits, 1: groups, 2: units of 1000, 3: of 1024
  bool eight_bit = false;
  bool json = false;

  char outbuf = 0;  // N, L or B; 0: as standard output is
  bool info_help = false;
  int version = 0;
  bool help = false;

  // What `command` does when no option is given: ursync keeps nothing, as rsync; the others keep everything.
  static Settings For(Command command);
  friend bool operator==(const Settings&, const Settings&) = default;
};

}  // namespace uringsync

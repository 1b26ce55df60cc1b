// RunOptions: a run that was asked for, ready to be started: what Settings and operands mean together.
//
// Thread rule: functions and values.
// Use:  absl::StatusOr<RunOptions> run = ToRunOptions(settings);
#pragma once

#include <chrono>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/cli/rsync/info_levels.h"
#include "coordinator/cli/rsync/settings.h"
#include "coordinator/cli/rsync/staging_settings.h"
#include "coordinator/core/plan_document.h"
#include "coordinator/core/run.h"
#include "coordinator/link/endpoint.h"
#include "coordinator/link/shell_command.h"
#include "engine/tree/filter_text.h"
#include "proto/grpc_control.h"

namespace uringsync {

// How a run is told in rsync's words.
// Where backups are, as the user wrote it.
struct BackupNames {
  std::string directory;  // empty: beside the object
  std::string suffix;
};

struct RsyncTelling {
  InfoLevels info;
  std::string format;  // a line for each object (out_format.h); empty: none
  std::optional<BackupNames> backup;
  bool itemize_all = false;  // lines with letters for what needs nothing, too
  std::string log_file;      // empty: none
  std::string log_format;
  std::string list_line;   // what is said while lists are made; empty: nothing
  bool far_names = false;  // the far end names what it makes: it was told to, per-file progress here does not count
  size_t made_path = 0;    // directories that --mkpath makes
  std::vector<std::string> left_out;  // lines about operands that are no part of the run
  bool nothing_left = false;          // the run only makes the destination: its list has nothing in it
  bool absolute_names = false;        // what is below "/" in the source has it before its name
  int human = 1;
  bool eight_bit = false;
  bool list_only = false;
  bool recursive = true;      // of list_only
  bool list_targets = false;  // of list_only: where symlinks lead
  int list_human = 1;         // of list_only: as `human`, of its sizes
  bool dry_run = false;
  bool omit_link_times = false;  // lines tell no times of symlinks, also where they are set
  char outbuf = 0;

  bool names_unchanged() const { return itemize_all || info.of(Info::kName) > 1; }
};

struct OutputOptions {
  bool verbose = false;  // -v: a line for each object
  bool quiet = false;    // -q: errors only
  bool json = false;
  bool stats = false;
  std::optional<bool> progress;       // unset: when standard error is a terminal
  std::optional<RsyncTelling> rsync;  // unset: in our own words
  bool applies = false;               // a plan that was made before
};

// A plan that is written instead of being carried out.
struct PlanOutput {
  std::string file;
  PlanHeader header;  // without the time
  std::vector<SourceOperand> operands;
};

// sync, plan, verify, ursync, apply.
struct RunOptions {
  Endpoint source;
  Endpoint destination;
  // Mode and switches are set; targets, route and cancellation are left to the caller.
  SyncRequest request;
  ControlTlsFiles tls;
  ShellOptions shell;
  bool direct = false;
  uint16_t direct_port = 0;
  std::optional<std::chrono::milliseconds> connect_timeout;
  std::optional<std::time_t> stop_at;
  std::vector<std::string> basis_directories;  // of --link-dest and its kin, as written
  bool names_operands = false;                 // the source is what request.operands name, now or when they are settled
  bool host_destination = false;               // LinkOptions::host_destination
  // Where relative paths of remote shells begin, as their agents tell it; empty: not known.
  std::string source_directory;
  std::string destination_directory;
  std::optional<bool> has_basis;  // some basis directory is there; unset: not looked at
  bool sources_missing = false;   // of several sources some were not there: the run is no full success
  StagingPlaces staging;
  std::string backup_directory;  // --backup-dir, as written; empty: none
  // For the private agent: --io-backend and --jobs as given.
  std::vector<std::string> agent_arguments;
  OutputOptions output;
  std::optional<PlanOutput> plan_output;
  std::vector<MountedPlace> plan_mounts;  // of apply: what the source was mounted from when the plan was made
  std::vector<ExpandedRule> placed_filters;  // of explain: request.filters, each with the place where it stands
};

// LinkError(kUsage) for operands that cannot be read, for options that contradict each other, and for options that have
// no effect on these endpoints. ursync's operands are looked at by its command; the others have SRC and DST.
absl::StatusOr<RunOptions> ToRunOptions(const Settings& settings);

// The same with the endpoints given, for ursync.
absl::StatusOr<RunOptions> ToRunOptions(const Settings& settings, const Endpoint& source, const Endpoint& destination);

// LinkError(kUsage) for options that contradict each other, whatever the operands.
absl::Status CheckCombinations(const Settings& settings);

// How `settings` want to be told; nullopt: in our own words (uringsync without one of rsync's options for that).
// LinkError(kUsage): a format that cannot be.
absl::StatusOr<std::optional<RsyncTelling>> ToTelling(const Settings& settings);

}  // namespace uringsync

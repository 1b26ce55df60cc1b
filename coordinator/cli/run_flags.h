// RunFlags: the options of sync, plan and verify as given, and what they mean.
//
// Thread rule: functions and values.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/cli/options.h"
#include "coordinator/cli/transfer_flags.h"
#include "coordinator/core/run.h"

namespace CLI {
class App;
}

namespace uringsync {

// One member an option; false, empty or zero where it was not given.
struct RunFlags {
  SyncMode mode = SyncMode::kSync;
  std::string source;
  std::string destination;
  // What rsync switches on and is on here anyway.
  bool archive = false;
  // Selection.
  bool one_file_system = false;
  bool dry_run = false;
  bool delete_extraneous = false;
  bool force = false;
  bool allow_extra = false;
  bool checksum = false;
  bool no_index = false;
  // Kept unless switched off.
  bool no_perms = false;
  bool no_owner = false;
  bool no_group = false;
  bool no_times = false;
  bool no_xattrs = false;
  bool no_acls = false;
  bool no_hard_links = false;
  bool no_links = false;
  bool no_devices = false;
  bool no_specials = false;
  bool no_sparse = false;
  // Named: failing to set them is a problem.
  bool owner = false;
  bool group = false;
  bool devices = false;
  bool xattrs = false;
  // Kept only when asked for.
  bool atimes = false;
  bool selinux = false;
  std::vector<std::string> extra_xattrs;
  bool omit_root_metadata = false;
  // How.
  std::string durability = "batch";
  std::string reflink;
  std::string direct_io;
  std::string io_backend;
  unsigned jobs = 0;
  unsigned connections = 0;
  bool whole_file = false;
  bool no_whole_file = false;
  TransferFlags transfer;
  bool wait = false;
  unsigned timeout_seconds = 0;
  ControlTlsFiles tls;
  // Output.
  bool verbose = false;
  bool quiet = false;
  bool json = false;
  bool stats = false;
  bool progress = false;
  bool no_progress = false;
};

// Declares --cert, --key and --ca.
void AddTlsFlags(CLI::App* command, ControlTlsFiles* files);

// Declares the options that `mode` has on `command`; parsing fills `flags`, which must outlive it.
void AddRunFlags(CLI::App* command, SyncMode mode, RunFlags* flags);

// LinkError(kUsage) for endpoints that cannot be read and for options that have no effect on these endpoints.
absl::StatusOr<RunOptions> ToRunOptions(const RunFlags& flags);

}  // namespace uringsync

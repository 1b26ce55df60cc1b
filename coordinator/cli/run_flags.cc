#include "coordinator/cli/run_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

constexpr unsigned kMaxJobs = 1024;
constexpr unsigned kMaxConnections = 64;
constexpr unsigned kMaxTimeoutSeconds = 7 * 24 * 3600;

void AddSelection(CLI::App* command, SyncMode mode, RunFlags* flags) {
  const std::string group = "What is compared and changed";
  command->add_flag("-x,--one-file-system", flags->one_file_system, "Do not enter other file systems")->group(group);
  if (mode == SyncMode::kVerify) {
    command->add_flag("--allow-extra", flags->allow_extra, "Objects that only DST has are no difference")->group(group);
  } else {
    command->add_flag("--delete", flags->delete_extraneous, "Remove from DST what SRC does not have")->group(group);
    command
        ->add_flag("--force", flags->force,
                   "Let a directory that is not empty make way for another kind of object, without --delete")
        ->group(group);
    command->add_flag("-c,--checksum", flags->checksum, "Compare files by content (XXH3-128), not by size and mtime")
        ->group(group);
  }
  if (mode == SyncMode::kSync) {
    command->add_flag("-n,--dry-run", flags->dry_run, "Change nothing, show what would be done: 'plan'")->group(group);
  }
  if (mode != SyncMode::kVerify) {
    command
        ->add_flag("--no-index", flags->no_index,
                   "Look at every object, also where the indexes of both agents say that nothing changed")
        ->group(group);
  }
  command->add_flag("--no-links", flags->no_links, "Leave symlinks out")->group(group);
  command->add_flag("--no-devices", flags->no_devices, "Leave block and character devices out")->group(group);
  command->add_flag("--no-specials", flags->no_specials, "Leave FIFOs and sockets out")->group(group);
  command
      ->add_flag("--omit-root-metadata", flags->omit_root_metadata,
                 "Leave owner, mode, times and xattrs of the directory DST itself alone")
      ->group(group);
}

void AddMetadata(CLI::App* command, SyncMode mode, RunFlags* flags) {
  const std::string off = "Metadata that is kept by default, switched off";
  command
      ->add_flag("-a,--archive,-H,--hard-links,-A,--acls,-X,-S,--sparse", flags->archive,
                 "Accepted for rsync's users; all of it is already the default")
      ->group(off);
  command->add_flag("--no-perms", flags->no_perms, "Not the mode")->group(off);
  CLI::Option* no_owner = command->add_flag("--no-owner", flags->no_owner, "Not the owner")->group(off);
  CLI::Option* no_group = command->add_flag("--no-group", flags->no_group, "Not the group")->group(off);
  command->add_flag("--no-times", flags->no_times, "Not the modification time")->group(off);
  CLI::Option* no_xattrs =
      command->add_flag("--no-xattrs", flags->no_xattrs, "Not extended attributes and capabilities")->group(off);
  command->add_flag("--no-acls", flags->no_acls, "Not POSIX ACLs")->group(off);
  command->add_flag("--no-hard-links", flags->no_hard_links, "Hard links become files of their own")->group(off);
  if (mode == SyncMode::kSync) {
    command->add_flag("--no-sparse", flags->no_sparse, "Holes become zeros on disk")->group(off);
  }
  const std::string named = "Metadata that must be kept: failing to set it is an error, not a note";
  command->add_flag("--owner", flags->owner, "Owner, also without CAP_CHOWN")->group(named)->excludes(no_owner);
  command->add_flag("--group", flags->group, "Group, also one that this process is not in")
      ->group(named)
      ->excludes(no_group);
  command->add_flag("--devices", flags->devices, "Devices, also without CAP_MKNOD")
      ->group(named)
      ->excludes(command->get_option("--no-devices"));
  command->add_flag("--xattrs", flags->xattrs, "trusted.*, security.* and capabilities, also without the privilege")
      ->group(named)
      ->excludes(no_xattrs);
  const std::string extra = "Metadata that is left out by default";
  command->add_flag("-U,--atimes", flags->atimes, "Access times")->group(extra);
  command->add_flag("--selinux", flags->selinux, "SELinux labels (security.selinux)")->group(extra);
  command
      ->add_option("--xattr", flags->extra_xattrs,
                   "Also this one: lustre.*, trusted.lov or system.nfs4_acl. Repeatable")
      ->type_name("NAME")
      ->take_all()
      ->allow_extra_args(false)
      ->group(extra)
      ->excludes(no_xattrs);
}

void AddRunning(CLI::App* command, SyncMode mode, RunFlags* flags) {
  const std::string group = "How it runs";
  if (mode == SyncMode::kSync) {
    command
        ->add_option(
            "--durability", flags->durability,
            "batch (default): every file is on disk before its name shows it; none: the kernel writes when it likes")
        ->check(CLI::IsMember({"none", "batch"}))
        ->type_name("none|batch")
        ->group(group);
    command->add_flag("--wait", flags->wait, "Wait for another run into the same DST instead of giving up")
        ->group(group);
    command
        ->add_option("--reflink", flags->reflink,
                     "Between local paths: clone files where the file system can (auto, default), or fail (always)")
        ->check(CLI::IsMember({"auto", "always", "never"}))
        ->type_name("auto|always|never")
        ->group(group);
    command
        ->add_option(
            "--direct-io", flags->direct_io,
            "Large files past the page cache where the file system can (on); auto (default) is off: it did not pay")
        ->check(CLI::IsMember({"auto", "on", "off"}))
        ->type_name("auto|on|off")
        ->group(group);
    CLI::Option* whole = command
                             ->add_flag("-W,--whole-file", flags->whole_file,
                                        "Send changed files whole; by default only what differs, where that is faster")
                             ->group(group);
    command
        ->add_flag("--no-whole-file", flags->no_whole_file,
                   "Use what the old file holds even where sending the file would be faster")
        ->group(group)
        ->excludes(whole);
    command
        ->add_option("--connections", flags->connections,
                     "Data connections between two agents; the agents choose by default")
        ->check(CLI::Range(1u, kMaxConnections))
        ->type_name("N")
        ->group(group);
  }
  command
      ->add_option("--io-backend", flags->io_backend,
                   "Of the private agent for local paths; auto (default) falls back to threads")
      ->check(CLI::IsMember({"auto", "uring", "threads"}))
      ->type_name("auto|uring|threads")
      ->group(group);
  command
      ->add_option("--jobs", flags->jobs,
                   "Threads that work for this run at each agent, at most; one per usable core by default")
      ->check(CLI::Range(1u, kMaxJobs))
      ->type_name("N")
      ->group(group);
  command
      ->add_flag("--background", flags->transfer.background,
                 "Leave the machines to others: idle priority, one thread an agent")
      ->group(group);
  command
      ->add_option("--timeout", flags->timeout_seconds,
                   "End the run (exit 30) when an agent is silent so long once it is connected; never by default")
      ->check(CLI::Range(1u, kMaxTimeoutSeconds))
      ->type_name("SECONDS")
      ->group(group);
  AddTlsFlags(command, &flags->tls);
}

void AddOutput(CLI::App* command, SyncMode mode, RunFlags* flags) {
  const std::string group = "Output";
  CLI::Option* verbose = nullptr;
  if (mode == SyncMode::kSync) {
    verbose =
        command
            ->add_flag("-v,--verbose", flags->verbose, "A line for each object that changes, in rsync's itemised form")
            ->group(group);
  }
  CLI::Option* quiet = command->add_flag("-q,--quiet", flags->quiet, "Nothing but errors")->group(group);
  if (verbose != nullptr) quiet->excludes(verbose);
  CLI::Option* json =
      command->add_flag("--json", flags->json, "Events, one JSON object a line (docs/json.md)")->group(group);
  json->excludes(quiet);
  command->add_flag("--stats", flags->stats, "A table of counts at the end")
      ->group(group)
      ->excludes(quiet)
      ->excludes(json);
  CLI::Option* progress =
      command->add_flag("--progress", flags->progress, "Progress also where standard error is no terminal")
          ->group(group)
          ->excludes(quiet);
  command->add_flag("--no-progress", flags->no_progress, "No progress line")->group(group)->excludes(progress);
}

// Attributes that are left out unless named, and may be named.
bool MayBeNamed(std::string_view name) {
  return name == "trusted.lov" || name == "system.nfs4_acl" || (name.substr(0, 7) == "lustre." && name.size() > 7);
}

absl::StatusOr<MetadataSelection> ToSelection(const RunFlags& flags) {
  MetadataSelection selection;
  selection.mode = !flags.no_perms;
  selection.owner = !flags.no_owner;
  selection.group = !flags.no_group;
  selection.mtime = !flags.no_times;
  selection.atime = flags.atimes;
  selection.xattrs = !flags.no_xattrs;
  selection.acls = !flags.no_acls;
  selection.selinux = flags.selinux;
  selection.explicit_owner = flags.owner || flags.group;
  selection.explicit_privileged_xattrs = flags.xattrs;
  for (const std::string& name : flags.extra_xattrs) {
    if (!MayBeNamed(name)) {
      return LinkError(ErrorKind::kUsage,
                       "--xattr " + EscapeName(name) +
                           ": only lustre.*, trusted.lov and system.nfs4_acl are left out by default; "
                           "every other one is kept already (security.selinux: --selinux)");
    }
    selection.extra_xattrs.push_back(name);
  }
  std::sort(selection.extra_xattrs.begin(), selection.extra_xattrs.end());
  selection.extra_xattrs.erase(std::unique(selection.extra_xattrs.begin(), selection.extra_xattrs.end()),
                               selection.extra_xattrs.end());
  return selection;
}

}  // namespace

void AddTlsFlags(CLI::App* command, ControlTlsFiles* files) {
  const std::string tls = "Mutual TLS, for agent:// endpoints";
  command->add_option("--cert", files->cert, "Own certificate (PEM)")
      ->envname("URINGSYNC_CERT")
      ->type_name("FILE")
      ->group(tls);
  command->add_option("--key", files->key, "Its private key (PEM)")
      ->envname("URINGSYNC_KEY")
      ->type_name("FILE")
      ->group(tls);
  command->add_option("--ca", files->ca, "Authority that vouches for the agents (PEM)")
      ->envname("URINGSYNC_CA")
      ->type_name("FILE")
      ->group(tls);
}

void AddRunFlags(CLI::App* command, SyncMode mode, RunFlags* flags) {
  flags->mode = mode;
  command->add_option("SRC", flags->source, "Source endpoint")->required();
  command->add_option("DST", flags->destination, "Destination endpoint")->required();
  AddSelection(command, mode, flags);
  AddMetadata(command, mode, flags);
  AddRunning(command, mode, flags);
  if (mode == SyncMode::kSync) AddTransferFlags(command, &flags->transfer);
  AddOutput(command, mode, flags);
}

absl::StatusOr<RunOptions> ToRunOptions(const RunFlags& flags) {
  RunOptions run;
  US_ASSIGN_OR_RETURN(run.source, ParseEndpoint(flags.source));
  US_ASSIGN_OR_RETURN(run.destination, ParseEndpoint(flags.destination));
  const bool starts_agent = run.source.is_local() || run.destination.is_local();
  if (!flags.io_backend.empty() && !starts_agent) {
    return LinkError(ErrorKind::kUsage,
                     "--io-backend is of the private agent for local paths; both endpoints are running agents, which "
                     "have settings of their own");
  }
  const bool two_agents = !(run.source.is_local() && run.destination.is_local());
  if (flags.connections > 0 && !two_agents) {
    return LinkError(ErrorKind::kUsage, "--connections: no content crosses a connection between two local paths");
  }
  if (flags.no_whole_file && !two_agents) {
    return LinkError(ErrorKind::kUsage,
                     "--no-whole-file: between two local paths both files would be read to save a copy of one");
  }
  if (flags.reflink == "always" && run.source.is_local() != run.destination.is_local()) {
    return LinkError(ErrorKind::kUsage, "--reflink=always: files are cloned between two local paths only");
  }
  if (flags.reflink == "always" && flags.no_sparse) {
    return LinkError(ErrorKind::kUsage, "--reflink=always: a clone has the holes of its source, which --no-sparse forbids");
  }
  SyncRequest& request = run.request;
  request.mode = flags.dry_run ? SyncMode::kPlan : flags.mode;
  US_ASSIGN_OR_RETURN(request.selection, ToSelection(flags));
  request.checksum = flags.checksum;
  request.use_index = !flags.no_index;
  request.one_file_system = flags.one_file_system;
  request.sparse = !flags.no_sparse;
  request.wait_for_lock = flags.wait;
  request.reflink = flags.reflink == "always"  ? ReflinkMode::kAlways
                    : flags.reflink == "never" ? ReflinkMode::kNever
                                               : ReflinkMode::kAuto;
  request.direct_io = flags.direct_io == "on"    ? DirectIoMode::kOn
                      : flags.direct_io == "off" ? DirectIoMode::kOff
                                                 : DirectIoMode::kAuto;
  request.durability = flags.durability == "none" ? Durability::kNone : Durability::kBatch;
  request.data_connections = flags.connections;
  request.jobs = flags.jobs;
  US_RETURN_IF_ERROR(ApplyTransferFlags(flags.transfer, !two_agents, &request));
  if (flags.whole_file) request.delta = DeltaPolicy::kOff;
  if (flags.no_whole_file) request.delta = DeltaPolicy::kForce;
  request.delete_extraneous = flags.mode == SyncMode::kVerify ? !flags.allow_extra : flags.delete_extraneous;
  request.force_delete = flags.force;
  request.preserve_hard_links = !flags.no_hard_links;
  request.symlinks = !flags.no_links;
  request.devices = !flags.no_devices;
  request.specials = !flags.no_specials;
  request.explicit_devices = flags.devices;
  request.omit_root_metadata = flags.omit_root_metadata;
  request.software = SoftwareName("uringsync");
  if (flags.timeout_seconds > 0) request.idle_timeout = absl::Seconds(flags.timeout_seconds);
  run.tls = flags.tls;
  if (!flags.io_backend.empty())
    run.agent_arguments.insert(run.agent_arguments.end(), {"--io-backend", flags.io_backend});
  if (flags.jobs > 0) run.agent_arguments.insert(run.agent_arguments.end(), {"--jobs", std::to_string(flags.jobs)});
  if (flags.transfer.background) run.agent_arguments.push_back("--background");
  run.output = {.verbose = flags.verbose || request.mode != SyncMode::kSync,
                .quiet = flags.quiet,
                .json = flags.json,
                .stats = flags.stats,
                .progress = std::nullopt};
  if (flags.progress) run.output.progress = true;
  if (flags.no_progress) run.output.progress = false;
  return run;
}

}  // namespace uringsync

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/time/time.h"
#include "coordinator/cli/rsync/filter_settings.h"
#include "coordinator/cli/rsync/out_format.h"
#include "coordinator/cli/rsync/plan_settings.h"
#include "coordinator/cli/rsync/rule_settings.h"
#include "coordinator/cli/rsync/run_options.h"
#include "coordinator/cli/rsync/staging_settings.h"
#include "coordinator/cli/rsync/transfer_settings.h"
#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

constexpr char kItemized[] = "%i %n%L";
constexpr char kNames[] = "%n%L";

Durability DurabilityOf(const std::string& name) {
  if (name == "none") return Durability::kNone;
  return name == "file" ? Durability::kFile : Durability::kBatch;
}

absl::Status Usage(const std::string& text) {
  return LinkError(ErrorKind::kUsage, text);
}

// Attributes that are left out unless named, and may be named.
bool MayBeNamed(std::string_view name) {
  return name == "trusted.lov" || name == "system.nfs4_acl" || (name.substr(0, 7) == "lustre." && name.size() > 7);
}

absl::StatusOr<MetadataSelection> ToSelection(const Settings& settings) {
  MetadataSelection selection;
  selection.mode = settings.perms;
  selection.owner = settings.owner;
  selection.group = settings.group;
  selection.mtime = settings.times;
  selection.directory_times = !settings.omit_dir_times;
  selection.link_times = !settings.omit_link_times;
  selection.executability = settings.executability && !settings.perms;
  // Without the option rsync compares whole seconds.
  if (settings.modify_window ? *settings.modify_window >= 0 : settings.command == Command::kUrsync) {
    selection.modify_window_s = static_cast<uint32_t>(settings.modify_window.value_or(0));
  }
  selection.atime = settings.atimes;
  selection.xattrs = settings.xattrs;
  selection.acls = settings.acls;
  selection.selinux = settings.selinux;
  selection.explicit_owner = settings.must_owner;
  selection.explicit_privileged_xattrs = settings.must_xattrs;
  if (!settings.extra_xattrs.empty() && !settings.xattrs) return Usage("--xattr has no meaning without --xattrs");
  for (const std::string& name : settings.extra_xattrs) {
    if (!MayBeNamed(name)) {
      return Usage("--xattr " + EscapeName(name) +
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

// Options that mean nothing on these endpoints. rsync's users give many of them always; ours gave them for a reason.
absl::Status CheckEndpoints(const Settings& settings, const Endpoint& source, const Endpoint& destination) {
  const bool starts_agent = !source.is_agent() || !destination.is_agent();
  const bool two_agents = !(source.is_local() && destination.is_local());
  if (!settings.io_backend.empty() && !starts_agent) {
    return Usage(
        "--io-backend is of the private agent for local paths; both endpoints are running agents, which have settings "
        "of their own");
  }
  const bool shell_given =
      !settings.rsh.empty() || !settings.far_program.empty() || settings.family != AddressFamily::kAny;
  if (shell_given && settings.command != Command::kUrsync && !source.is_shell() && !destination.is_shell()) {
    return Usage("--rsh, --rsync-path, -4 and -6 are of remote shells, and no endpoint is HOST:PATH");
  }
  if (settings.far_fake_super && !source.is_shell() && !destination.is_shell()) {
    return Usage(
        "--remote-option is for HOST:PATH: a running agent has options of its own, and paths of this host have one "
        "agent");
  }
  if (settings.fake_super && !source.is_local() && !destination.is_local()) {
    return Usage(
        "--fake-super is of this host, and both ends are elsewhere: -M--fake-super, or the option of a running agent");
  }
  if (settings.direct && !source.is_shell() && !destination.is_shell()) {
    return Usage("--direct is for HOST:PATH: without a remote shell contents have no way but the direct one");
  }
  if (settings.connections > 0 && !two_agents) {
    return Usage("--connections: no content crosses a connection between two local paths");
  }
  if (settings.whole_file == false && !two_agents && settings.command != Command::kUrsync) {
    return Usage("--no-whole-file: between two local paths both files would be read to save a copy of one");
  }
  if (settings.reflink == "always" && source.is_local() != destination.is_local()) {
    return Usage("--reflink=always: files are cloned between two local paths only");
  }
  if (settings.reflink == "always" && settings.verify == "readback") {
    return Usage("--reflink=always: a clone is never written, so that --verify=readback has nothing to read again");
  }
  if (settings.reflink == "always" && settings.command != Command::kUrsync && !settings.sparse) {
    return Usage("--reflink=always: a clone has the holes of its source, which --no-sparse forbids");
  }
  if (settings.contimeout > 0 && source.is_local() && destination.is_local()) {
    return Usage("--contimeout may only be used when connecting to an agent");
  }
  return absl::OkStatus();
}

ShellOptions ToShell(const Settings& settings) {
  ShellOptions shell{
      .command = settings.rsh, .far_program = settings.far_program, .family = settings.family, .far_arguments = {}};
  if (settings.far_fake_super) shell.far_arguments.push_back("--fake-super");
  for (const char* name : {"URINGSYNC_RSH", "RSYNC_RSH"}) {
    const char* value = std::getenv(name);
    if (shell.command.empty() && value != nullptr) shell.command = value;
  }
  return shell;
}

// Where backups go, below the destination or as a path; empty: beside what they were, as with the destination itself.
std::string BackupDirectory(const Settings& settings) {
  const std::string written = settings.backup_dir.value_or("");
  return written == "." || written == "./" ? "" : written;
}

// What becomes of objects that are replaced, deleted, or copied for good.
absl::Status ApplyBackupSettings(const Settings& settings, SyncRequest* request) {
  request->remove_source_files = settings.remove_source_files;
  BackupRequest backup;
  backup.suffix = settings.suffix.value_or(settings.backup_dir ? "" : "~");
  if (backup.suffix.find('/') != std::string::npos) {
    return Usage("--suffix cannot contain slashes: " + EscapeName(backup.suffix));
  }
  const bool beside = BackupDirectory(settings).empty();
  if (backup.suffix.empty() && beside) {
    return Usage(settings.backup_dir ? "--suffix cannot be empty when --backup-dir is the same as the dest dir"
                                     : "--suffix cannot be empty without a --backup-dir");
  }
  if (!settings.backup && !settings.backup_dir) return absl::OkStatus();
  // As rsync: the backups move the times of their directories.
  if (beside) request->selection.directory_times = false;
  request->backup = std::move(backup);
  return absl::OkStatus();
}

absl::Status FillRequest(const Settings& settings, bool two_agents, SyncRequest* request, StagingPlaces* places) {
  const bool verify = settings.command == Command::kVerify;
  request->mode = verify ? SyncMode::kVerify
                  : settings.command == Command::kPlan || settings.command == Command::kExplain || settings.dry_run
                      ? SyncMode::kPlan
                      : SyncMode::kSync;
  US_ASSIGN_OR_RETURN(request->selection, ToSelection(settings));
  request->checksum = settings.checksum;
  request->use_index = !settings.no_index;
  if (settings.preflight) request->preflight = *settings.preflight ? PreflightMode::kFull : PreflightMode::kOff;
  request->one_file_system = settings.one_file_system > 0;
  request->follow_links = {
      .all = settings.copy_links, .unsafe = settings.copy_unsafe_links, .directories = settings.copy_dirlinks};
  request->keep_directory_links = settings.keep_dirlinks;
  request->sparse = settings.sparse;
  request->wait_for_lock = settings.wait;
  request->reflink = settings.reflink == "always"  ? ReflinkMode::kAlways
                     : settings.reflink == "never" ? ReflinkMode::kNever
                                                   : ReflinkMode::kAuto;
  request->direct_io = settings.direct_io == "on"    ? DirectIoMode::kOn
                       : settings.direct_io == "off" ? DirectIoMode::kOff
                                                     : DirectIoMode::kAuto;
  request->durability = DurabilityOf(settings.durability);
  request->data_connections = settings.connections;
  request->jobs = settings.jobs;
  US_RETURN_IF_ERROR(ApplyTransferSettings(settings, !two_agents, request));
  if (settings.whole_file == true) request->delta = DeltaPolicy::kOff;
  if (settings.whole_file == false && two_agents) request->delta = DeltaPolicy::kForce;
  request->delete_extraneous = verify ? !settings.allow_extra : settings.delete_extraneous;
  request->force_delete = settings.force;
  request->preserve_hard_links = settings.hard_links;
  request->symlinks = settings.links;
  request->devices = settings.devices;
  request->specials = settings.specials;
  request->explicit_devices = settings.must_devices;
  request->omit_root_metadata = settings.omit_root_metadata;
  request->basis_use = settings.basis_option == "compare-dest" ? BasisUse::kCompare
                       : settings.basis_option == "copy-dest"  ? BasisUse::kCopy
                       : settings.basis_option == "link-dest"  ? BasisUse::kLink
                                                               : BasisUse::kNone;
  US_RETURN_IF_ERROR(ApplyBackupSettings(settings, request));
  request->software = SoftwareName("uringsync");
  US_RETURN_IF_ERROR(ApplyRuleSettings(settings, request));
  US_ASSIGN_OR_RETURN(request->filters, ReadFilters(settings));
  US_RETURN_IF_ERROR(ApplyStagingSettings(settings, request, places));
  request->delete_excluded = settings.delete_excluded;
  request->nul_separated_filters = settings.from0;
  if (settings.timeout > 0) request->idle_timeout = absl::Seconds(settings.timeout);
  if (settings.stop_minutes > 0) request->total_timeout = absl::Minutes(settings.stop_minutes);
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckCombinations(const Settings& settings) {
  if (settings.delete_whens > 1) return Usage("you may not combine several --delete-WHEN options");
  if (settings.delete_extraneous && !settings.recursive && !settings.dirs && !settings.files_from &&
      !settings.list_only) {
    return Usage("--delete does not work without --recursive (-r) or --dirs (-d).");
  }
  if (settings.fake_super && settings.xattrs_given > 1) return Usage("--fake-super conflicts with -XX");
  if (settings.old_args && settings.secluded_args) return Usage("--secluded-args conflicts with --old-args.");
  if (settings.json && settings.quiet) return Usage("--json excludes --quiet");
  if (settings.json && settings.stats) return Usage("--json excludes --stats");
  if (settings.command == Command::kUrsync) return absl::OkStatus();
  if (settings.quiet && (settings.verbose > 0 || settings.stats || settings.progress == true)) {
    return Usage("--quiet excludes --verbose, --stats and --progress");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<RsyncTelling>> ToTelling(const Settings& settings) {
  const bool ours = settings.command != Command::kUrsync && settings.itemize == 0 && !settings.out_format &&
                    settings.log_file.empty() && settings.info.empty();
  if (ours || settings.json || settings.command == Command::kVerify) return std::optional<RsyncTelling>();
  RsyncTelling telling;
  telling.info = InfoLevels::OfVerbosity(settings.verbose);
  if (settings.progress == true) telling.info.Set(Info::kProgress, 1);
  // Per-file progress names the files; asked for alone, as --progress -q or --info=progress1, it does not.
  if (settings.progress == true && settings.verbose == 0) {
    telling.info.Set(Info::kName, 1);
    telling.info.Set(Info::kFileList, 1);
    telling.info.Set(Info::kMisc, 1);
  }
  if (settings.stats) telling.info.Set(Info::kStats, 2);
  if (settings.quiet) telling.info.Silence();
  InfoLevels told_far = InfoLevels::OfVerbosity(settings.verbose);
  for (const std::string& flags : settings.info) {
    US_RETURN_IF_ERROR(telling.info.Apply(flags));
    US_RETURN_IF_ERROR(told_far.Apply(flags));
  }
  telling.far_names = told_far.of(Info::kName) > 0;
  telling.format = settings.out_format                ? *settings.out_format
                   : settings.itemize > 0             ? kItemized
                   : telling.info.of(Info::kName) > 0 ? kNames
                                                      : "";
  // As rsync: it makes its list as a whole where something needs all of it first.
  const bool whole_list = !settings.recursive || !settings.inc_recursive || settings.delete_before ||
                          settings.delete_after || settings.delay_updates || settings.prune_empty_dirs;
  const bool lists = settings.recursive || settings.dirs || settings.files_from || settings.list_only;
  if (lists && telling.info.of(Info::kFileList) > 0) {
    telling.list_line = whole_list ? "building file list ... done" : "sending incremental file list";
  }
  telling.itemize_all = settings.itemize > 1;
  telling.log_file = settings.log_file;
  telling.log_format = settings.log_file_format.value_or(kItemized);
  telling.human = telling.list_human = settings.human;
  telling.eight_bit = settings.eight_bit;
  telling.recursive = settings.recursive;
  telling.omit_link_times = settings.omit_link_times;
  telling.dry_run = settings.dry_run || settings.command == Command::kPlan;
  telling.outbuf = settings.outbuf;
  for (const std::string& format : {telling.format, telling.log_format}) {
    const absl::StatusOr<OutFormat> compiled = OutFormat::Parse(format);
    if (!compiled.ok()) return Usage(std::string(ToStd(compiled.status().message())));
  }
  return std::optional<RsyncTelling>(std::move(telling));
}

absl::StatusOr<RunOptions> ToRunOptions(const Settings& settings) {
  if (settings.operands.size() < 2) {
    return Usage(settings.operands.empty() ? "SRC and DST are missing" : "DST is missing");
  }
  if (settings.operands.size() > 2) return Usage("unexpected argument '" + EscapeName(settings.operands[2]) + "'");
  US_ASSIGN_OR_RETURN(const Endpoint source, ParseEndpoint(settings.operands.front()));
  US_ASSIGN_OR_RETURN(const Endpoint destination, ParseEndpoint(settings.operands.back()));
  US_ASSIGN_OR_RETURN(RunOptions run, ToRunOptions(settings, source, destination));
  US_RETURN_IF_ERROR(DescribePlan(settings, settings.operands.front(), settings.operands.back(), &run));
  return run;
}

absl::StatusOr<RunOptions> ToRunOptions(const Settings& settings, const Endpoint& source, const Endpoint& destination) {
  RunOptions run;
  run.source = source;
  run.destination = destination;
  US_RETURN_IF_ERROR(CheckCombinations(settings));
  US_RETURN_IF_ERROR(CheckEndpoints(settings, run.source, run.destination));
  const bool two_agents = !(run.source.is_local() && run.destination.is_local());
  run.request.trust_source = settings.trust_sender || run.source.is_local();
  US_RETURN_IF_ERROR(FillRequest(settings, two_agents, &run.request, &run.staging));
  if (settings.munge_links) {
    run.request.link_munging = run.source.is_local() ? LinkMunging::kUnmunge : LinkMunging::kMunge;
  }
  // Certificates of the environment are for other agents then.
  run.tls = settings.insecure
                ? ControlTlsFiles{.insecure = true}
                : ControlTlsFiles{.cert = settings.cert, .key = settings.key, .ca = settings.ca, .crl = settings.crl};
  run.shell = ToShell(settings);
  run.direct = settings.direct;
  run.direct_port = static_cast<uint16_t>(settings.direct_port);
  if (settings.contimeout > 0) run.connect_timeout = std::chrono::seconds(settings.contimeout);
  run.stop_at = settings.stop_at;
  run.basis_directories = settings.basis_directories;
  run.backup_directory = BackupDirectory(settings);
  if (run.basis_directories.size() > kMaxBasisDirectories)
    return Usage("at most 20 --" + settings.basis_option + " options may be given");
  if (!settings.io_backend.empty()) {
    run.agent_arguments.insert(run.agent_arguments.end(), {"--io-backend", settings.io_backend});
  }
  if (settings.jobs > 0)
    run.agent_arguments.insert(run.agent_arguments.end(), {"--jobs", std::to_string(settings.jobs)});
  if (settings.background) run.agent_arguments.push_back("--background");
  // As with rsync --super counts more.
  const bool super =
      settings.command == Command::kUrsync && settings.must_owner && settings.must_devices && settings.must_xattrs;
  const bool fakes_here = settings.fake_super && !super;
  if (fakes_here) run.agent_arguments.push_back("--fake-super");
  // A file that stands for a symlink gets times as any other.
  const bool fakes_links =
      run.destination.is_shell() ? settings.far_fake_super : run.destination.is_local() && fakes_here;
  if (fakes_links) run.request.selection.link_times = true;
  run.output = {.verbose = settings.verbose > 0 || run.request.mode != SyncMode::kSync,
                .quiet = settings.quiet,
                .json = settings.json,
                .stats = settings.stats,
                .progress = settings.progress};
  US_ASSIGN_OR_RETURN(run.output.rsync, ToTelling(settings));
  // The counts of rsync's tables are of every object: none may stay behind a digest.
  if (run.output.rsync && run.request.backup)
    run.output.rsync->backup = {.directory = run.backup_directory, .suffix = run.request.backup->suffix};
  run.request.tell_unchanged = run.output.rsync && run.output.rsync->names_unchanged();
  if (run.request.tell_unchanged || (run.output.rsync && run.output.rsync->info.of(Info::kStats) > 0)) {
    run.request.fold_listings = false;
    run.request.use_index = false;
  }
  return run;
}

}  // namespace uringsync

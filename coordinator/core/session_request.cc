#include "coordinator/core/session_request.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/core/operands.h"
#include "engine/tree/filter_rule.h"
#include "engine/tree/path_filter.h"

namespace uringsync {

std::chrono::milliseconds RideOut(absl::Duration idle_timeout) {
  const absl::Duration asked = idle_timeout == absl::InfiniteDuration() ? kDefaultRideOut : idle_timeout;
  return absl::ToChronoMilliseconds(std::min(asked, absl::FromChrono(kMaxRideOut)));
}

bool RemovesSources(const SyncRequest& request) {
  return request.remove_source_files && request.mode == SyncMode::kSync;
}

bool TakesSnapshot(const SyncRequest& request) {
  return request.snapshot != SnapshotMode::kNone && request.mode == SyncMode::kSync;
}

bool HidesDestination(const SyncRequest& request, const std::vector<RelPath>& paths) {
  if (request.filters.empty() || paths.empty()) return false;
  const absl::StatusOr<PathFilterPtr> filter =
      PathFilter::Compile(request.filters, {.delete_excluded = request.delete_excluded});
  if (!filter.ok()) return false;
  return std::all_of(paths.begin(), paths.end(), [&](RelPath path) {
    while (!path.is_root() && !(*filter)->SurelyHidden(path.text(), true)) path = path.Parent();
    return !path.is_root();
  });
}

bool UsesOperands(const SyncRequest& request) {
  return !request.operands.empty() || request.source.root.empty() || request.destination.root.empty() ||
         request.make_path;
}

bool KeepsDirectoryLinks(const SyncRequest& request) {
  return request.keep_directory_links || request.plain_ways;
}

namespace {

// What rules can do at a destination where nothing is deleted: leave out what the source hides too. Of that its own
// merge files say nothing, and nothing that stands behind them is sure; so they are not even read.
std::vector<std::string> RulesWithoutDeletes(const std::vector<std::string>& rules) {
  const auto merges = [](const std::string& rule) {
    const absl::StatusOr<std::optional<FilterRule>> parsed = ParseFilterRule(rule, {}, false);
    return parsed.ok() && parsed->has_value() && (*parsed)->kind == FilterRule::Kind::kDirMerge;
  };
  return {rules.begin(), std::find_if(rules.begin(), rules.end(), merges)};
}

}  // namespace

OpenSession MakeOpenSession(const SyncRequest& request, Role role) {
  const SessionTarget& target = role == Role::kSource ? request.source : request.destination;
  OpenSession open;
  open.session = target.session;
  open.token = target.token;
  open.role = role;
  open.root = target.root;
  open.path = target.path;
  open.host_path = target.host_path;
  open.selection = request.selection;
  open.checksum = request.checksum || request.mode == SyncMode::kVerify;
  open.one_file_system = request.one_file_system;
  open.sparse = request.sparse;
  open.dry_run = request.mode != SyncMode::kSync;
  open.create_root = request.create_root;
  open.make_path = request.make_path;
  open.wait_for_lock = request.wait_for_lock;
  open.force_delete = request.force_delete || request.delete_extraneous;
  open.durability = request.durability;
  open.data_connections = request.data_connections;
  open.ride_out = RideOut(request.idle_timeout);
  open.jobs = request.jobs;
  open.background = request.background;
  open.direct_io = request.direct_io;
  open.filters = request.filters;
  open.delete_excluded = request.delete_excluded;
  open.nul_separated_filters = request.nul_separated_filters;
  if (role == Role::kDestination) open.reflink = request.reflink;
  if (role == Role::kSource) open.selection.device_files = request.copy_devices;
  if (role == Role::kDestination) {
    open.in_place = request.in_place;
    open.write_devices = request.write_devices;
    open.delta_block_bytes = request.delta_block_bytes;
    open.copy_unstable = request.unstable != UnstableFiles::kSkip;
    open.resume = request.resume;
    open.readback = request.readback && request.mode == SyncMode::kSync;
  }
  if (role == Role::kDestination) open.staging = request.staging;
  if (role == Role::kDestination) open.as_planned = request.plan != nullptr;
  if (role == Role::kDestination && request.backup)
    open.backup = BackupSettings{request.backup->suffix, request.backup->directory};
  if (role == Role::kSource) open.follow_links = request.follow_links;
  if (role == Role::kDestination) open.keep_directory_links = KeepsDirectoryLinks(request);
  const bool deletes_missing = request.rules.missing_operands == MissingOperands::kDelete;
  if (role == Role::kDestination && !open.force_delete && !deletes_missing)
    open.filters = RulesWithoutDeletes(request.filters);
  const bool deletes = request.delete_extraneous || request.force_delete || deletes_missing;
  open.operands = role == Role::kSource ? request.operands : CoveredParts(request.operands, deletes);
  if (role == Role::kSource) {
    open.remove_sources = RemovesSources(request);
    if (TakesSnapshot(request)) open.snapshot = request.snapshot;
    open.bytes_per_second = request.bytes_per_second;
  }
  return open;
}

PlanOptions MakePlanOptions(const SyncRequest& request, const SessionOpened& destination) {
  PlanOptions options =
      PlanOptions::For(request.selection, request.checksum || request.mode == SyncMode::kVerify, destination);
  options.delete_extraneous = request.delete_extraneous;
  options.force_delete = request.force_delete;
  options.preserve_hard_links = request.preserve_hard_links;
  options.symlinks = request.symlinks;
  options.devices = request.devices;
  options.specials = request.specials;
  options.explicit_devices = request.explicit_devices;
  options.omit_root_metadata = request.omit_root_metadata;
  options.keep_directory_links = request.keep_directory_links;
  options.only_planned = request.mode != SyncMode::kSync;
  // With the path to it, it is there before anything is compared (as rsync --mkpath).
  options.root_is_new = destination.created && !request.make_path;
  options.tell_unchanged = RemovesSources(request) || request.tell_unchanged;
  if (request.backup && !request.backup->directory) options.backup_suffix = request.backup->suffix;
  if (request.backup) options.backup_directory = request.backup->inside;
  options.policy.size_only = request.size_only;
  options.policy.ignore_times = request.ignore_times;
  options.rules = request.rules;
  // In a verify nothing moves.
  options.detect_renames = request.detect_renames && request.mode != SyncMode::kVerify;
  options.in_place = request.in_place;
  options.write_devices = request.write_devices;
  // What goes first nothing can be made from.
  if (options.detect_renames) options.rules.delete_timing = DeleteTiming::kAfter;
  return options;
}

}  // namespace uringsync

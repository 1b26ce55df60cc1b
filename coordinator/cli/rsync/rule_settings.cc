#include "coordinator/cli/rsync/rule_settings.h"

#include <sys/stat.h>

#include <string>
#include <utility>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

absl::Status Usage(const std::string& text) {
  return LinkError(ErrorKind::kUsage, text);
}

// There is no other way to ask for it; no other thread runs yet.
uint32_t ProcessUmask() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return mask;
}

absl::StatusOr<IdRules> ReadRules(const char* option, const std::optional<std::string>& text) {
  if (!text) return IdRules();
  absl::StatusOr<IdRules> rules = IdRules::Parse(*text);
  if (rules.ok()) return rules;
  return Usage(std::string(option) + "=" + EscapeName(*text) + ": " + std::string(ToStd(rules.status().message())));
}

// "USER:GROUP", either may be left out; without a colon it is the user.
absl::Status ApplyChown(const std::string& text, SyncRequest* request) {
  const size_t colon = text.find(':');
  const std::string user = text.substr(0, colon);
  const std::string group = colon == std::string::npos ? std::string() : text.substr(colon + 1);
  for (const auto& [name, rules] : {std::pair(&user, &request->owner_map), std::pair(&group, &request->group_map)}) {
    if (name->empty()) continue;
    if (!rules->empty()) return Usage("--chown conflicts with --usermap and --groupmap");
    absl::StatusOr<IdRules> everything = IdRules::Everything(*name);
    if (!everything.ok())
      return Usage("--chown=" + EscapeName(text) + ": " + std::string(ToStd(everything.status().message())));
    *rules = *std::move(everything);
  }
  return absl::OkStatus();
}

absl::Status ApplyChmod(const std::vector<std::string>& texts, SyncRequest* request) {
  const uint32_t umask = ProcessUmask();
  for (const std::string& text : texts) {
    const absl::StatusOr<ModeChanges> changes = ModeChanges::Parse(text, umask);
    if (!changes.ok())
      return Usage("Invalid argument passed to --chmod (" + EscapeName(text) +
                   "): " + std::string(ToStd(changes.status().message())));
    request->mode_changes.Append(*changes);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRuleSettings(const Settings& settings) {
  SyncRequest unused;
  return ApplyChmod(settings.chmod, &unused);
}

absl::Status ApplyRuleSettings(const Settings& settings, SyncRequest* request) {
  request->size_only = settings.size_only;
  request->ignore_times = settings.ignore_times;
  request->accept_lost_mounts = settings.allow_empty_source;
  TransferRules& rules = request->rules;
  rules.update = settings.update;
  rules.existing_only = settings.existing;
  rules.ignore_existing = settings.ignore_existing;
  rules.max_size = settings.max_size;
  rules.min_size = settings.min_size;
  rules.safe_links = settings.safe_links;
  rules.prune_empty_directories = settings.prune_empty_dirs;
  rules.missing_operands = settings.delete_missing_args   ? MissingOperands::kDelete
                           : settings.ignore_missing_args ? MissingOperands::kIgnore
                                                          : MissingOperands::kTell;
  rules.max_delete = settings.max_delete;
  rules.ignore_errors = settings.ignore_errors;
  const bool as_rsync = settings.command == Command::kUrsync;
  rules.errors_spare_all = as_rsync && settings.delete_extraneous;
  rules.tell_times_moved_by_deletes = as_rsync && settings.delete_before && !settings.dry_run;
  rules.delete_timing = settings.delete_before ? DeleteTiming::kBefore : DeleteTiming::kAfter;
  request->numeric_ids = settings.numeric_ids;
  US_ASSIGN_OR_RETURN(request->owner_map, ReadRules("--usermap", settings.usermap));
  US_ASSIGN_OR_RETURN(request->group_map, ReadRules("--groupmap", settings.groupmap));
  if (settings.chown) US_RETURN_IF_ERROR(ApplyChown(*settings.chown, request));
  return ApplyChmod(settings.chmod, request);
}

}  // namespace uringsync

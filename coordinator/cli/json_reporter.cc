#include "coordinator/cli/json_reporter.h"

#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "coordinator/core/itemize.h"
#include "engine/base/escape.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::chrono::milliseconds kProgressInterval{1000};

const char* SideName(Side side) {
  switch (side) {
    case Side::kSource: return "source";
    case Side::kDestination: return "destination";
    case Side::kCoordinator: return "coordinator";
  }
  return "coordinator";
}

const char* ProblemKindName(ProblemKind kind) {
  switch (kind) {
    case ProblemKind::kFailed: return "failed";
    case ProblemKind::kVanished: return "vanished";
    case ProblemKind::kChanged: return "changed";
    case ProblemKind::kUnstable: return "unstable";
    case ProblemKind::kConflict: return "conflict";
    case ProblemKind::kIntegrity: return "integrity";
    case ProblemKind::kNoSpace: return "no_space";
  }
  return "failed";
}

const char* OutcomeName(ActionOutcome outcome) {
  switch (outcome) {
    case ActionOutcome::kPlanned: return "planned";
    case ActionOutcome::kDone: return "done";
    case ActionOutcome::kSkipped: return "skipped";
    case ActionOutcome::kFailed: return "failed";
    case ActionOutcome::kChanging: return "changing";
  }
  return "failed";
}

const char* SkipReasonName(SkipReason reason) {
  switch (reason) {
    case SkipReason::kSymlinkOff: return "links_off";
    case SkipReason::kDeviceOff: return "devices_off";
    case SkipReason::kSpecialOff: return "specials_off";
    case SkipReason::kNoMknod: return "device_not_permitted";
    case SkipReason::kBelowProblem: return "below_problem";
    case SkipReason::kNotEmpty: return "not_empty";
    case SkipReason::kMountPoint: return "mount_point";
    case SkipReason::kNotExisting: return "not_existing";
    case SkipReason::kExists: return "exists";
    case SkipReason::kNewer: return "newer";
    case SkipReason::kTooLarge: return "too_large";
    case SkipReason::kTooSmall: return "too_small";
    case SkipReason::kUnsafeLink: return "unsafe_link";
    case SkipReason::kNotShorter: return "not_shorter";
    case SkipReason::kDeleteLimit: return "delete_limit";
    case SkipReason::kSparedByErrors: return "spared_by_errors";
  }
  return "unknown";
}

Json AgentFacts(const HelloReply& hello, const SessionOpened& session) {
  Json out;
  out["software"] = EscapeName(hello.software);
  out["protocol"] = hello.version;
  out["io_backend"] = EscapeName(hello.io_backend);
  if (!hello.fallback_reason.empty()) out["fallback_reason"] = EscapeName(hello.fallback_reason);
  out["file_system"] = EscapeName(session.file_system);
  out["exists"] = session.exists;
  return out;
}

Json VolumeJson(const VolumeFacts& volume) {
  return Json{{"bytes_total", volume.bytes_total},
              {"bytes_free", volume.bytes_free},
              {"files_total", volume.files_total},
              {"files_free", volume.files_free},
              {"name_bytes_max", volume.name_bytes_max},
              {"file_bytes_max", volume.file_bytes_max},
              {"read_only", volume.read_only},
              {"ignores_case", volume.ignores_case},
              {"normalises_names", volume.normalises_names},
              {"xattrs", !volume.lacks_xattrs},
              {"acls", !volume.lacks_acls}};
}

Json PlanCounts(const PlanCounters& plan) {
  return Json{{"source_objects", plan.source_entries},
              {"source_files", plan.source_files},
              {"source_bytes", plan.source_bytes},
              {"destination_objects", plan.destination_entries},
              {"unchanged", plan.unchanged},
              {"told_by_digest", plan.told_by_digest},
              {"told_by_index", plan.told_by_index},
              {"actions", plan.actions},
              {"transfer_files", plan.transfer_files},
              {"transfer_bytes", plan.transfer_bytes},
              {"renames", plan.renames},
              {"rename_bytes", plan.rename_bytes}};
}

Json ApplyCounts(const ApplyCounters& apply) {
  return Json{{"files_published", apply.files_published}, {"files_renamed", apply.files_renamed},
              {"bytes_moved", apply.bytes_received},      {"bytes_matched", apply.bytes_matched},
              {"bytes_cloned", apply.bytes_cloned},       {"bytes_written", apply.bytes_written},
              {"wire_bytes", apply.wire_bytes},           {"retries", apply.retries},
              {"files_verified", apply.files_verified},   {"files_restaged", apply.files_restaged}};
}

Json ChangeCounts(const Tally& tally) {
  return Json{{"new_files", tally.new_files},   {"new_directories", tally.new_directories},
              {"new_others", tally.new_others}, {"updated", tally.updated},
              {"renamed", tally.renamed},       {"metadata", tally.metadata},
              {"linked", tally.linked},         {"deleted", tally.deleted}};
}

}  // namespace

std::string Base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    const size_t have = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 4; ++k) out.push_back(k <= have ? kDigits[group >> (18 - 6 * k) & 63] : '=');
  }
  return out;
}

void AddPath(std::string_view key, std::string_view bytes, Json* event) {
  std::string text = EscapeName(bytes);
  const bool exact = text == bytes;
  (*event)[std::string(key)] = std::move(text);
  if (!exact) (*event)[std::string(key) + "_base64"] = Base64(bytes);
}

std::string FormatTime(std::chrono::system_clock::time_point time) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm utc = {};
  ::gmtime_r(&seconds, &utc);
  char day[32];
  std::strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &utc);
  char out[48];
  std::snprintf(out, sizeof(out), "%s.%03dZ", day, static_cast<int>(ms % 1000));
  return out;
}

JsonReporter::JsonReporter(ReportFacts facts, Console* console) : RunReporter(std::move(facts), console) {
  last_progress_ = facts_.start;
}

void JsonReporter::Emit(const Json& event) {
  // Every text in it has passed the escaper, so it is valid UTF-8; `replace` keeps a mistake here from ending the
  // program.
  console_->Line(event.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Json JsonReporter::Event(std::string_view name) const {
  Json event;
  event["event"] = std::string(name);
  event["time"] = FormatTime(facts_.wall_clock());
  return event;
}

void JsonReporter::Start() {
  Json event = Event("start");
  event["format"] = 1;
  event["version"] = std::string(SoftwareVersion());
  event["command"] = std::string(facts_.output.applies ? "apply" : ModeName(facts_.mode));
  event["source"] = facts_.source;
  event["destination"] = facts_.destination;
  if (facts_.mode == SyncMode::kSync) event["durability"] = std::string(DurabilityName(facts_.durability));
  Emit(event);
  console_->Flush();
}

void JsonReporter::ShowOpened(const HelloReply& source, const SessionOpened& source_session,
                              const HelloReply& destination, const SessionOpened& destination_session) {
  Json event = Event("opened");
  event["source"] = AgentFacts(source, source_session);
  event["destination"] = AgentFacts(destination, destination_session);
  event["destination"]["created"] = destination_session.created;
  if (destination_session.volume) event["destination"]["volume"] = VolumeJson(*destination_session.volume);
  event["destination"]["can_chown"] = destination_session.can_chown;
  event["destination"]["can_mknod"] = destination_session.can_mknod;
  event["destination"]["can_set_capabilities"] = destination_session.can_set_capabilities;
  event["destination"]["can_set_trusted"] = destination_session.can_set_trusted;
  event["destination"]["time_granularity_ns"] = destination_session.time_granularity_ns;
  Emit(event);
  console_->Flush();
}

void JsonReporter::ShowAction(const Action& action, const Differences& differences, ActionOutcome outcome) {
  if (!facts_.output.verbose || differences.empty()) return;  // empty: the last touch of a directory
  Json event = Event("action");
  event["id"] = action.id;
  event["outcome"] = OutcomeName(outcome);
  event["action"] = ActionKindName(action.kind);
  event["type"] = FileTypeName(action.wanted.type);
  AddPath("path", action.path.text(), &event);
  event["itemized"] = Itemize(action, differences, facts_.acls_only);
  event["differences"] = DifferenceNames(differences);
  if (action.kind == ActionKind::kPutFile) event["size"] = action.wanted.size_bytes;
  if (action.origin) AddPath("renamed_from", action.origin->path.text(), &event);
  if (action.kind == ActionKind::kPutSymlink) AddPath("target", action.wanted.symlink_target, &event);
  if (action.kind == ActionKind::kLink) AddPath("link_to", action.link_target.text(), &event);
  Emit(event);
}

void JsonReporter::ShowSkipped(SkipReason reason, const RelPath& path, FileType type) {
  if (!facts_.output.verbose) return;
  Json event = Event("skipped");
  event["reason"] = SkipReasonName(reason);
  event["type"] = FileTypeName(type);
  AddPath("path", path.text(), &event);
  Emit(event);
}

void JsonReporter::OnDurable(uint64_t through_action, uint64_t actions) {
  Json event = Event("durable");
  event["through_id"] = through_action;
  event["actions"] = actions;
  Emit(event);
  console_->Flush();
}

void JsonReporter::OnProblem(const Problem& problem) {
  Json event = Event("problem");
  event["kind"] = ProblemKindName(problem.kind);
  event["side"] = SideName(problem.side);
  AddPath("path", problem.path.text(), &event);
  event["operation"] = EscapeName(problem.operation);
  event["errno"] = problem.error;
  event["message"] = ProblemLine(Place(problem.side, problem.path), problem);
  if (problem.action != 0) event["action_id"] = problem.action;
  Emit(event);
  console_->Flush();
}

void JsonReporter::ShowWarning(std::string_view text) {
  Json event = Event("notice");
  event["message"] = std::string(text);
  Emit(event);
  console_->Flush();
}

void JsonReporter::ShowConnection(Side side, const ConnectionChange& change, const std::string& text) {
  Json event = Event("connection");
  event["state"] = change.lost ? "lost" : "regained";
  event["side"] = SideName(side);
  if (change.lost) event["reason"] = EscapeName(change.why);
  event["seconds"] = static_cast<double>(change.time.count()) / 1000;
  event["message"] = text;
  Emit(event);
  console_->Flush();
}

void JsonReporter::OnProgress(const SyncProgress& progress) {
  if (!facts_.output.progress.value_or(true)) return;
  const auto now = facts_.now();
  if (now - last_progress_ < kProgressInterval) return;
  last_progress_ = now;
  Json event = Event("progress");
  event["discovering"] = progress.discovering;
  event["actions_ended"] = progress.actions_ended;
  event["plan"] = PlanCounts(progress.plan);
  event["apply"] = ApplyCounts(progress.apply);
  if (!progress.current_file.is_root()) {
    Json current;
    AddPath("path", progress.current_file.text(), &current);
    current["bytes"] = progress.current_bytes;
    current["size"] = progress.current_size;
    event["current_file"] = std::move(current);
  }
  Emit(event);
  console_->Flush();
}

void JsonReporter::Finish(const SyncOutcome& outcome, const std::string& error) {
  if (const std::string kept = DeletesLeftOut(outcome); !kept.empty()) ShowWarning(kept);
  const RunResult result = Result(outcome);
  Json event = Event("summary");
  event["exit_code"] = static_cast<int>(outcome.exit_code);
  event["complete"] = outcome.complete;
  if (!error.empty()) event["error"] = error;
  if (outcome.error_side) event["error_side"] = SideName(*outcome.error_side);
  event["duration_seconds"] = std::chrono::duration<double>(result.duration).count();
  event["plan"] = PlanCounts(outcome.plan);
  event["changes"] = ChangeCounts(result.tally);
  event["actions"] =
      Json{{"done", outcome.actions_done}, {"failed", outcome.actions_failed}, {"skipped", outcome.actions_skipped}};
  if (facts_.mode == SyncMode::kSync) event["actions"]["durable"] = outcome.actions_durable;
  event["apply"] = ApplyCounts(outcome.apply);
  event["problems"] = Json{{"failed", outcome.problems.failed},
                           {"vanished", outcome.problems.vanished},
                           {"unstable", outcome.problems.unstable}};
  if (facts_.mode == SyncMode::kVerify) {
    event["problems"]["differing"] = outcome.problems.differing;
    event["problems"]["changing"] = outcome.problems.changing;
    event["problems"]["settled"] = outcome.problems.settled;
  }
  event["left_out"] =
      Json{{"by_option", outcome.plan.skipped_options}, {"owner", outcome.plan.skipped_owner},
           {"devices", outcome.plan.skipped_devices},   {"xattrs", outcome.plan.skipped_xattrs},
           {"deletes", outcome.plan.skipped_deletes},   {"temporaries", outcome.source_manifest.strays_removed}};
  event["strays_removed"] = outcome.destination_manifest.strays_removed;
  if (facts_.mode == SyncMode::kSync) {
    event["state"] = std::string(WeakestState(outcome));
    event["durability"] = std::string(DurabilityName(outcome.durability));
  }
  event["io_backend"] = Json{{"source", result.source_backend}, {"destination", result.destination_backend}};
  event["message"] = SummaryLine(result);
  Emit(event);
  console_->Flush();
}

}  // namespace uringsync

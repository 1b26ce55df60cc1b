#include "coordinator/cli/summary.h"

#include <utility>

#include "coordinator/cli/units.h"

namespace uringsync {
namespace {

constexpr size_t kLabelColumns = 30;

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

// "12 files new, 1 updated, ..." of what is not zero.
std::string Changes(const Tally& tally) {
  std::vector<std::string> fresh;
  if (tally.new_files > 0) fresh.push_back(Count(tally.new_files, "file"));
  if (tally.new_directories > 0) fresh.push_back(Count(tally.new_directories, "directory"));
  if (tally.new_others > 0)
    fresh.push_back(std::to_string(tally.new_others) + (tally.new_others == 1 ? " other" : " others"));
  std::vector<std::string> parts;
  if (!fresh.empty()) parts.push_back("new: " + Join(fresh, " + "));
  const auto add = [&parts](uint64_t count, const char* what) {
    if (count > 0) parts.push_back(std::to_string(count) + " " + what);
  };
  add(tally.updated, "updated");
  add(tally.renamed, "of them known under other names");
  add(tally.metadata, "metadata only");
  add(tally.linked, "hard-linked");
  add(tally.deleted, "deleted");
  return Join(parts, ", ");
}

std::string Troubles(const RunResult& result) {
  std::vector<std::string> parts;
  const ProblemTally& problems = result.outcome.problems;
  if (problems.failed > 0) parts.push_back(Count(problems.failed, "problem"));
  if (problems.vanished > 0) parts.push_back(std::to_string(problems.vanished) + " vanished");
  if (problems.unstable > 0) parts.push_back(std::to_string(problems.unstable) + " copied while changing");
  if (result.outcome.plan.skipped_deletes > 0)
    parts.push_back(Count(result.outcome.plan.skipped_deletes, "delete") + " left out");
  if (!result.outcome.complete) parts.push_back("NOT COMPLETE");
  return parts.empty() ? "" : "; " + Join(parts, ", ");
}

std::string Moved(const RunResult& result) {
  const uint64_t bytes = result.outcome.apply.bytes_received;
  std::string out = FormatBytes(bytes) + " moved in " + FormatDuration(result.duration);
  const double seconds = std::chrono::duration<double>(result.duration).count();
  if (bytes > 0 && seconds > 0) out += " (" + FormatRate(static_cast<double>(bytes) / seconds) + ")";
  return out;
}

std::string VerifyLine(const RunResult& result) {
  const PlanCounters& plan = result.outcome.plan;
  const std::string compared = Count(plan.source_entries, "object") + " and " + FormatBytes(plan.source_bytes) +
                               " compared in " + FormatDuration(result.duration);
  const uint64_t differing = result.outcome.problems.differing;
  const uint64_t changing = result.outcome.problems.changing;
  const std::string moving = changing > 0 ? Count(changing, "object") + " changing" : "";
  if (differing > 0) {
    return Count(differing, "difference") + (changing > 0 ? ", " + moving : "") + "; " + compared + Troubles(result);
  }
  if (changing > 0) return "no other difference, " + moving + "; " + compared + Troubles(result);
  if (!result.outcome.complete || result.outcome.problems.failed + result.outcome.problems.vanished > 0) {
    return "no difference found so far; " + compared + Troubles(result);
  }
  return "equal: " + compared;
}

}  // namespace

std::string_view ModeName(SyncMode mode) {
  switch (mode) {
    case SyncMode::kSync: return "sync";
    case SyncMode::kPlan: return "plan";
    case SyncMode::kVerify: return "verify";
  }
  return "sync";
}

std::string_view DurabilityName(Durability durability) {
  switch (durability) {
    case Durability::kNone: return "none";
    case Durability::kBatch: return "batch";
    case Durability::kFile: return "file";
  }
  return "none";
}

std::string_view WeakestState(const SyncOutcome& outcome) {
  const bool all =
      outcome.complete && outcome.actions_failed == 0 && outcome.problems.failed == 0 && outcome.problems.vanished == 0;
  if (!all) return "planned";
  const bool durable = outcome.durability != Durability::kNone && outcome.actions_durable >= outcome.actions_done;
  return durable ? "durable" : "published";
}

std::string SummaryLine(const RunResult& result) {
  if (result.mode == SyncMode::kVerify) return VerifyLine(result);
  const std::string objects = Count(result.outcome.plan.source_entries, "object");
  const std::string changes = Changes(result.tally);
  const bool keeps = result.outcome.plan.skipped_deletes > 0;
  if (result.mode == SyncMode::kPlan) {
    const std::string looked = " (planned in " + FormatDuration(result.duration) + ")";
    const char* const nothing = keeps ? ", nothing would be done" : ", nothing to do";
    if (changes.empty()) return objects + nothing + looked + Troubles(result);
    return objects + ", would be " + changes + "; " + FormatBytes(result.tally.transfer_bytes) + " to move" + looked +
           Troubles(result);
  }
  if (changes.empty() && !keeps && result.outcome.actions_failed == 0 && result.outcome.complete) {
    return objects + ", nothing to do: " + Moved(result) + Troubles(result);
  }
  // What an agent that broke off had done without having told it is not counted.
  if (changes.empty() && !result.outcome.complete) return objects + " seen; " + Moved(result) + Troubles(result);
  return objects + (changes.empty() ? ", nothing done" : ", " + changes) + "; " + Moved(result) + Troubles(result);
}

std::string SkippedLine(const PlanCounters& plan) {
  const uint64_t owner = plan.skipped_owner;
  const uint64_t devices = plan.skipped_devices;
  const uint64_t xattrs = plan.skipped_xattrs;
  std::vector<std::string> parts;
  std::vector<std::string> options;
  if (owner > 0) {
    parts.push_back("ownership of " + Count(owner, "object"));
    options.push_back("--owner");
  }
  if (devices > 0) {
    parts.push_back(Count(devices, "device"));
    options.push_back("--devices");
  }
  if (xattrs > 0) {
    parts.push_back("privileged xattrs of " + Count(xattrs, "object"));
    options.push_back("--xattrs");
  }
  if (parts.empty()) return {};
  return "left out, the destination's agent may not set it: " + Join(parts, ", ") + " (" + Join(options, ", ") +
         (options.size() == 1 ? " makes that an error)" : " make that an error)");
}

std::string DeletesLeftOut(const SyncOutcome& outcome) {
  const uint64_t count = outcome.plan.skipped_deletes;
  if (count == 0) return {};
  const char* const why = outcome.deletes_held ? ": the source is not mounted as in the last run" : " (--max-delete)";
  return Count(count, "object") + " that only the destination has " + (count == 1 ? "is" : "are") + " kept" + why;
}

std::vector<std::string> StatsTable(const RunResult& result) {
  const PlanCounters& plan = result.outcome.plan;
  const ApplyCounters& apply = result.outcome.apply;
  const Tally& tally = result.tally;
  std::vector<std::pair<std::string, std::string>> rows;
  const auto number = [&rows](const char* label, uint64_t value) { rows.emplace_back(label, std::to_string(value)); };
  const auto bytes = [&rows](const char* label, uint64_t value) {
    rows.emplace_back(label, std::to_string(value) + (value >= 1000 ? " (" + FormatBytes(value) + ")" : ""));
  };
  number("source objects", plan.source_entries);
  number("source files", plan.source_files);
  bytes("source bytes", plan.source_bytes);
  number("destination objects", plan.destination_entries);
  number("unchanged", plan.unchanged);
  number("  told by a digest", plan.told_by_digest);
  number("  told by indexes", plan.told_by_index);
  number("new files", tally.new_files);
  number("new directories", tally.new_directories);
  number("new others", tally.new_others);
  number("updated", tally.updated);
  number("known under other names", tally.renamed);
  number("metadata only", tally.metadata);
  number("hard links", tally.linked);
  number("deleted", tally.deleted);
  if (result.mode == SyncMode::kSync) {
    number("files published", apply.files_published);
    number("files renamed, nothing written", apply.files_renamed);
    if (apply.files_verified > 0 || apply.files_restaged > 0) {
      number("files read back and right", apply.files_verified);
      number("files staged again after that", apply.files_restaged);
    }
    bytes("bytes moved", apply.bytes_received);
    bytes("bytes matched in old files", apply.bytes_matched);
    bytes("bytes cloned", apply.bytes_cloned);
    bytes("bytes written", apply.bytes_written);
    bytes("bytes on the wire", apply.wire_bytes);
    number("retries", apply.retries);
    number("temporaries of dead runs removed", result.outcome.destination_manifest.strays_removed);
  } else if (result.mode == SyncMode::kPlan) {
    bytes("bytes to move", tally.transfer_bytes);
  } else {
    number("differences", result.outcome.problems.differing);
  }
  number("left out by options", plan.skipped_options);
  number("left out: ownership", plan.skipped_owner);
  number("left out: devices", plan.skipped_devices);
  number("left out: privileged xattrs", plan.skipped_xattrs);
  number("left out: deletes", plan.skipped_deletes);
  number("left out: temporaries' names", result.outcome.source_manifest.strays_removed);
  number("problems", result.outcome.problems.failed);
  number("vanished", result.outcome.problems.vanished);
  number("copied while changing", result.outcome.problems.unstable);
  if (result.mode == SyncMode::kVerify) {
    number("changing while compared", result.outcome.problems.changing);
    number("equal at the second look", result.outcome.problems.settled);
  }
  if (result.mode == SyncMode::kSync) {
    number("actions on disk", result.outcome.actions_durable);
    rows.emplace_back("weakest state", WeakestState(result.outcome));
    rows.emplace_back("durability", DurabilityName(result.outcome.durability));
  }
  rows.emplace_back("I/O backend, source", result.source_backend);
  rows.emplace_back("I/O backend, destination", result.destination_backend);
  rows.emplace_back("time", FormatDuration(result.duration));
  std::vector<std::string> lines;
  for (auto& [label, value] : rows) {
    if (label.size() < kLabelColumns) label.append(kLabelColumns - label.size(), ' ');
    lines.push_back(label + "  " + value);
  }
  return lines;
}

}  // namespace uringsync

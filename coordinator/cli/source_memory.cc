#include "coordinator/cli/source_memory.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

// More directories than that come from a list, which may be another one in each run.
constexpr size_t kMaxNamed = 64;

// One text however the path is written; of endpoints, too.
std::string Normal(const std::filesystem::path& path) {
  std::string text = path.lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

}  // namespace

SourceRecordKey SourceKeyOf(const ReportFacts& facts) {
  SourceRecordKey key{facts.source_is_local ? "" : facts.source + "\n", Normal(facts.destination_absolute)};
  if (facts.operands.empty()) {
    key.source += Normal(facts.source_absolute) + "\n";
    return key;
  }
  const size_t trees =
      static_cast<size_t>(std::count_if(facts.operands.begin(), facts.operands.end(), [](const SourceOperand& operand) {
        return operand.depth == OperandDepth::kTree;
      }));
  std::set<std::string> places;
  for (const SourceOperand& operand : facts.operands) {
    if (operand.depth != OperandDepth::kTree) continue;
    const std::filesystem::path base = std::filesystem::path(facts.working_directory) / operand.base;
    places.insert(Normal(trees > kMaxNamed ? base : base / operand.from.text()));
  }
  for (const std::string& place : places) key.source += place + "\n";
  return key;
}

SourceMemory::SourceMemory(const RunOptions& options, const ReportFacts& facts, const std::string& state_directory)
    : state_directory_(state_directory), written_(SourceKeyOf(facts)) {
  const SyncRequest& request = options.request;
  const bool plans = request.plan != nullptr || options.plan_output.has_value();
  if (state_directory.empty() && !plans) return;
  if (!request.delete_extraneous || request.mode == SyncMode::kVerify) return;
  writes_ = request.mode == SyncMode::kSync;
  records_ = true;
  of_plan_ = options.plan_mounts;
}

void SourceMemory::Attach(SyncRequest* request) {
  if (!records_) return;
  request->recall_mounts = [this](const SessionOpened& source, const SessionOpened& destination) {
    return Recall(source, destination);
  };
}

RecalledMounts SourceMemory::Recall(const SessionOpened& source, const SessionOpened& destination) {
  const auto key = [](const SessionOpened& opened, const std::string& written) {
    return opened.place.empty() ? written : "place " + opened.place;
  };
  if (state_directory_.empty()) return {.mounts = of_plan_, .unusable = {}};
  record_.emplace(state_directory_,
                  SourceRecordKey{key(source, written_.source), key(destination, written_.destination)});
  absl::StatusOr<std::optional<std::vector<MountedPlace>>> found = record_->Load();
  unusable_ = !found.ok();
  if (unusable_ && of_plan_.empty())
    return {.mounts = {}, .unusable = std::string(ToStd(found.status().message()))};
  if (unusable_) return {.mounts = of_plan_, .unusable = {}};
  recorded_ = found->has_value();
  if (recorded_) known_ = **std::move(found);
  return {.mounts = of_plan_.empty() ? known_ : of_plan_, .unusable = {}};
}

std::string SourceMemory::Remember(const SyncOutcome& outcome) const {
  // In doubt not even where nothing was left to delete: a destination that is not mounted either looks like that.
  const bool held = outcome.source_in_doubt || (outcome.deletes_held && outcome.plan.skipped_deletes > 0);
  if (!record_ || !writes_ || !outcome.complete || held) return {};
  // What lies on the host's own file system alone cannot be lost.
  const bool plain = outcome.mounts.size() == 1 && outcome.mounts.front().point == "/";
  if (!unusable_ && (outcome.mounts.empty() || (recorded_ ? outcome.mounts == known_ : plain))) return {};
  const absl::Status saved = record_->Save(outcome.mounts);
  if (saved.ok()) return {};
  return "what the source is mounted from could not be recorded: " + std::string(ToStd(saved.message()));
}

}  // namespace uringsync

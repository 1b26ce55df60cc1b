#include "coordinator/cli/self_copy.h"

#include <filesystem>
#include <string>
#include <system_error>

namespace uringsync {
namespace {

// Where `path` is in the end, also where its last components are missing; without a slash at its end.
std::filesystem::path Resolved(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::path found = std::filesystem::weakly_canonical(path, error);
  if (error) return {};
  return found.has_filename() ? found : found.parent_path();
}

// `inner` as seen from `outer`, joined to `at`.
void AddBelow(const std::filesystem::path& outer, const std::filesystem::path& inner, const RelPath& at,
              std::vector<RelPath>* paths) {
  const std::string below = inner.lexically_relative(outer).string();
  if (below.empty() || below == "." || below == ".." || below.starts_with("../")) return;
  absl::StatusOr<RelPath> path = RelPath::Parse(at.is_root() ? below : at.text() + "/" + below);
  if (path.ok()) paths->push_back(*std::move(path));
}

}  // namespace

std::vector<RelPath> DestinationInTransfer(const ReportFacts& facts) {
  std::vector<RelPath> paths;
  if (!facts.source_is_local || !facts.destination_is_local) return paths;
  const std::filesystem::path destination = Resolved(facts.destination_absolute);
  if (destination.empty()) return paths;
  if (facts.operands.empty()) AddBelow(Resolved(facts.source_absolute), destination, RelPath(), &paths);
  for (const SourceOperand& operand : facts.operands) {
    if (operand.depth != OperandDepth::kTree) continue;
    const std::filesystem::path base = std::filesystem::path(facts.working_directory) / operand.base;
    const std::filesystem::path source = Resolved(base / operand.from.text());
    if (!source.empty()) AddBelow(source, destination, operand.at, &paths);
  }
  return paths;
}

}  // namespace uringsync

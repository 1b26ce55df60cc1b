#include "coordinator/cli/problem_causes.h"

#include <cstring>

#include "engine/base/escape.h"

namespace uringsync {
namespace {

const char* Place(Side side) {
  switch (side) {
    case Side::kSource: return " at the source";
    case Side::kDestination: return " at the destination";
    case Side::kCoordinator: break;
  }
  return "";
}

// What stands for a problem that no system call reported.
const char* Reason(ProblemKind kind) {
  switch (kind) {
    case ProblemKind::kVanished: return "vanished";
    case ProblemKind::kChanged: return "kept changing";
    case ProblemKind::kConflict: return "changed meanwhile";
    case ProblemKind::kIntegrity: return "arrived damaged";
    case ProblemKind::kNoSpace: return "no space";
    case ProblemKind::kUnstable: return "kept changing and were copied as they were read";
    case ProblemKind::kFailed: break;
  }
  return "failed";
}

}  // namespace

bool ProblemCauses::Show(const Problem& problem) {
  // "setxattr user.a" and "setxattr user.b" have one cause.
  const std::string call = problem.operation.substr(0, problem.operation.find(' '));
  const Cause cause(problem.side, problem.kind, call, problem.error);
  const auto found = seen_.find(cause);
  if (found == seen_.end() && seen_.size() >= kMaxCauses) return ++others_ <= kShownOfEach;
  return ++seen_[cause] <= kShownOfEach;
}

std::vector<std::string> ProblemCauses::Hidden() const {
  std::vector<std::string> lines;
  for (const auto& [cause, count] : seen_) {
    if (count <= kShownOfEach) continue;
    const auto& [side, kind, operation, error] = cause;
    std::string line = "and " + std::to_string(count - kShownOfEach) + " more" + Place(side) + ": ";
    if (!operation.empty()) line += EscapeName(operation) + ": ";
    lines.push_back(line + (error != 0 ? std::strerror(error) : Reason(kind)));
  }
  if (others_ > kShownOfEach) lines.push_back("and " + std::to_string(others_ - kShownOfEach) + " more of other kinds");
  return lines;
}

}  // namespace uringsync

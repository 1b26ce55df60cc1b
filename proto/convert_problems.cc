#include "engine/base/errno_status.h"
#include "proto/convert.h"
#include "proto/convert_tables.h"
#include "proto/wire_size.h"

namespace uringsync::convert_internal {
namespace {

constexpr std::string_view kMessage = "ApplyProgress.problems";

}  // namespace

absl::Status EncodeProblems(std::span<const Problem> problems, v1::ProblemTable* table) {
  US_RETURN_IF_ERROR(CheckBound({kMessage, "kinds"}, problems.size(), kMaxProblemsPerMessage, "problems"));
  for (const Problem& problem : problems) {
    table->add_kinds(static_cast<uint32_t>(problem.kind));
    AddString(table->mutable_paths(), problem.path.text());
    AddString(table->mutable_operations(), Clip(problem.operation, kMaxOperationBytes));
    AddString(table->mutable_details(), Clip(problem.detail, kMaxTextBytes));
  }
  WriteColumn(table->mutable_sides(), problems.size(),
              [&](size_t i) { return static_cast<uint32_t>(problems[i].side); });
  WriteColumn(table->mutable_errors(), problems.size(),
              [&](size_t i) { return static_cast<uint32_t>(problems[i].error); });
  WriteColumn(table->mutable_actions(), problems.size(), [&](size_t i) { return problems[i].action; });
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Problem>> DecodeProblems(const v1::ProblemTable& table) {
  const size_t rows = static_cast<size_t>(table.kinds_size());
  US_RETURN_IF_ERROR(CheckBound({kMessage, "kinds"}, rows, kMaxProblemsPerMessage, "problems"));
  Column<uint32_t> sides;
  Column<uint32_t> errors;
  Column<uint64_t> actions;
  StringsReader paths;
  StringsReader operations;
  StringsReader details;
  US_RETURN_IF_ERROR(sides.Init(table.sides(), rows, {kMessage, "sides"}));
  US_RETURN_IF_ERROR(errors.Init(table.errors(), rows, {kMessage, "errors"}));
  US_RETURN_IF_ERROR(actions.Init(table.actions(), rows, {kMessage, "actions"}));
  US_RETURN_IF_ERROR(paths.Init(table.paths(), rows, kMaxRelPathBytes, {kMessage, "paths"}));
  US_RETURN_IF_ERROR(operations.Init(table.operations(), rows, kMaxOperationBytes, {kMessage, "operations"}));
  US_RETURN_IF_ERROR(details.Init(table.details(), rows, kMaxTextBytes, {kMessage, "details"}));
  std::vector<Problem> problems(rows);
  for (size_t row = 0; row < rows; ++row) {
    Problem& problem = problems[row];
    const uint32_t kind = table.kinds(static_cast<int>(row));
    if (kind < v1::PROBLEM_KIND_FAILED || kind > v1::PROBLEM_KIND_UNSTABLE) {
      return Bad({kMessage, "kinds"}, row, "unknown kind " + std::to_string(kind));
    }
    problem.kind = static_cast<ProblemKind>(kind);
    if (sides[row] < v1::SIDE_SOURCE || sides[row] > v1::SIDE_COORDINATOR) {
      return Bad({kMessage, "sides"}, row, "unknown side " + std::to_string(sides[row]));
    }
    problem.side = static_cast<Side>(sides[row]);
    US_ASSIGN_OR_RETURN(problem.path, ParsePath({kMessage, "paths"}, row, paths.Next()));
    problem.operation = operations.Next();
    if (errors[row] > kMaxErrno) return Bad({kMessage, "errors"}, row, std::to_string(errors[row]) + " is no errno");
    problem.error = static_cast<int>(errors[row]);
    problem.detail = details.Next();
    problem.action = actions[row];
  }
  return problems;
}

}  // namespace uringsync::convert_internal

#include "coordinator/cli/apply_command.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "coordinator/cli/console.h"
#include "coordinator/cli/plan_file.h"
#include "coordinator/cli/rsync/plan_settings.h"
#include "coordinator/cli/run_command.h"
#include "coordinator/core/exit_code.h"
#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

// A plan that was found whole, from its beginning.
struct OpenedPlan {
  std::unique_ptr<PlanFile> file;
  std::unique_ptr<PlanDecoder> decoder;
  RunOptions run;
};

absl::StatusOr<OpenedPlan> OpenPlan(const PlanFileOptions& options) {
  OpenedPlan plan;
  US_ASSIGN_OR_RETURN(plan.file, PlanFile::Open(options.file));
  US_ASSIGN_OR_RETURN(plan.decoder, plan.file->Read());
  US_ASSIGN_OR_RETURN(plan.run, ToRunOptionsOfPlan(plan.decoder->header(), plan.decoder->operands(), options.settings));
  plan.run.request.digest_key = plan.decoder->header().digest_key;
  plan.run.plan_mounts = plan.decoder->mounts();
  if (plan.run.source.is_local()) plan.run.request.plan_directory = plan.file->directory();
  return plan;
}

// Goes through the plan once, and back to its beginning.
absl::Status MeasureNeeds(OpenedPlan* plan) {
  PlanNeeds needs{.holes = plan->run.request.sparse, .largest_path = {}, .longest_path = {}};
  while (true) {
    US_ASSIGN_OR_RETURN(const std::optional<PlannedBatch> batch, plan->decoder->Next());
    if (!batch) break;
    for (const PlannedAction& planned : batch->actions) needs.Add(planned);
  }
  plan->run.request.needs = needs;
  US_ASSIGN_OR_RETURN(plan->decoder, plan->file->Read());
  return absl::OkStatus();
}

int Refuse(const absl::Status& status, const Program& program) {
  program.console->Error("uringsync: " + std::string(ToStd(status.message())));
  return static_cast<int>(LinkExitCode(status));
}

void ShowHeader(const PlanHeader& header, Console* console) {
  std::string options;
  for (const std::string& option : header.options) options += " " + EscapeName(option);
  console->Line("plan of " + header.made + " by " + EscapeName(header.software) + ": " + header.program + options);
  console->Line("from " + EscapeName(header.source));
  console->Line("to   " + EscapeName(header.destination));
}

}  // namespace

int ApplyCommand(const PlanFileOptions& options, const Program& program) {
  absl::StatusOr<OpenedPlan> plan = OpenPlan(options);
  if (!plan.ok()) return Refuse(plan.status(), program);
  if (plan->run.request.preflight == PreflightMode::kFull) {
    if (const absl::Status status = MeasureNeeds(&*plan); !status.ok()) return Refuse(status, program);
  }
  plan->run.request.plan = plan->decoder.get();
  // Operands of another host have paths of their own there.
  const SettleRun settle = [](Links& links, RunOptions& run) -> std::optional<OperandsEnd> {
    if (!run.request.operands.empty()) links.SetHostPath(Side::kSource, "");
    return std::nullopt;
  };
  const bool operands = plan->run.source.is_shell() && !plan->run.request.operands.empty();
  return RunCommand(std::move(plan->run), program, operands ? settle : SettleRun());
}

int ShowPlanCommand(const PlanFileOptions& options, const Program& program) {
  absl::StatusOr<OpenedPlan> plan = OpenPlan(options);
  if (!plan.ok()) return Refuse(plan.status(), program);
  const OutputOptions& output = plan->run.output;
  const std::unique_ptr<RunReporter> reporter = MakeReporter(FactsOf(plan->run, program), program.console);
  reporter->Start();
  if (!output.json && !output.quiet) ShowHeader(plan->decoder->header(), program.console);
  while (true) {
    const absl::StatusOr<std::optional<PlannedBatch>> batch = plan->decoder->Next();
    if (!batch.ok()) return Refuse(batch.status(), program);
    if (!batch->has_value()) break;
    for (const PlannedAction& planned : (*batch)->actions)
      reporter->OnAction(planned.action, planned.differences, ActionOutcome::kPlanned);
  }
  SyncOutcome outcome;
  outcome.complete = true;
  outcome.plan = plan->decoder->counters();
  reporter->Finish(outcome, "");
  return program.console->Flush() ? 0 : static_cast<int>(ExitCode::kFileIo);
}

}  // namespace uringsync

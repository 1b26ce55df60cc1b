#include "coordinator/cli/app.h"

#include <string>
#include <utility>
#include <variant>

#include "coordinator/cli/apply_command.h"
#include "coordinator/cli/bench_command.h"
#include "coordinator/cli/certs_command.h"
#include "coordinator/cli/console.h"
#include "coordinator/cli/doctor_command.h"
#include "coordinator/cli/explain_command.h"
#include "coordinator/cli/options.h"
#include "coordinator/cli/proof_command.h"
#include "coordinator/cli/run_command.h"
#include "coordinator/core/exit_code.h"

namespace uringsync {

int RunApp(int argc, const char* const* argv, const Program& program) {
  absl::StatusOr<CommandLine> line = ParseCommandLine(argc, argv);
  if (!line.ok()) {
    program.console->Error("uringsync: " + std::string(line.status().message()));
    return static_cast<int>(ExitCode::kUsage);
  }
  if (auto* run = std::get_if<RunOptions>(&*line)) return RunCommand(std::move(*run), program);
  if (auto* bench = std::get_if<BenchOptions>(&*line)) return BenchCommand(std::move(*bench), program);
  if (auto* plan = std::get_if<PlanFileOptions>(&*line)) {
    return plan->settings.command == Command::kApply ? ApplyCommand(*plan, program) : ShowPlanCommand(*plan, program);
  }
  if (auto* explain = std::get_if<ExplainOptions>(&*line)) return ExplainCommand(std::move(*explain), program);
  if (auto* proof = std::get_if<ProofOptions>(&*line)) return ProofCommand(std::move(*proof), program);
  if (auto* certs = std::get_if<CertsOptions>(&*line)) return CertsCommand(*certs, program.console);
  if (auto* doctor = std::get_if<DoctorOptions>(&*line)) return DoctorCommand(*doctor, program.console);
  program.console->Text(std::get<TextAnswer>(*line).text);
  return program.console->Flush() ? 0 : static_cast<int>(ExitCode::kFileIo);
}

}  // namespace uringsync

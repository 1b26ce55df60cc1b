#include "coordinator/cli/bench_command.h"

#include <memory>
#include <string>
#include <utility>

#include "coordinator/cli/bench_render.h"
#include "coordinator/cli/cancellation.h"
#include "coordinator/cli/console.h"
#include "coordinator/cli/interrupts.h"
#include "coordinator/core/bench_verdict.h"
#include "coordinator/link/link_error.h"
#include "coordinator/link/links.h"
#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

constexpr std::chrono::milliseconds kAgentGrace{5000};

LinkOptions LinkOptionsOf(const BenchOptions& options, const Program& program) {
  LinkOptions link;
  link.tls = options.run.tls;
  link.idle_timeout = options.run.request.idle_timeout;
  link.find_agent = [&program] { return FindAgentProgram(program.agent_override, program.self, program.search_path); };
  link.shell = options.run.shell;
  link.on_shell_line = [&program](std::string_view line) { program.console->Error("uringsync: " + std::string(line)); };
  link.agent_arguments = options.run.agent_arguments;
  link.on_agent_warning = [&program](std::string_view line) {
    program.console->Error("uringsync: " + std::string(line));
  };
  return link;
}

std::string DescribeError(const BenchOutcome& outcome, Links* links) {
  if (outcome.error.empty() || !outcome.error_side) return outcome.error;
  return links->Explain(*outcome.error_side, outcome.error, outcome.broke);
}

}  // namespace

int BenchCommand(BenchOptions options, const Program& program) {
  auto cancellation = std::make_shared<Cancellation>(program.name);
  Interrupts interrupts;
  interrupts.Watch([cancellation](int signal, int count) { cancellation->OnSignal(signal, count); });
  RunOptions& run = options.run;
  BenchFacts facts;
  facts.source = run.source.Display();
  facts.destination = run.destination.Display();
  facts.step_seconds = absl::ToDoubleSeconds(options.plan.step_time);
  const auto on_step = [&program](Side side, BenchStep step) {
    if (!program.console->err_is_terminal()) return;
    program.console->Progress(std::string("measuring: ") + BenchStepName(step) +
                              (side == Side::kSource ? " (source)" : " (destination)"));
  };

  BenchOutcome outcome;
  absl::StatusOr<std::unique_ptr<Links>> links =
      Links::Open(run.source, run.destination, LinkOptionsOf(options, program));
  const absl::Status ready = links.ok() ? (*links)->Prepare(&run.request) : links.status();
  if (ready.ok()) {
    run.request.cancel = cancellation->source.token();
    cancellation->running = true;
    outcome = RunBenchmark(run.request, options.plan, (*links)->source(), (*links)->destination(), on_step);
    facts.error = DescribeError(outcome, links->get());
    // The agent removes what a broken-off step left before it ends.
    (*links)->Close(kAgentGrace);
  } else {
    outcome.exit_code = LinkExitCode(ready);
    facts.error = std::string(ready.message());
  }
  program.console->ClearProgress();
  if (run.output.json) {
    program.console->Line(RenderBenchJson(outcome, facts));
  } else if (!outcome.steps.empty()) {
    for (const std::string& line : RenderBenchText(outcome, facts)) program.console->Line(line);
  }
  if (!facts.error.empty() && !run.output.json) program.console->Error("uringsync: " + facts.error);
  if (!program.console->Flush() && outcome.exit_code == ExitCode::kOk) return static_cast<int>(ExitCode::kFileIo);
  return static_cast<int>(outcome.exit_code);
}

}  // namespace uringsync

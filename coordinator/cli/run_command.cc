#include "coordinator/cli/run_command.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "coordinator/cli/cancellation.h"
#include "coordinator/cli/console.h"
#include "coordinator/cli/interrupts.h"
#include "coordinator/cli/reporter.h"
#include "coordinator/core/run.h"
#include "coordinator/link/link_error.h"
#include "coordinator/link/links.h"
#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

// How long a private agent may take to clean up and end; one that was silent until the time-out is not trusted to end
// at all.
constexpr std::chrono::milliseconds kAgentGrace{5000};
constexpr std::chrono::milliseconds kSilentAgentGrace{500};

ReportFacts FactsOf(const RunOptions& options) {
  ReportFacts facts;
  facts.mode = options.request.mode;
  facts.output = options.output;
  facts.source = options.source.Display();
  facts.destination = options.destination.Display();
  facts.durability = options.request.durability;
  facts.acls_only = options.request.selection.acls && !options.request.selection.xattrs;
  facts.now = &std::chrono::steady_clock::now;
  facts.wall_clock = &std::chrono::system_clock::now;
  facts.start = facts.now();
  return facts;
}

LinkOptions LinkOptionsOf(const RunOptions& options, const Program& program, RunReporter* reporter) {
  LinkOptions link;
  link.writes = options.request.mode != SyncMode::kVerify;
  link.deletes = options.request.delete_extraneous;
  link.tls = options.tls;
  link.find_agent = [&program] { return FindAgentProgram(program.agent_override, program.self, program.search_path); };
  link.agent_arguments = options.agent_arguments;
  link.on_agent_warning = [reporter](std::string_view line) { reporter->Warn(line); };
  return link;
}

// Why the run as a whole ended early, with the agent named and, for a private one that died, how.
std::string DescribeError(const SyncOutcome& outcome, Links* links) {
  if (outcome.error.empty()) return {};
  if (!outcome.error_side) return outcome.error;
  return links->Explain(*outcome.error_side, outcome.error, outcome.exit_code == ExitCode::kProtocol);
}

}  // namespace

int RunCommand(RunOptions options, const Program& program) {
  auto cancellation = std::make_shared<Cancellation>();
  Interrupts interrupts;
  interrupts.Watch([cancellation](int signal, int count) { cancellation->OnSignal(signal, count); });
  std::unique_ptr<RunReporter> reporter = MakeReporter(FactsOf(options), program.console);
  reporter->Start();

  SyncOutcome outcome;
  std::string error;
  absl::StatusOr<std::unique_ptr<Links>> links =
      Links::Open(options.source, options.destination, LinkOptionsOf(options, program, reporter.get()));
  absl::Status ready = links.ok() ? (*links)->Prepare(&options.request) : links.status();
  if (ready.ok()) {
    options.request.cancel = cancellation->source.token();
    cancellation->running = true;
    outcome = RunSync(options.request, (*links)->source(), (*links)->destination(), *reporter);
    error = DescribeError(outcome, links->get());
    // The agent removes what a broken-off run left before it ends; its last warnings come before the summary.
    (*links)->Close(outcome.exit_code == ExitCode::kTimeout ? kSilentAgentGrace : kAgentGrace);
  } else {
    outcome.exit_code = ExitCodeForSessionError(LinkErrorKind(ready));
    error = std::string(ready.message());
  }
  reporter->Finish(outcome, error);
  if (!program.console->Flush() && outcome.exit_code == ExitCode::kOk) {
    program.console->Error("uringsync: standard output could not be written");
    return static_cast<int>(ExitCode::kFileIo);
  }
  return static_cast<int>(outcome.exit_code);
}

}  // namespace uringsync

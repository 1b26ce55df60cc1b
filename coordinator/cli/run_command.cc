#include "coordinator/cli/run_command.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "coordinator/cli/cancellation.h"
#include "coordinator/cli/console.h"
#include "coordinator/cli/interrupts.h"
#include "coordinator/cli/json_reporter.h"
#include "coordinator/cli/plan_file.h"
#include "coordinator/cli/reporter.h"
#include "coordinator/cli/self_copy.h"
#include "coordinator/cli/source_memory.h"
#include "coordinator/core/run.h"
#include "coordinator/core/session_request.h"
#include "coordinator/link/link_error.h"
#include "coordinator/link/links.h"
#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

// How long a private agent may take to clean up and end; one that was silent until the time-out is not trusted to end
// at all.
constexpr std::chrono::milliseconds kAgentGrace{5000};
constexpr std::chrono::milliseconds kSilentAgentGrace{500};
// How long a signal may be on its way here that has ended a remote shell already: Ctrl-C goes to both.
constexpr std::chrono::milliseconds kSignalPatience{300};

// What messages call the path of an operand: as it is typed, without the host.
std::string OperandPath(const Endpoint& endpoint) {
  if (endpoint.is_shell()) return endpoint.shell().path;
  return endpoint.is_local() ? endpoint.local().path : endpoint.Display();
}

std::string AbsolutePath(const Endpoint& endpoint, const std::string& far_directory) {
  std::error_code error;
  if (endpoint.is_shell() && !far_directory.empty()) {
    return (std::filesystem::path(far_directory) / endpoint.shell().path).lexically_normal().string();
  }
  if (!endpoint.is_local()) return endpoint.Display();
  const std::filesystem::path path = std::filesystem::absolute(endpoint.local().path, error).lexically_normal();
  return error ? endpoint.local().path : path.string();
}

// Some basis directory is there, as far as that can be seen from here.
bool HasBasis(const RunOptions& options) {
  if (options.has_basis) return *options.has_basis;
  const std::filesystem::path below = options.destination.is_local() ? options.destination.local().path : "";
  return std::any_of(options.basis_directories.begin(), options.basis_directories.end(),
                     [&](const std::string& directory) {
                       std::error_code error;
                       return !options.destination.is_local() ||
                              std::filesystem::is_directory((below / directory).lexically_normal(), error);
                     });
}

// The reporter of a run, which is made when it is known what the run is about. What its agents and shells have to say
// before is told at once, or, with `hold`, when it is released.
class LateReporter {
 public:
  LateReporter(const Program& program, bool hold) : program_(program), hold_(hold) {}
  RunReporter& Start(const RunOptions& options) {
    std::unique_ptr<RunReporter> made = MakeReporter(FactsOf(options, program_), program_.console);
    made->Start();
    std::lock_guard lock(mutex_);
    reporter_ = std::move(made);
    return *reporter_;
  }
  // Any thread.
  void Warn(std::string_view line) {
    std::lock_guard lock(mutex_);
    if (hold_) {
      if (held_.size() < kMaxHeld) held_.emplace_back(line);
    } else if (reporter_ != nullptr) {
      reporter_->Warn(line);
    } else {
      program_.console->Error(std::string(line));
    }
  }
  void Release() {
    std::lock_guard lock(mutex_);
    hold_ = false;
    for (const std::string& line : held_) program_.console->Error(line);
    held_.clear();
  }

 private:
  static constexpr size_t kMaxHeld = 1000;
  const Program& program_;
  std::mutex mutex_;
  bool hold_;
  std::vector<std::string> held_;
  std::unique_ptr<RunReporter> reporter_;
};

// Why the run as a whole ended early, with the agent named and, for a private one that died, how.
std::string DescribeError(const SyncOutcome& outcome, Links* links) {
  if (outcome.error.empty()) return {};
  if (!outcome.error_side) return outcome.error;
  return links->Explain(*outcome.error_side, outcome.error, outcome.exit_code == ExitCode::kProtocol);
}

// What a run over a remote shell ended with that ended with `code` and `error`: by a signal, where one came to the
// shell and to us; as the shell did, where that ended by itself. `links` may be null; before they are closed.
ExitCode CodeOfBreak(ExitCode code, const RunOptions& options, Links* links, Cancellation* cancellation,
                     std::string* error) {
  const bool shell = options.source.is_shell() || options.destination.is_shell();
  if (!shell || (code != ExitCode::kProtocol && code != ExitCode::kShellFailed)) return code;
  if (cancellation->WaitForSignal(kSignalPatience)) {
    *error = std::string(ToStd(cancellation->source.token().status().message()));
    return ExitCode::kInterrupted;
  }
  return links == nullptr ? code : links->CodeOfShells(code);
}

// What to exit with after a run that went well. As rsync, ursync minds nobody reading it, unless its output is to be
// written at once (--outbuf): then it is an error, here at the end.
int EndOutput(const RunOptions& options, const Program& program) {
  const bool written = program.console->Flush();
  const bool as_rsync = options.output.rsync && !options.output.json;
  const char buffer = as_rsync ? options.output.rsync->outbuf : 0;
  if (written || (as_rsync && buffer != 'N' && buffer != 'L')) return static_cast<int>(ExitCode::kOk);
  if (as_rsync) return TellEnd({static_cast<int>(ExitCode::kOutput), ""}, program.console);
  program.console->Error(std::string(program.name) + ": standard output could not be written");
  return static_cast<int>(ExitCode::kFileIo);
}

// Where the run is to write its plan down.
absl::StatusOr<std::unique_ptr<PlanFileWriter>> OpenPlan(RunOptions* options) {
  if (!options->plan_output) return std::unique_ptr<PlanFileWriter>();
  PlanOutput& output = *options->plan_output;
  // What it digests is digested again when it is carried out.
  options->request.digest_key = output.header.digest_key = DrawDigestKey();
  output.header.made = FormatTime(std::chrono::system_clock::now());
  US_ASSIGN_OR_RETURN(std::unique_ptr<PlanFileWriter> writer,
                      PlanFileWriter::Create(output.file, output.header, output.operands));
  options->request.record = [plan = writer.get()](const PlannedAction& planned) { return plan->Add(planned); };
  options->request.record_mounts = [plan = writer.get()](const std::vector<MountedPlace>& mounts) {
    return plan->SetMounts(mounts);
  };
  return writer;
}

// Puts a plan that is whole in its place. What went wrong, ready to print; empty: nothing.
std::string ClosePlan(PlanFileWriter* plan, SyncOutcome* outcome) {
  if (plan == nullptr || !outcome->complete) return {};
  const absl::Status written = plan->Commit(outcome->plan);
  if (written.ok()) return {};
  outcome->exit_code = ExitCode::kFileIo;
  return std::string(ToStd(written.message()));
}

// Hears of a run and tells nobody.
class SilentObserver final : public Observer {
 public:
  void OnOpened(const HelloReply&, const SessionOpened&, const HelloReply&, const SessionOpened&) override {}
  void OnAction(const Action&, const Differences&, ActionOutcome) override {}
  void OnProblem(const Problem&) override {}
  void OnProgress(const SyncProgress&) override {}
  void OnNotice(Side, std::string_view) override {}
  void OnSkipped(SkipReason, const RelPath&, FileType) override {}
};

// Makes the whole plan once, for what it needs. What goes wrong with that goes wrong in the run itself, and is told
// there.
void MeasureNeeds(RunOptions* options, const Program& program, LateReporter* reporter, CancelToken cancel) {
  if (options->request.preflight != PreflightMode::kFull || options->request.plan != nullptr) return;
  RunOptions look = *options;
  look.request.mode = SyncMode::kPlan;
  look.request.preflight = PreflightMode::kOff;
  look.request.cancel = std::move(cancel);
  PlanNeeds needs{.holes = options->request.sparse, .largest_path = {}, .longest_path = {}};
  look.request.record = [&needs](const PlannedAction& planned) {
    needs.Add(planned);
    return absl::OkStatus();
  };
  absl::StatusOr<std::unique_ptr<Links>> links =
      Links::Open(look.source, look.destination,
                  LinkOptionsOf(look, program, [reporter](std::string_view line) { reporter->Warn(line); }));
  if (!links.ok() || !(*links)->Prepare(&look.request).ok()) return;
  SilentObserver observer;
  const SyncOutcome outcome = RunSync(look.request, (*links)->source(), (*links)->destination(), observer);
  (*links)->Close(kAgentGrace);
  if (outcome.complete) options->request.needs = needs;
}

}  // namespace

LinkOptions LinkOptionsOf(const RunOptions& options, const Program& program,
                          std::function<void(std::string_view)> warn) {
  LinkOptions link;
  const bool lists = options.output.rsync && options.output.rsync->list_only;
  link.writes = options.request.mode != SyncMode::kVerify && !lists;
  link.deletes = options.request.delete_extraneous;
  link.tls = options.tls;
  if (options.connect_timeout) link.connect_timeout = *options.connect_timeout;
  link.idle_timeout = options.request.idle_timeout;
  link.find_agent = [&program] { return FindAgentProgram(program.agent_override, program.self, program.search_path); };
  link.operands = options.names_operands;
  link.host_destination = options.host_destination;
  link.basis_directories = options.basis_directories;
  link.basis_use = options.request.basis_use;
  link.backup_directory = options.backup_directory;
  link.partial_directory = options.staging.partial_directory;
  link.temporary_directory = options.staging.temporary_directory;
  link.hidden = !options.request.filters.empty() &&
                HidesDestination(options.request, DestinationInTransfer(FactsOf(options, program)));
  const bool writes_source = options.request.remove_source_files || options.request.snapshot != SnapshotMode::kNone;
  link.writes_source = writes_source && options.request.mode == SyncMode::kSync;
  link.shell = options.shell;
  link.direct = options.direct;
  link.direct_port = options.direct_port;
  link.on_notice = warn;
  link.on_shell_line = warn;
  link.agent_arguments = options.agent_arguments;
  link.on_agent_warning = std::move(warn);
  return link;
}

ReportFacts FactsOf(const RunOptions& options, const Program& program) {
  ReportFacts facts;
  // rsync calls what comes from another host by its name in the transfer.
  if (options.source.is_local()) facts.source_path = OperandPath(options.source);
  facts.destination_path = OperandPath(options.destination);
  facts.source_absolute = AbsolutePath(options.source, options.source_directory);
  facts.destination_absolute = AbsolutePath(options.destination, options.destination_directory);
  facts.source_is_local = options.source.is_local();
  facts.source_by_path = !options.source.is_agent();
  facts.destination_is_local = options.destination.is_local();
  facts.selection = options.request.selection;
  std::error_code unknown;
  facts.working_directory =
      options.source.is_shell() ? options.source_directory : std::filesystem::current_path(unknown).string();
  facts.operands = options.request.operands;
  facts.utf8 = program.utf8;
  facts.has_basis = HasBasis(options);
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

int EndRun(const OperandsEnd& end, const Program& program) {
  if (!end.listed) return TellEnd(end, program.console);
  const std::unique_ptr<RunReporter> reporter = MakeReporter(FactsOf(*end.listed, program), program.console);
  reporter->Start();
  SyncOutcome outcome;
  outcome.exit_code = static_cast<ExitCode>(end.exit_code);
  outcome.complete = outcome.exit_code == ExitCode::kOk || outcome.exit_code == ExitCode::kPartial;
  reporter->TellList(outcome.complete ? std::optional<uint64_t>(0) : std::nullopt);
  reporter->Finish(outcome, end.text);
  return end.exit_code == 0 ? EndOutput(*end.listed, program) : end.exit_code;
}

int RunCommand(RunOptions options, const Program& program, const SettleRun& settle, std::string* no_agent) {
  auto cancellation = std::make_shared<Cancellation>(program.name);
  Interrupts interrupts;
  interrupts.Watch([cancellation](int signal, int count) { cancellation->OnSignal(signal, count); });
  LateReporter late(program, no_agent != nullptr);
  if (options.output.rsync && options.output.rsync->outbuf != 0)
    program.console->SetBuffer(options.output.rsync->outbuf);
  RunReporter* reporter = settle || no_agent != nullptr ? nullptr : &late.Start(options);

  SyncOutcome outcome;
  std::string error;
  absl::StatusOr<std::unique_ptr<Links>> links =
      Links::Open(options.source, options.destination,
                  LinkOptionsOf(options, program, [&late](std::string_view line) { late.Warn(line); }));
  if (no_agent != nullptr && !links.ok() && LinkExitCode(links.status()) == ExitCode::kRemoteNotFound) {
    *no_agent = std::string(links.status().message());
    return static_cast<int>(ExitCode::kRemoteNotFound);
  }
  late.Release();
  if (links.ok() && settle) {
    if (std::optional<OperandsEnd> end = settle(**links, options)) {
      const ExitCode code{end->exit_code};
      end->exit_code = static_cast<int>(CodeOfBreak(code, options, links->get(), cancellation.get(), &end->text));
      (*links)->Close(kAgentGrace);
      return EndRun(*end, program);
    }
  }
  if (reporter == nullptr) reporter = &late.Start(options);
  if (links.ok()) MeasureNeeds(&options, program, &late, cancellation->source.token());
  absl::Status ready = links.status();
  absl::StatusOr<std::unique_ptr<PlanFileWriter>> plan(nullptr);
  if (ready.ok()) {
    plan = OpenPlan(&options);
    ready = plan.status();
  }
  if (ready.ok()) ready = (*links)->Prepare(&options.request);
  if (ready.ok()) {
    if (options.stop_at) {
      const absl::Duration left = absl::FromTimeT(*options.stop_at) - absl::Now();
      options.request.total_timeout = std::max(absl::ZeroDuration(), left);
    }
    options.request.cancel = cancellation->source.token();
    cancellation->running = true;
    const ReportFacts facts = FactsOf(options, program);
    // Only rules leave a destination out; each source is resolved for that.
    if (!options.request.filters.empty()) options.request.destination_in_transfer = DestinationInTransfer(facts);
    SourceMemory memory(options, facts, program.state_directory);
    const auto tell = [reporter](const std::string& line) {
      if (!line.empty()) reporter->OnNotice(Side::kCoordinator, line);
    };
    memory.Attach(&options.request);
    outcome = RunSync(options.request, (*links)->source(), (*links)->destination(), *reporter);
    tell(memory.Remember(outcome));
    error = DescribeError(outcome, links->get());
    outcome.exit_code = CodeOfBreak(outcome.exit_code, options, links->get(), cancellation.get(), &error);
    if (error.empty()) error = ClosePlan(plan->get(), &outcome);
    // The agent removes what a broken-off run left before it ends; its last warnings come before the summary.
    (*links)->Close(outcome.exit_code == ExitCode::kTimeout ? kSilentAgentGrace : kAgentGrace);
  } else {
    outcome.exit_code = LinkExitCode(ready);
    error = std::string(ready.message());
    outcome.exit_code =
        CodeOfBreak(outcome.exit_code, options, links.ok() ? links->get() : nullptr, cancellation.get(), &error);
  }
  if (options.sources_missing && outcome.exit_code == ExitCode::kOk) outcome.exit_code = ExitCode::kPartial;
  reporter->Finish(outcome, error);
  return outcome.exit_code == ExitCode::kOk ? EndOutput(options, program) : static_cast<int>(outcome.exit_code);
}

}  // namespace uringsync

#include "coordinator/cli/explain_command.h"

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "coordinator/cli/cancellation.h"
#include "coordinator/cli/console.h"
#include "coordinator/cli/explain_rules.h"
#include "coordinator/cli/interrupts.h"
#include "coordinator/cli/json_reporter.h"
#include "coordinator/cli/run_command.h"
#include "coordinator/cli/source_memory.h"
#include "coordinator/core/explanation.h"
#include "coordinator/core/run.h"
#include "coordinator/link/link_error.h"
#include "coordinator/link/links.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/tree/filter_rule.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::chrono::milliseconds kAgentGrace{5000};

// Hears a whole plan and keeps what it says of some paths.
class Listener final : public Observer {
 public:
  explicit Listener(const std::vector<RelPath>& paths) {
    for (const RelPath& path : paths) seen_[path].path = path;
  }
  SeenOfPath* Of(const RelPath& path) {
    const auto found = seen_.find(path);
    return found == seen_.end() ? nullptr : &found->second;
  }

  void OnOpened(const HelloReply&, const SessionOpened&, const HelloReply&, const SessionOpened&) override {}
  void OnAction(const Action& action, const Differences& differences, ActionOutcome) override {
    if (SeenOfPath* seen = Of(action.path)) seen->actions.push_back({Phase::kCreate, action, differences});
  }
  void OnProblem(const Problem& problem) override {
    if (SeenOfPath* seen = Of(problem.path)) seen->problem = problem;
  }
  void OnProgress(const SyncProgress&) override {}
  void OnNotice(Side, std::string_view) override {}
  void OnShortfall(Side, std::string_view text) override { shortfalls_.push_back(EscapeName(text)); }
  // What the run in question would go without, a line each.
  const std::vector<std::string>& shortfalls() const { return shortfalls_; }
  void OnSkipped(SkipReason reason, const RelPath& path, FileType type) override {
    for (auto& [asked, seen] : seen_) {
      if (asked == path) seen.skipped = reason;
      if (type == FileType::kDirectory && asked != path && asked.IsWithin(path)) seen.skipped_above = path;
    }
  }

  void OnInBasis(const RelPath& path, const Entry&, uint32_t basis) override {
    if (SeenOfPath* seen = Of(path)) seen->in_basis = basis;
  }
  // On the planning thread, before anything else is told.
  void SetBases(const std::vector<std::string>& bases) {
    for (auto& [path, seen] : seen_) seen.bases = bases;
  }
  void OnUnchanged(const RelPath& path, const Entry& source) override {
    if (source.type == FileType::kDirectory) return;
    if (SeenOfPath* seen = Of(path)) seen->unchanged = true;
  }

 private:
  std::map<RelPath, SeenOfPath> seen_;
  std::vector<std::string> shortfalls_;
};

// Reads files of the side's host; null where nobody answers for its paths.
HostFileReader ReaderOf(const Endpoint& endpoint, Side side, Links* links) {
  if (endpoint.is_local()) return ReadLocalRuleFile;
  if (!endpoint.is_shell()) return nullptr;
  return [links, side](const std::string& path) -> std::optional<std::string> {
    const std::string software = SoftwareName("uringsync");
    // A question that fails would be the last one.
    const absl::StatusOr<PathReply> found = links->Look(side, {.paths = {path}}, software);
    if (!found.ok() || found->paths.front().kind != PathKind::kFile) return std::nullopt;
    absl::StatusOr<std::string> text = links->ReadList(side, path, software);
    if (!text.ok() || text->size() > kMaxMergeFileBytes) return std::nullopt;
    return *std::move(text);
  };
}

std::string DirectoryOf(const Endpoint& endpoint) {
  if (endpoint.is_local()) return endpoint.local().path;
  return endpoint.is_shell() ? endpoint.shell().path : std::string();
}

// While the links are open.
void AddRules(const ExplainOptions& options, const PathFilter& filter, Links* links, Listener* listener) {
  const RunOptions& run = options.run;
  RuleFinder source(filter, run.placed_filters, ReaderOf(run.source, Side::kSource, links), DirectoryOf(run.source),
                    run.source.is_local());
  RuleFinder destination(filter, run.placed_filters, ReaderOf(run.destination, Side::kDestination, links),
                         DirectoryOf(run.destination), run.destination.is_local());
  const auto is_directory = [](const EntryFinding& found) {
    return found.entry && found.entry->type == FileType::kDirectory;
  };
  for (const RelPath& path : options.paths) {
    SeenOfPath* const seen = listener->Of(path);
    seen->hidden = source.FindExcluding(FilterSide::kSender, path, is_directory(seen->source));
    seen->protected_ = destination.FindExcluding(FilterSide::kReceiver, path, is_directory(seen->destination));
    seen->per_directory_rules = PathFilter::NeedsEntering(*filter.base());
    seen->deletes = run.request.delete_extraneous;
  }
}

Json ToJson(const Explanation& why) {
  Json event;
  event["event"] = "explanation";
  AddPath("path", why.path.text(), &event);
  event["decision"] = why.decision;
  event["reason"] = why.reason;
  if (why.rule) {
    event["rule"]["text"] = EscapeName(why.rule->rule);
    if (!why.rule->file.empty()) {
      AddPath("file", why.rule->file, &event["rule"]);
      event["rule"]["line"] = why.rule->line;
    }
    AddPath("of", why.rule->of.text(), &event["rule"]);
  }
  Json changes = Json::array();
  for (const FieldChange& change : why.changes)
    changes.push_back({{"field", change.field}, {"from", change.from}, {"to", change.to}});
  event["changes"] = std::move(changes);
  return event;
}

void Show(const Explanation& why, bool json, Console* console) {
  if (json) {
    console->Line(ToJson(why).dump(-1, ' ', false, Json::error_handler_t::replace));
    return;
  }
  const std::string name = why.path.is_root() ? "." : EscapeName(why.path.text());
  console->Line(name + ": " + why.decision + ": " + why.reason);
  for (const FieldChange& change : why.changes) {
    std::string line = "  " + change.field;
    if (!change.from.empty() || !change.to.empty()) line += ": " + change.from + " -> " + change.to;
    console->Line(line);
  }
}

// "" or the error, ready to print.
std::string Plan(ExplainOptions* options, const PathFilter& filter, const Program& program, Listener* listener,
                 SyncOutcome* outcome) {
  SyncRequest& request = options->run.request;
  auto cancellation = std::make_shared<Cancellation>(program.name);
  Interrupts interrupts;
  interrupts.Watch([cancellation](int signal, int count) { cancellation->OnSignal(signal, count); });
  // Every object has to be told, one by one.
  request.fold_listings = request.use_index = false;
  request.look_at = options->paths;
  request.on_bases = [listener](const std::vector<std::string>& shown) { listener->SetBases(shown); };
  request.tell_unchanged = true;
  request.on_looked = [listener, &paths = options->paths](std::vector<EntryFinding> source,
                                                          std::vector<EntryFinding> destination) {
    for (size_t i = 0; i < paths.size(); ++i) {
      SeenOfPath* const seen = listener->Of(paths[i]);
      seen->source = std::move(source[i]);
      seen->destination = std::move(destination[i]);
    }
  };
  absl::StatusOr<std::unique_ptr<Links>> links = Links::Open(
      options->run.source, options->run.destination,
      LinkOptionsOf(options->run, program,
                    [&program](std::string_view line) { program.console->Error("uringsync: " + std::string(line)); }));
  const absl::Status ready = links.ok() ? (*links)->Prepare(&request) : links.status();
  if (!ready.ok()) {
    outcome->exit_code = LinkExitCode(ready);
    return std::string(ToStd(ready.message()));
  }
  request.cancel = cancellation->source.token();
  cancellation->running = true;
  SourceMemory memory(options->run, FactsOf(options->run, program), program.state_directory);
  memory.Attach(&request);
  *outcome = RunSync(request, (*links)->source(), (*links)->destination(), *listener);
  request.recall_mounts = nullptr;
  for (const RelPath& path : options->paths) listener->Of(path)->deletes_held = outcome->deletes_held;
  std::string error = outcome->error;
  if (outcome->error_side)
    error = (*links)->Explain(*outcome->error_side, outcome->error, outcome->exit_code == ExitCode::kProtocol);
  if (outcome->complete) AddRules(*options, filter, links->get(), listener);
  (*links)->Close(kAgentGrace);
  return error;
}

}  // namespace

int ExplainCommand(ExplainOptions options, const Program& program) {
  const absl::StatusOr<PathFilterPtr> filter =
      PathFilter::Compile(options.run.request.filters, {.delete_excluded = options.run.request.delete_excluded});
  if (!filter.ok()) {
    program.console->Error("uringsync: " + std::string(ToStd(filter.status().message())));
    return static_cast<int>(ExitCode::kUsage);
  }
  Listener listener(options.paths);
  SyncOutcome outcome;
  const std::string error = Plan(&options, **filter, program, &listener, &outcome);
  if (!outcome.complete) {
    if (!error.empty()) program.console->Error("uringsync: " + error);
    return static_cast<int>(outcome.exit_code);
  }
  for (const std::string& line : listener.shortfalls()) program.console->Error("uringsync: " + line);
  bool missing = false;
  for (const RelPath& path : options.paths) {
    const Explanation why = Explain(*listener.Of(path));
    missing = missing || why.decision == "missing";
    Show(why, options.run.output.json, program.console);
  }
  if (!program.console->Flush()) return static_cast<int>(ExitCode::kFileIo);
  return static_cast<int>(missing ? ExitCode::kPartial : ExitCode::kOk);
}

}  // namespace uringsync

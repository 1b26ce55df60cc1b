#include "coordinator/cli/explain_command.h"

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "coordinator/cli/cancellation.h"
#include "coordinator/cli/console.h"
#include "coordinator/cli/interrupts.h"
#include "coordinator/cli/json_reporter.h"
#include "coordinator/cli/run_command.h"
#include "coordinator/core/explanation.h"
#include "coordinator/core/run.h"
#include "coordinator/link/link_error.h"
#include "coordinator/link/links.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/tree/filter_rule.h"

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
  void OnSkipped(SkipReason reason, const RelPath& path, FileType type) override {
    for (auto& [asked, seen] : seen_) {
      if (asked == path) seen.skipped = reason;
      if (type == FileType::kDirectory && asked != path && asked.IsWithin(path)) seen.skipped_above = path;
    }
  }

 private:
  std::map<RelPath, SeenOfPath> seen_;
};

// The first of the directories above `path`, or `path` itself, that a rule of the run excludes.
std::optional<DecidingRule> FindExcluding(const PathFilter& filter, const std::vector<ExpandedRule>& rules, FilterSide side, const RelPath& path,
                                          bool is_directory) {
  std::vector<RelPath> ways;
  for (RelPath way = path; !way.is_root(); way = way.Parent()) ways.push_back(way);
  for (size_t i = ways.size(); i-- > 0;) {
    const PathFilter::Finding found = filter.FindRule(side, ways[i].text(), i > 0 || is_directory);
    if (found.verdict != FilterVerdict::kExclude || found.rule >= rules.size()) continue;
    const ExpandedRule& rule = rules[found.rule];
    return DecidingRule{rule.rule, rule.file, rule.line, ways[i], found.merge_before};
  }
  return std::nullopt;
}

void AddRules(const RunOptions& run, const PathFilter& filter, SeenOfPath* seen) {
  const auto is_directory = [](const EntryFinding& found) { return found.entry && found.entry->type == FileType::kDirectory; };
  seen->hidden = FindExcluding(filter, run.placed_filters, FilterSide::kSender, seen->path, is_directory(seen->source));
  seen->protected_ = FindExcluding(filter, run.placed_filters, FilterSide::kReceiver, seen->path, is_directory(seen->destination));
  seen->per_directory_rules = PathFilter::NeedsEntering(*filter.base());
  seen->deletes = run.request.delete_extraneous;
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
  for (const FieldChange& change : why.changes) changes.push_back({{"field", change.field}, {"from", change.from}, {"to", change.to}});
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
std::string Plan(ExplainOptions* options, const Program& program, Listener* listener, SyncOutcome* outcome) {
  SyncRequest& request = options->run.request;
  auto cancellation = std::make_shared<Cancellation>();
  Interrupts interrupts;
  interrupts.Watch([cancellation](int signal, int count) { cancellation->OnSignal(signal, count); });
  // Every object has to be told, one by one.
  request.fold_listings = request.use_index = false;
  request.look_at = options->paths;
  request.on_unchanged = [listener](const RelPath& path) {
    if (SeenOfPath* seen = listener->Of(path)) seen->unchanged = true;
  };
  request.on_looked = [listener, &paths = options->paths](std::vector<EntryFinding> source, std::vector<EntryFinding> destination) {
    for (size_t i = 0; i < paths.size(); ++i) {
      SeenOfPath* const seen = listener->Of(paths[i]);
      seen->source = std::move(source[i]);
      seen->destination = std::move(destination[i]);
    }
  };
  absl::StatusOr<std::unique_ptr<Links>> links =
      Links::Open(options->run.source, options->run.destination,
                  LinkOptionsOf(options->run, program, [&program](std::string_view line) { program.console->Error("uringsync: " + std::string(line)); }));
  const absl::Status ready = links.ok() ? (*links)->Prepare(&request) : links.status();
  if (!ready.ok()) {
    outcome->exit_code = LinkExitCode(ready);
    return std::string(ToStd(ready.message()));
  }
  request.cancel = cancellation->source.token();
  cancellation->running = true;
  *outcome = RunSync(request, (*links)->source(), (*links)->destination(), *listener);
  std::string error = outcome->error;
  if (outcome->error_side) error = (*links)->Explain(*outcome->error_side, outcome->error, outcome->exit_code == ExitCode::kProtocol);
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
  const std::string error = Plan(&options, program, &listener, &outcome);
  if (!outcome.complete) {
    if (!error.empty()) program.console->Error("uringsync: " + error);
    return static_cast<int>(outcome.exit_code);
  }
  bool missing = false;
  for (const RelPath& path : options.paths) {
    SeenOfPath* const seen = listener.Of(path);
    AddRules(options.run, **filter, seen);
    const Explanation why = Explain(*seen);
    missing = missing || why.decision == "missing";
    Show(why, options.run.output.json, program.console);
  }
  if (!program.console->Flush()) return static_cast<int>(ExitCode::kFileIo);
  return static_cast<int>(missing ? ExitCode::kPartial : ExitCode::kOk);
}

}  // namespace uringsync

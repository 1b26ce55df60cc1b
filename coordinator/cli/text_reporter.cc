#include "coordinator/cli/text_reporter.h"

#include <algorithm>
#include <utility>

#include "coordinator/core/itemize.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

constexpr std::chrono::milliseconds kTerminalInterval{100};
// --progress without a terminal: a line each, for logs.
constexpr std::chrono::milliseconds kLogInterval{1000};

std::string Joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out;
}

}  // namespace

ProgressState ToProgressState(const SyncProgress& progress) {
  ProgressState state;
  state.objects_found = progress.plan.source_entries;
  // Deletes and the last touch of directories are actions too; they must not push what is done beyond what was found.
  state.objects_done = std::min(progress.plan.unchanged + progress.actions_ended, state.objects_found);
  state.bytes_planned = progress.plan.transfer_bytes;
  state.bytes_done = std::min(progress.apply.bytes_received, state.bytes_planned);
  state.discovering = progress.discovering;
  if (!progress.current_file.is_root()) state.current_file = EscapeName(progress.current_file.text());
  state.current_bytes = progress.current_bytes;
  state.current_size = progress.current_size;
  return state;
}

TextReporter::TextReporter(ReportFacts facts, Console* console)
    : RunReporter(std::move(facts), console), meter_(facts_.start) {
  show_progress_ = !facts_.output.quiet && facts_.output.progress.value_or(console->err_is_terminal());
  interval_ = console->err_is_terminal() ? kTerminalInterval : kLogInterval;
  last_drawn_ = facts_.start;
}

void TextReporter::ShowWarning(std::string_view text) {
  console_->Error("uringsync: " + std::string(text));
}

void TextReporter::ShowAction(const Action& action, const Differences& differences, ActionOutcome outcome) {
  if (!facts_.output.verbose || facts_.output.quiet) return;
  const bool changing = outcome == ActionOutcome::kChanging;
  if (outcome != ActionOutcome::kDone && outcome != ActionOutcome::kPlanned && !changing) return;
  if (differences.empty()) return;  // housekeeping: the last touch of a directory
  std::string line = ItemizeLine(action, differences, facts_.acls_only);
  if (facts_.mode == SyncMode::kVerify)
    line += (changing ? "  (changing: " : "  (") + Joined(DifferenceNames(differences)) + ")";
  console_->Line(line);
}

void TextReporter::ShowSkipped(SkipReason reason, const RelPath& path, FileType type) {
  if (facts_.output.quiet) return;
  if (reason == SkipReason::kNotEmpty) {
    console_->Line("cannot delete non-empty directory: " + EscapeName(path.text()));
    return;
  }
  if (!facts_.output.verbose) return;
  // The others are counted in one line of the summary.
  if (reason != SkipReason::kMountPoint && reason != SkipReason::kBelowProblem) return;
  const char* why =
      reason == SkipReason::kMountPoint ? "mount point, left alone" : "below a directory with a problem, left out";
  console_->Line("*skipped    " + EscapeName(path.text()) + (type == FileType::kDirectory ? "/" : "") + "  (" + why +
                 ")");
}

void TextReporter::OnProblem(const Problem& problem) {
  if (problem.kind == ProblemKind::kUnstable && facts_.output.quiet) return;
  // Counted in any case: -v shows what the others hide.
  if (!causes_.Show(problem) && !facts_.output.verbose) return;
  console_->Error("uringsync: " + ProblemLine(Place(problem.side, problem.path), problem));
}

void TextReporter::OnProgress(const SyncProgress& progress) {
  if (!show_progress_) return;
  const auto now = facts_.now();
  if (now - last_drawn_ < interval_) return;
  last_drawn_ = now;
  const ProgressState state = ToProgressState(progress);
  meter_.Add(now, state.bytes_done, state.objects_done);
  console_->Progress(FormatProgress(state, meter_, static_cast<size_t>(console_->columns() - 1)));
}

void TextReporter::Finish(const SyncOutcome& outcome, const std::string& error) {
  console_->ClearProgress();
  if (!facts_.output.verbose) {
    for (const std::string& line : causes_.Hidden())
      console_->Error("uringsync: " + line + " (-v or --json lists them all)");
  }
  if (const std::string kept = DeletesLeftOut(outcome); !kept.empty()) console_->Error("uringsync: " + kept);
  const RunResult result = Result(outcome);
  const bool began = outcome.complete || outcome.plan.source_entries > 0;
  if (!facts_.output.quiet && began) {
    if (facts_.output.stats) {
      for (const std::string& row : StatsTable(result)) console_->Line(row);
    }
    if (const std::string skipped = SkippedLine(outcome.plan); !skipped.empty()) console_->Line(skipped);
    console_->Line(SummaryLine(result));
  }
  if (!error.empty()) console_->Error("uringsync: " + error);
}

}  // namespace uringsync

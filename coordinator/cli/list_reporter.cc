#include "coordinator/cli/list_reporter.h"

#include <utility>

#include "coordinator/cli/rsync/messages.h"
#include "coordinator/cli/rsync/numbers.h"
#include "coordinator/cli/rsync/totals.h"

namespace uringsync {
namespace {

constexpr size_t kPlainSizeColumns = 11;
constexpr size_t kHumanSizeColumns = 14;

char KindLetter(FileType type) {
  switch (type) {
    case FileType::kRegular: return '-';
    case FileType::kDirectory: return 'd';
    case FileType::kSymlink: return 'l';
    case FileType::kBlockDevice: return 'b';
    case FileType::kCharDevice: return 'c';
    case FileType::kFifo: return 'p';
    case FileType::kSocket: return 's';
  }
  return '?';
}

}  // namespace

ListReporter::ListReporter(ReportFacts facts, Console* console)
    : RunReporter(std::move(facts), console),
      telling_(*facts_.output.rsync),
      print_{.eight_bit = telling_.eight_bit, .utf8 = facts_.utf8} {}

std::string ListReporter::Line(const Entry& entry, std::string_view name) const {
  std::string size = HumanNumber(entry.size_bytes, telling_.human);
  const size_t columns = telling_.human > 0 ? kHumanSizeColumns : kPlainSizeColumns;
  if (size.size() < columns) size.insert(0, columns - size.size(), ' ');
  std::string line = KindLetter(entry.type) + PermissionText(entry.mode) + " " + size + " " +
                     HumanTime(static_cast<std::time_t>(entry.mtime.seconds), ' ') + " " + std::string(name);
  if (entry.type == FileType::kSymlink && telling_.list_targets) line += " -> " + entry.symlink_target;
  return PrintableText(line, print_);
}

void ListReporter::ShowOpened(const HelloReply&, const SessionOpened&, const HelloReply&, const SessionOpened&) {
  TellList(std::nullopt);
}

void ListReporter::TellList(std::optional<uint64_t>) {
  if (const std::string& line = telling_.list_line; !line.empty()) {
    console_->Line(facts_.source_is_local ? line : "receiving" + line.substr(line.find(' ')));
  }
}

void ListReporter::Enter(const RelPath& directory) {
  waiting_.insert(waiting_.begin(), std::make_move_iterator(found_.begin()), std::make_move_iterator(found_.end()));
  found_.clear();
  while (!waiting_.empty()) {
    const Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    console_->Line(next.line);
    if (next.path == directory) break;
  }
  current_ = directory;
}

void ListReporter::ShowAction(const Action& action, const Differences& differences, ActionOutcome) {
  if (differences.empty() || facts_.output.quiet) return;
  if (action.path.is_root()) return console_->Line(Line(action.wanted, "."));
  const RelPath directory = action.path.Parent();
  if (facts_.operands.empty() && !telling_.recursive && !directory.is_root()) return;
  if (directory != current_) Enter(directory);
  std::string line = Line(action.wanted, action.path.text());
  if (action.wanted.type == FileType::kDirectory) {
    found_.push_back({action.path, std::move(line)});
  } else {
    console_->Line(line);
  }
}

void ListReporter::OnProblem(const Problem& problem) {
  console_->Error(PrintableText(ProblemText(problem, facts_.source_absolute + "/" + problem.path.text()), print_));
}

void ListReporter::Finish(const SyncOutcome& outcome, const std::string& error) {
  for (const std::deque<Waiting>* lines : {&found_, &waiting_}) {
    for (const Waiting& waiting : *lines) console_->Line(waiting.line);
  }
  if (outcome.complete && telling_.info.of(Info::kStats) > 0) {
    RsyncTotals totals;
    totals.total_bytes = outcome.plan.source_bytes + outcome.plan.source_symlink_bytes;
    totals.duration = facts_.now() - facts_.start;
    console_->Line("");
    for (const std::string& line : ClosingLines(totals, telling_.human)) console_->Line(line);
  }
  if (!error.empty()) console_->Error("ursync: " + error);
  if (const std::string line = ExitLine("ursync", static_cast<int>(outcome.exit_code)); !line.empty()) console_->Error(line);
}

}  // namespace uringsync

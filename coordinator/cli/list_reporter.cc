#include "coordinator/cli/list_reporter.h"

#include <cstring>
#include <utility>

#include "coordinator/cli/rsync/messages.h"
#include "coordinator/cli/rsync/numbers.h"
#include "coordinator/cli/rsync/totals.h"
#include "engine/base/escape.h"

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
  std::string size = HumanNumber(entry.size_bytes, telling_.list_human);
  const size_t columns = telling_.list_human > 0 ? kHumanSizeColumns : kPlainSizeColumns;
  if (size.size() < columns) size.insert(0, columns - size.size(), ' ');
  const auto time = [](const FileTime& value) { return HumanTime(static_cast<std::time_t>(value.seconds), ' '); };
  std::string line = KindLetter(entry.type) + PermissionText(entry.mode) + " " + size + " " + time(entry.mtime) + " ";
  if (facts_.selection.atime) {
    const bool told = entry.atime && entry.type != FileType::kDirectory;
    line += (told ? time(*entry.atime) : std::string(time(entry.mtime).size(), ' ')) + " ";
  }
  line += name;
  if (entry.type == FileType::kSymlink && telling_.list_targets) line += " -> " + entry.symlink_target;
  return line;
}

void ListReporter::Tell(std::string_view line) {
  if (facts_.output.quiet) return;
  console_->Line(PrintableText(line, print_));
  if (!line.empty()) Log(line);
}

void ListReporter::Log(std::string_view line) {
  log_.Line(std::chrono::system_clock::to_time_t(facts_.wall_clock()), line);
}

void ListReporter::Start() {
  if (telling_.log_file.empty()) return;
  if (const int error = log_.Open(telling_.log_file); error != 0) {
    console_->Error("ursync: failed to open log-file " + EscapeName(telling_.log_file) + ": " + std::strerror(error));
  }
  Log(facts_.source_is_local ? "building file list" : "receiving file list");
}

void ListReporter::ShowOpened(const HelloReply&, const SessionOpened&, const HelloReply&, const SessionOpened&) {
  TellList(std::nullopt);
}

void ListReporter::TellList(std::optional<uint64_t> count) {
  if (telling_.list_line.empty()) return;
  const ListLine line =
      ListLineOf(telling_.list_line, facts_.source_is_local, telling_.info.of(Info::kProgress) > 0, count);
  console_->Line(line.told);
  if (!line.logged.empty()) Log(line.logged);
}

void ListReporter::Enter(const RelPath& directory) {
  waiting_.insert(waiting_.begin(), std::make_move_iterator(found_.begin()), std::make_move_iterator(found_.end()));
  found_.clear();
  while (!waiting_.empty()) {
    const Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    Tell(next.line);
    if (next.path == directory) break;
  }
  current_ = directory;
}

void ListReporter::ShowAction(const Action& action, const Differences& differences, ActionOutcome) {
  if (differences.empty() || facts_.output.quiet) return;
  if (action.path.is_root()) return Tell(Line(action.wanted, "."));
  const RelPath directory = action.path.Parent();
  if (facts_.operands.empty() && !telling_.recursive && !directory.is_root()) return;
  if (directory != current_) Enter(directory);
  std::string line = Line(action.wanted, action.path.text());
  if (action.wanted.type == FileType::kDirectory) {
    found_.push_back({action.path, std::move(line)});
  } else {
    Tell(line);
  }
}

void ListReporter::OnProblem(const Problem& problem) {
  const std::string text = ProblemText(problem, facts_.source_absolute + "/" + problem.path.text());
  console_->Error(PrintableText(text, print_));
  Log(text);
}

void ListReporter::Finish(const SyncOutcome& outcome, const std::string& error) {
  for (const std::deque<Waiting>* lines : {&found_, &waiting_}) {
    for (const Waiting& waiting : *lines) Tell(waiting.line);
  }
  RsyncTotals totals;
  totals.source = SourceKinds(outcome.plan);
  totals.total_bytes = outcome.plan.source_bytes + outcome.plan.source_symlink_bytes;
  totals.duration = facts_.now() - facts_.start;
  const int stats = outcome.complete ? telling_.info.of(Info::kStats) : 0;
  if (stats > 1) {
    Tell("");
    for (const std::string& line : StatsLines(totals, telling_.human)) Tell(line);
  }
  if (stats > 0) {
    Tell("");
    for (const std::string& line : ClosingLines(totals, telling_.human)) Tell(line);
  }
  if (outcome.complete && stats == 0) Log(LogLine(totals));
  if (!error.empty()) console_->Error("ursync: " + error);
  if (const std::string line = ExitLine("ursync", static_cast<int>(outcome.exit_code)); !line.empty())
    console_->Error(line);
}

}  // namespace uringsync

#include "coordinator/cli/rsync_reporter.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "coordinator/cli/rsync/messages.h"
#include "coordinator/cli/rsync/numbers.h"
#include "coordinator/cli/rsync_reporter_names.h"

namespace uringsync {
namespace {

// The formats were read when the options were.
OutFormat Compiled(const std::string& text) {
  absl::StatusOr<OutFormat> format = OutFormat::Parse(text);
  return format.ok() ? *std::move(format) : OutFormat();
}

}  // namespace

RsyncReporter::RsyncReporter(ReportFacts facts, Console* console)
    : RunReporter(std::move(facts), console),
      telling_(*facts_.output.rsync),
      print_{.eight_bit = telling_.eight_bit, .utf8 = facts_.utf8},
      rules_{.selection = facts_.selection,
             .sends = facts_.source_is_local && !facts_.destination_is_local,
             .planned = telling_.dry_run},
      format_(Compiled(telling_.format)),
      log_format_(Compiled(telling_.log_format)),
      last_transfer_(facts_.start) {
  if (telling_.omit_link_times) rules_.selection.link_times = false;
  for (size_t i = 0; i < facts_.operands.size(); ++i) operand_at_.try_emplace(facts_.operands[i].at.text(), i);
}

void RsyncReporter::Start() {
  if (telling_.log_file.empty()) return;
  if (const int error = log_.Open(telling_.log_file); error != 0) {
    TellError("ursync: failed to open log-file " + telling_.log_file + ": " + std::strerror(error) + " (" +
              std::to_string(error) + ")");
    TellError("Ignoring \"log file\" setting.");
  }
  Log(facts_.source_is_local ? "building file list" : "receiving file list");
}

void RsyncReporter::Tell(std::string_view line) {
  if (facts_.output.quiet) return;
  console_->Line(PrintableText(line, print_));
}

void RsyncReporter::TellMessage(std::string_view line) {
  Tell(line);
  if (!line.empty()) Log(line);
}

void RsyncReporter::TellError(std::string_view line) {
  console_->Error(PrintableText(line, print_));
  Log(line);
}

void RsyncReporter::Log(std::string_view line) {
  log_.Line(std::chrono::system_clock::to_time_t(facts_.wall_clock()), line);
}

void RsyncReporter::ShowWarning(std::string_view text) {
  TellError("ursync: " + std::string(text));
}

void RsyncReporter::ShowNotice(std::string_view text) {
  if (Told(Info::kMisc) > 0) console_->Error("ursync: " + std::string(text));
}

void RsyncReporter::ShowOpened(const HelloReply&, const SessionOpened& source, const HelloReply&,
                               const SessionOpened& destination) {
  TellList(telling_.nothing_left ? std::optional<uint64_t>(0) : std::nullopt);
  root_is_new_ = destination.created || !destination.exists;
  if (!root_is_new_) return;
  const auto at_top = [](const SourceOperand& operand) { return operand.at.is_root() && !operand.implied; };
  const bool has_root = facts_.operands.empty() || std::any_of(facts_.operands.begin(), facts_.operands.end(), at_top);
  const std::string made = WithoutSlashes(facts_.destination_path);
  const bool told = format_.itemizes() || (facts_.destination_is_local ? Told(Info::kName) > 0 : telling_.far_names);
  if (telling_.made_path > 0) {
    const std::string many = telling_.made_path == 1 ? " directory" : " directories";
    if (told) TellMessage("created " + std::to_string(telling_.made_path) + many + " for " + made);
    // By the time it is compared it is there.
    root_is_new_ = telling_.dry_run && (has_root || facts_.operands.size() > 1);
    if (!root_is_new_) return;
  }
  if (told) TellMessage("created directory " + made);
  // Beside a basis directory, which has it too, the root is nothing new.
  if (facts_.has_basis || !has_root) return;
  Action root;
  root.kind = ActionKind::kMakeDirectory;
  root.wanted = source.root;
  root.wanted.type = FileType::kDirectory;
  TellItem(root, Differences::FromMask(static_cast<uint32_t>(Attribute::kExistence)));
  totals_.created.Add(FileType::kDirectory);
  ++objects_ended_;
}

void RsyncReporter::TellList(std::optional<uint64_t> count) {
  TellListLine(count);
  for (const std::string& line : telling_.left_out) TellMessage(line);
}

void RsyncReporter::TellListLine(std::optional<uint64_t> count) {
  if (telling_.list_line.empty()) return;
  const ListLine line = ListLineOf(telling_.list_line, facts_.source_is_local, Told(Info::kProgress) > 0, count);
  Tell(line.told);
  if (!line.logged.empty()) Log(line.logged);
}

void RsyncReporter::ShowSkipped(SkipReason reason, const RelPath& path, FileType type) {
  if (facts_.output.quiet) return;
  const std::string name = ShownPath(path).text();
  const std::string quoted = "\"" + name + "\"";
  const auto tell = [this](Info info, const std::string& line) {
    if (Told(info) > 0) TellMessage(line);
  };
  switch (reason) {
    case SkipReason::kSymlinkOff:
    case SkipReason::kDeviceOff:
    case SkipReason::kSpecialOff:
    case SkipReason::kNoMknod: return tell(Info::kNonRegular, "skipping non-regular file " + quoted);
    case SkipReason::kNotExisting:
      return tell(Info::kSkip,
                  std::string("not creating new ") + (type == FileType::kDirectory ? "directory " : "file ") + quoted);
    case SkipReason::kExists: return tell(Info::kSkip, name + " exists");
    case SkipReason::kNewer: return tell(Info::kSkip, name + " is newer");
    case SkipReason::kTooLarge: return tell(Info::kSkip, name + " is over max-size");
    case SkipReason::kTooSmall: return tell(Info::kSkip, name + " is under min-size");
    case SkipReason::kSparedByErrors: return TellMessage("IO error encountered -- skipping file deletion");
    case SkipReason::kNotEmpty: return TellFull(path);
    case SkipReason::kUnsafeLink:  // OnUnsafeLink
    case SkipReason::kDeleteLimit:
    case SkipReason::kNotShorter:
    case SkipReason::kBelowProblem:
    case SkipReason::kMountPoint: return;
  }
}

void RsyncReporter::OnUnsafeLink(const RelPath& path, const std::string& target) {
  if (!facts_.output.quiet && Told(Info::kSymlinkSafety) > 0)
    TellMessage("ignoring unsafe symlink \"" + ShownPath(path).text() + "\" -> \"" + target + "\"");
}

std::string RsyncReporter::ProgressText(uint64_t bytes, uint64_t size, double seconds, bool ended) const {
  constexpr std::array<const char*, 3> kRates = {"kB/s", "MB/s", "GB/s"};
  double rate = seconds > 0 ? static_cast<double>(bytes) / seconds / 1024 : 0;
  size_t unit = 0;
  while (rate > 1024 && unit + 1 < kRates.size()) rate /= 1024, ++unit;
  const int percent =
      size == 0 ? 100 : static_cast<int>(100 * static_cast<double>(std::min(bytes, size)) / static_cast<double>(size));
  const unsigned whole = static_cast<unsigned>(seconds);
  char text[128];
  std::snprintf(text, sizeof(text), "%15s %3d%% %7.2f%s %4u:%02u:%02u", HumanNumber(bytes, telling_.human).c_str(),
                percent, rate, kRates[unit], whole / 3600, whole / 60 % 60, whole % 60);
  if (!ended) return text;
  const uint64_t found = progress_.plan.source_entries;
  const uint64_t done = std::min(found, progress_.plan.unchanged + objects_ended_);
  return std::string(text) + " (xfr#" + std::to_string(totals_.transferred_files) +
         (progress_.discovering ? ", ir-chk=" : ", to-chk=") + std::to_string(found - done) + "/" +
         std::to_string(found) + ")";
}

void RsyncReporter::OnActionsEnding(const SyncProgress& progress) {
  progress_ = progress;
}

void RsyncReporter::OnProgress(const SyncProgress& progress) {
  progress_ = progress;
  if (!progress.discovering && totals_.listing.count() == 0) totals_.listing = facts_.now() - facts_.start;
  const double seconds = std::chrono::duration<double>(facts_.now() - facts_.start).count();
  if (Told(Info::kProgress) == 2) {
    const uint64_t size = progress.plan.source_bytes;
    const uint64_t known = size - std::min(size, progress.plan.transfer_bytes);
    // As rsync: what a dry run has named has moved.
    const uint64_t moved = telling_.dry_run ? progress.plan.transfer_bytes : progress.apply.bytes_received;
    const uint64_t done = std::min(moved, progress.plan.transfer_bytes);
    console_->Text("\r" + ProgressText(done, size == 0 ? 0 : size - known, seconds, true));
    progress_shown_ = true;
  } else if (Told(Info::kProgress) == 1 && console_->out_is_terminal() && !progress.current_file.is_root()) {
    console_->Text(ProgressText(progress.current_bytes, progress.current_size, seconds, false) + "\r");
  }
}

// Once, whether it is only to go or in the way of something as well.
void RsyncReporter::TellFull(const RelPath& path) {
  if (full_directories_.contains(path.text())) return;
  if (full_directories_.size() < kMostFailedDirectories) full_directories_.insert(path.text());
  TellMessage("cannot delete non-empty directory: " + path.text());
}

// A directory that could not be made is told once, and what should be in it with it.
bool RsyncReporter::ToldWithDirectory(const Problem& problem) const {
  if (problem.side != Side::kDestination || problem.error != 0 || problem.operation != "open") return false;
  for (RelPath above = problem.path; !above.is_root();) {
    above = above.Parent();
    if (failed_directories_.contains(above.text())) return true;
  }
  return false;
}

void RsyncReporter::OnProblem(const Problem& problem) {
  if (ToldWithDirectory(problem)) return;
  if (problem.kind == ProblemKind::kUnstable && facts_.output.quiet) return;
  std::string path = problem.path.text();
  if (problem.side == Side::kDestination) path = Joined(WithoutSlashes(facts_.destination_absolute), path);
  if (problem.side == Side::kSource) {
    path = SourcePath(problem.path, facts_.source_absolute);
    if (facts_.source_by_path && !path.starts_with('/')) path = Joined(facts_.working_directory, path);
  }
  // rsync tells that as a message and as an error.
  const bool full = problem.operation == "rmdir" && problem.error == ENOTEMPTY;
  if (full || (problem.kind == ProblemKind::kConflict && problem.operation == "replace")) {
    TellFull(problem.path);
  }
  const std::string text = ProblemText(problem, path);
  // What the far end has to say is no part of this end's log.
  if (problem.side == Side::kSource && !facts_.source_is_local) return console_->Error(PrintableText(text, print_));
  TellError(text);
  const bool directory = problem.side == Side::kDestination && problem.operation == "mkdir";
  if (!directory || failed_directories_.size() == kMostFailedDirectories) return;
  failed_directories_.insert(problem.path.text());
  TellError("*** Skipping any contents from this failed directory ***");
}

RsyncTotals RsyncReporter::Totals(const SyncOutcome& outcome) const {
  RsyncTotals totals = totals_;
  const PlanCounters& plan = outcome.plan;
  totals.source = SourceKinds(plan);
  totals.total_bytes = plan.source_bytes + plan.source_symlink_bytes;
  totals.literal_bytes = outcome.apply.bytes_received + outcome.apply.bytes_cloned;
  totals.matched_bytes = outcome.apply.bytes_matched;
  const uint64_t moved = outcome.apply.wire_bytes > 0 ? outcome.apply.wire_bytes : totals.literal_bytes;
  (facts_.source_is_local ? totals.sent_bytes : totals.received_bytes) = moved;
  totals.duration = facts_.now() - facts_.start;
  totals.dry_run = telling_.dry_run;
  return totals;
}

void RsyncReporter::Finish(const SyncOutcome& outcome, const std::string& error) {
  console_->ClearProgress();
  if (progress_shown_) console_->Text("\n");
  if (outcome.plan.skipped_deletes > 0) {
    const std::string line = std::string("Deletions stopped due to ") +
                             (outcome.deletes_held ? "the mounts of the source (" : "--max-delete limit (") +
                             std::to_string(outcome.plan.skipped_deletes) + " skipped)";
    console_->Error(PrintableText(line, print_));
    // rsync: said by the end that deletes, which is another process unless it is the one that was started.
    if (outcome.deletes_held || !facts_.source_is_local) Log(line);
  }
  if (const uint64_t count = outcome.source_manifest.strays_removed; count > 0 && Told(Info::kMisc) == 0) {
    console_->Error("ursync: " + std::to_string(count) + " of the source's names are those of temporaries and " +
                    (count == 1 ? "was" : "were") + " left out (-v names the first)");
  }
  const bool began = outcome.complete || outcome.plan.source_entries > 0;
  const RsyncTotals totals = Totals(outcome);
  if (began && Told(Info::kStats) > 1) {
    Tell("");
    for (const std::string& line : StatsLines(totals, telling_.human)) TellMessage(line);
  }
  if (began && Told(Info::kStats) > 0) {
    Tell("");
    for (const std::string& line : ClosingLines(totals, telling_.human)) TellMessage(line);
  }
  if (outcome.complete) Log(LogLine(totals));
  if (!error.empty()) TellError("ursync: " + error);
  const bool held = outcome.deletes_held && outcome.exit_code == ExitCode::kDeleteLimit;
  const char* const reason = held ? "the source is not mounted as in the last run; nothing was deleted" : "";
  if (const std::string line = ExitLine("ursync", static_cast<int>(outcome.exit_code), reason); !line.empty())
    TellError(line);
}

}  // namespace uringsync

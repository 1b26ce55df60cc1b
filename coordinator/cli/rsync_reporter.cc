#include "coordinator/cli/rsync_reporter.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "coordinator/cli/rsync/messages.h"
#include "coordinator/cli/rsync/numbers.h"
#include "engine/fs/host_path.h"

namespace uringsync {
namespace {

constexpr char kSend[] = "send";
constexpr char kReceive[] = "recv";
constexpr char kDeleted[] = "del.";
constexpr char kDone[] = "done";

std::string WithoutSlashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return std::string(path);
}

// Both, with a '/' between them; "" and "." in front are left out.
std::string Joined(std::string above, const std::string& below) {
  if (above.empty() || above == ".") return below;
  if (below.empty()) return above;
  if (above.back() != '/') above += '/';
  return above + below;
}

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
      rules_{.selection = facts_.selection, .sends = facts_.source_is_local && !facts_.destination_is_local, .planned = telling_.dry_run},
      format_(Compiled(telling_.format)),
      log_format_(Compiled(telling_.log_format)),
      last_transfer_(facts_.start) {
  for (size_t i = 0; i < facts_.operands.size(); ++i) operand_at_.try_emplace(facts_.operands[i].at.text(), i);
}

void RsyncReporter::Start() {
  if (telling_.log_file.empty()) return;
  log_.reset(std::fopen(telling_.log_file.c_str(), "ae"));
  if (log_ == nullptr) {
    TellError("ursync: failed to open log-file " + telling_.log_file + ": " + std::strerror(errno) + " (" + std::to_string(errno) + ")");
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
  if (log_ == nullptr) return;
  const std::time_t now = std::chrono::system_clock::to_time_t(facts_.wall_clock());
  const std::string text = PrintableText(line, {.eight_bit = true, .utf8 = false});
  std::fprintf(log_.get(), "%s [%d] %s\n", HumanTime(now, ' ').c_str(), static_cast<int>(::getpid()), text.c_str());
  std::fflush(log_.get());
}

void RsyncReporter::ShowWarning(std::string_view text) {
  if (Told(Info::kMisc) > 0) console_->Error("ursync: " + std::string(text));
}

void RsyncReporter::ShowOpened(const HelloReply&, const SessionOpened& source, const HelloReply&,
                               const SessionOpened& destination) {
  TellList(std::nullopt);
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
}

void RsyncReporter::TellList(std::optional<uint64_t> count) {
  TellListLine(count);
  for (const std::string& line : telling_.left_out) TellMessage(line);
}

void RsyncReporter::TellListLine(std::optional<uint64_t> count) {
  const std::string& line = telling_.list_line;
  if (line.empty()) return;
  const std::string shown = facts_.source_is_local ? line : "receiving" + line.substr(line.find(' '));
  const size_t done = shown.find(kDone);
  if (done == std::string::npos) return Tell(shown);
  // With per-file progress the count of what is found stands in its place.
  const bool counts = Told(Info::kProgress) > 0;
  const std::string found = !counts ? kDone : count ? HumanNumber(*count, 0) + " files to consider" : "";
  Tell(shown.substr(0, done) + found);
  if (!found.empty()) Log(found);
}

void RsyncReporter::ShowSkipped(SkipReason reason, const RelPath& path, FileType type) {
  if (facts_.output.quiet) return;
  const std::string quoted = "\"" + path.text() + "\"";
  const auto tell = [this](Info info, const std::string& line) {
    if (Told(info) > 0) TellMessage(line);
  };
  switch (reason) {
    case SkipReason::kSymlinkOff:
    case SkipReason::kDeviceOff:
    case SkipReason::kSpecialOff:
    case SkipReason::kNoMknod: return tell(Info::kNonRegular, "skipping non-regular file " + quoted);
    case SkipReason::kNotExisting:
      return tell(Info::kSkip, std::string("not creating new ") + (type == FileType::kDirectory ? "directory " : "file ") + quoted);
    case SkipReason::kExists: return tell(Info::kSkip, path.text() + " exists");
    case SkipReason::kNewer: return tell(Info::kSkip, path.text() + " is newer");
    case SkipReason::kTooLarge: return tell(Info::kSkip, path.text() + " is over max-size");
    case SkipReason::kTooSmall: return tell(Info::kSkip, path.text() + " is under min-size");
    case SkipReason::kUnsafeLink: return tell(Info::kSymlinkSafety, "ignoring unsafe symlink " + quoted);
    case SkipReason::kSparedByErrors: return TellMessage("IO error encountered -- skipping file deletion");
    case SkipReason::kNotEmpty: return TellMessage("cannot delete non-empty directory: " + path.text());
    case SkipReason::kDeleteLimit:
    case SkipReason::kNotShorter:
    case SkipReason::kBelowProblem:
    case SkipReason::kMountPoint: return;
  }
}

RelPath RsyncReporter::ShownPath(const RelPath& path) const {
  const bool renamed = facts_.operands.size() == 1 && facts_.operands.front().at == path && !facts_.operands.front().from.is_root();
  return renamed ? facts_.operands.front().from : path;
}

std::string RsyncReporter::SourcePath(const RelPath& path, const std::string& root) const {
  for (RelPath above = path; !operand_at_.empty(); above = above.Parent()) {
    const auto found = operand_at_.find(above.text());
    if (found != operand_at_.end()) {
      const SourceOperand& operand = facts_.operands[found->second];
      const std::string rest = above == path ? "" : path.text().substr(above.is_root() ? 0 : above.text().size() + 1);
      return Joined(Joined(Joined(facts_.source_by_path ? "" : root, WithoutSlashes(operand.base)), operand.from.text()), rest);
    }
    if (above.is_root()) break;
  }
  return Joined(WithoutSlashes(root), path.text());
}

ItemFacts RsyncReporter::FactsOfItem(const Action& action, const Differences& differences) const {
  const bool deletes = action.kind == ActionKind::kDelete;
  ItemFacts facts;
  facts.code = ItemCode(action, differences, rules_);
  facts.name = ItemName(deletes ? action.path : ShownPath(action.path), action.wanted.type);
  facts.arrow = ItemArrow(action);
  // As rsync: the receiver of a remote shell knows no more than the name in the transfer.
  facts.long_name = deletes                                              ? action.path.text()
                    : facts_.source_by_path && !facts_.source_is_local ? ShownPath(action.path).text()
                                                                        : SourcePath(action.path, facts_.source_path);
  std::string tidied;
  for (const std::string_view component : PathComponents(facts.long_name)) tidied = Joined(std::move(tidied), std::string(component));
  // The top of the transfer is what is in a directory.
  const bool top = !deletes && action.path.is_root() && action.wanted.type == FileType::kDirectory;
  facts.long_name = top ? Joined(std::move(tidied), ".") : std::move(tidied);
  facts.operation = deletes ? kDeleted : facts_.source_is_local ? kSend : kReceive;
  if (action.wanted.content_digest) facts.digest = action.wanted.content_digest->Hex();
  if (facts_.selection.group) facts.gid = 0;
  facts.now = std::chrono::system_clock::to_time_t(facts_.wall_clock());
  facts.pid = ::getpid();
  // rsync knows no more of what goes; its mode only where it goes here, and not by a process that tells it.
  if (deletes && facts_.source_is_local) return facts;
  if (deletes) {
    facts.mode = action.existing ? action.existing->mode : action.wanted.mode;
    return facts;
  }
  facts.size = action.wanted.size_bytes;
  facts.moved = action.kind == ActionKind::kPutFile && !telling_.dry_run ? action.wanted.size_bytes : 0;
  if (facts_.selection.owner) facts.uid = action.wanted.uid;
  if (facts_.selection.group) facts.gid = action.wanted.gid;
  facts.mode = action.wanted.mode;
  facts.mtime = static_cast<std::time_t>(action.wanted.mtime.seconds);
  return facts;
}

void RsyncReporter::TellItem(const Action& action, const Differences& differences) {
  const bool deletes = action.kind == ActionKind::kDelete;
  const bool told = deletes ? Told(Info::kDelete) > 0 || !format_.empty()
                            : !format_.empty() && (format_.itemizes() || NamedWithoutLetters(action));
  if (!told && log_ == nullptr) return;
  const ItemFacts facts = FactsOfItem(action, differences);
  const auto line = [&](const OutFormat& format) {
    return deletes && !format.tells_operation() ? "deleting " + facts.name : format.Fill(facts);
  };
  if (told) Tell(line(format_));
  // Of a dry run rsync logs neither what would go nor what would move.
  const bool moves = action.kind == ActionKind::kPutFile && !action.basis;
  if (log_ != nullptr && !((deletes || moves) && telling_.dry_run) && (deletes || format_.itemizes() || NamedWithoutLetters(action))) Log(line(log_format_));
}

void RsyncReporter::CountItem(const Action& action, const Differences& differences) {
  const FileType type = action.wanted.type;
  if (action.kind == ActionKind::kDelete) {
    totals_.deleted.Add(type);
    return;
  }
  if (differences.Has(Attribute::kExistence) || differences.Has(Attribute::kType)) totals_.created.Add(type);
  if (action.kind != ActionKind::kPutFile || action.basis) return;
  ++totals_.transferred_files;
  totals_.transferred_bytes += action.wanted.size_bytes;
}

void RsyncReporter::ShowAction(const Action& action, const Differences& differences, ActionOutcome outcome) {
  if (outcome == ActionOutcome::kSkipped && Told(Info::kNonRegular) > 0) {
    TellMessage("skipping non-regular file \"" + action.path.text() + "\"");
  }
  if (outcome != ActionOutcome::kDone && outcome != ActionOutcome::kPlanned) return;
  // What a basis directory has is told where it gets other times.
  const bool copied = action.kind == ActionKind::kPutFile && action.basis && !facts_.selection.KeepsTime(action.wanted.type);
  if (differences.empty() && !copied) return;  // housekeeping: the last touch of a directory
  if (action.path.is_root() && root_is_new_) {
    if (!facts_.has_basis) return;  // told when it was made
    Action made = action;
    made.kind = ActionKind::kMakeDirectory;
    return TellItem(made, differences);
  }
  if (action.kind == ActionKind::kDelete && differences.Has(Attribute::kType)) return;  // what comes in its place is told
  const Differences told = ToldDifferences(action, differences, rules_);
  if (told.empty() && !copied) return;
  CountItem(action, told);
  TellItem(action, told);
  if (action.origin && Told(Info::kCopy) > 0) {
    TellMessage("\"" + action.path.text() + "\" looks like \"" + action.origin->path.text() + "\" of the destination");
  }
  if (Told(Info::kProgress) != 1 || action.kind != ActionKind::kPutFile) return;
  const auto now = facts_.now();
  const double seconds = std::chrono::duration<double>(now - std::exchange(last_transfer_, now)).count();
  console_->Text(ProgressText(action.wanted.size_bytes, action.wanted.size_bytes, seconds, true) + "\n");
}

std::string RsyncReporter::ProgressText(uint64_t bytes, uint64_t size, double seconds, bool ended) const {
  constexpr std::array<const char*, 3> kRates = {"kB/s", "MB/s", "GB/s"};
  double rate = seconds > 0 ? static_cast<double>(bytes) / seconds / 1024 : 0;
  size_t unit = 0;
  while (rate > 1024 && unit + 1 < kRates.size()) rate /= 1024, ++unit;
  const int percent = size == 0 ? 100 : static_cast<int>(100 * static_cast<double>(std::min(bytes, size)) / static_cast<double>(size));
  const unsigned whole = static_cast<unsigned>(seconds);
  char text[128];
  std::snprintf(text, sizeof(text), "%15s %3d%% %7.2f%s %4u:%02u:%02u", HumanNumber(bytes, telling_.human).c_str(), percent, rate,
                kRates[unit], whole / 3600, whole / 60 % 60, whole % 60);
  if (!ended) return text;
  const uint64_t found = progress_.plan.source_entries;
  const uint64_t done = std::min(found, progress_.plan.unchanged + progress_.actions_ended);
  return std::string(text) + " (xfr#" + std::to_string(totals_.transferred_files) + (progress_.discovering ? ", ir-chk=" : ", to-chk=") +
         std::to_string(found - done) + "/" + std::to_string(found) + ")";
}

void RsyncReporter::OnProgress(const SyncProgress& progress) {
  progress_ = progress;
  if (!progress.discovering && totals_.listing.count() == 0) totals_.listing = facts_.now() - facts_.start;
  const double seconds = std::chrono::duration<double>(facts_.now() - facts_.start).count();
  if (Told(Info::kProgress) == 2) {
    const uint64_t size = progress.plan.source_bytes;
    const uint64_t known = size - std::min(size, progress.plan.transfer_bytes);
    const uint64_t done = std::min(progress.apply.bytes_received, progress.plan.transfer_bytes);
    console_->Text("\r" + ProgressText(done, size == 0 ? 0 : size - known, seconds, true));
    progress_shown_ = true;
  } else if (Told(Info::kProgress) == 1 && console_->out_is_terminal() && !progress.current_file.is_root()) {
    console_->Text(ProgressText(progress.current_bytes, progress.current_size, seconds, false) + "\r");
  }
}

void RsyncReporter::OnProblem(const Problem& problem) {
  std::string path = problem.path.text();
  if (problem.side == Side::kDestination) path = Joined(WithoutSlashes(facts_.destination_absolute), path);
  if (problem.side == Side::kSource) {
    path = SourcePath(problem.path, facts_.source_absolute);
    if (facts_.source_by_path && !path.starts_with('/')) path = Joined(facts_.working_directory, path);
  }
  // rsync tells that as a message and as an error.
  const bool full = problem.operation == "rmdir" && problem.error == ENOTEMPTY;
  if (full || (problem.kind == ProblemKind::kConflict && problem.operation == "replace")) {
    TellMessage("cannot delete non-empty directory: " + problem.path.text());
  }
  const std::string text = ProblemText(problem, path);
  // What the far end has to say is no part of this end's log.
  if (problem.side == Side::kSource && !facts_.source_is_local) return console_->Error(PrintableText(text, print_));
  TellError(text);
}

RsyncTotals RsyncReporter::Totals(const SyncOutcome& outcome) const {
  RsyncTotals totals = totals_;
  const PlanCounters& plan = outcome.plan;
  totals.source = {.files = plan.source_files,
                   .directories = plan.source_directories,
                   .symlinks = plan.source_symlinks,
                   .devices = plan.source_devices,
                   .specials = plan.source_specials};
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
    TellError("Deletions stopped due to --max-delete limit (" + std::to_string(outcome.plan.skipped_deletes) + " skipped)");
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
  if (const std::string line = ExitLine("ursync", static_cast<int>(outcome.exit_code)); !line.empty()) TellError(line);
}

}  // namespace uringsync

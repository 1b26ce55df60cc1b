#include "coordinator/cli/reporter.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "coordinator/cli/json_reporter.h"
#include "coordinator/cli/list_reporter.h"
#include "coordinator/cli/rsync_reporter.h"
#include "coordinator/cli/text_reporter.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

// Of what --remove-source-files was to remove.
constexpr char kRemoveOperation[] = "remove";

// What to do about a problem, empty where the reason says it.
std::string_view WayOut(const Problem& problem) {
  switch (problem.kind) {
    case ProblemKind::kVanished: return "it was removed while the run went on";
    case ProblemKind::kChanged:
      if (problem.operation == kRemoveOperation)
        return "it was written to while or after it was copied, so it stays at the source; the next run copies it "
               "again, and removes it once it is quiet (--snapshot copies it as of one instant)";
      return problem.error == 0
                 ? "the file kept changing and was not copied; run again when it is quiet, or --unstable=copy"
                 : "it holds less than its size says";
    case ProblemKind::kUnstable: return "the file kept changing; copied as it was read";
    case ProblemKind::kConflict:
      // What is in the way says more than that something is.
      return problem.detail.empty() ? "the destination was changed by somebody else meanwhile; run again" : "";
    case ProblemKind::kIntegrity:
      return "contents arrived damaged again and again; check memory and network of both hosts";
    case ProblemKind::kNoSpace: return "free space or raise the quota, then run again";
    case ProblemKind::kFailed: break;
  }
  if (problem.operation == "clone")
    return "these file systems do not clone this file; --reflink=auto copies what cannot be cloned";
  switch (problem.error) {
    case EACCES: return "run as a user who may, or as root";
    case EPERM: return "this needs a privilege (root or a capability)";
    case EROFS: return "the file system is mounted read-only";
    case EMFILE:
    case ENFILE: return "raise the limit of open files (ulimit -n)";
    case EOPNOTSUPP: return "the file system cannot hold this; switch that part off (--no-xattrs, --no-acls, ...)";
    case EIO: return "the device reports an error; look into the kernel log";
    case EUCLEAN:
      return "its name is that of a temporary of uringsync, and it is none: rename it, or leave it out by a rule";
    case E2BIG: return "--no-xattrs copies it without them";
    case ENOTEMPTY: return "--delete or --force removes what is in the way";
    default: return "";
  }
}

}  // namespace

std::string ProblemLine(std::string_view place, const Problem& problem) {
  std::string out(place);
  if (!problem.operation.empty()) out += ": " + EscapeName(problem.operation);
  if (problem.error != 0) {
    out += ": ";
    out += std::strerror(problem.error);
  }
  if (!problem.detail.empty()) {
    out += problem.error != 0 ? " (" + EscapeName(problem.detail) + ")" : ": " + EscapeName(problem.detail);
  }
  if (problem.error == 0 && problem.detail.empty() && problem.kind == ProblemKind::kFailed) out += ": failed";
  if (const std::string_view way = WayOut(problem); !way.empty()) out += "; " + std::string(way);
  return out;
}

bool RunReporter::IsNew(std::string_view text) {
  std::lock_guard lock(warnings_mutex_);
  return warnings_.size() < kMaxWarnings && warnings_.emplace(text).second;
}

void RunReporter::Warn(std::string_view text) {
  if (IsNew(text)) ShowWarning(text);
}

void RunReporter::OnOpened(const HelloReply& source, const SessionOpened& source_session, const HelloReply& destination,
                           const SessionOpened& destination_session) {
  source_backend_ = EscapeName(source.io_backend);
  destination_backend_ = EscapeName(destination.io_backend);
  ShowOpened(source, source_session, destination, destination_session);
}

void RunReporter::OnAction(const Action& action, const Differences& differences, ActionOutcome outcome) {
  tally_.Add(action, differences, outcome);
  ShowAction(action, differences, outcome);
}

void RunReporter::OnNotice(Side, std::string_view text) {
  // Without the side: what both ends of one agent say is said once.
  const std::string shown = EscapeName(text);
  if (IsNew(shown)) ShowNotice(shown);
}

void RunReporter::OnShortfall(Side, std::string_view text) {
  Warn(EscapeName(text));
}

void RunReporter::OnConnection(Side side, const ConnectionChange& change) {
  // In whole seconds, a begun one counting.
  const std::string seconds = std::to_string((change.time.count() + 999) / 1000) + " s";
  ShowConnection(side, change,
                 change.lost ? "connection to " + change.peer + " lost (" + EscapeName(change.why) +
                                   "); trying again for " + seconds
                             : "connected again to " + change.peer + " after " + seconds);
}

void RunReporter::OnSkipped(SkipReason reason, const RelPath& path, FileType type) {
  ShowSkipped(reason, path, type);
}

RunResult RunReporter::Result(const SyncOutcome& outcome) const {
  RunResult result;
  result.mode = facts_.mode;
  result.outcome = outcome;
  result.tally = tally_;
  result.duration = facts_.now() - facts_.start;
  result.source_backend = source_backend_;
  result.destination_backend = destination_backend_;
  return result;
}

std::string RunReporter::Place(Side side, const RelPath& path) const {
  if (side == Side::kCoordinator) return path.is_root() ? "coordinator" : EscapeName(path.text());
  std::string out = side == Side::kSource ? "source " + facts_.source : "destination " + facts_.destination;
  if (path.is_root()) return out;
  if (out.back() != '/') out += '/';
  return out + EscapeName(path.text());
}

std::unique_ptr<RunReporter> MakeReporter(ReportFacts facts, Console* console) {
  if (facts.output.rsync && facts.output.rsync->list_only)
    return std::make_unique<ListReporter>(std::move(facts), console);
  if (facts.output.rsync) return std::make_unique<RsyncReporter>(std::move(facts), console);
  if (facts.output.json) return std::make_unique<JsonReporter>(std::move(facts), console);
  return std::make_unique<TextReporter>(std::move(facts), console);
}

}  // namespace uringsync

// RsyncReporter: a run told in rsync's words, for people and scripts that read them: file lists, itemised lines,
// --stats, errors, the log.
//
// See RunReporter.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "coordinator/cli/reporter.h"
#include "coordinator/cli/rsync/item.h"
#include "coordinator/cli/rsync/out_format.h"
#include "coordinator/cli/rsync/totals.h"
#include "coordinator/cli/run_log.h"

namespace uringsync {

class RsyncReporter final : public RunReporter {
 public:
  // `facts.output.rsync` is set, and its formats can be read.
  RsyncReporter(ReportFacts facts, Console* console);
  void Start() override;
  void TellList(std::optional<uint64_t> count) override;
  void Finish(const SyncOutcome& outcome, const std::string& error) override;
  void OnProblem(const Problem& problem) override;
  void OnActionsEnding(const SyncProgress& progress) override;
  void OnProgress(const SyncProgress& progress) override;
  void OnUnchanged(const RelPath& path, const Entry& source) override;
  void OnUnsafeLink(const RelPath& path, const std::string& target) override;
  void OnSourceRemoved(const RelPath& path) override;

 protected:
  void ShowWarning(std::string_view text) override;
  void ShowNotice(std::string_view text) override;
  void ShowAction(const Action& action, const Differences& differences, ActionOutcome outcome) override;
  void ShowOpened(const HelloReply& source, const SessionOpened& source_session, const HelloReply& destination,
                  const SessionOpened& destination_session) override;
  void ShowSkipped(SkipReason reason, const RelPath& path, FileType type) override;

 private:
  // Lines of standard output and of the log; raw bytes.
  void Tell(std::string_view line);
  void Log(std::string_view line);
  // On both.
  void TellMessage(std::string_view line);
  void TellError(std::string_view line);
  void TellListLine(std::optional<uint64_t> count);
  void TellItem(const Action& action, const Differences& differences);
  // An action without a difference, which is told with names_unchanged() alone.
  void TellTouch(const Action& action);
  // An action that makes what a basis directory has as it is.
  void TellUpToDate(const Action& action);
  // What the object at the action's path was is kept as a backup: says so where that is asked for.
  void TellBackup(const Action& action);
  // The name that is told: the source's, also where the one object of the run is called otherwise at the destination.
  RelPath ShownPath(const RelPath& path) const;
  // The source of it was named from "/" on.
  bool HasAbsoluteName(const RelPath& path) const;
  // Where the object at `path` of the transfer is on its host: below `root`, or where its operand says.
  std::string SourcePath(const RelPath& path, const std::string& root) const;
  ItemFacts FactsOfItem(const Action& action, const Differences& differences) const;
  void CountItem(const Action& action, const Differences& differences);
  // "   123 100%   5.86kB/s    0:00:00 (xfr#1, to-chk=6/8)": of a file, or of the whole.
  std::string ProgressText(uint64_t bytes, uint64_t size, double seconds, bool ended) const;
  RsyncTotals Totals(const SyncOutcome& outcome) const;
  int64_t Told(Info info) const { return telling_.info.of(info); }

  bool ToldWithDirectory(const Problem& problem) const;
  void TellFull(const RelPath& path);

  // What is in more of them is told object by object.
  static constexpr size_t kMostFailedDirectories = 1000;
  std::unordered_set<std::string> failed_directories_;
  std::unordered_set<std::string> full_directories_;
  std::unordered_map<std::string, size_t> operand_at_;  // by place in the transfer, the first of each
  const RsyncTelling telling_;
  const PrintRules print_;
  ItemRules rules_;
  OutFormat format_;
  OutFormat log_format_;
  RunLog log_;
  bool root_is_new_ = false;
  RsyncTotals totals_;
  uint64_t objects_ended_ = 0;  // of the source, that something was done with
  SyncProgress progress_;
  std::chrono::steady_clock::time_point last_transfer_;
  bool progress_shown_ = false;
};

}  // namespace uringsync

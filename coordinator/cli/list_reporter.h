// ListReporter: a source listed in rsync's columns (--list-only, or one operand alone).
//
// The plan into a directory that does not exist names every object of the source. Files of a directory are printed
// before its subdirectories, as rsync does: a subdirectory's line waits until the first object below it, or the next
// subdirectory, comes. See RunReporter.
#pragma once

#include <deque>
#include <string>

#include "coordinator/cli/reporter.h"
#include "coordinator/cli/rsync/item.h"
#include "coordinator/cli/run_log.h"

namespace uringsync {

class ListReporter final : public RunReporter {
 public:
  // `facts.output.rsync` is set. `name`: what the root is called, "." for the contents of a directory.
  ListReporter(ReportFacts facts, Console* console);
  void Start() override;
  void TellList(std::optional<uint64_t> count) override;
  void Finish(const SyncOutcome& outcome, const std::string& error) override;
  void OnProblem(const Problem& problem) override;
  void OnProgress(const SyncProgress&) override {}

 protected:
  void ShowWarning(std::string_view) override {}
  void ShowAction(const Action& action, const Differences& differences, ActionOutcome outcome) override;
  void ShowOpened(const HelloReply&, const SessionOpened& source, const HelloReply&, const SessionOpened&) override;
  void ShowSkipped(SkipReason, const RelPath&, FileType) override {}

 private:
  struct Waiting {
    RelPath path;
    std::string line;
  };
  // A line of standard output and of the log.
  void Tell(std::string_view line);
  void Log(std::string_view line);
  // Raw bytes.
  std::string Line(const Entry& entry, std::string_view name) const;
  // Prints all that comes before the contents of `directory`, and its own line.
  void Enter(const RelPath& directory);

  const RsyncTelling telling_;
  const PrintRules print_;
  RunLog log_;
  RelPath current_;              // the directory whose objects come now
  std::deque<Waiting> found_;    // its subdirectories
  std::deque<Waiting> waiting_;  // directories that come next, in order
};

}  // namespace uringsync

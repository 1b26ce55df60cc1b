// TextReporter: a run for a person. Itemised lines and the summary on standard output, problems and progress on
// standard error.
//
// See RunReporter.
#pragma once

#include "coordinator/cli/problem_causes.h"
#include "coordinator/cli/progress.h"
#include "coordinator/cli/reporter.h"

namespace uringsync {

class TextReporter final : public RunReporter {
 public:
  TextReporter(ReportFacts facts, Console* console);
  void Start() override {}
  void Finish(const SyncOutcome& outcome, const std::string& error) override;
  void OnProblem(const Problem& problem) override;
  void OnProgress(const SyncProgress& progress) override;

 protected:
  void ShowWarning(std::string_view text) override;
  void ShowAction(const Action& action, const Differences& differences, ActionOutcome outcome) override;
  void ShowOpened(const HelloReply&, const SessionOpened&, const HelloReply&, const SessionOpened&) override {}
  void ShowSkipped(SkipReason reason, const RelPath& path, FileType type) override;

 private:
  bool show_progress_ = false;
  std::chrono::steady_clock::duration interval_;
  std::chrono::steady_clock::time_point last_drawn_;
  ProgressMeter meter_;
  ProblemCauses causes_;
};

// What the progress line shows of a core's totals.
ProgressState ToProgressState(const SyncProgress& progress);

}  // namespace uringsync

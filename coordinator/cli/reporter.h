// RunReporter: everything that a person or a program is shown of one run; a TextReporter or a JsonReporter.
//
// Thread rule: Warn from any thread; everything else from the thread that runs the sync.
// Use:  std::unique_ptr<RunReporter> reporter = MakeReporter(facts, &console);
//       reporter->Start();  RunSync(request, source, destination, *reporter);  reporter->Finish(outcome, error);
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/cli/console.h"
#include "coordinator/cli/options.h"
#include "coordinator/cli/summary.h"
#include "coordinator/core/observer.h"

namespace uringsync {

struct ReportFacts {
  SyncMode mode = SyncMode::kSync;
  OutputOptions output;
  std::string source;  // Endpoint::Display(): escaped
  std::string destination;
  Durability durability = Durability::kBatch;
  // For rsync's words: operands as given and as absolute paths (endpoints of agents: as they are displayed), raw.
  std::string source_path;
  std::string destination_path;
  std::string source_absolute;
  std::string destination_absolute;
  std::string working_directory;  // of the source's host, where that is known
  bool source_is_local = true;
  bool source_by_path = true;  // operands begin with paths of the source's host
  bool destination_is_local = true;
  MetadataSelection selection;
  std::vector<SourceOperand> operands;  // of ursync; empty: the whole source
  bool has_basis = false;               // --link-dest or its kin
  bool utf8 = false;                    // the terminal's text is UTF-8
  bool acls_only = false;               // ACLs are kept and other xattrs are not: Itemize then tells them apart
  std::chrono::steady_clock::time_point start;
  std::function<std::chrono::steady_clock::time_point()> now;  // the clock, so that a test can hold it
  std::function<std::chrono::system_clock::time_point()> wall_clock;
};

class RunReporter : public Observer {
 public:
  RunReporter(ReportFacts facts, Console* console) : facts_(std::move(facts)), console_(console) {}

  // Before anything is connected.
  virtual void Start() = 0;
  // That the list of objects was made; told by OnOpened of a run that begins. `count`: how many there are, where that
  // is known.
  virtual void TellList(std::optional<uint64_t> /*count*/) {}
  // After the run, also after one that never began (an outcome with its exit code and nothing else). `error`: why the
  // run as a whole ended early, ready to print; empty otherwise.
  virtual void Finish(const SyncOutcome& outcome, const std::string& error) = 0;
  // A line that concerns the run as a whole, escaped: what it does not do that it was asked for, and what shells and
  // agents have to say. Each text is shown once.
  void Warn(std::string_view text);

  void OnOpened(const HelloReply& source, const SessionOpened& source_session, const HelloReply& destination,
                const SessionOpened& destination_session) override;
  void OnAction(const Action& action, const Differences& differences, ActionOutcome outcome) override;
  void OnNotice(Side side, std::string_view text) override;
  void OnShortfall(Side side, std::string_view text) override;
  void OnConnection(Side side, const ConnectionChange& change) override;
  void OnSkipped(SkipReason reason, const RelPath& path, FileType type) override;

 protected:
  // `text`: the line that a person would see.
  virtual void ShowConnection(Side /*side*/, const ConnectionChange& /*change*/, const std::string& text) {
    ShowWarning(text);
  }
  virtual void ShowWarning(std::string_view text) = 0;
  // What is of interest and breaks no promise.
  virtual void ShowNotice(std::string_view text) { ShowWarning(text); }
  virtual void ShowAction(const Action& action, const Differences& differences, ActionOutcome outcome) = 0;
  virtual void ShowOpened(const HelloReply& source, const SessionOpened& source_session, const HelloReply& destination,
                          const SessionOpened& destination_session) = 0;
  virtual void ShowSkipped(SkipReason reason, const RelPath& path, FileType type) = 0;

  // The tally of plan.unchanged and so on with the time that has passed.
  RunResult Result(const SyncOutcome& outcome) const;
  // "source /srv/data/a/b": escaped.
  std::string Place(Side side, const RelPath& path) const;

  const ReportFacts facts_;
  Console* const console_;
  Tally tally_;

 private:
  // Whether it is the first time.
  bool IsNew(std::string_view text);

  // Different texts that are remembered, so that an agent cannot fill our memory with warnings.
  static constexpr size_t kMaxWarnings = 1000;
  std::mutex warnings_mutex_;
  std::set<std::string> warnings_;
  std::string source_backend_;
  std::string destination_backend_;
};

std::unique_ptr<RunReporter> MakeReporter(ReportFacts facts, Console* console);

// "destination /dst/a: fchown: Operation not permitted (detail); run as root ...": one problem as a line, with the way
// out where there is a known one. `place` as from RunReporter::Place.
std::string ProblemLine(std::string_view place, const Problem& problem);

}  // namespace uringsync

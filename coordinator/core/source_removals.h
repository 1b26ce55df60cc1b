// SourceRemovals: rsync's --remove-source-files: what the destination has is removed at the source, at the end of the
// run.
//
// Every object that the run made, changed or found equal is noted while it is planned, in a spool. Once the destination
// has said that everything has ended, and is as durable as it was to be, those that reached the asked state are named
// to the source's agent, in batches, one at a time; it removes what is still the object that was planned.
//
// Thread rule: the planning thread, but for OnReply (the thread that receives from the source) and Stop (any). Use:
//   removals.Begin(driver, spool_directory);  removals.Add(action.id, action.path, action.wanted);  ...
//   US_RETURN_IF_ERROR(removals.Run({.reached = [&](uint64_t action) { return window.Reached(action); }, .send = send,
//                                    .on_problem = on_problem, .on_removed = on_removed}));
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/core/spool_record.h"
#include "engine/fs/spool.h"
#include "proto/messages.h"

namespace uringsync {

class SourceRemovals {
 public:
  static constexpr size_t kBatchObjects = 256;

  // Before Add. As with Planner; `driver` outlives Run.
  void Begin(Driver* driver, const std::string& spool_directory) {
    spool_.emplace(driver, SpoolOptions{.directory = spool_directory});
  }
  // `object` of the source, no directory, is to go when `action` ends well; 0: it needed none.
  absl::Status Add(uint64_t action, const RelPath& path, const Entry& object);
  struct Hooks {
    std::function<bool(uint64_t action)> reached;
    std::function<absl::Status(const ClientMessage&)> send;
    std::function<absl::Status(Problem)> on_problem;
    std::function<void(std::vector<RelPath>)> on_removed;  // what is gone
  };
  // Removes those for which `reached` is true. Cancelled after Stop.
  absl::Status Run(const Hooks& hooks);
  // Objects that are gone.
  uint64_t removed() const { return removed_; }

  // InvalidArgument: nobody asked for it.
  absl::Status OnReply(ApplyProgress progress);
  void Stop();

 private:
  absl::Status RemoveBatch(ActionBatch batch, const Hooks& hooks);

  std::optional<Spool> spool_;
  RecordWriter writer_;
  uint64_t sequence_ = 0;
  uint64_t removed_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool asked_ = false;
  bool stopped_ = false;
  std::optional<ApplyProgress> reply_;
};

}  // namespace uringsync

// What the agent arranges with its operating system: limits, signals, the life of a private agent.
//
// Thread rule: BlockSignals before the first thread, by the main thread; the rest by the main thread.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/unique_fd.h"

namespace uringsync {

// Raises the soft limit of open files to the hard one. Returns the limit in force.
uint64_t RaiseFileLimit();

// A directory of this process below $TMPDIR or /tmp, which becomes $TMPDIR; removed at the end, when it is empty by
// itself: what is made in it has no name. Before the first thread.
//
// It is locked while the process lives; one that was killed leaves it, and the next one that makes its own there
// removes those that are this user's, locked by nobody and empty. Links are not followed.
class ScratchDirectory {
 public:
  // Empty where none can be made.
  ScratchDirectory();
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  UniqueFd lock_;  // on the directory; invalid where there are no locks
};

// Ignores SIGPIPE and blocks SIGTERM and SIGINT in this thread and those it starts.
void BlockSignals();

// For a private agent, before its first thread: this process takes only the processor and disk time that nobody else
// wants (SCHED_IDLE, else nice 19; the idle class of I/O). What is refused is left as it is.
void RunInBackground();

// For a private agent: the kernel ends it when the thread that started it ends. kAtOnce while it starts, when nothing
// is under way and nobody listens to signals; kInOrder from then on: WaitForStop sees it.
enum class ParentEnd : uint8_t { kAtOnce, kInOrder };
void EndWithParent(ParentEnd how);

enum class StopReason : uint8_t { kSignal, kPeerGone };
// Waits for SIGTERM or SIGINT, or for the other end of `socket` (-1: none) to hang up; nothing is read from it. After
// kSignal the next such signal ends the process at once, unless there is a `socket`: a parent that dies may cause
// several.
absl::StatusOr<StopReason> WaitForStop(int socket);

}  // namespace uringsync

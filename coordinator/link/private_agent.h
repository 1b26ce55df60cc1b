// PrivateAgent: an agent process that this command starts for local paths, on an inherited socket pair, and ends again.
//
// No port, no file, no set-up. The agent gets its own process group, so that Ctrl-C reaches only the command, which
// then ends the session in good order. If the command dies, the agent sees the socket's end (and its parent-death
// signal) and cleans up.
//
// Thread rule: start it on a thread that outlives it (the main thread: the parent-death signal follows the starting
// *thread*). Use:  US_ASSIGN_OR_RETURN(auto agent, PrivateAgent::Start(options));
//       UniqueFd socket = agent->TakeSocket();   // for ConnectControl
//       ... ; agent->Stop(std::chrono::seconds(5));
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/unique_fd.h"

namespace uringsync {

// Where the agent's program is: `override_path` ($URINGSYNC_AGENT) when given, else "uringsync-agent" beside `self`
// (the running executable), else on `search_path` ($PATH). LinkError(kUsage) that names every place that was tried.
absl::StatusOr<std::string> FindAgentProgram(std::string_view override_path, std::string_view self,
                                             std::string_view search_path);

struct PrivateAgentOptions {
  std::string program;                 // from FindAgentProgram
  std::vector<std::string> arguments;  // after "--private-fd N"
  // Called from the reader's thread with each line that the agent writes to its standard error, escaped, without the
  // newline.
  std::function<void(std::string_view)> on_warning;
};

class PrivateAgent {
 public:
  // LinkError(kFileIo) when the process cannot be started; the text names the program and the reason.
  static absl::StatusOr<std::unique_ptr<PrivateAgent>> Start(PrivateAgentOptions options);
  // Stop()s without grace.
  ~PrivateAgent();
  PrivateAgent(const PrivateAgent&) = delete;
  PrivateAgent& operator=(const PrivateAgent&) = delete;

  // Our end of the socket pair; valid once.
  UniqueFd TakeSocket() { return std::move(socket_); }
  // Waits at most `grace` for the process to end by itself (it does when its socket closes), then kills it; reaps it
  // either way. Idempotent; thread-safe.
  void Stop(std::chrono::milliseconds grace);
  // How it ended, for messages: "exited with status 3", "was killed by signal 9 (Killed)"; empty while it runs. Waits a
  // moment
  // (`patience`) for a process that is just ending.
  std::string Ending(std::chrono::milliseconds patience);
  // The last line of its standard error, escaped: the reason of a failed start. Empty where it said nothing.
  std::string last_warning() const;
  pid_t pid() const { return pid_; }

 private:
  PrivateAgent() = default;
  void ReadWarnings();
  void KillNow();
  void TakeLine(std::string_view line);
  // True when the process has ended and is reaped.
  bool WaitFor(std::chrono::milliseconds limit);

  pid_t pid_ = -1;
  UniqueFd pidfd_;  // invalid where the kernel refuses pidfd_open
  UniqueFd socket_;
  UniqueFd stderr_;
  std::thread reader_;
  std::function<void(std::string_view)> on_warning_;
  mutable std::mutex mutex_;  // guards what follows
  std::mutex stop_mutex_;     // one waiter at a time
  std::string last_warning_;
  bool reaped_ = false;
  int wait_status_ = 0;
};

}  // namespace uringsync

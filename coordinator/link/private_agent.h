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
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/link/child_process.h"
#include "engine/base/unique_fd.h"

namespace uringsync {

// Where the agent's program is: `override_path` ($URINGSYNC_AGENT) when given, else "uringsync-agent" beside `self`
// (the running executable), else on `search_path` ($PATH). LinkError(kUsage) that names every place that was tried.
absl::StatusOr<std::string> FindAgentProgram(std::string_view override_path, std::string_view self,
                                             std::string_view search_path);

// Number of the control socket in the agent; further descriptors that it is given come after it.
constexpr int kPrivateFd = 3;

struct PrivateAgentOptions {
  std::string program;                 // from FindAgentProgram
  std::vector<std::string> arguments;  // after "--private-fd N"
  // Further ones that it inherits: number there (above kPrivateFd) and descriptor here (borrowed, see
  // AboveChildDescriptors).
  std::vector<std::pair<int, int>> descriptors;
  // Called from the reader's thread with each line that the agent writes to its standard error, escaped, without the
  // newline.
  std::function<void(std::string_view)> on_warning;
};

class PrivateAgent {
 public:
  // LinkError(kFileIo) when the process cannot be started; the text names the program and the reason.
  static absl::StatusOr<std::unique_ptr<PrivateAgent>> Start(PrivateAgentOptions options);
  PrivateAgent(const PrivateAgent&) = delete;
  PrivateAgent& operator=(const PrivateAgent&) = delete;

  // Our end of the socket pair; valid once.
  UniqueFd TakeSocket() { return std::move(socket_); }
  // Waits at most `grace` for the process to end by itself (it does when its socket closes), then kills it; reaps it
  // either way. Idempotent; one thread.
  void Stop(std::chrono::milliseconds grace);
  // As of ChildProcess.
  std::string Ending(std::chrono::milliseconds patience) { return process_->Ending(patience); }
  std::string last_warning() const { return process_->last_line(); }
  pid_t pid() const { return process_->pid(); }

 private:
  PrivateAgent() = default;

  UniqueFd socket_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace uringsync

// RemoteShell: a remote shell that runs the agent of another host, from its start until that agent has greeted
// (docs/protocol.md, "Remote shell"). The pipes then belong to whoever inherits them.
//
// The shell shares this process's terminal and process group, so that ssh can ask for a password, and Ctrl-C ends it
// too.
//
// Thread rule: as ChildProcess; Greet blocks as long as the user takes to say a password, if it is not given a
// limit.
// Use:  US_ASSIGN_OR_RETURN(auto shell, RemoteShell::Start(words, "user@host", on_line));
//       (start what inherits input() and output())   US_RETURN_IF_ERROR(shell->Greet());   shell->ReleasePipes();   ...
//       shell->Stop(grace);
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/link/child_process.h"
#include "engine/base/unique_fd.h"

namespace uringsync {

class RemoteShell {
 public:
  // `name` is the far side for messages, escaped. LinkError with exit code 14 when the shell cannot be started.
  static absl::StatusOr<std::unique_ptr<RemoteShell>> Start(std::vector<std::string> words, std::string name,
                                                            std::function<void(std::string_view)> on_line);
  RemoteShell(const RemoteShell&) = delete;
  RemoteShell& operator=(const RemoteShell&) = delete;

  // LinkErrors: the shell ended first (its own exit code where it is 126, 127 or 255, as rsync, else kProtocol; for 127
  // what to install there), something else than an agent answered (kVersion), or nothing came for `silence` (kTimeout;
  // nullopt: it is waited for as long as the shell runs).
  absl::Status Greet(std::optional<std::chrono::milliseconds> silence = std::nullopt);
  // What the far agent writes, and what it reads; for a child to inherit.
  int input() const { return input_.get(); }
  int output() const { return output_.get(); }
  // Closes both here: from now on another process has them, alone.
  void ReleasePipes() {
    input_.Reset();
    output_.Reset();
  }
  // Closes the pipes here, waits at most `grace` for the shell to end by itself, then kills it. Idempotent; one thread.
  void Stop(std::chrono::milliseconds grace);
  // As of ChildProcess.
  std::string Ending(std::chrono::milliseconds patience) { return process_->Ending(patience); }
  std::optional<int> ExitStatus(std::chrono::milliseconds patience) { return process_->ExitStatus(patience); }

 private:
  RemoteShell() = default;
  absl::Status Ended();
  absl::Status Silent(std::chrono::milliseconds limit) const;

  std::string name_;
  std::string program_;  // that the shell runs there
  UniqueFd input_;
  UniqueFd output_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace uringsync

// ChildProcess: a program that a command starts and ends again: a private agent, a remote shell.
//
// It inherits the descriptors it is given and nothing else; what it writes to its standard error comes back line by
// line.
//
// Thread rule: Start on a thread that outlives it (a parent-death signal of the child follows the starting *thread*);
// the rest from any. Use:  US_ASSIGN_OR_RETURN(auto child, ChildProcess::Start({.program = path, .arguments = {"name",
// "--flag"}}, "start name"));
//       ... ; child->Stop(std::chrono::seconds(5));
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/unique_fd.h"

namespace uringsync {

// Numbers that a child's descriptors may have are below this one.
constexpr int kFirstOwnDescriptor = 40;

struct ChildOptions {
  std::string program;                 // path; a name without '/' is looked for on PATH
  std::vector<std::string> arguments;  // argv, the name first
  // Number in the child and descriptor here (borrowed). Without 0 it reads nothing, without 1 its output goes where its
  // errors go.
  std::vector<std::pair<int, int>> descriptors;
  bool own_group = true;  // Ctrl-C does not reach it; false: it may ask on the terminal, as ssh does
  // Called from the reader's thread with each line of its standard error, escaped, without the newline.
  std::function<void(std::string_view)> on_line;
};

class ChildProcess {
 public:
  // ErrnoStatus of what failed, with `context` before it.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(ChildOptions options, const std::string& context);
  // Stop()s without grace.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Waits at most `grace` for it to end by itself, then kills it; reaps it either way. Idempotent.
  void Stop(std::chrono::milliseconds grace);
  // How it ended, for messages: "exited with status 3", "was killed by signal 9 (Killed)"; empty while it runs. Waits a
  // moment
  // (`patience`) for one that is just ending.
  std::string Ending(std::chrono::milliseconds patience);
  // Its exit status once it has ended by itself; nullopt while it runs (after `patience`) and for one that was killed.
  std::optional<int> ExitStatus(std::chrono::milliseconds patience);
  // The last line of its standard error, escaped: the reason of a failed start. Empty where it said nothing.
  std::string last_line() const;
  pid_t pid() const { return pid_; }

 private:
  ChildProcess() = default;
  void ReadLines();
  void TakeLine(std::string_view line);
  void KillNow();
  // True when the process has ended and is reaped.
  bool WaitFor(std::chrono::milliseconds limit);

  pid_t pid_ = -1;
  UniqueFd pidfd_;  // invalid where the kernel refuses pidfd_open
  UniqueFd stderr_;
  UniqueFd stop_reading_;  // closing it ends the reader, whoever still holds the child's standard error
  UniqueFd reader_stop_;
  std::thread reader_;
  std::function<void(std::string_view)> on_line_;
  mutable std::mutex mutex_;  // guards what follows
  std::mutex stop_mutex_;     // one waiter at a time
  std::string last_line_;
  bool reaped_ = false;
  int wait_status_ = 0;
};

// `fd` under a number that no child's descriptor has.
UniqueFd AboveChildDescriptors(UniqueFd fd);

}  // namespace uringsync

#include "coordinator/link/remote_shell.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>

#include "absl/time/time.h"
#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/net/mux_frame.h"

namespace uringsync {
namespace {

// How long a shell that has closed its output may take to end.
constexpr std::chrono::milliseconds kEndingPatience{2000};
// How long is waited for the rest of what a shell prints in place of a greeting.
constexpr int kJunkPatienceMs = 200;
constexpr size_t kJunkBytes = 64;

// Something can be read, or the end of it, before `limit` has passed; without one it is waited for as long as it takes.
bool WaitToRead(int fd, std::optional<std::chrono::milliseconds> limit) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  while (true) {
    int wait = -1;
    if (limit) {
      const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
      const auto left = std::max(*limit - passed, std::chrono::milliseconds(0));
      wait = static_cast<int>(std::min<int64_t>(left.count(), std::numeric_limits<int>::max()));
    }
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, wait) > 0) return true;
    if (wait == 0) return false;
  }
}

// Waits for something to read, also where whoever takes the pipe has made it non-blocking already; 0 at the end and for
// errors.
size_t ReadSome(int fd, std::string* got, size_t most) {
  char buffer[kJunkBytes];
  ssize_t n;
  do {
    (void)WaitToRead(fd, std::nullopt);
    n = ::read(fd, buffer, std::min(most, sizeof(buffer)));
  } while (n < 0 && (errno == EINTR || errno == EAGAIN));
  if (n <= 0) return 0;
  got->append(buffer, static_cast<size_t>(n));
  return static_cast<size_t>(n);
}

}  // namespace

absl::StatusOr<std::unique_ptr<RemoteShell>> RemoteShell::Start(std::vector<std::string> words, std::string name,
                                                                std::function<void(std::string_view)> on_line) {
  const std::string context = "start the remote shell " + EscapeName(words.front());
  int forth[2];
  int back[2];
  if (::pipe2(forth, O_CLOEXEC) != 0) return AsLinkError(ErrnoStatus(errno, "pipe"), context);
  const UniqueFd far_input = AboveChildDescriptors(UniqueFd(forth[0]));
  UniqueFd output(forth[1]);
  if (::pipe2(back, O_CLOEXEC) != 0) return AsLinkError(ErrnoStatus(errno, "pipe"), context);
  const UniqueFd far_output = AboveChildDescriptors(UniqueFd(back[1]));
  std::unique_ptr<RemoteShell> shell(new RemoteShell());
  shell->input_.Reset(back[0]);
  shell->output_ = std::move(output);
  shell->name_ = std::move(name);
  shell->program_ = words[words.size() - 2];
  ChildOptions child;
  child.program = words.front();
  child.arguments = std::move(words);
  child.descriptors = {{0, far_input.get()}, {1, far_output.get()}};
  child.own_group = false;
  child.on_line = std::move(on_line);
  absl::StatusOr<std::unique_ptr<ChildProcess>> process = ChildProcess::Start(std::move(child), context);
  if (!process.ok()) {
    return LinkErrorWithExit(ExitCode::kStartFailed,
                             std::string(process.status().message()) + "; -e names another one");
  }
  shell->process_ = *std::move(process);
  return shell;
}

absl::Status RemoteShell::Ended() {
  const std::optional<int> status = process_->ExitStatus(kEndingPatience);
  const std::string ending = process_->Ending(std::chrono::milliseconds(0));
  // Joins the reader of its standard error: what it said is all there then.
  if (!ending.empty()) process_->Stop(std::chrono::milliseconds(0));
  const std::string said = process_->last_line();
  const std::string text = "the remote shell of " + name_ + " " + (ending.empty() ? "closed its output" : ending) +
                           " before the agent there answered" + (said.empty() ? "" : ": " + said);
  if (status == 127 || said.find("command not found") != std::string::npos) {
    return LinkErrorWithExit(ExitCode::kRemoteNotFound,
                             text + "; install uringsync on that host (it needs " + EscapeName(program_) +
                                 " on the PATH of a shell without a terminal), or name the program with --rsync-path");
  }
  if (status == 126) return LinkErrorWithExit(ExitCode::kRemoteNotRun, text);
  if (status == 255) return LinkErrorWithExit(ExitCode::kShellFailed, text);
  return LinkError(ErrorKind::kProtocol, text);
}

absl::Status RemoteShell::Silent(std::chrono::milliseconds limit) const {
  const std::string said = process_->last_line();
  return LinkError(ErrorKind::kTimeout, "the remote shell of " + name_ + " said nothing for " +
                                            absl::FormatDuration(absl::FromChrono(limit)) +
                                            ": no agent answered there" + (said.empty() ? "" : "; it said " + said));
}

absl::Status RemoteShell::Greet(std::optional<std::chrono::milliseconds> silence) {
  // One that has ended already is found by reading.
  (void)WriteMuxGreeting(output_.get());
  std::string got;
  while (got.size() < kMuxGreeting.size() && got == kMuxGreeting.substr(0, got.size())) {
    if (!WaitToRead(input_.get(), silence)) return Silent(*silence);
    if (ReadSome(input_.get(), &got, kMuxGreeting.size() - got.size()) == 0) break;
  }
  if (got.empty()) return Ended();
  if (got == kMuxGreeting) return absl::OkStatus();
  // Some more of it says more.
  pollfd ready{.fd = input_.get(), .events = POLLIN, .revents = 0};
  while (got.size() < kJunkBytes && ::poll(&ready, 1, kJunkPatienceMs) > 0) {
    if (ReadSome(input_.get(), &got, kJunkBytes - got.size()) == 0) break;
  }
  const absl::Status mismatch = CheckMuxGreeting(got, name_);
  return LinkError(ErrorKind::kVersion, mismatch.ok() ? "the greeting was cut short" : std::string(mismatch.message()));
}

void RemoteShell::Stop(std::chrono::milliseconds grace) {
  input_.Reset();
  output_.Reset();
  process_->Stop(grace);
}

}  // namespace uringsync

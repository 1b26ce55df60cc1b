#include "coordinator/link/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

constexpr size_t kMaxLineBytes = 4096;
// How often a process is looked at where the kernel gives no pidfd.
constexpr std::chrono::milliseconds kReapInterval{2};

// Takes what posix_spawn wants and frees it.
class SpawnPlan {
 public:
  SpawnPlan() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  void Prepare(const std::vector<std::pair<int, int>>& descriptors, int errors, bool own_group) {
    ::posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, errors, 1);
    ::posix_spawn_file_actions_adddup2(&actions_, errors, 2);
    for (const auto& [number, fd] : descriptors) ::posix_spawn_file_actions_adddup2(&actions_, fd, number);
    // No signal is blocked there, and none ignored.
    sigset_t none;
    sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    sigset_t defaults;
    sigemptyset(&defaults);
    for (int signal : {SIGINT, SIGTERM, SIGPIPE, SIGCHLD}) sigaddset(&defaults, signal);
    ::posix_spawnattr_setsigdefault(&attributes_, &defaults);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    const int group = own_group ? POSIX_SPAWN_SETPGROUP : 0;
    ::posix_spawnattr_setflags(&attributes_,
                               static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | group));
  }
  int Run(const std::string& program, const std::vector<std::string>& arguments, pid_t* pid) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    return ::posix_spawnp(pid, program.c_str(), &actions_, &attributes_, argv.data(), environ);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

UniqueFd AboveChildDescriptors(UniqueFd fd) {
  if (!fd.valid() || fd.get() >= kFirstOwnDescriptor) return fd;
  return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kFirstOwnDescriptor));
}

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(ChildOptions options, const std::string& context) {
  int errors[2];
  int stop[2];
  if (::pipe2(errors, O_CLOEXEC) != 0) return ErrnoStatus(errno, context + ": pipe");
  UniqueFd errors_read(errors[0]);
  UniqueFd errors_write = AboveChildDescriptors(UniqueFd(errors[1]));
  if (::pipe2(stop, O_CLOEXEC) != 0) return ErrnoStatus(errno, context + ": pipe");
  std::unique_ptr<ChildProcess> child(new ChildProcess());
  child->reader_stop_.Reset(stop[0]);
  child->stop_reading_.Reset(stop[1]);
  if (!errors_write.valid()) return ErrnoStatus(EMFILE, context);
  SpawnPlan plan;
  plan.Prepare(options.descriptors, errors_write.get(), options.own_group);
  if (const int err = plan.Run(options.program, options.arguments, &child->pid_); err != 0) {
    child->pid_ = -1;
    return ErrnoStatus(err, context);
  }
  child->pidfd_.Reset(static_cast<int>(::syscall(SYS_pidfd_open, child->pid_, 0)));
  child->stderr_ = std::move(errors_read);
  child->on_line_ = std::move(options.on_line);
  child->reader_ = std::thread(&ChildProcess::ReadLines, child.get());
  return child;
}

ChildProcess::~ChildProcess() {
  Stop(std::chrono::milliseconds(0));
}

void ChildProcess::TakeLine(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);  // ssh ends its lines so
  if (line.empty()) return;
  std::string escaped = EscapeName(line);
  if (on_line_) on_line_(escaped);
  std::lock_guard lock(mutex_);
  last_line_ = std::move(escaped);
}

void ChildProcess::ReadLines() {
  std::string pending;
  char buffer[4096];
  while (true) {
    pollfd entries[2] = {{.fd = stderr_.get(), .events = POLLIN, .revents = 0},
                         {.fd = reader_stop_.get(), .events = POLLIN, .revents = 0}};
    if (::poll(entries, 2, -1) < 0 && errno != EINTR) break;
    // What is there is read first: it is the reason of the end.
    if (entries[0].revents == 0 && entries[1].revents != 0) break;
    if (entries[0].revents == 0) continue;
    const ssize_t n = ::read(stderr_.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    pending.append(buffer, static_cast<size_t>(n));
    size_t newline;
    while ((newline = pending.find('\n')) != std::string::npos || pending.size() > kMaxLineBytes) {
      const size_t end = newline == std::string::npos ? kMaxLineBytes : newline;
      TakeLine(std::string_view(pending).substr(0, end));
      pending.erase(0, newline == std::string::npos ? end : end + 1);
    }
  }
  TakeLine(pending);
}

bool ChildProcess::WaitFor(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (true) {
    {
      std::lock_guard lock(mutex_);
      if (reaped_ || pid_ < 0) return true;
      const pid_t ended = ::waitpid(pid_, &wait_status_, WNOHANG);
      if (ended == pid_ || (ended < 0 && errno == ECHILD)) {
        reaped_ = true;
        return true;
      }
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    if (pidfd_.valid()) {
      pollfd ended = {.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
      ::poll(&ended, 1, static_cast<int>(left.count()));
    } else {
      std::this_thread::sleep_for(kReapInterval);
    }
  }
}

void ChildProcess::Stop(std::chrono::milliseconds grace) {
  std::lock_guard stopping(stop_mutex_);
  if (!WaitFor(grace)) {
    KillNow();
    WaitFor(std::chrono::hours(1));  // SIGKILL ends it as soon as the kernel lets go of it
  }
  stop_reading_.Reset();
  if (reader_.joinable()) reader_.join();
}

void ChildProcess::KillNow() {
  std::lock_guard lock(mutex_);
  if (!reaped_ && pid_ > 0) ::kill(pid_, SIGKILL);
}

std::string ChildProcess::Ending(std::chrono::milliseconds patience) {
  if (!WaitFor(patience)) return {};
  std::lock_guard lock(mutex_);
  if (WIFSIGNALED(wait_status_)) {
    const int signal = WTERMSIG(wait_status_);
    return "was killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
  }
  return "exited with status " + std::to_string(WEXITSTATUS(wait_status_));
}

std::optional<int> ChildProcess::ExitStatus(std::chrono::milliseconds patience) {
  if (!WaitFor(patience)) return std::nullopt;
  std::lock_guard lock(mutex_);
  if (!WIFEXITED(wait_status_)) return std::nullopt;
  return WEXITSTATUS(wait_status_);
}

std::string ChildProcess::last_line() const {
  std::lock_guard lock(mutex_);
  return last_line_;
}

}  // namespace uringsync

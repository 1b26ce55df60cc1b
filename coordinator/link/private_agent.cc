#include "coordinator/link/private_agent.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

constexpr char kProgramName[] = "uringsync-agent";
constexpr int kPrivateFd = 3;  // number of the socket in the agent
constexpr size_t kMaxWarningBytes = 4096;
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

  // Standard input from nowhere, output and errors to `errors`, `socket` at kPrivateFd; own process group, no signal
  // blocked.
  void Prepare(int socket, int errors) {
    ::posix_spawn_file_actions_addopen(&actions_, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions_, errors, 1);
    ::posix_spawn_file_actions_adddup2(&actions_, errors, 2);
    ::posix_spawn_file_actions_adddup2(&actions_, socket, kPrivateFd);
    sigset_t none;
    sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    sigset_t defaults;
    sigemptyset(&defaults);
    for (int signal : {SIGINT, SIGTERM, SIGPIPE, SIGCHLD}) sigaddset(&defaults, signal);
    ::posix_spawnattr_setsigdefault(&attributes_, &defaults);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  int Run(const std::string& program, const std::vector<std::string>& arguments, pid_t* pid) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    return ::posix_spawn(pid, program.c_str(), &actions_, &attributes_, argv.data(), environ);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

bool IsProgram(const std::string& path) {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

// A descriptor above those that the agent's file actions write to, so that no dup2 runs over another's source.
UniqueFd AboveStandard(UniqueFd fd) {
  if (!fd.valid() || fd.get() > kPrivateFd) return fd;
  return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kPrivateFd + 1));
}

}  // namespace

absl::StatusOr<std::string> FindAgentProgram(std::string_view override_path, std::string_view self,
                                             std::string_view search_path) {
  if (!override_path.empty()) {
    std::string path(override_path);
    if (IsProgram(path)) return path;
    return LinkError(ErrorKind::kUsage,
                     "URINGSYNC_AGENT names " + EscapeName(path) + ", which is not an executable file");
  }
  std::string beside;
  if (const size_t slash = self.rfind('/'); slash != std::string_view::npos) {
    beside = std::string(self.substr(0, slash + 1)) + kProgramName;
    if (IsProgram(beside)) return beside;
  }
  while (!search_path.empty()) {
    const size_t colon = search_path.find(':');
    const std::string_view directory = search_path.substr(0, colon);
    search_path = colon == std::string_view::npos ? std::string_view() : search_path.substr(colon + 1);
    if (directory.empty() || directory.front() != '/') continue;  // never the working directory
    std::string path = std::string(directory) + "/" + kProgramName;
    if (IsProgram(path)) return path;
  }
  return LinkError(ErrorKind::kUsage, std::string("cannot find ") + kProgramName + ", which local paths need: not at " +
                                          (beside.empty() ? "the directory of this program" : EscapeName(beside)) +
                                          " and not on PATH; install it there or name it in URINGSYNC_AGENT");
}

absl::StatusOr<std::unique_ptr<PrivateAgent>> PrivateAgent::Start(PrivateAgentOptions options) {
  const std::string context = "start private agent " + EscapeName(options.program);
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return LinkError(ErrorKind::kFileIo, context + ": socketpair: " + std::strerror(errno));
  }
  UniqueFd ours(pair[0]);
  UniqueFd theirs = AboveStandard(UniqueFd(pair[1]));
  int errors[2];
  if (!theirs.valid() || ::pipe2(errors, O_CLOEXEC) != 0) {
    return LinkError(ErrorKind::kFileIo, context + ": pipe: " + std::strerror(errno));
  }
  UniqueFd errors_read(errors[0]);
  UniqueFd errors_write = AboveStandard(UniqueFd(errors[1]));
  if (!errors_write.valid()) return LinkError(ErrorKind::kFileIo, context + ": " + std::strerror(errno));

  std::vector<std::string> arguments = {kProgramName, "--private-fd", std::to_string(kPrivateFd)};
  for (std::string& argument : options.arguments) arguments.push_back(std::move(argument));
  std::unique_ptr<PrivateAgent> agent(new PrivateAgent());
  SpawnPlan plan;
  plan.Prepare(theirs.get(), errors_write.get());
  if (const int err = plan.Run(options.program, arguments, &agent->pid_); err != 0) {
    agent->pid_ = -1;
    const char* way_out = err == EAGAIN || err == ENOMEM
                              ? "; raise the limit of processes or of memory (ulimit -u, ulimit -v, the container's pids limit)"
                              : "";
    return LinkError(ErrorKind::kFileIo, context + ": " + std::strerror(err) + way_out);
  }
  agent->pidfd_.Reset(static_cast<int>(::syscall(SYS_pidfd_open, agent->pid_, 0)));
  agent->socket_ = std::move(ours);
  agent->stderr_ = std::move(errors_read);
  agent->on_warning_ = std::move(options.on_warning);
  agent->reader_ = std::thread(&PrivateAgent::ReadWarnings, agent.get());
  return agent;
}

PrivateAgent::~PrivateAgent() {
  Stop(std::chrono::milliseconds(0));
}

void PrivateAgent::TakeLine(std::string_view line) {
  if (line.empty()) return;
  std::string escaped = EscapeName(line);
  if (on_warning_) on_warning_(escaped);
  std::lock_guard lock(mutex_);
  last_warning_ = std::move(escaped);
}

void PrivateAgent::ReadWarnings() {
  std::string pending;
  char buffer[4096];
  while (true) {
    const ssize_t n = ::read(stderr_.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    pending.append(buffer, static_cast<size_t>(n));
    size_t newline;
    while ((newline = pending.find('\n')) != std::string::npos || pending.size() > kMaxWarningBytes) {
      const size_t end = newline == std::string::npos ? kMaxWarningBytes : newline;
      TakeLine(std::string_view(pending).substr(0, end));
      pending.erase(0, newline == std::string::npos ? end : end + 1);
    }
  }
  TakeLine(pending);
}

bool PrivateAgent::WaitFor(std::chrono::milliseconds limit) {
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

void PrivateAgent::Stop(std::chrono::milliseconds grace) {
  std::lock_guard stopping(stop_mutex_);
  socket_.Reset();
  if (!WaitFor(grace)) {
    KillNow();
    WaitFor(std::chrono::hours(1));  // SIGKILL ends it as soon as the kernel lets go of it
  }
  if (reader_.joinable()) reader_.join();
}

void PrivateAgent::KillNow() {
  std::lock_guard lock(mutex_);
  if (!reaped_ && pid_ > 0) ::kill(pid_, SIGKILL);
}

std::string PrivateAgent::Ending(std::chrono::milliseconds patience) {
  if (!WaitFor(patience)) return {};
  std::lock_guard lock(mutex_);
  if (WIFSIGNALED(wait_status_)) {
    const int signal = WTERMSIG(wait_status_);
    return "was killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
  }
  return "exited with status " + std::to_string(WEXITSTATUS(wait_status_));
}

std::string PrivateAgent::last_warning() const {
  std::lock_guard lock(mutex_);
  return last_warning_;
}

}  // namespace uringsync

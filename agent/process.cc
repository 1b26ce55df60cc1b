#include "agent/process.h"

#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/lease.h"

namespace uringsync {
namespace {

// linux/ioprio.h; not in every libc's headers.
constexpr int kIoprioWhoProcess = 1;
constexpr int kIoprioIdle = 3 << 13;

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

uint64_t RaiseFileLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur < limit.rlim_max) {
    const rlimit wanted{limit.rlim_max, limit.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &wanted) == 0) limit = wanted;
  }
  return limit.rlim_cur;
}

ScratchDirectory::ScratchDirectory() {
  const char* const place = ::secure_getenv("TMPDIR");
  std::string path = std::string(place != nullptr && *place != '\0' ? place : "/tmp") + "/uringsync-agent-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return;
  path_ = std::move(path);
  ::setenv("TMPDIR", path_.c_str(), /*overwrite=*/1);
}

ScratchDirectory::~ScratchDirectory() {
  if (!path_.empty()) ::rmdir(path_.c_str());
}

void BlockSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  IgnoreLeaseSignals();
  const sigset_t set = StopSignals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void RunInBackground() {
  const sched_param none{};
  if (::sched_setscheduler(0, SCHED_IDLE, &none) != 0) ::setpriority(PRIO_PROCESS, 0, 19);
  ::syscall(SYS_ioprio_set, kIoprioWhoProcess, 0, kIoprioIdle);
}

void EndWithParent(ParentEnd how) {
  ::prctl(PR_SET_PDEATHSIG, how == ParentEnd::kAtOnce ? SIGKILL : SIGTERM);
}

absl::StatusOr<StopReason> WaitForStop(int socket) {
  const sigset_t set = StopSignals();
  const UniqueFd signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid()) return ErrnoStatus(errno, "signalfd");
  pollfd entries[2] = {{.fd = signals.get(), .events = POLLIN, .revents = 0},
                       {.fd = socket, .events = POLLRDHUP, .revents = 0}};
  while (::poll(entries, 2, -1) < 0) {
    if (errno != EINTR) return ErrnoStatus(errno, "poll");
  }
  if (entries[0].revents == 0) return StopReason::kPeerGone;
  signalfd_siginfo info;
  const ssize_t taken = ::read(signals.get(), &info, sizeof(info));
  if (taken < 0) return ErrnoStatus(errno, "read of signalfd");
  // From here on the signals do what they do by default. Not in a private agent: the kernel sends it one SIGTERM for
  // each thread of a killed parent, and the second must not cut the removal of temporaries short.
  if (socket < 0) ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  return StopReason::kSignal;
}

}  // namespace uringsync

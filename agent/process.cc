#include "agent/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

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

// Scratch directories: those of the second name are locked (flock) as long as their process lives.
constexpr char kScratch[] = "uringsync-agent-";
constexpr char kHeldScratch[] = "uringsync-agent-held-";
constexpr char kScratchPattern[] = "XXXXXX";
constexpr int kScratchAttempts = 8;
constexpr int kMaxScratchLooks = 1 << 14;  // names of a directory that are looked at
constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

bool IsHeldScratchName(std::string_view name) {
  constexpr std::string_view kPrefix = kHeldScratch;
  return name.starts_with(kPrefix) && name.size() == kPrefix.size() + std::strlen(kScratchPattern);
}

// Invalid: somebody who takes it for a dead one has the lock or has removed it already, or there are no locks.
UniqueFd LockScratch(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), kOpenDirectory));
  struct stat opened {};
  struct stat named {};
  const bool held = fd.valid() && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 && ::fstat(fd.get(), &opened) == 0 &&
                    ::lstat(path.c_str(), &named) == 0 && named.st_ino == opened.st_ino;
  return held ? std::move(fd) : UniqueFd();
}

// Nobody's directory but one of this user's that is locked by nobody, and of these only an empty one.
void RemoveIfDead(int above, const char* name) {
  const UniqueFd fd(::openat(above, name, kOpenDirectory));
  struct stat opened {};
  struct stat named {};
  if (!fd.valid() || ::fstat(fd.get(), &opened) != 0) return;
  if (opened.st_uid != ::geteuid() || (opened.st_mode & 07777) != 0700) return;
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return;
  const bool same = ::fstatat(above, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == opened.st_ino &&
                    named.st_dev == opened.st_dev;
  if (same) ::unlinkat(above, name, AT_REMOVEDIR);
}

// What processes that were killed have left.
void RemoveDeadScratch(const std::string& above) {
  DIR* const directory = ::opendir(above.c_str());
  if (directory == nullptr) return;
  std::vector<std::string> names;
  const dirent* entry = nullptr;
  for (int looks = 0; looks < kMaxScratchLooks && (entry = ::readdir(directory)) != nullptr; ++looks) {
    if (IsHeldScratchName(entry->d_name)) names.emplace_back(entry->d_name);
  }
  for (const std::string& name : names) RemoveIfDead(::dirfd(directory), name.c_str());
  ::closedir(directory);
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
  const std::string above = place != nullptr && *place != '\0' ? place : "/tmp";
  RemoveDeadScratch(above);
  for (int attempt = 0; attempt < kScratchAttempts && !lock_.valid(); ++attempt) {
    std::string path = above + "/" + kHeldScratch + kScratchPattern;
    if (::mkdtemp(path.data()) == nullptr) return;
    lock_ = LockScratch(path);
    if (!lock_.valid()) ::rmdir(path.c_str());
    if (lock_.valid()) path_ = std::move(path);
  }
  if (path_.empty()) {
    // There are no locks here: under this name nobody looks for dead ones.
    std::string path = above + "/" + kScratch + kScratchPattern;
    if (::mkdtemp(path.data()) == nullptr) return;
    path_ = std::move(path);
  }
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

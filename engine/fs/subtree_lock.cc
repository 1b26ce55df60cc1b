#include "engine/fs/subtree_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

// A directory tree deeper than this has its upper part unlocked, and says so.
constexpr int kMaxAncestors = 4096;
constexpr size_t kMaxLockTableBytes = size_t{4} << 20;

std::string ReadProcFile(Driver* driver, const std::string& path) {
  const int fd = sys::Openat(driver, AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  UniqueFd file(fd);
  std::string text;
  char piece[4096];
  while (text.size() < kMaxLockTableBytes) {
    const int64_t n = sys::Pread(driver, fd, piece, sizeof(piece), text.size());
    if (n <= 0) break;
    text.append(piece, static_cast<size_t>(n));
  }
  return text;
}

std::string DescriptorPath(Driver* driver, int fd) {
  char target[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const long n = sys::Readlinkat(driver, AT_FDCWD, link.c_str(), target, sizeof(target));
  return n > 0 ? std::string(target, static_cast<size_t>(n)) : "the directory";
}

// Pid of a process that holds a flock on the inode, from /proc/locks: "1: FLOCK  ADVISORY  WRITE 1234 08:01:131 0 EOF".
// The device there is that of the superblock, which btrfs does not show to stat: the inode decides, a matching device
// is preferred.
int64_t HolderPid(Driver* driver, const struct statx& directory) {
  const std::string table = ReadProcFile(driver, "/proc/locks");
  int64_t by_inode = 0;
  for (size_t begin = 0; begin < table.size();) {
    const size_t end = std::min(table.find('\n', begin), table.size());
    const std::string line = table.substr(begin, end - begin);
    begin = end + 1;
    long long pid = 0;
    unsigned major = 0;
    unsigned minor = 0;
    unsigned long long inode = 0;
    if (line.find("->") != std::string::npos) continue;  // a waiter
    if (std::sscanf(line.c_str(), "%*s FLOCK %*s %*s %lld %x:%x:%llu", &pid, &major, &minor, &inode) != 4) continue;
    if (inode != directory.stx_ino || pid <= 0) continue;
    if (major == directory.stx_dev_major && minor == directory.stx_dev_minor) return pid;
    by_inode = pid;
  }
  return by_inode;
}

// The number that follows `word` and blanks in `text`; 0 where there is none.
uint64_t NumberAfter(std::string_view text, std::string_view word) {
  const size_t at = text.find(word);
  if (at == std::string_view::npos) return 0;
  text.remove_prefix(at + word.size());
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// When the process began, e.g. "2026-11-24 10:31:02 UTC": boot time and its field 22 of /proc/PID/stat, in ticks since.
// Empty where the kernel does not tell.
std::string StartOf(Driver* driver, int64_t pid) {
  constexpr int kFieldsAfterName = 19;  // before the one that is looked for
  const uint64_t booted = NumberAfter(ReadProcFile(driver, "/proc/stat"), "\nbtime");
  const std::string stat = ReadProcFile(driver, "/proc/" + std::to_string(pid) + "/stat");
  size_t at = stat.rfind(')');  // the name may hold anything
  if (booted == 0 || at == std::string::npos) return {};
  for (int i = 0; i <= kFieldsAfterName && at != std::string::npos; ++i) at = stat.find(' ', at + 1);
  if (at == std::string::npos) return {};
  const uint64_t ticks = NumberAfter(std::string_view(stat).substr(at), " ");
  const uint64_t ticks_per_second = static_cast<uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC",
                          absl::FromUnixSeconds(static_cast<int64_t>(booted + ticks / ticks_per_second)),
                          absl::UTCTimeZone());
}

std::string HostName() {
  char name[256] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 ? EscapeName(name) : std::string();
}

absl::Status Locked(Driver* driver, int fd) {
  std::string message = EscapeName(DescriptorPath(driver, fd)) + " is in use by another session";
  struct statx stat;
  const int64_t pid = StatDescriptor(driver, fd, &stat).ok() ? HolderPid(driver, stat) : 0;
  if (pid > 0) {
    message += " (process " + std::to_string(pid);
    std::string program = ReadProcFile(driver, "/proc/" + std::to_string(pid) + "/comm");
    if (!program.empty() && program.back() == '\n') program.pop_back();
    if (!program.empty()) message += ", " + EscapeName(program);
    if (const std::string host = HostName(); !host.empty()) message += ", on " + host;
    if (const std::string start = StartOf(driver, pid); !start.empty()) message += ", started " + start;
    message += ")";
  }
  const absl::Status carrier = ErrnoStatus(EWOULDBLOCK, "");
  absl::Status status = MakeStatus(absl::StatusCode::kFailedPrecondition, message);
  carrier.ForEachPayload(
      [&status](absl::string_view url, const absl::Cord& payload) { status.SetPayload(url, payload); });
  return status;
}

// Tries one lock. OK with `*taken` false where the file system has none.
absl::Status TryFlock(Driver* driver, int fd, int operation, bool* taken) {
  const int result = sys::Flock(driver, fd, operation | LOCK_NB);
  *taken = result == 0;
  if (result == -EWOULDBLOCK) return Locked(driver, fd);
  return absl::OkStatus();
}

struct Attempt {
  std::vector<UniqueFd> descriptors;
  std::vector<std::shared_ptr<void>> shares;
  std::vector<std::string> notices;
};

// Shares `above` through the descriptor that was pinned for it. `*taken` false where there is none.
absl::Status SharePinned(Driver* driver, PinnedAncestors* ancestors, const struct statx& above, Attempt* attempt,
                         bool* taken) {
  if (ancestors == nullptr) return absl::OkStatus();
  int descriptor = -1;
  absl::StatusOr<std::shared_ptr<void>> share = ancestors->Share(above, &descriptor);
  if (StatusErrno(share.status()) == EWOULDBLOCK) return Locked(driver, descriptor);
  *taken = share.ok();
  if (*taken) attempt->shares.push_back(*std::move(share));
  return absl::OkStatus();
}

// The ancestors of `root`, nearest first, shared. Those that may not be read cannot carry a flock and are passed by
// O_PATH.
absl::Status LockAncestors(Driver* driver, const Directory& root, PinnedAncestors* pinned, Attempt* attempt) {
  UniqueFd at;
  struct statx here;
  US_RETURN_IF_ERROR(StatDescriptor(driver, root.fd(), &here));
  int unlocked = 0;
  for (int level = 0; level < kMaxAncestors; ++level) {
    const int from = at.valid() ? at.get() : root.fd();
    int fd = sys::Openat(driver, from, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool readable = fd >= 0;
    if (fd == -EACCES) fd = sys::Openat(driver, from, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
      ++unlocked;
      break;  // not even searchable: what is above cannot be reached from here
    }
    UniqueFd parent(fd);
    struct statx above;
    US_RETURN_IF_ERROR(StatDescriptor(driver, fd, &above));
    const bool top = above.stx_ino == here.stx_ino && above.stx_dev_major == here.stx_dev_major &&
                     above.stx_dev_minor == here.stx_dev_minor;
    if (top) break;
    bool taken = false;
    if (readable) US_RETURN_IF_ERROR(TryFlock(driver, fd, LOCK_SH, &taken));
    bool shared = false;
    if (!readable) US_RETURN_IF_ERROR(SharePinned(driver, pinned, above, attempt, &shared));
    if (taken) {
      // The lock lives with its descriptor; the walk goes on from a second one, that it may drop.
      const int copy = sys::Fcntl(driver, fd, F_DUPFD_CLOEXEC);
      if (copy < 0) return ErrnoStatus(-copy, "fcntl");
      attempt->descriptors.emplace_back(copy);
    } else if (!shared) {
      ++unlocked;
    }
    here = above;
    at = std::move(parent);
  }
  if (unlocked > 0)
    attempt->notices.push_back(
        std::to_string(unlocked) +
        " directories above the destination cannot be locked: a session into one of them is not noticed");
  return absl::OkStatus();
}

absl::StatusOr<Attempt> TryLock(Driver* driver, const Directory& root, const SubtreeLockOptions& options) {
  Attempt attempt;
  const int fd = sys::Openat(driver, root.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool taken = false;
  if (fd >= 0) {
    attempt.descriptors.emplace_back(fd);
    US_RETURN_IF_ERROR(TryFlock(driver, fd, options.shared ? LOCK_SH : LOCK_EX, &taken));
  }
  if (!taken)
    attempt.notices.push_back("the destination directory cannot be locked: a second session into it is not noticed");
  US_RETURN_IF_ERROR(LockAncestors(driver, root, options.ancestors, &attempt));
  return attempt;
}

}  // namespace

Task<absl::StatusOr<SubtreeLock>> SubtreeLock::Acquire(Driver* driver, DirectoryPtr root, SubtreeLockOptions options) {
  while (true) {
    absl::StatusOr<Attempt> attempt = TryLock(driver, *root, options);
    if (attempt.ok()) {
      SubtreeLock lock;
      lock.descriptors_ = std::move(attempt->descriptors);
      lock.shares_ = std::move(attempt->shares);
      lock.notices_ = std::move(attempt->notices);
      co_return lock;
    }
    if (StatusErrno(attempt.status()) != EWOULDBLOCK || !options.wait || !options.sleep) co_return attempt.status();
    US_CO_RETURN_IF_ERROR(options.cancel.status());
    if (options.on_wait) std::exchange(options.on_wait, nullptr)(attempt.status());
    Task<void> pause = options.sleep(options.poll_interval);
    co_await std::move(pause);
    US_CO_RETURN_IF_ERROR(options.cancel.status());
  }
}

}  // namespace uringsync

#include "engine/fs/lease.h"

#include <fcntl.h>

#include <atomic>
#include <cerrno>
#include <csignal>

#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

std::atomic<bool> signals_are_harmless = false;

}  // namespace

Writers LookForWriters(Driver* driver, int fd, FileSystemFacts* system) {
  if (!signals_are_harmless.load(std::memory_order_relaxed)) return Writers::kUnknown;
  if (system != nullptr && system->Lacks(Lack::kLeases)) return Writers::kUnknown;
  const int granted = sys::Fcntl(driver, fd, F_SETLEASE, F_RDLCK);
  if (granted == -EAGAIN) return Writers::kSome;
  // EACCES is about this file: it is somebody else's.
  const bool never = granted == -EINVAL || granted == -EOPNOTSUPP || granted == -ENOSYS || granted == -ENOLCK;
  if (never && system != nullptr) system->Tell(Lack::kLeases);
  if (granted < 0) return Writers::kUnknown;
  // One that cannot be given back ends with the descriptor; writers would wait for it only as long.
  sys::Fcntl(driver, fd, F_SETLEASE, F_UNLCK);
  return Writers::kNone;
}

void IgnoreLeaseSignals() {
  std::signal(SIGIO, SIG_IGN);
  signals_are_harmless = true;
}

}  // namespace uringsync

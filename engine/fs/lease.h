// Leases: whether somebody has a file open for writing, or mapped to write to it.
//
// A read lease is granted only where nobody has; it is given back at once, so nobody ever waits for it. fstat(2) alone
// does not tell: a store through a mapping moves no time while its page is dirty.
//
// Thread rule: the shard that owns `driver`.
#pragma once

#include <cstdint>

#include "engine/fs/file_system_facts.h"
#include "engine/ring/driver.h"

namespace uringsync {

enum class Writers : uint8_t {
  kNone,
  kSome,
  kUnknown,  // the file is somebody else's and the process lacks CAP_LEASE, or the file system has no leases
};

// Of a regular file that `fd` has open for reading alone, on the file system `system`, which is asked no more once it has
// said that it has no leases. kUnknown also before IgnoreLeaseSignals: the kernel sends SIGIO, which ends a process, to
// a holder in whose short time a writer comes.
Writers LookForWriters(Driver* driver, int fd, FileSystemFacts* system = nullptr);

// Once, at the start of a process that wants to know.
void IgnoreLeaseSignals();

}  // namespace uringsync

// RestCheck: whether a file was at rest while it was read, beyond what its times tell.
//
// Times tell of every write, but not of a store into a mapped page that is dirty already, nor of a second write within
// one tick of the clock that stamps them. So before the first read it is asked whether anybody could write at all
// (LookForWriters): if nobody can, whoever comes later moves the times with his first write. Where somebody can, where
// that cannot be told and the file changed lately, or where its times are younger than a tick, what was read is read
// once more, from the cache, and has to be the same.
//
// It judges what one request reads. Of a larger file that is mapped and written all the time, each range may be of
// another moment.
//
// Thread rule: one request on one shard.
// Use:  RestCheck rest;  rest.Begin(driver, fd, stat);  ... rest.Add(offset, length, digest) for each piece ...
//       if (rest.IsDoubtful(driver, fd) && !co_await rest.ReadsTheSame(...)) ... it was not at rest
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <cstdint>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "engine/base/digest.h"
#include "engine/coro/task.h"
#include "engine/fs/file.h"
#include "engine/fs/lease.h"
#include "engine/ring/driver.h"

namespace uringsync {

// Whether the times and the size tell of no change between two looks at one file.
bool LooksUntouched(const struct statx& before, const struct statx& now);
// A write that comes now may leave the times of this file as they are: they are of this tick of the clock.
bool MayKeepItsTimes(const struct statx& stat);
// Ends when the clock that stamps files has moved on, 20 ms later.
Task<void> AwaitTicks(Driver* driver);

class RestCheck {
 public:
  // The step of file times on kernels that stamp by the timer: 10 ms at most, twice.
  static constexpr std::chrono::milliseconds kTicks{20};
  // A mapped page that is written to is clean at least that often, and its next store moves the times: the kernel
  // writes back what is dirty for 30 s, and looks every 5 s.
  static constexpr std::chrono::seconds kLately{60};

  // `stat` is older than this call; `system` as in LookForWriters, borrowed. Not called: the file needs no check.
  void Begin(Driver* driver, int fd, const struct statx& stat, FileSystemFacts* system = nullptr);
  // A piece as it was read; `digest` under `seed` of ReadsTheSame.
  void Add(uint64_t offset, size_t length, const Digest128& digest);
  // Asked when the last piece was read and the times are the same.
  bool IsDoubtful(Driver* driver, int fd);
  // Reads all pieces again, through the page cache. Errors of the read.
  Task<absl::StatusOr<bool>> ReadsTheSame(Driver* driver, int fd, uint64_t seed);

 private:
  struct Read {
    uint64_t offset = 0;
    size_t length = 0;
    Digest128 digest;
  };
  bool begun_ = false;
  bool in_doubt_ = false;
  FileSystemFacts* system_ = nullptr;
  bool asks_again_ = false;  // stores through mappings move no times there
  absl::InlinedVector<Read, 1> reads_;
};

}  // namespace uringsync

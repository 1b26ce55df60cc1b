// Contents of regular files past the page cache (O_DIRECT), and through it where that cannot be.
//
// A DataFile is one open file with one or two descriptors: one through the page cache, and maybe a second one that was
// opened with O_DIRECT. What lies alike in memory and file (kDirectAlignment) takes the second one, the rest, like the
// end of a file, the first; a transfer that the file system refuses as direct goes through the cache. The kernel keeps
// both views of a file in step.
//
// Thread rule: DataFile is a value; DirectIo is thread-safe; calls with a driver on its shard.
// Use:  DirectIo direct(DirectIoMode::kOn, [](std::string text) { ... });      // one a session and side
//       UniqueFd second = direct.Open(driver, fd, O_RDONLY);                   // invalid: go on without
//       US_CO_ASSIGN_OR_RETURN(size_t n, co_await ReadData(driver, {fd, second.get()}, buffer, length, offset));
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/unique_fd.h"
#include "engine/coro/task.h"
#include "engine/ring/driver.h"

namespace uringsync {

enum class DirectIoMode : uint8_t {
  kAuto,  // where it was measured to be better than the cache with dropping behind: nowhere so far
          // (docs/performance.md)
  kOn,    // wherever the file system can
  kOff
};

// Memory, offset and length of a direct transfer are multiples of this. Devices ask for 512 or 4096; one that asks for
// more refuses, and its files go through the cache.
constexpr size_t kDirectAlignment = 4096;

// Borrowed descriptors of one file.
struct DataFile {
  int fd = -1;      // through the page cache
  int direct = -1;  // O_DIRECT; -1: everything goes through `fd`
};

// As ReadAtFull and WriteAtFull (file.h).
Task<absl::StatusOr<size_t>> ReadData(Driver* driver, DataFile file, void* buffer, size_t length, uint64_t offset,
                                      int registered_buffer = -1, bool background = false);
Task<absl::Status> WriteData(Driver* driver, DataFile file, const void* buffer, size_t length, uint64_t offset,
                             int registered_buffer = -1, bool background = false);

// To be done before a file is written past the cache: gives it its size, since direct writes beyond the end wait for
// each other, and, where all of it is data (`dense`), its blocks. ResourceExhausted: no room; else what ftruncate says.
Task<absl::Status> PrepareDirectWrites(Driver* driver, DataFile file, uint64_t size_bytes, bool dense);

// What one side of a session knows of direct I/O.
class DirectIo {
 public:
  // Gets one line for the user, at most once.
  using OnRefused = std::function<void(std::string)>;
  explicit DirectIo(DirectIoMode mode = DirectIoMode::kOff, OnRefused on_refused = nullptr)
      : mode_(mode), on_refused_(std::move(on_refused)) {}

  // Opens the regular file `fd` again (by /proc) with `access` (O_RDONLY, O_RDWR) | O_DIRECT. Invalid where the mode
  // says no, where contents are memory anyway (tmpfs), and where the file system refuses; the last two are told once.
  UniqueFd Open(Driver* driver, int fd, int access);

 private:
  void Refused(const std::string& reason);

  const DirectIoMode mode_;
  const OnRefused on_refused_;
  std::atomic<bool> told_{false};
};

}  // namespace uringsync

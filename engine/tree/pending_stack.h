// PendingStack: directories that wait to be scanned, as a stack of (depth, name) that spills to an unlinked file.
//
// A tree can have millions of pending directories (one with a million subdirectories is enough); in memory there are at
// most two chunks of their names (kChunkBytes each). Thread rule: guarded by its owner; `driver` is that of the calling
// shard.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/unique_fd.h"
#include "engine/ring/driver.h"

namespace uringsync {

class PendingStack {
 public:
  static constexpr size_t kChunkBytes = size_t{256} << 10;
  explicit PendingStack(std::string spool_directory, size_t chunk_bytes = kChunkBytes)
      : spool_directory_(std::move(spool_directory)), chunk_bytes_(chunk_bytes) {}

  // ResourceExhausted when the disk of the spool is full.
  absl::Status Push(Driver* driver, uint32_t depth, std::string_view name);
  // The last pushed that was not popped. The stack must not be empty.
  absl::Status Pop(Driver* driver, uint32_t* depth, std::string* name);
  // Depth of what Pop would return.
  absl::StatusOr<uint32_t> TopDepth(Driver* driver);
  bool empty() const { return records_ == 0; }
  uint64_t records() const { return records_; }

 private:
  absl::Status Load(Driver* driver);

  const std::string spool_directory_;
  const size_t chunk_bytes_;
  std::string memory_;  // top of the stack; records: name, length (u16), depth (u32)
  UniqueFd file_;
  uint64_t file_bytes_ = 0;
  std::vector<uint32_t> chunks_;  // sizes of the chunks in the file, bottom first
  uint64_t records_ = 0;
};

}  // namespace uringsync

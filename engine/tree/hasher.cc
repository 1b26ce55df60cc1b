#include "engine/tree/hasher.h"

#include <algorithm>
#include <memory>

#include "engine/base/errno_status.h"
#include "engine/fs/extents.h"
#include "engine/fs/file.h"

namespace uringsync {
namespace {

absl::Status Shorter() {
  return MakeStatus(absl::StatusCode::kOutOfRange, "the file became shorter while it was read");
}

// Answers, for ascending leaves, whether a leaf lies in a hole entirely.
class HoleFinder {
 public:
  HoleFinder(Driver* driver, int fd, uint64_t size_bytes) : extents_(driver, fd, 0, size_bytes, size_bytes) {}
  // 1: hole; 0: some data; -errno.
  int IsHole(uint64_t offset, uint64_t length) {
    while (current_.offset + current_.length <= offset) {
      const int more = extents_.Next(&current_);
      if (more < 0) return more;
      if (more == 0) return 0;
    }
    return !current_.is_data && current_.offset + current_.length >= offset + length ? 1 : 0;
  }

 private:
  ExtentIterator extents_;
  Extent current_;
};

}  // namespace

Task<absl::StatusOr<Digest128>> HashFile(Shard* shard, int fd, uint64_t size_bytes, CancelToken cancel) {
  Driver* driver = shard->driver();
  ContentHasher hasher;
  Buffer pooled;
  std::unique_ptr<std::byte[]> own;
  std::byte* memory = nullptr;
  int registered = -1;
  const size_t capacity = static_cast<size_t>(std::min<uint64_t>(size_bytes, kLeafBytes));
  if (capacity > kSmallHashBytes && shard->buffers()->buffer_bytes() >= capacity) {
    pooled = co_await shard->buffers()->Get();
    memory = pooled.data();
    registered = pooled.registered_index();
  } else if (capacity > 0) {
    own = std::make_unique_for_overwrite<std::byte[]>(capacity);
    memory = own.get();
  }
  HoleFinder holes(driver, fd, size_bytes);
  if (size_bytes > kLeafBytes) AdviseSequential(driver, fd);
  for (uint64_t offset = 0; offset < size_bytes; offset += kLeafBytes) {
    US_CO_RETURN_IF_ERROR(cancel.status());
    const size_t length = static_cast<size_t>(std::min<uint64_t>(kLeafBytes, size_bytes - offset));
    // A file of one leaf is read at once: asking for its holes would cost as much.
    const int hole = size_bytes > kLeafBytes ? holes.IsHole(offset, length) : 0;
    if (hole < 0) co_return ErrnoStatus(-hole, "lseek");
    if (hole == 1) {
      hasher.AddLeaf(ZeroLeafDigest(length));
      continue;
    }
    const absl::StatusOr<size_t> got = co_await ReadAtFull(driver, fd, memory, length, offset, registered);
    if (!got.ok()) co_return got.status();
    if (*got < length) co_return Shorter();
    hasher.AddLeaf(LeafDigest(std::span<const std::byte>(memory, length)));
  }
  co_return hasher.Finish(size_bytes);
}

}  // namespace uringsync

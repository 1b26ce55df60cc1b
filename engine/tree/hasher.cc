#include "engine/tree/hasher.h"

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

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

// What becomes of the leaves of a file, in order.
class LeafSink {
 public:
  virtual ~LeafSink() = default;
  virtual void Add(std::span<const std::byte> leaf) = 0;
  virtual void AddZeros(size_t size_bytes) = 0;
};

class DigestSink final : public LeafSink {
 public:
  explicit DigestSink(const std::optional<DigestKey>& key) : hasher_(key) {}
  void Add(std::span<const std::byte> leaf) override { hasher_.AddLeaf(leaf); }
  void AddZeros(size_t size_bytes) override { hasher_.AddZeros(size_bytes); }
  Digest128 Finish(uint64_t size_bytes) { return hasher_.Finish(size_bytes); }

 private:
  ContentHasher hasher_;
};

class Sha256Sink final : public LeafSink {
 public:
  void Add(std::span<const std::byte> leaf) override { sha_.Update(leaf); }
  void AddZeros(size_t size_bytes) override {
    zeros_.resize(kLeafBytes);
    sha_.Update(std::span<const std::byte>(zeros_).first(size_bytes));
  }
  Sha256Digest Finish() { return sha_.Finish(); }

 private:
  Sha256 sha_;
  std::vector<std::byte> zeros_;
};

Task<absl::Status> ReadLeaves(Shard* shard, int fd, uint64_t size_bytes, CancelToken cancel, LeafSink* sink) {
  Driver* driver = shard->driver();
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
      sink->AddZeros(length);
      continue;
    }
    const absl::StatusOr<size_t> got = co_await ReadAtFull(driver, fd, memory, length, offset, registered);
    if (!got.ok()) co_return got.status();
    if (*got < length) co_return Shorter();
    sink->Add(std::span<const std::byte>(memory, length));
  }
  co_return absl::OkStatus();
}

}  // namespace

Task<absl::StatusOr<Digest128>> HashFile(Shard* shard, int fd, uint64_t size_bytes, std::optional<DigestKey> key,
                                         CancelToken cancel) {
  DigestSink sink(key);
  US_CO_RETURN_IF_ERROR(co_await ReadLeaves(shard, fd, size_bytes, cancel, &sink));
  co_return sink.Finish(size_bytes);
}

Task<absl::StatusOr<Sha256Digest>> ProveFile(Shard* shard, int fd, uint64_t size_bytes, CancelToken cancel) {
  Sha256Sink sink;
  US_CO_RETURN_IF_ERROR(co_await ReadLeaves(shard, fd, size_bytes, cancel, &sink));
  co_return sink.Finish();
}

}  // namespace uringsync

// LeafDigest256: SHA-256 of one leaf of a file, the digest that decides whether bytes of an old file may be reused.
//
// XXH3 may propose that two blocks are equal; colliding pairs of it are published, so it never decides. A file is cut
// into leaves of kLeafBytes (1 MiB, the last one short), and a leaf of the result is kept only when its SHA-256 is the
// source's.
//
// Thread rule: functions and values; any thread.
// Use:  if (Sha256Leaf(bytes) == wanted) ...
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/base/digest.h"

namespace uringsync {

struct LeafDigest256 {
  static constexpr size_t kBytes = 32;
  std::array<uint8_t, kBytes> bytes{};
  friend bool operator==(const LeafDigest256&, const LeafDigest256&) = default;
};

// SHA-256 (FIPS 180-4) of `leaf`; nothing is salted, so that both sides get the same.
LeafDigest256 Sha256Leaf(std::span<const std::byte> leaf);

// The same over a leaf that comes in parts, each hashed while it lies in the cache.
class LeafHasher {
 public:
  LeafHasher();
  ~LeafHasher();
  LeafHasher(const LeafHasher&) = delete;
  LeafHasher& operator=(const LeafHasher&) = delete;
  void Update(std::span<const std::byte> bytes);
  // The digest of what came since the last Finish.
  LeafDigest256 Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Leaves of a file of `size_bytes`, and the length of one of them.
constexpr uint64_t LeafCount(uint64_t size_bytes) {
  return size_bytes / kLeafBytes + (size_bytes % kLeafBytes != 0 ? 1 : 0);
}
constexpr size_t LeafLength(uint64_t leaf, uint64_t size_bytes) {
  const uint64_t rest = size_bytes - leaf * kLeafBytes;
  return rest < kLeafBytes ? static_cast<size_t>(rest) : kLeafBytes;
}

}  // namespace uringsync

// 128-bit XXH3 digests: of wire pieces, of extended attributes, of whole files.
//
// XXH3 finds accidents; it proves nothing against an adversary: whoever writes files or attributes can make up two that
// share a digest. So where two agents compare what they did not send, they digest it under a key of the run
// (leaf_digest.h), which nobody who writes to a tree knows.
//
// Thread rule: values; ContentHasher belongs to one thread.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace uringsync {

struct Digest128 {
  uint64_t low = 0;
  uint64_t high = 0;
  friend bool operator==(const Digest128&, const Digest128&) = default;
  friend auto operator<=>(const Digest128&, const Digest128&) = default;
  bool is_zero() const { return low == 0 && high == 0; }
  // 32 hex digits, high half first, as `xxhsum -H2` prints it.
  std::string Hex() const;
};

// XXH3-128 of `bytes` with `seed` (0 is the plain, published function).
Digest128 Xxh128(std::span<const std::byte> bytes, uint64_t seed = 0);
Digest128 Xxh128(std::string_view bytes, uint64_t seed = 0);

// Of AES-128: secret, and another one for each run.
using DigestKey = std::array<uint8_t, 16>;

// Content digest of a file: a tree over fixed leaves, so that ranges read by different workers compose and a hole costs
// nothing. Leaf i = XXH3-128 of bytes [i·1 MiB, (i+1)·1 MiB), the last one short; the digest = XXH3-128 over the
// concatenated leaves (16 bytes each, low half first, little-endian) followed by the size (8 bytes little-endian).
constexpr size_t kLeafBytes = size_t{1} << 20;
Digest128 LeafDigest(std::span<const std::byte> leaf);
// LeafDigest of `size_bytes` zeros (≤ kLeafBytes) without reading them; full zero leaves are cached.
Digest128 ZeroLeafDigest(size_t size_bytes);

// Makes a content digest of leaves that come in order. With a key each leaf, and then the leaves and the size, are
// digested by KeyedDigest (leaf_digest.h) instead of XXH3-128: two contents that somebody made up without the key are
// equal with a chance of less than 2^-100.
class ContentHasher {
 public:
  explicit ContentHasher(const std::optional<DigestKey>& key = std::nullopt);
  ~ContentHasher();
  ContentHasher(const ContentHasher&) = delete;
  ContentHasher& operator=(const ContentHasher&) = delete;
  // kLeafBytes, the last one at most.
  void AddLeaf(std::span<const std::byte> leaf);
  // A leaf of `size_bytes` zeros.
  void AddZeros(size_t size_bytes);
  // Of a leaf as Xxh128 makes it; only without a key.
  void AddLeaf(const Digest128& leaf);
  // Ends the computation; the object is spent.
  Digest128 Finish(uint64_t size_bytes);

 private:
  struct State;
  void Fold(const Digest128& leaf);
  std::unique_ptr<State> state_;
};

}  // namespace uringsync

// LeafTag: the digest that decides whether bytes of an old file may be reused: AES-128-GMAC (NIST SP 800-38D) of one
// leaf.
//
// XXH3 may propose that two blocks are equal; colliding pairs of it are published, so it never decides. A file is cut
// into leaves of kLeafBytes (1 MiB, the last one short), and a leaf of the result is kept only when its tag is the
// source's. The key comes from the session's secret, which only the two agents know, and is another one for each file;
// the leaf's number is the nonce. Whoever makes up contents without the key gets two different leaves of one tag with a
// chance of 2^-111 each, whatever he computes; and it runs at five times the speed of SHA-256
// (docs/decisions/0005-delta.md). A tag proves nothing to anybody else.
//
// Thread rule: values; a hasher belongs to one thread.
// Use:  LeafHasher hasher(key);
//       if (hasher.Tag(offset / kLeafBytes, bytes) == wanted) ...
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "engine/base/digest.h"

namespace uringsync {

struct LeafTag {
  static constexpr size_t kBytes = 16;
  std::array<uint8_t, kBytes> bytes{};
  friend bool operator==(const LeafTag&, const LeafTag&) = default;
};

// What both agents of a session know and nobody else.
using LeafSecret = std::array<uint8_t, 32>;
using LeafKey = DigestKey;
// The key for what `context` names: HMAC-SHA-256 of it under the secret, cut.
LeafKey DeriveLeafKey(const LeafSecret& secret, std::span<const std::byte> context);

class LeafHasher {
 public:
  // `vector`: with vector instructions where there are some (vector_aes.h); the tags are the same.
  explicit LeafHasher(const LeafKey& key, bool vector = true);
  ~LeafHasher();
  LeafHasher(const LeafHasher&) = delete;
  LeafHasher& operator=(const LeafHasher&) = delete;

  // A leaf that comes in parts, each digested while it lies in the cache. `leaf` counts from the file's beginning.
  void Begin(uint64_t leaf);
  void Update(std::span<const std::byte> bytes);
  LeafTag Finish();
  // The same at once.
  LeafTag Tag(uint64_t leaf, std::span<const std::byte> bytes);

 private:
  using Nonce = std::array<uint8_t, 12>;
  struct Vector;
  struct Plain;
  std::unique_ptr<Vector> vector_;
  std::unique_ptr<Plain> plain_;  // where there is no other
};

// What a KeyedDigest is of: equal bytes of two kinds have different digests.
enum class DigestDomain : uint8_t { kLeaf = 0, kLeaves, kContents, kAttributes, kListing, kTree };
// A tag as a digest that two agents of one run compare. It is never shown to whoever writes to a tree.
Digest128 KeyedDigest(LeafHasher* hasher, DigestDomain domain, std::span<const std::byte> bytes);
// The same, with a hasher of its own.
Digest128 KeyedDigest(const DigestKey& key, DigestDomain domain, std::string_view bytes);
// A key from a number that only two agents know.
DigestKey DigestKeyOf(uint64_t seed);

// Leaves of a file of `size_bytes`, and the length of one of them.
constexpr uint64_t LeafCount(uint64_t size_bytes) {
  return size_bytes / kLeafBytes + (size_bytes % kLeafBytes != 0 ? 1 : 0);
}
constexpr size_t LeafLength(uint64_t leaf, uint64_t size_bytes) {
  const uint64_t rest = size_bytes - leaf * kLeafBytes;
  return rest < kLeafBytes ? static_cast<size_t>(rest) : kLeafBytes;
}

}  // namespace uringsync

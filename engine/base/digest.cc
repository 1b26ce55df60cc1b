#include "engine/base/digest.h"

#include <xxhash.h>

#include <array>
#include <bit>
#include <cstring>
#include <vector>

// The library's plain functions are built for the oldest x86-64 (SSE2); these choose AVX2 or AVX-512 when they first
// run.
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#define XXH_DISPATCH_DISABLE_REPLACE
#include <xxh_x86dispatch.h>
#define URINGSYNC_XXH128_WITH_SEED XXH3_128bits_withSeed_dispatch
#else
#define URINGSYNC_XXH128_WITH_SEED XXH3_128bits_withSeed
#endif

namespace uringsync {
namespace {

Digest128 FromXxh(XXH128_hash_t hash) {
  return {hash.low64, hash.high64};
}

}  // namespace

static_assert(std::endian::native == std::endian::little, "digests are defined on little-endian words");

std::string Digest128::Hex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (uint64_t word : {high, low}) {
    for (int shift = 60; shift >= 0; shift -= 4) out.push_back(kDigits[(word >> shift) & 15]);
  }
  return out;
}

Digest128 Xxh128(std::span<const std::byte> bytes, uint64_t seed) {
  return FromXxh(URINGSYNC_XXH128_WITH_SEED(bytes.data(), bytes.size(), seed));
}

Digest128 Xxh128(std::string_view bytes, uint64_t seed) {
  return FromXxh(URINGSYNC_XXH128_WITH_SEED(bytes.data(), bytes.size(), seed));
}

Digest128 LeafDigest(std::span<const std::byte> leaf) {
  return Xxh128(leaf);
}

Digest128 ZeroLeafDigest(size_t size_bytes) {
  static const std::vector<std::byte>* zeros = new std::vector<std::byte>(kLeafBytes);
  static const Digest128 full = LeafDigest(*zeros);
  if (size_bytes == kLeafBytes) return full;
  return LeafDigest(std::span(*zeros).first(size_bytes));
}

struct ContentHasher::State {
  XXH3_state_t* xxh = XXH3_createState();
};

ContentHasher::ContentHasher() : state_(new State) {
  XXH3_128bits_reset(state_->xxh);
}

ContentHasher::~ContentHasher() {
  XXH3_freeState(state_->xxh);
  delete state_;
}

void ContentHasher::AddLeaf(const Digest128& leaf) {
  const std::array<uint64_t, 2> words = {leaf.low, leaf.high};
  XXH3_128bits_update(state_->xxh, words.data(), sizeof(words));
}

Digest128 ContentHasher::Finish(uint64_t size_bytes) {
  XXH3_128bits_update(state_->xxh, &size_bytes, sizeof(size_bytes));
  return FromXxh(XXH3_128bits_digest(state_->xxh));
}

}  // namespace uringsync

#include "engine/base/digest.h"

#include <xxhash.h>

#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "engine/base/leaf_digest.h"

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

const std::vector<std::byte>& Zeros() {
  static const std::vector<std::byte>* zeros = new std::vector<std::byte>(kLeafBytes);
  return *zeros;
}

// Digests of leaves that are kept before they become one.
constexpr size_t kFoldedLeafBytes = size_t{64} << 10;

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
  static const Digest128 full = LeafDigest(Zeros());
  if (size_bytes == kLeafBytes) return full;
  return LeafDigest(std::span(Zeros()).first(size_bytes));
}

struct ContentHasher::State {
  XXH3_state_t* xxh = nullptr;
  std::unique_ptr<LeafHasher> keyed;
  std::vector<std::byte> leaves;   // with a key: digests so far
  std::optional<Digest128> zeros;  // with a key: of a whole leaf

  explicit State(const std::optional<DigestKey>& key)
      : xxh(key ? nullptr : XXH3_createState()), keyed(key ? std::make_unique<LeafHasher>(*key) : nullptr) {
    if (xxh != nullptr) XXH3_128bits_reset(xxh);
  }
  ~State() {
    if (xxh != nullptr) XXH3_freeState(xxh);
  }
  // Digests of leaves take the place of those before them: a file of any size takes the same memory.
  void FoldLeaves() {
    const Digest128 folded = KeyedDigest(keyed.get(), DigestDomain::kLeaves, leaves);
    leaves.clear();
    Append(&folded, sizeof(folded));
  }
  void Append(const void* bytes, size_t size) {
    const auto* const from = static_cast<const std::byte*>(bytes);
    leaves.insert(leaves.end(), from, from + size);
  }
};

ContentHasher::ContentHasher(const std::optional<DigestKey>& key) : state_(std::make_unique<State>(key)) {}

ContentHasher::~ContentHasher() = default;

void ContentHasher::AddLeaf(std::span<const std::byte> leaf) {
  if (state_->keyed == nullptr) return Fold(LeafDigest(leaf));
  Fold(KeyedDigest(state_->keyed.get(), DigestDomain::kLeaf, leaf));
}

void ContentHasher::AddZeros(size_t size_bytes) {
  if (state_->keyed == nullptr) return Fold(ZeroLeafDigest(size_bytes));
  if (size_bytes == kLeafBytes && state_->zeros) return Fold(*state_->zeros);
  const Digest128 zeros = KeyedDigest(state_->keyed.get(), DigestDomain::kLeaf, std::span(Zeros()).first(size_bytes));
  if (size_bytes == kLeafBytes) state_->zeros = zeros;
  Fold(zeros);
}

void ContentHasher::AddLeaf(const Digest128& leaf) {
  Fold(leaf);
}

void ContentHasher::Fold(const Digest128& leaf) {
  const std::array<uint64_t, 2> words = {leaf.low, leaf.high};
  if (state_->keyed == nullptr) {
    XXH3_128bits_update(state_->xxh, words.data(), sizeof(words));
    return;
  }
  state_->Append(words.data(), sizeof(words));
  if (state_->leaves.size() >= kFoldedLeafBytes) state_->FoldLeaves();
}

Digest128 ContentHasher::Finish(uint64_t size_bytes) {
  if (state_->keyed != nullptr) {
    state_->Append(&size_bytes, sizeof(size_bytes));
    return KeyedDigest(state_->keyed.get(), DigestDomain::kContents, state_->leaves);
  }
  XXH3_128bits_update(state_->xxh, &size_bytes, sizeof(size_bytes));
  return FromXxh(XXH3_128bits_digest(state_->xxh));
}

}  // namespace uringsync

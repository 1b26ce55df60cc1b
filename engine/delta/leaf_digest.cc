#include "engine/delta/leaf_digest.h"

#include <openssl/evp.h>

#include <cstdlib>

namespace uringsync {
namespace {

// Without the digest nothing may be called equal; it cannot fail for want of anything but memory or a broken library.
void Require(bool done) {
  if (!done) std::abort();
}

}  // namespace

struct LeafHasher::State {
  EVP_MD_CTX* const context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

LeafHasher::LeafHasher() : state_(std::make_unique<State>()) {
  // Fetched once: looking an algorithm up takes a lock of the library each time.
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  Require(sha256 != nullptr && state_->context != nullptr);
  Require(EVP_DigestInit_ex2(state_->context, sha256, nullptr) == 1);
}

LeafHasher::~LeafHasher() = default;

void LeafHasher::Update(std::span<const std::byte> bytes) {
  Require(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

LeafDigest256 LeafHasher::Finish() {
  LeafDigest256 digest;
  Require(EVP_DigestFinal_ex(state_->context, digest.bytes.data(), nullptr) == 1);
  Require(EVP_DigestInit_ex2(state_->context, nullptr, nullptr) == 1);
  return digest;
}

LeafDigest256 Sha256Leaf(std::span<const std::byte> leaf) {
  thread_local LeafHasher hasher;
  hasher.Update(leaf);
  return hasher.Finish();
}

}  // namespace uringsync

#include "engine/delta/leaf_digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace uringsync {
namespace {

constexpr size_t kNonceBytes = 12;

// Without the digest nothing may be called equal; it cannot fail for want of anything but memory or a broken library.
void Require(bool done) {
  if (!done) std::abort();
}

}  // namespace

LeafKey DeriveLeafKey(const LeafSecret& secret, std::span<const std::byte> context) {
  std::array<uint8_t, EVP_MAX_MD_SIZE> mac{};
  unsigned length = 0;
  Require(HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
               reinterpret_cast<const unsigned char*>(context.data()), context.size(), mac.data(), &length) != nullptr);
  LeafKey key{};
  std::copy_n(mac.begin(), key.size(), key.begin());
  return key;
}

struct LeafHasher::State {
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
  ~State() { EVP_CIPHER_CTX_free(context); }
};

LeafHasher::LeafHasher(const LeafKey& key) : state_(std::make_unique<State>()) {
  // Fetched once: looking an algorithm up takes a lock of the library each time.
  static const EVP_CIPHER* const gcm = EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr);
  Require(gcm != nullptr && state_->context != nullptr);
  Require(EVP_EncryptInit_ex2(state_->context, gcm, key.data(), nullptr, nullptr) == 1);
}

LeafHasher::~LeafHasher() = default;

void LeafHasher::Begin(uint64_t leaf) {
  std::array<uint8_t, kNonceBytes> nonce{};
  std::memcpy(nonce.data(), &leaf, sizeof(leaf));
  Require(EVP_EncryptInit_ex2(state_->context, nullptr, nullptr, nonce.data(), nullptr) == 1);
}

void LeafHasher::Update(std::span<const std::byte> bytes) {
  int ignored = 0;
  // GMAC is GCM of additional data alone.
  Require(EVP_EncryptUpdate(state_->context, nullptr, &ignored, reinterpret_cast<const unsigned char*>(bytes.data()),
                            static_cast<int>(bytes.size())) == 1);
}

LeafTag LeafHasher::Finish() {
  LeafTag tag;
  int ignored = 0;
  std::array<uint8_t, LeafTag::kBytes> rest{};
  Require(EVP_EncryptFinal_ex(state_->context, rest.data(), &ignored) == 1);
  Require(EVP_CIPHER_CTX_ctrl(state_->context, EVP_CTRL_AEAD_GET_TAG, LeafTag::kBytes, tag.bytes.data()) == 1);
  return tag;
}

LeafTag LeafHasher::Tag(uint64_t leaf, std::span<const std::byte> bytes) {
  Begin(leaf);
  Update(bytes);
  return Finish();
}

}  // namespace uringsync

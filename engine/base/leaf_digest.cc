#include "engine/base/leaf_digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "engine/base/vector_aes.h"

#ifdef URINGSYNC_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

namespace uringsync {
namespace {

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

#ifdef URINGSYNC_IPSEC_MB
struct LeafHasher::Vector {
  const IMB_MGR* const manager;
  alignas(64) gcm_key_data key;
  alignas(64) gcm_context_data state;

  Vector(const IMB_MGR* code, const LeafKey& leaf_key) : manager(code) {
    IMB_AES128_GCM_PRE(manager, leaf_key.data(), &key);
  }
  ~Vector() { OPENSSL_cleanse(&key, sizeof(key)); }
  void Begin(const Nonce& nonce) { IMB_AES128_GMAC_INIT(manager, &key, &state, nonce.data(), nonce.size()); }
  void Update(std::span<const std::byte> bytes) {
    IMB_AES128_GMAC_UPDATE(manager, &key, &state, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
  void Finish(LeafTag* tag) { IMB_AES128_GMAC_FINALIZE(manager, &key, &state, tag->bytes.data(), LeafTag::kBytes); }

  static std::unique_ptr<Vector> Make(const LeafKey& leaf_key) {
    const IMB_MGR* code = VectorAes();
    return code != nullptr ? std::make_unique<Vector>(code, leaf_key) : nullptr;
  }
};
#else
struct LeafHasher::Vector {
  void Begin(const Nonce&) {}
  void Update(std::span<const std::byte>) {}
  void Finish(LeafTag*) {}
  static std::unique_ptr<Vector> Make(const LeafKey&) { return nullptr; }
};
#endif

struct LeafHasher::Plain {
  EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();

  explicit Plain(const LeafKey& key) {
    // Fetched once: looking an algorithm up takes a lock of the library each time.
    static const EVP_CIPHER* const gcm = EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr);
    Require(gcm != nullptr && context != nullptr);
    Require(EVP_EncryptInit_ex2(context, gcm, key.data(), nullptr, nullptr) == 1);
  }
  ~Plain() { EVP_CIPHER_CTX_free(context); }
  void Begin(const Nonce& nonce) {
    Require(EVP_EncryptInit_ex2(context, nullptr, nullptr, nonce.data(), nullptr) == 1);
  }
  void Update(std::span<const std::byte> bytes) {
    int ignored = 0;
    // GMAC is GCM of additional data alone.
    Require(EVP_EncryptUpdate(context, nullptr, &ignored, reinterpret_cast<const unsigned char*>(bytes.data()),
                              static_cast<int>(bytes.size())) == 1);
  }
  void Finish(LeafTag* tag) {
    int ignored = 0;
    std::array<uint8_t, LeafTag::kBytes> rest{};
    Require(EVP_EncryptFinal_ex(context, rest.data(), &ignored) == 1);
    Require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, LeafTag::kBytes, tag->bytes.data()) == 1);
  }
};

LeafHasher::LeafHasher(const LeafKey& key, bool vector) : vector_(vector ? Vector::Make(key) : nullptr) {
  if (vector_ == nullptr) plain_ = std::make_unique<Plain>(key);
}

LeafHasher::~LeafHasher() = default;

void LeafHasher::Begin(uint64_t leaf) {
  Nonce nonce{};
  std::memcpy(nonce.data(), &leaf, sizeof(leaf));
  vector_ != nullptr ? vector_->Begin(nonce) : plain_->Begin(nonce);
}

void LeafHasher::Update(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  vector_ != nullptr ? vector_->Update(bytes) : plain_->Update(bytes);
}

LeafTag LeafHasher::Finish() {
  LeafTag tag;
  vector_ != nullptr ? vector_->Finish(&tag) : plain_->Finish(&tag);
  return tag;
}

Digest128 KeyedDigest(LeafHasher* hasher, DigestDomain domain, std::span<const std::byte> bytes) {
  const LeafTag tag = hasher->Tag(static_cast<uint64_t>(domain), bytes);
  Digest128 digest;
  std::memcpy(&digest.low, tag.bytes.data(), sizeof(digest.low));
  std::memcpy(&digest.high, tag.bytes.data() + sizeof(digest.low), sizeof(digest.high));
  return digest;
}

Digest128 KeyedDigest(const DigestKey& key, DigestDomain domain, std::string_view bytes) {
  LeafHasher hasher(key);
  return KeyedDigest(&hasher, domain, std::as_bytes(std::span(bytes)));
}

DigestKey DigestKeyOf(uint64_t seed) {
  LeafSecret secret{};
  std::memcpy(secret.data(), &seed, sizeof(seed));
  constexpr std::string_view kLabel = "digests under a seed";
  return DeriveLeafKey(secret, std::as_bytes(std::span(kLabel)));
}

LeafTag LeafHasher::Tag(uint64_t leaf, std::span<const std::byte> bytes) {
  Begin(leaf);
  Update(bytes);
  return Finish();
}

}  // namespace uringsync

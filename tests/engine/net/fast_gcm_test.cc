#include "engine/net/fast_gcm.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "engine/net/openssl_util.h"

namespace uringsync {
namespace {

using Bytes = std::vector<unsigned char>;
using CipherPtr = std::unique_ptr<EVP_CIPHER, openssl::Deleter<EVP_CIPHER_free>>;
using ContextPtr = std::unique_ptr<EVP_CIPHER_CTX, openssl::Deleter<EVP_CIPHER_CTX_free>>;

constexpr std::array<unsigned char, 16> kKey = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
constexpr std::array<unsigned char, 12> kIv = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2};
constexpr std::array<unsigned char, 5> kAssociated = {23, 3, 3, 64, 17};

Bytes Pattern(size_t size) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<unsigned char>(i * 31 + i / 255);
  return bytes;
}

class FastGcmTest : public testing::Test {
 protected:
  void SetUp() override {
    if (openssl::CipherContext() == nullptr) GTEST_SKIP() << "no VAES here, or built without ipsec-mb";
    fast_.reset(EVP_CIPHER_fetch(openssl::CipherContext(), "AES-128-GCM", openssl::kCipherProperties));
    plain_.reset(EVP_CIPHER_fetch(nullptr, "AES-128-GCM", "provider=default"));
    ASSERT_NE(fast_, nullptr);
    ASSERT_NE(plain_, nullptr);
    ASSERT_STREQ(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(fast_.get())), "uringsync");
  }

  // What comes out of `cipher` when `in` goes through in steps of `step` bytes; empty when it failed. Encrypting: *tag
  // is filled, else it is checked.
  static bool Run(const EVP_CIPHER* cipher, bool encrypt, const Bytes& in, size_t step, Bytes* out,
                  std::array<unsigned char, 16>* tag) {
    ContextPtr context(EVP_CIPHER_CTX_new());
    EVP_CIPHER_CTX* raw = context.get();
    // As OpenSSL's TLS 1.3 does it.
    bool good = EVP_CipherInit_ex(raw, cipher, nullptr, nullptr, nullptr, encrypt) == 1 &&
                EVP_CIPHER_CTX_ctrl(raw, EVP_CTRL_AEAD_SET_IVLEN, kIv.size(), nullptr) == 1 &&
                EVP_CipherInit_ex(raw, nullptr, nullptr, kKey.data(), nullptr, -1) == 1 &&
                EVP_CipherInit_ex(raw, nullptr, nullptr, nullptr, kIv.data(), encrypt) == 1;
    if (!encrypt) good = good && EVP_CIPHER_CTX_ctrl(raw, EVP_CTRL_AEAD_SET_TAG, 16, tag->data()) == 1;
    int n = 0;
    good = good && EVP_CipherUpdate(raw, nullptr, &n, kAssociated.data(), kAssociated.size()) == 1;
    out->assign(in.size(), 0);
    for (size_t at = 0; good && at < in.size(); at += step) {
      const size_t length = std::min(step, in.size() - at);
      good = EVP_CipherUpdate(raw, out->data() + at, &n, in.data() + at, static_cast<int>(length)) == 1 &&
             n == static_cast<int>(length);
    }
    unsigned char rest[16];
    good = good && EVP_CipherFinal_ex(raw, rest, &n) == 1 && n == 0;
    if (encrypt) good = good && EVP_CIPHER_CTX_ctrl(raw, EVP_CTRL_AEAD_GET_TAG, 16, tag->data()) == 1;
    return good;
  }

  CipherPtr fast_;
  CipherPtr plain_;
};

TEST_F(FastGcmTest, GivesTheSameBytesAndTagsAsOpenSslForEverySizeAndStep) {
  for (size_t size : {0, 1, 15, 16, 17, 255, 256, 1000, 4096, 16384, 16401}) {
    const Bytes in = Pattern(size);
    Bytes expected;
    std::array<unsigned char, 16> expected_tag{};
    ASSERT_TRUE(Run(plain_.get(), true, in, size + 1, &expected, &expected_tag));
    for (size_t step : {size_t{1}, size_t{7}, size_t{16}, size_t{1000}, size + 1}) {
      if (step == 1 && size > 1000) continue;
      Bytes out;
      std::array<unsigned char, 16> tag{};
      ASSERT_TRUE(Run(fast_.get(), true, in, step, &out, &tag)) << size << " by " << step;
      EXPECT_EQ(out, expected) << size << " by " << step;
      EXPECT_EQ(tag, expected_tag) << size << " by " << step;
      Bytes back;
      ASSERT_TRUE(Run(fast_.get(), false, expected, step, &back, &expected_tag)) << size << " by " << step;
      EXPECT_EQ(back, in);
    }
  }
}

TEST_F(FastGcmTest, RefusesWhatWasChanged) {
  Bytes out;
  std::array<unsigned char, 16> tag{};
  ASSERT_TRUE(Run(fast_.get(), true, Pattern(1000), 1000, &out, &tag));
  Bytes back;
  Bytes changed = out;
  changed[999] ^= 1;
  EXPECT_FALSE(Run(fast_.get(), false, changed, 1000, &back, &tag));
  tag[15] ^= 1;
  EXPECT_FALSE(Run(fast_.get(), false, out, 1000, &back, &tag));
}

TEST_F(FastGcmTest, AnIvServesOneMessage) {
  ContextPtr context(EVP_CIPHER_CTX_new());
  ASSERT_EQ(EVP_CipherInit_ex(context.get(), fast_.get(), nullptr, kKey.data(), kIv.data(), 1), 1);
  unsigned char out[32];
  int n = 0;
  EXPECT_EQ(EVP_CipherUpdate(context.get(), out, &n, kKey.data(), 16), 1);
  EXPECT_EQ(EVP_CipherFinal_ex(context.get(), out + 16, &n), 1);
  EXPECT_NE(EVP_CipherUpdate(context.get(), out, &n, kKey.data(), 16), 1);
}

TEST_F(FastGcmTest, KeysIvsAndTagsOfOtherLengthsAreRefused) {
  ContextPtr context(EVP_CIPHER_CTX_new());
  ASSERT_EQ(EVP_CipherInit_ex(context.get(), fast_.get(), nullptr, nullptr, nullptr, 0), 1);
  EXPECT_LE(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_IVLEN, 16, nullptr), 0);
  std::array<unsigned char, 12> tag{};
  EXPECT_LE(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, 12, tag.data()), 0);
}

}  // namespace
}  // namespace uringsync

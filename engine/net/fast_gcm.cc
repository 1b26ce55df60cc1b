#include "engine/net/fast_gcm.h"

#ifdef URINGSYNC_IPSEC_MB

#include <intel-ipsec-mb.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <new>

#include "engine/base/vector_aes.h"

namespace uringsync::openssl {
namespace {

constexpr size_t kKeyBytes = 16;
constexpr size_t kIvBytes = 12;
constexpr size_t kTagBytes = 16;
constexpr unsigned kGcmMode = 6;  // EVP_CIPH_GCM_MODE

// The code for this processor. Set before the provider exists, never changed: its functions keep their state in Gcm.
const IMB_MGR* manager = nullptr;

// One direction of one connection.
struct Gcm {
  alignas(64) gcm_key_data key;
  alignas(64) gcm_context_data state;
  std::array<uint8_t, kIvBytes> iv;
  std::array<uint8_t, kTagBytes> tag;  // what was computed; for decryption, before the end, what is expected
  bool encrypts;
  bool has_key;
  bool has_iv;  // and no message with it was begun: an IV serves once
  bool begun;   // a message is under way
  bool has_tag;
};

void* NewContext(void*) {
  return new (std::nothrow) Gcm{};
}

void FreeContext(void* context) {
  if (context == nullptr) return;
  OPENSSL_cleanse(context, sizeof(Gcm));
  delete static_cast<Gcm*>(context);
}

int SetParams(void* context, const OSSL_PARAM params[]) {
  auto* gcm = static_cast<Gcm*>(context);
  if (params == nullptr) return 1;
  if (const OSSL_PARAM* p = OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_IVLEN)) {
    size_t length = 0;
    if (OSSL_PARAM_get_size_t(p, &length) != 1 || length != kIvBytes) return 0;
  }
  if (const OSSL_PARAM* p = OSSL_PARAM_locate_const(params, OSSL_CIPHER_PARAM_AEAD_TAG)) {
    // Without data it tells only the length.
    if (p->data_type != OSSL_PARAM_OCTET_STRING || p->data_size != kTagBytes) return 0;
    if (p->data != nullptr && gcm->encrypts) return 0;
    if (p->data != nullptr) std::memcpy(gcm->tag.data(), p->data, kTagBytes);
    gcm->has_tag = p->data != nullptr;
  }
  return 1;
}

int Init(Gcm* gcm, bool encrypts, const unsigned char* key, size_t key_length, const unsigned char* iv,
         size_t iv_length, const OSSL_PARAM params[]) {
  gcm->encrypts = encrypts;
  gcm->begun = false;
  gcm->has_tag = false;
  if (key != nullptr) {
    if (key_length != kKeyBytes) return 0;
    IMB_AES128_GCM_PRE(manager, key, &gcm->key);
    gcm->has_key = true;
  }
  if (iv != nullptr) {
    if (iv_length != kIvBytes) return 0;
    std::memcpy(gcm->iv.data(), iv, kIvBytes);
    gcm->has_iv = true;
  }
  return SetParams(gcm, params);
}

int EncryptInit(void* context, const unsigned char* key, size_t key_length, const unsigned char* iv, size_t iv_length,
                const OSSL_PARAM params[]) {
  return Init(static_cast<Gcm*>(context), true, key, key_length, iv, iv_length, params);
}

int DecryptInit(void* context, const unsigned char* key, size_t key_length, const unsigned char* iv, size_t iv_length,
                const OSSL_PARAM params[]) {
  return Init(static_cast<Gcm*>(context), false, key, key_length, iv, iv_length, params);
}

bool Begin(Gcm* gcm, const unsigned char* associated, size_t length) {
  if (!gcm->has_key || !gcm->has_iv) return false;
  IMB_AES128_GCM_INIT(manager, &gcm->key, &gcm->state, gcm->iv.data(), associated, length);
  gcm->has_iv = false;
  gcm->begun = true;
  return true;
}

// Without `out`: associated data, all of it, before anything else.
int Update(void* context, unsigned char* out, size_t* out_length, size_t out_size, const unsigned char* in,
           size_t length) {
  auto* gcm = static_cast<Gcm*>(context);
  *out_length = 0;
  if (length == 0) return 1;
  if (out == nullptr) {
    if (gcm->begun || !Begin(gcm, in, length)) return 0;
    *out_length = length;
    return 1;
  }
  if (out_size < length || (!gcm->begun && !Begin(gcm, nullptr, 0))) return 0;
  if (gcm->encrypts) {
    IMB_AES128_GCM_ENC_UPDATE(manager, &gcm->key, &gcm->state, out, in, length);
  } else {
    IMB_AES128_GCM_DEC_UPDATE(manager, &gcm->key, &gcm->state, out, in, length);
  }
  *out_length = length;
  return 1;
}

int Final(void* context, unsigned char*, size_t* out_length, size_t) {
  auto* gcm = static_cast<Gcm*>(context);
  *out_length = 0;
  if (!gcm->begun && !Begin(gcm, nullptr, 0)) return 0;
  gcm->begun = false;
  if (gcm->encrypts) {
    IMB_AES128_GCM_ENC_FINALIZE(manager, &gcm->key, &gcm->state, gcm->tag.data(), kTagBytes);
    gcm->has_tag = true;
    return 1;
  }
  std::array<uint8_t, kTagBytes> computed;
  IMB_AES128_GCM_DEC_FINALIZE(manager, &gcm->key, &gcm->state, computed.data(), kTagBytes);
  const bool good = gcm->has_tag && CRYPTO_memcmp(computed.data(), gcm->tag.data(), kTagBytes) == 0;
  gcm->has_tag = false;
  return good ? 1 : 0;
}

bool Tell(OSSL_PARAM params[], const char* name, size_t value) {
  OSSL_PARAM* p = OSSL_PARAM_locate(params, name);
  return p == nullptr || OSSL_PARAM_set_size_t(p, value) == 1;
}

int GetParams(OSSL_PARAM params[]) {
  OSSL_PARAM* mode = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_MODE);
  if (mode != nullptr && OSSL_PARAM_set_uint(mode, kGcmMode) != 1) return 0;
  for (const char* flag : {OSSL_CIPHER_PARAM_AEAD, OSSL_CIPHER_PARAM_CUSTOM_IV}) {
    OSSL_PARAM* p = OSSL_PARAM_locate(params, flag);
    if (p != nullptr && OSSL_PARAM_set_int(p, 1) != 1) return 0;
  }
  return Tell(params, OSSL_CIPHER_PARAM_KEYLEN, kKeyBytes) && Tell(params, OSSL_CIPHER_PARAM_IVLEN, kIvBytes) &&
         Tell(params, OSSL_CIPHER_PARAM_BLOCK_SIZE, 1);
}

int GetContextParams(void* context, OSSL_PARAM params[]) {
  auto* gcm = static_cast<Gcm*>(context);
  OSSL_PARAM* tag = OSSL_PARAM_locate(params, OSSL_CIPHER_PARAM_AEAD_TAG);
  if (tag != nullptr) {
    const bool available = gcm->encrypts && gcm->has_tag && tag->data_size <= kTagBytes;
    if (!available || OSSL_PARAM_set_octet_string(tag, gcm->tag.data(), tag->data_size) != 1) return 0;
  }
  return Tell(params, OSSL_CIPHER_PARAM_KEYLEN, kKeyBytes) && Tell(params, OSSL_CIPHER_PARAM_IVLEN, kIvBytes) &&
         Tell(params, OSSL_CIPHER_PARAM_AEAD_TAGLEN, kTagBytes);
}

template <typename Function>
OSSL_DISPATCH Entry(int id, Function* function) {
  return {id, reinterpret_cast<void (*)()>(function)};
}

const OSSL_ALGORITHM* Query(void*, int operation, int* no_cache) {
  static const OSSL_DISPATCH functions[] = {
      Entry(OSSL_FUNC_CIPHER_NEWCTX, NewContext),
      Entry(OSSL_FUNC_CIPHER_FREECTX, FreeContext),
      Entry(OSSL_FUNC_CIPHER_ENCRYPT_INIT, EncryptInit),
      Entry(OSSL_FUNC_CIPHER_DECRYPT_INIT, DecryptInit),
      Entry(OSSL_FUNC_CIPHER_UPDATE, Update),
      Entry(OSSL_FUNC_CIPHER_FINAL, Final),
      Entry(OSSL_FUNC_CIPHER_GET_PARAMS, GetParams),
      Entry(OSSL_FUNC_CIPHER_GET_CTX_PARAMS, GetContextParams),
      Entry(OSSL_FUNC_CIPHER_SET_CTX_PARAMS, SetParams),
      {0, nullptr},
  };
  static const OSSL_ALGORITHM ciphers[] = {
      {"AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6", "provider=uringsync", functions, "AES-128-GCM with VAES"},
      {nullptr, nullptr, nullptr, nullptr},
  };
  *no_cache = 0;
  return operation == OSSL_OP_CIPHER ? ciphers : nullptr;
}

int InitProvider(const OSSL_CORE_HANDLE* handle, const OSSL_DISPATCH*, const OSSL_DISPATCH** out, void** context) {
  static const OSSL_DISPATCH functions[] = {
      Entry(OSSL_FUNC_PROVIDER_QUERY_OPERATION, Query),
      {0, nullptr},
  };
  *out = functions;
  *context = const_cast<OSSL_CORE_HANDLE*>(handle);
  return 1;
}

OSSL_LIB_CTX* MakeContext() {
  manager = VectorAes();
  OSSL_LIB_CTX* context = manager != nullptr ? OSSL_LIB_CTX_new() : nullptr;
  if (context == nullptr) return nullptr;
  if (OSSL_PROVIDER_load(context, "default") != nullptr &&
      OSSL_PROVIDER_add_builtin(context, "uringsync", InitProvider) == 1 &&
      OSSL_PROVIDER_load(context, "uringsync") != nullptr) {
    return context;
  }
  OSSL_LIB_CTX_free(context);
  return nullptr;
}

}  // namespace

OSSL_LIB_CTX* CipherContext() {
  static OSSL_LIB_CTX* const context = MakeContext();
  return context;
}

}  // namespace uringsync::openssl

#else

namespace uringsync::openssl {

OSSL_LIB_CTX* CipherContext() {
  return nullptr;
}

}  // namespace uringsync::openssl

#endif

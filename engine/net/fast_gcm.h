// AES-128-GCM of Intel's ipsec-mb for TLS, on processors with vector AES instructions (VAES): there it is three to four
// times as fast as OpenSSL 3.0, whose code has one AES block an instruction, and encryption is the largest single cost
// of a transfer between agents (docs/performance.md).
//
// OpenSSL does everything else: protocol, handshake, keys, random numbers, the other suites. The cipher is a provider
// in an OpenSSL library context of its own, so nobody else in this process meets it.
//
// Thread rule: any thread.
// Use:  SSL_CTX* context = SSL_CTX_new_ex(openssl::CipherContext(), openssl::kCipherProperties, TLS_method());
#pragma once

#include <openssl/types.h>

namespace uringsync::openssl {

// Prefers the provider's ciphers and is content with others.
constexpr char kCipherProperties[] = "?provider=uringsync";

// A library context with OpenSSL's own provider and this one; lives as long as the process. nullptr, the default
// context: this processor or this build has nothing faster.
OSSL_LIB_CTX* CipherContext();

}  // namespace uringsync::openssl

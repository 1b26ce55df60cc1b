// SHA-256 (FIPS 180-4) of bytes that come in parts, by OpenSSL's libcrypto.
//
// Thread rule: values; a hasher belongs to one thread.
// Use:  Sha256 sha;  sha.Update(bytes);  Sha256Digest digest = sha.Finish();
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace uringsync {

using Sha256Digest = std::array<uint8_t, 32>;

// 64 hex digits, as sha256sum prints it.
std::string Hex(const Sha256Digest& digest);
// nullopt: not 64 digits in lower case.
std::optional<Sha256Digest> ParseSha256(std::string_view hex);

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void Update(std::span<const std::byte> bytes);
  void Update(std::string_view bytes) { Update(std::as_bytes(std::span(bytes))); }
  // The digest of everything so far; the next one begins.
  Sha256Digest Finish();
  static Sha256Digest Of(std::string_view bytes);

 private:
  evp_md_ctx_st* const context_;
};

}  // namespace uringsync

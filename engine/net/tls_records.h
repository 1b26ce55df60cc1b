// The record layer of TLS 1.3 once the handshake is over (RFC 8446, sections 5 and 7.2): sealing and opening of records
// where they lie.
//
// The handshake, its certificates and its keys are OpenSSL's; it hands over the traffic secrets. Its own record layer
// copies contents twice at either end on their way between a connection's buffers and the caller's memory; these
// functions encrypt from the caller's memory into the bytes to be sent, and decrypt what was received into the caller's
// memory.
//
// Thread rule: a TlsSealer or TlsOpener belongs to its stream's shard. Inside engine/net only.
// Use:  TlsSecrets secrets;  SetSecretsOf(ssl, &secrets);  ...handshake...
//       US_ASSIGN_OR_RETURN(TlsSealer sealer, TlsSealer::Make(SuiteOf(ssl), secrets.client));
//       const size_t n = sealer.Seal(TlsContent::kApplication, parts, out);
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/net/openssl_util.h"
#include "engine/net/stream.h"

namespace uringsync::openssl {

// Contents of one record.
constexpr size_t kTlsPlainBytes = 16384;
constexpr size_t kTlsHeaderBytes = 5;
constexpr size_t kTlsTagBytes = 16;
// What a record that we seal adds to its contents: header, type, tag.
constexpr size_t kTlsOverheadBytes = kTlsHeaderBytes + 1 + kTlsTagBytes;
// A peer may pad: what follows the header is at most this long.
constexpr size_t kTlsMaxBodyBytes = kTlsPlainBytes + 256;
constexpr size_t kTlsMaxRecordBytes = kTlsHeaderBytes + kTlsMaxBodyBytes;

enum class TlsContent : uint8_t { kAlert = 21, kHandshake = 22, kApplication = 23 };

using TlsSecret = std::array<unsigned char, EVP_MAX_MD_SIZE>;

// The first secrets of both directions; wiped at the end.
struct TlsSecrets {
  TlsSecret client{};
  TlsSecret server{};
  bool has_client = false;
  bool has_server = false;

  TlsSecrets() = default;
  TlsSecrets(const TlsSecrets&) = delete;
  TlsSecrets& operator=(const TlsSecrets&) = delete;
  ~TlsSecrets();
};

// Makes handshakes of `context` hand over their secrets: to where SetSecretsOf says.
void HandOverSecrets(SSL_CTX* context);
// `into` outlives the handshake. False when out of memory.
bool SetSecretsOf(SSL* ssl, TlsSecrets* into);

using CipherContextPtr = std::unique_ptr<EVP_CIPHER_CTX, Deleter<EVP_CIPHER_CTX_free>>;

// What a handshake agreed on.
struct TlsSuite {
  std::shared_ptr<const EVP_CIPHER> cipher;
  const EVP_MD* digest = nullptr;  // of the key schedule
};
// Internal where the handshake is not over, or its cipher is not to be had.
absl::StatusOr<TlsSuite> SuiteOf(const SSL* ssl);
// The cipher by its name in OpenSSL; Internal where it is not to be had.
absl::StatusOr<TlsSuite> SuiteNamed(const char* cipher, const EVP_MD* digest);

// Keys of one direction, and the number of the next record.
class TlsKeys {
 public:
  // Internal when OpenSSL cannot.
  static absl::StatusOr<TlsKeys> Make(TlsSuite suite, const TlsSecret& secret, bool encrypts);
  TlsKeys(TlsKeys&&) = default;
  TlsKeys& operator=(TlsKeys&&) = default;
  ~TlsKeys();

  // The next generation of keys (a key update). Internal when OpenSSL cannot.
  absl::Status Update();
  // Sets the cipher up for the next record with that header. False when OpenSSL cannot.
  bool Begin(std::span<const std::byte, kTlsHeaderBytes> header, const std::byte* tag);
  // The next bytes of the record; as many come out as go in.
  bool Go(ConstBytes in, std::byte* out);
  // Ends the record: `tag` is written (encrypting). False when the tag that Begin got is wrong (decrypting).
  bool End(std::byte* tag);
  uint64_t records() const { return records_; }

 private:
  TlsKeys() = default;
  absl::Status SetKey();

  TlsSuite suite_;
  CipherContextPtr context_;
  TlsSecret secret_{};
  std::array<unsigned char, 12> iv_{};
  bool encrypts_ = false;
  uint64_t records_ = 0;  // with these keys
};

class TlsSealer {
 public:
  static absl::StatusOr<TlsSealer> Make(TlsSuite suite, const TlsSecret& secret);

  // One record with `parts`, one behind the other, of at most kTlsPlainBytes together. `out` has room for
  // kTlsOverheadBytes more than they are. Internal when OpenSSL cannot.
  absl::Status Seal(TlsContent type, std::span<const ConstBytes> parts, std::byte* out);
  // Tells the peer of new keys (a record of kKeyUpdateBytes at `out`) and uses them from the next record on.
  absl::Status SealKeyUpdate(std::byte* out);
  static constexpr size_t kKeyUpdateBytes = 5 + kTlsOverheadBytes;
  // Whether these keys have served for as many records as they should (RFC 8446, section 5.5): SealKeyUpdate is due.
  bool worn_out() const { return keys_.records() >= kRecordsPerKey; }
  static constexpr uint64_t kRecordsPerKey = uint64_t{1} << 24;

 private:
  explicit TlsSealer(TlsKeys keys) : keys_(std::move(keys)) {}
  TlsKeys keys_;
};

// A record that came, opened.
struct TlsOpened {
  TlsContent type = TlsContent::kApplication;
  size_t length = 0;  // of the contents, without padding
};

class TlsOpener {
 public:
  static absl::StatusOr<TlsOpener> Make(TlsSuite suite, const TlsSecret& secret);

  // Length of the record that begins with `header`, header included. InvalidArgument for what is none, OutOfRange for
  // one that is too long (RFC 8446, section 5.2).
  static absl::StatusOr<size_t> LengthOf(std::span<const std::byte, kTlsHeaderBytes> header);
  // Opens a whole record. Its contents are put into `into`, and what it has no room for into `rest`, which has room for
  // kTlsMaxBodyBytes; bytes behind the contents are overwritten in both. DataLoss for a wrong tag: nothing of what was
  // written is to be used. InvalidArgument for what is no record of TLS 1.3; OutOfRange for one whose contents, type
  // and padding are together more than kTlsPlainBytes and one.
  absl::StatusOr<TlsOpened> Open(ConstBytes record, std::span<std::byte> into, std::span<std::byte> rest);
  // The peer's next keys, from the next record on.
  absl::Status Update() { return keys_.Update(); }

 private:
  explicit TlsOpener(TlsKeys keys) : keys_(std::move(keys)) {}
  TlsKeys keys_;
};

}  // namespace uringsync::openssl

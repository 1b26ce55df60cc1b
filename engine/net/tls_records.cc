#include "engine/net/tls_records.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/net/fast_gcm.h"

namespace uringsync::openssl {
namespace {

constexpr std::byte kTypeOnTheWire{23};  // of every encrypted record; the true one is inside
constexpr std::byte kKeyUpdateMessage{24};

int SecretsIndex() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

absl::Status Internal(const char* what) {
  return absl::InternalError(std::string(what) + ": " + TakeError());
}

absl::Status Invalid(const char* what) {
  return absl::InvalidArgumentError(what);
}

absl::Status TooLong() {
  return absl::OutOfRangeError("a record came that is too long");
}

// A line "LABEL client-random secret" of the form of NSS's key logs, in hexadecimal digits.
void TakeSecret(const SSL* ssl, const char* text) {
  auto* secrets = static_cast<TlsSecrets*>(SSL_get_ex_data(ssl, SecretsIndex()));
  const std::string_view line(text);
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (secrets == nullptr || first == last) return;
  const std::string_view label = line.substr(0, first);
  const bool client = label == "CLIENT_TRAFFIC_SECRET_0";
  if (!client && label != "SERVER_TRAFFIC_SECRET_0") return;
  TlsSecret& secret = client ? secrets->client : secrets->server;
  size_t length = 0;
  const int good = OPENSSL_hexstr2buf_ex(secret.data(), secret.size(), &length, text + last + 1, '\0');
  (client ? secrets->has_client : secrets->has_server) = good == 1;
}

// HKDF-Expand-Label with an empty context, for outputs of at most one block of the digest.
bool Expand(const EVP_MD* digest, const TlsSecret& secret, std::string_view label, std::span<unsigned char> out) {
  constexpr std::string_view kPrefix = "tls13 ";
  std::array<unsigned char, 64> info{};
  size_t n = 0;
  info[n++] = static_cast<unsigned char>(out.size() >> 8);
  info[n++] = static_cast<unsigned char>(out.size());
  info[n++] = static_cast<unsigned char>(kPrefix.size() + label.size());
  for (std::string_view part : {kPrefix, label}) n += part.copy(reinterpret_cast<char*>(info.data()) + n, part.size());
  info[n++] = 0;
  info[n++] = 1;  // the number of the block
  std::array<unsigned char, EVP_MAX_MD_SIZE> block{};
  unsigned length = 0;
  const bool good =
      HMAC(digest, secret.data(), EVP_MD_get_size(digest), info.data(), n, block.data(), &length) != nullptr &&
      out.size() <= length;
  if (good) std::copy_n(block.begin(), out.size(), out.begin());
  OPENSSL_cleanse(block.data(), block.size());
  return good;
}

const unsigned char* Chars(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}
unsigned char* Chars(std::byte* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}

std::array<std::byte, kTlsHeaderBytes> Header(size_t body) {
  return {kTypeOnTheWire, std::byte{3}, std::byte{3}, static_cast<std::byte>(body >> 8), static_cast<std::byte>(body)};
}

}  // namespace

TlsSecrets::~TlsSecrets() {
  OPENSSL_cleanse(client.data(), client.size());
  OPENSSL_cleanse(server.data(), server.size());
}

void HandOverSecrets(SSL_CTX* context) {
  SSL_CTX_set_keylog_callback(context, TakeSecret);
}

bool SetSecretsOf(SSL* ssl, TlsSecrets* into) {
  return SSL_set_ex_data(ssl, SecretsIndex(), into) == 1;
}

absl::StatusOr<TlsSuite> SuiteOf(const SSL* ssl) {
  const SSL_CIPHER* agreed = SSL_get_current_cipher(ssl);
  if (agreed == nullptr) return Internal("no cipher was agreed on");
  return SuiteNamed(OBJ_nid2sn(SSL_CIPHER_get_cipher_nid(agreed)), SSL_CIPHER_get_handshake_digest(agreed));
}

absl::StatusOr<TlsSuite> SuiteNamed(const char* cipher, const EVP_MD* digest) {
  EVP_CIPHER* fetched = EVP_CIPHER_fetch(CipherContext(), cipher, kCipherProperties);
  if (fetched == nullptr || digest == nullptr) return Internal("the cipher of a TLS connection is missing");
  const auto free = [](const EVP_CIPHER* owned) { EVP_CIPHER_free(const_cast<EVP_CIPHER*>(owned)); };
  return TlsSuite{std::shared_ptr<const EVP_CIPHER>(fetched, free), digest};
}

TlsKeys::~TlsKeys() {
  OPENSSL_cleanse(secret_.data(), secret_.size());
  OPENSSL_cleanse(iv_.data(), iv_.size());
}

absl::StatusOr<TlsKeys> TlsKeys::Make(TlsSuite suite, const TlsSecret& secret, bool encrypts) {
  TlsKeys keys;
  keys.suite_ = std::move(suite);
  keys.secret_ = secret;
  keys.encrypts_ = encrypts;
  US_RETURN_IF_ERROR(keys.SetKey());
  return keys;
}

absl::Status TlsKeys::SetKey() {
  ERR_clear_error();
  std::array<unsigned char, EVP_MAX_KEY_LENGTH> key{};
  const auto key_length = static_cast<size_t>(EVP_CIPHER_get_key_length(suite_.cipher.get()));
  context_.reset(EVP_CIPHER_CTX_new());
  const bool good = context_ != nullptr && Expand(suite_.digest, secret_, "key", std::span(key).first(key_length)) &&
                    Expand(suite_.digest, secret_, "iv", iv_) &&
                    EVP_CipherInit_ex(context_.get(), suite_.cipher.get(), nullptr, nullptr, nullptr, encrypts_) == 1 &&
                    EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_IVLEN, iv_.size(), nullptr) == 1 &&
                    EVP_CipherInit_ex(context_.get(), nullptr, nullptr, key.data(), nullptr, encrypts_) == 1;
  OPENSSL_cleanse(key.data(), key.size());
  records_ = 0;
  return good ? absl::OkStatus() : Internal("set the keys of a TLS connection");
}

absl::Status TlsKeys::Update() {
  TlsSecret next{};
  const auto length = static_cast<size_t>(EVP_MD_get_size(suite_.digest));
  const bool good = Expand(suite_.digest, secret_, "traffic upd", std::span(next).first(length));
  secret_ = next;
  OPENSSL_cleanse(next.data(), next.size());
  return good ? SetKey() : Internal("update the keys of a TLS connection");
}

bool TlsKeys::Begin(std::span<const std::byte, kTlsHeaderBytes> header, const std::byte* tag) {
  // The record's number, big-endian, against the end of the vector.
  std::array<unsigned char, 12> nonce = iv_;
  for (size_t i = 0; i < sizeof(records_); ++i)
    nonce[nonce.size() - 1 - i] ^= static_cast<unsigned char>(records_ >> (8 * i));
  ++records_;
  EVP_CIPHER_CTX* context = context_.get();
  int n = 0;
  return EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(), -1) == 1 &&
         (tag == nullptr ||
          EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTlsTagBytes, const_cast<std::byte*>(tag)) == 1) &&
         EVP_CipherUpdate(context, nullptr, &n, Chars(header.data()), kTlsHeaderBytes) == 1;
}

bool TlsKeys::Go(ConstBytes in, std::byte* out) {
  if (in.empty()) return true;
  int n = 0;
  return EVP_CipherUpdate(context_.get(), Chars(out), &n, Chars(in.data()), static_cast<int>(in.size())) == 1 &&
         n == static_cast<int>(in.size());
}

bool TlsKeys::End(std::byte* tag) {
  std::array<unsigned char, EVP_MAX_BLOCK_LENGTH> none;
  int n = 0;
  return EVP_CipherFinal_ex(context_.get(), none.data(), &n) == 1 && n == 0 &&
         (!encrypts_ || EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTlsTagBytes, tag) == 1);
}

absl::StatusOr<TlsSealer> TlsSealer::Make(TlsSuite suite, const TlsSecret& secret) {
  US_ASSIGN_OR_RETURN(TlsKeys keys, TlsKeys::Make(std::move(suite), secret, true));
  return TlsSealer(std::move(keys));
}

absl::Status TlsSealer::Seal(TlsContent type, std::span<const ConstBytes> parts, std::byte* out) {
  size_t length = 0;
  for (ConstBytes part : parts) length += part.size();
  const std::array<std::byte, kTlsHeaderBytes> header = Header(length + 1 + kTlsTagBytes);
  std::byte* at = std::ranges::copy(header, out).out;
  bool good = keys_.Begin(header, nullptr);
  for (ConstBytes part : parts) {
    good = good && keys_.Go(part, at);
    at += part.size();
  }
  const auto inner = static_cast<std::byte>(type);
  good = good && keys_.Go({&inner, 1}, at) && keys_.End(at + 1);
  return good ? absl::OkStatus() : Internal("encrypt for TLS");
}

absl::Status TlsSealer::SealKeyUpdate(std::byte* out) {
  // Length 1; 0: the peer need not do the same.
  const std::array<std::byte, 5> message = {kKeyUpdateMessage, std::byte{0}, std::byte{0}, std::byte{1}, std::byte{0}};
  const std::array<ConstBytes, 1> parts = {ConstBytes(message)};
  US_RETURN_IF_ERROR(Seal(TlsContent::kHandshake, parts, out));
  return keys_.Update();
}

absl::StatusOr<TlsOpener> TlsOpener::Make(TlsSuite suite, const TlsSecret& secret) {
  US_ASSIGN_OR_RETURN(TlsKeys keys, TlsKeys::Make(std::move(suite), secret, false));
  return TlsOpener(std::move(keys));
}

absl::StatusOr<size_t> TlsOpener::LengthOf(std::span<const std::byte, kTlsHeaderBytes> header) {
  const size_t body = (std::to_integer<size_t>(header[3]) << 8) | std::to_integer<size_t>(header[4]);
  if (header[0] != kTypeOnTheWire || header[1] != std::byte{3}) return Invalid("what came is no encrypted record");
  if (body < 1 + kTlsTagBytes) return Invalid("a record of a wrong length came");
  if (body > kTlsMaxBodyBytes) return TooLong();
  return kTlsHeaderBytes + body;
}

absl::StatusOr<TlsOpened> TlsOpener::Open(ConstBytes record, std::span<std::byte> into, std::span<std::byte> rest) {
  const std::span<const std::byte, kTlsHeaderBytes> header = record.first<kTlsHeaderBytes>();
  const ConstBytes text = record.subspan(kTlsHeaderBytes, record.size() - kTlsHeaderBytes - kTlsTagBytes);
  const size_t here = std::min(text.size(), into.size());
  const bool begun = keys_.Begin(header, record.data() + record.size() - kTlsTagBytes) &&
                     keys_.Go(text.first(here), into.data()) && keys_.Go(text.subspan(here), rest.data());
  if (!begun || !keys_.End(nullptr)) {
    ERR_clear_error();
    return absl::DataLossError("a record came that was changed on its way");
  }
  if (text.size() > kTlsPlainBytes + 1) return TooLong();
  // The type is the last byte that is not 0.
  size_t end = text.size();
  const auto at = [&](size_t i) { return i < here ? into[i] : rest[i - here]; };
  while (end > 0 && at(end - 1) == std::byte{0}) --end;
  if (end == 0) return Invalid("a record without a type came");
  return TlsOpened{static_cast<TlsContent>(at(end - 1)), end - 1};
}

}  // namespace uringsync::openssl

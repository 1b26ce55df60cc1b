#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/coro/semaphore.h"
#include "engine/net/tls.h"
#include "engine/net/tls_buffers.h"
#include "engine/net/tls_error.h"
#include "engine/net/tls_handshake.h"
#include "engine/net/tls_records.h"

namespace uringsync {

namespace {

using openssl::kTlsHeaderBytes;
using openssl::kTlsOverheadBytes;
using openssl::kTlsPlainBytes;
using openssl::TlsContent;
using openssl::TlsOpener;
using openssl::TlsSealer;

// Parts that one record gathers; more than that begin another one.
constexpr size_t kPartsOfRecord = 8;
constexpr size_t kAlertBytes = 2;
// A record of contents leaves room for a key update before it and an alert behind it.
constexpr size_t kRecordRoom =
    kTlsPlainBytes + kTlsOverheadBytes + TlsSealer::kKeyUpdateBytes + kAlertBytes + kTlsOverheadBytes;
// Limit for the alert that a reader ends with, where its caller has none.
constexpr Timeout kAlertTimeout = std::chrono::seconds(30);
// Messages of the handshake's form that may come behind it, and how many new keys in a row a peer may send without
// contents.
constexpr std::byte kNewSessionTicket{4};
constexpr std::byte kKeyUpdate{24};
constexpr size_t kMessageHeaderBytes = 4;
constexpr size_t kMaxMessageBytes = size_t{64} << 10;
constexpr int kMaxKeyUpdates = 32;
constexpr std::byte kFatal{2};
constexpr std::byte kWarning{1};

// The alert that tells the peer what was wrong with a record (the errors of TlsOpener).
int AlertFor(const absl::Status& status) {
  if (absl::IsDataLoss(status)) return SSL_AD_BAD_RECORD_MAC;
  return absl::IsOutOfRange(status) ? SSL_AD_RECORD_OVERFLOW : SSL_AD_UNEXPECTED_MESSAGE;
}

class TlsStream final : public Stream {
 public:
  TlsStream(std::unique_ptr<Stream> beneath, std::unique_ptr<openssl::TlsBuffers> buffers,
            openssl::TlsEstablished established, bool server)
      : beneath_(std::move(beneath)),
        buffers_(std::move(buffers)),
        identity_(std::move(established.identity)),
        sealer_(std::move(established.sealer)),
        opener_(std::move(established.opener)),
        server_(server) {}

  Task<absl::StatusOr<size_t>> Read(std::span<std::byte> into, Timeout timeout) override;
  Task<absl::Status> WriteAll(std::span<const ConstBytes> parts, Timeout timeout) override;
  Task<absl::Status> EndWrites(Timeout timeout) override;
  void Shutdown() override { beneath_->Shutdown(); }
  const std::string& peer_address() const override { return beneath_->peer_address(); }
  const PeerIdentity* peer_identity() const override { return &identity_; }
  uint64_t bytes_read() const override { return beneath_->bytes_read(); }
  uint64_t bytes_written() const override { return beneath_->bytes_written(); }

 private:
  bool Reading() const { return read_error_.ok() && !read_ended_ && rest_begin_ == rest_end_; }
  size_t TakeRest(std::span<std::byte> into);
  size_t OpenRecords(std::span<std::byte> into);
  void TakeControl(TlsContent type, ConstBytes contents);
  void TakeAlert(ConstBytes alert);
  void TakeMessages(ConstBytes bytes);
  void TakeKeyUpdate(ConstBytes message);
  void Refuse(int alert, std::string_view why);
  Task<absl::Status> Receive(Deadline deadline);
  absl::Status Seal(TlsContent type, std::span<const ConstBytes> parts);
  absl::Status SealAlert(std::byte level, int alert);
  absl::Status SealKeyUpdateIfDue();
  Task<absl::Status> Encrypt(std::span<const ConstBytes> parts, Deadline deadline);
  Task<absl::Status> Flush(Deadline deadline);

  const std::unique_ptr<Stream> beneath_;
  const std::unique_ptr<openssl::TlsBuffers> buffers_;
  const PeerIdentity identity_;
  TlsSealer sealer_;
  TlsOpener opener_;
  const bool server_;
  Semaphore flushing_{1};
  // What the caller's memory had no room for of the last record.
  std::unique_ptr<std::byte[]> rest_{new std::byte[openssl::kTlsMaxBodyBytes]};
  size_t rest_begin_ = 0;
  size_t rest_end_ = 0;
  std::vector<std::byte> message_;  // the beginning of one that goes on in the next record
  int key_updates_ = 0;             // of the peer, since contents came
  bool key_update_due_ = false;     // the peer asked for new keys of ours
  absl::Status read_error_;         // sticky
  absl::Status write_error_;        // sticky
  bool read_ended_ = false;
  bool closed_ = false;  // a fatal alert came or was sealed, or a close_notify was sealed: nothing is sealed after it
};

// OutOfRange at the end of the stream beneath.
Task<absl::Status> TlsStream::Receive(Deadline deadline) {
  absl::StatusOr<size_t> n = co_await beneath_->Read(buffers_->ReceiveSpace(), deadline.remaining());
  if (!n.ok()) co_return n.status();
  if (*n == 0) co_return absl::OutOfRangeError("end of the connection");
  buffers_->Received(*n);
  co_return absl::OkStatus();
}

size_t TlsStream::TakeRest(std::span<std::byte> into) {
  const size_t n = std::min(into.size(), rest_end_ - rest_begin_);
  std::memcpy(into.data(), rest_.get() + rest_begin_, n);
  rest_begin_ += n;
  return n;
}

Task<absl::StatusOr<size_t>> TlsStream::Read(std::span<std::byte> into, Timeout timeout) {
  const Deadline deadline(timeout);
  while (true) {
    if (rest_begin_ < rest_end_) co_return TakeRest(into);
    if (!read_error_.ok()) co_return read_error_;
    if (read_ended_) co_return size_t{0};
    const size_t total = OpenRecords(into);
    // The alert of a failure; nothing else is sent from here (new keys that the peer asked for go before the next
    // contents). A writer that is sending takes it along: waiting for it could last until the peer reads, which may
    // wait for us. A write error is the writer's to report.
    if (!read_error_.ok() && flushing_.available() > 0 && buffers_->unsent() > 0)
      (void)co_await Flush(timeout == kNoTimeout ? Deadline(kAlertTimeout) : deadline);
    if (total > 0) co_return total;
    if (!Reading()) continue;
    absl::Status received = co_await Receive(deadline);
    if (absl::IsOutOfRange(received)) {
      read_error_ =
          absl::UnavailableError("the connection to " + peer_address() +
                                 " was cut: it ended without the end of TLS (the peer died, or the network cut it)");
    } else if (!received.ok()) {
      co_return received;
    }
  }
}

// Opens the records that are there as far as `into` has room, and tells how much came into it.
size_t TlsStream::OpenRecords(std::span<std::byte> into) {
  size_t total = 0;
  while (Reading() && total < into.size()) {
    const ConstBytes input = buffers_->input();
    if (input.size() < kTlsHeaderBytes) break;
    absl::StatusOr<size_t> length = TlsOpener::LengthOf(input.first<kTlsHeaderBytes>());
    if (!length.ok()) {
      Refuse(AlertFor(length.status()), ToStd(length.status().message()));
      break;
    }
    if (input.size() < *length) break;
    // A record that the caller has no room for is left to the next call, which may have it: it need not be copied then.
    const std::span<std::byte> room = into.subspan(total);
    if (total > 0 && *length > room.size() + kTlsOverheadBytes) break;
    absl::StatusOr<openssl::TlsOpened> opened =
        opener_.Open(input.first(*length), room, {rest_.get(), openssl::kTlsMaxBodyBytes});
    if (!opened.ok()) {
      Refuse(AlertFor(opened.status()), ToStd(opened.status().message()));
      break;
    }
    buffers_->Take(*length);
    const size_t here = std::min(opened->length, room.size());
    if (opened->type == TlsContent::kApplication && message_.empty()) {
      total += here;
      rest_begin_ = 0;
      rest_end_ = opened->length - here;
      if (opened->length > 0) key_updates_ = 0;
    } else {
      std::vector<std::byte> contents(room.begin(), room.begin() + static_cast<ptrdiff_t>(here));
      contents.insert(contents.end(), rest_.get(), rest_.get() + (opened->length - here));
      TakeControl(opened->type, contents);
    }
  }
  return total;
}

void TlsStream::TakeControl(TlsContent type, ConstBytes contents) {
  if (type == TlsContent::kAlert) return TakeAlert(contents);
  if (type == TlsContent::kHandshake && !contents.empty()) return TakeMessages(contents);
  Refuse(SSL_AD_UNEXPECTED_MESSAGE, "a record of a wrong type came");
}

void TlsStream::TakeAlert(ConstBytes alert) {
  if (alert.size() != kAlertBytes) return Refuse(SSL_AD_DECODE_ERROR, "an alert of a wrong length came");
  const int description = std::to_integer<int>(alert[1]);
  if (description == SSL_AD_CLOSE_NOTIFY) {
    read_ended_ = true;
  } else if (description != SSL_AD_USER_CANCELLED) {
    read_error_ = openssl::AlertFailure(description, peer_address());
    closed_ = true;
  }
}

void TlsStream::TakeMessages(ConstBytes bytes) {
  message_.insert(message_.end(), bytes.begin(), bytes.end());
  while (message_.size() >= kMessageHeaderBytes && read_error_.ok()) {
    const size_t length =
        kMessageHeaderBytes + ((std::to_integer<size_t>(message_[1]) << 16) |
                               (std::to_integer<size_t>(message_[2]) << 8) | std::to_integer<size_t>(message_[3]));
    if (length > kMaxMessageBytes) return Refuse(SSL_AD_DECODE_ERROR, "a message came that is too long");
    if (message_.size() < length) return;
    if (message_[0] == kKeyUpdate) {
      TakeKeyUpdate(message_);
    } else if (message_[0] != kNewSessionTicket || server_) {
      return Refuse(SSL_AD_UNEXPECTED_MESSAGE, "a message came that is out of place");
    }
    message_.erase(message_.begin(), message_.begin() + static_cast<ptrdiff_t>(length));
  }
}

// `message` begins with one. It must be the last of its record: what follows has other keys.
void TlsStream::TakeKeyUpdate(ConstBytes message) {
  constexpr std::byte kRequested{1};
  if (message.size() != kMessageHeaderBytes + 1 || message.back() > kRequested) {
    return Refuse(SSL_AD_UNEXPECTED_MESSAGE, "a malformed key update came");
  }
  if (++key_updates_ > kMaxKeyUpdates) return Refuse(SSL_AD_UNEXPECTED_MESSAGE, "too many key updates came");
  if (absl::Status updated = opener_.Update(); !updated.ok())
    return Refuse(SSL_AD_INTERNAL_ERROR, ToStd(updated.message()));
  if (message.back() == kRequested) key_update_due_ = true;
}

// Ends reading, and tells the peer why.
void TlsStream::Refuse(int alert, std::string_view why) {
  read_error_ = absl::UnavailableError("TLS with " + peer_address() + " failed: " + std::string(why));
  if (write_error_.ok() && !closed_) (void)SealAlert(kFatal, alert);
}

// With room for it in the buffers.
absl::Status TlsStream::Seal(TlsContent type, std::span<const ConstBytes> parts) {
  size_t length = kTlsOverheadBytes;
  for (ConstBytes part : parts) length += part.size();
  US_RETURN_IF_ERROR(sealer_.Seal(type, parts, buffers_->seal_at()));
  buffers_->Sealed(length);
  return absl::OkStatus();
}

absl::Status TlsStream::SealAlert(std::byte level, int alert) {
  if (buffers_->space() < kAlertBytes + kTlsOverheadBytes) return absl::ResourceExhaustedError("no room for an alert");
  const std::array<std::byte, kAlertBytes> bytes = {level, static_cast<std::byte>(alert)};
  const std::array<ConstBytes, 1> parts = {ConstBytes(bytes)};
  closed_ = true;
  return Seal(TlsContent::kAlert, parts);
}

absl::Status TlsStream::SealKeyUpdateIfDue() {
  const bool due = (key_update_due_ || sealer_.worn_out()) && !closed_;
  if (!due || buffers_->space() < TlsSealer::kKeyUpdateBytes) return absl::OkStatus();
  US_RETURN_IF_ERROR(sealer_.SealKeyUpdate(buffers_->seal_at()));
  buffers_->Sealed(TlsSealer::kKeyUpdateBytes);
  key_update_due_ = false;
  return absl::OkStatus();
}

// Sends all ciphertext there is. Whoever comes second finds its bytes sent by the first, or sends them itself.
Task<absl::Status> TlsStream::Flush(Deadline deadline) {
  if (buffers_->unsent() == 0 && write_error_.ok()) co_return absl::OkStatus();
  SemaphoreUnits lock = co_await flushing_.Acquire(1);
  while (write_error_.ok() && buffers_->unsent() > 0) {
    const std::array<ConstBytes, 1> part = {buffers_->TakeForSending()};
    absl::Status sent = co_await beneath_->WriteAll(part, deadline.remaining());
    if (!sent.ok()) write_error_ = std::move(sent);
  }
  co_return write_error_;
}

// Makes a record of `parts`; it is on the way after the next Flush.
Task<absl::Status> TlsStream::Encrypt(std::span<const ConstBytes> parts, Deadline deadline) {
  while (buffers_->space() < kRecordRoom) US_CO_RETURN_IF_ERROR(co_await Flush(deadline));
  if (!write_error_.ok()) co_return write_error_;
  if (closed_)
    co_return read_error_.ok() ? absl::CancelledError("the connection was closed on this side") : read_error_;
  absl::Status sealed = SealKeyUpdateIfDue();
  if (sealed.ok()) sealed = Seal(TlsContent::kApplication, parts);
  if (!sealed.ok()) write_error_ = std::move(sealed);
  co_return write_error_;
}

// Small parts share a record. A large one begins a record of its own, so that the reader has whole records where it
// wants a large part, and none that holds the end of one thing and the beginning of another.
Task<absl::Status> TlsStream::WriteAll(std::span<const ConstBytes> parts, Timeout timeout) {
  const Deadline deadline(timeout);
  std::array<ConstBytes, kPartsOfRecord> record;
  size_t count = 0;
  size_t length = 0;
  for (ConstBytes part : parts) {
    while (!part.empty()) {
      const bool full = count == record.size() || length == kTlsPlainBytes;
      if (full || (count > 0 && part.size() >= kTlsPlainBytes)) {
        US_CO_RETURN_IF_ERROR(co_await Encrypt({record.data(), count}, deadline));
        count = 0;
        length = 0;
      }
      const size_t n = std::min(part.size(), kTlsPlainBytes - length);
      record[count++] = part.first(n);
      length += n;
      part = part.subspan(n);
    }
  }
  if (count > 0) US_CO_RETURN_IF_ERROR(co_await Encrypt({record.data(), count}, deadline));
  co_return co_await Flush(deadline);
}

Task<absl::Status> TlsStream::EndWrites(Timeout timeout) {
  const Deadline deadline(timeout);
  while (buffers_->space() < kRecordRoom) US_CO_RETURN_IF_ERROR(co_await Flush(deadline));
  if (!write_error_.ok()) co_return write_error_;
  if (closed_) co_return read_error_;
  US_CO_RETURN_IF_ERROR(SealAlert(kWarning, SSL_AD_CLOSE_NOTIFY));
  US_CO_RETURN_IF_ERROR(co_await Flush(deadline));
  co_return co_await beneath_->EndWrites(deadline.remaining());
}

Task<absl::StatusOr<std::unique_ptr<Stream>>> Secure(std::unique_ptr<Stream> beneath,
                                                     std::shared_ptr<const TlsContext> context, std::string host,
                                                     bool server, Timeout timeout) {
  auto buffers = std::make_unique<openssl::TlsBuffers>();
  openssl::TlsShake shake{beneath.get(), buffers.get(), std::move(context), std::move(host), server, timeout};
  absl::StatusOr<openssl::TlsEstablished> made = co_await openssl::ShakeHands(std::move(shake));
  if (!made.ok()) {
    beneath->Shutdown();
    co_return made.status();
  }
  co_return openssl::MakeTlsStream(std::move(beneath), std::move(buffers), *std::move(made), server);
}

}  // namespace

std::unique_ptr<Stream> openssl::MakeTlsStream(std::unique_ptr<Stream> beneath, std::unique_ptr<TlsBuffers> buffers,
                                               TlsEstablished established, bool server) {
  return std::make_unique<TlsStream>(std::move(beneath), std::move(buffers), std::move(established), server);
}

Task<absl::StatusOr<std::unique_ptr<Stream>>> TlsConnect(std::unique_ptr<Stream> beneath,
                                                         std::shared_ptr<const TlsContext> context,
                                                         std::string expected_host, Timeout timeout) {
  return Secure(std::move(beneath), std::move(context), std::move(expected_host), false, timeout);
}

Task<absl::StatusOr<std::unique_ptr<Stream>>> TlsAccept(std::unique_ptr<Stream> beneath,
                                                        std::shared_ptr<const TlsContext> context, Timeout timeout) {
  return Secure(std::move(beneath), std::move(context), "", true, timeout);
}

}  // namespace uringsync

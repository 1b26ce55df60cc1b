// Stream: a connected, ordered, two-way flow of bytes: TCP or unix socket (tcp_stream.h), TLS over one (tls.h), or
// memory (memory_stream.h, for tests).
//
// Thread rule: a stream belongs to one shard; every method is called there. One coroutine may Read while another one
// writes; two readers, or two writers, at once are the caller's mistake. Destroy it only when neither is in flight.
//
// Use:  US_CO_ASSIGN_OR_RETURN(size_t n, co_await stream->Read(buffer, std::chrono::seconds(30)));   // 0: orderly end
//       std::array<ConstBytes, 2> parts = {header, payload};
//       US_CO_RETURN_IF_ERROR(co_await stream->WriteAll(parts, std::chrono::seconds(30)));
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/coro/task.h"

namespace uringsync {

using ConstBytes = std::span<const std::byte>;
// Zero means: no limit.
using Timeout = std::chrono::nanoseconds;
constexpr Timeout kNoTimeout{0};

// Who the peer proved to be, from its certificate. Everything here comes from the peer: escape before printing.
struct PeerIdentity {
  std::string common_name;
  std::vector<std::string> dns_names;     // subjectAltName
  std::vector<std::string> ip_addresses;  // as text
  std::vector<std::string> uris;
  std::string fingerprint{};  // SHA-256 of the certificate, lower-case hex
  std::string pem{};          // the certificate itself
};

class Stream {
 public:
  virtual ~Stream() = default;

  // Bytes read, at least 1; 0 at the peer's orderly end (FIN; for TLS a close_notify). `into` must not be empty and
  // must live until the task ends. Errors: DeadlineExceeded after `timeout` without a byte, Unavailable for a broken or
  // truncated connection, Cancelled after Shutdown().
  virtual Task<absl::StatusOr<size_t>> Read(std::span<std::byte> into, Timeout timeout) = 0;

  // Writes every part in order. The parts and the array that lists them must live until the task ends. `timeout` covers
  // the whole call. After an error the connection is of no further use. Errors as for Read.
  virtual Task<absl::Status> WriteAll(std::span<const ConstBytes> parts, Timeout timeout) = 0;

  // Tells the peer that nothing more will be written (FIN; TLS: close_notify, then FIN). Counts as a writer. Reading
  // goes on.
  virtual Task<absl::Status> EndWrites(Timeout timeout) = 0;

  // Ends both directions now; a Read or WriteAll in flight returns Cancelled soon, later ones at once. Idempotent.
  virtual void Shutdown() = 0;

  // The peer's address, for messages.
  virtual const std::string& peer_address() const = 0;
  // Set after a TLS handshake; nullptr where the peer proved nothing. Lives as long as the stream.
  virtual const PeerIdentity* peer_identity() const { return nullptr; }
  // Bytes on the wire, of everything beneath included (TLS records, handshake).
  virtual uint64_t bytes_read() const = 0;
  virtual uint64_t bytes_written() const = 0;
};

// A point in time from which what is left of a timeout can be told. No limit when made from kNoTimeout.
class Deadline {
 public:
  explicit Deadline(Timeout timeout);
  // Begins anew, with the whole timeout.
  void Restart();
  bool expired() const;
  // What is left, at least 1 ns (an expired deadline makes the next operation fail at once); kNoTimeout for no limit.
  Timeout remaining() const;

 private:
  Timeout timeout_;
  std::chrono::steady_clock::time_point at_;
};

// Fills `into`. OutOfRange when the stream ended before the first byte, Unavailable when it ended in between.
Task<absl::Status> ReadExactly(Stream* stream, std::span<std::byte> into, Deadline deadline);

}  // namespace uringsync

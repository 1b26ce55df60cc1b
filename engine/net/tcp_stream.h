// TcpStream: a Stream over a connected TCP or unix socket, by ring operations (kRecv, kSend).
//
// Thread rule: as Stream; the driver is the shard's.
#pragma once

#include <memory>
#include <string>

#include "engine/base/unique_fd.h"
#include "engine/net/stream.h"
#include "engine/ring/driver.h"

namespace uringsync {

// A connection that no shard owns yet: movable to the shard that will.
struct AcceptedSocket {
  UniqueFd fd;
  std::string peer;  // address as text
};

// A dead network is found after kKeepaliveIdle + kKeepaliveProbes × kKeepaliveInterval at rest, and after kUserTimeout
// with unacknowledged data.
constexpr int kKeepaliveIdleSeconds = 5;
constexpr int kKeepaliveIntervalSeconds = 5;
constexpr int kKeepaliveProbes = 3;
constexpr int kUserTimeoutMs = 20'000;

class TcpStream final : public Stream {
 public:
  // Takes the connected socket and sets TCP_NODELAY, keepalive and TCP_USER_TIMEOUT where it is TCP, and a congestion
  // control without pacing where both ends are on this host.
  static std::unique_ptr<TcpStream> Adopt(Driver* driver, AcceptedSocket socket);
  ~TcpStream() override;

  Task<absl::StatusOr<size_t>> Read(std::span<std::byte> into, Timeout timeout) override;
  Task<absl::Status> WriteAll(std::span<const ConstBytes> parts, Timeout timeout) override;
  Task<absl::Status> EndWrites(Timeout timeout) override;
  void Shutdown() override;
  const std::string& peer_address() const override { return peer_; }
  uint64_t bytes_read() const override { return bytes_read_; }
  uint64_t bytes_written() const override { return bytes_written_; }

 private:
  TcpStream(Driver* driver, AcceptedSocket socket);
  Task<absl::Status> SendAll(ConstBytes bytes, bool more, Deadline deadline);

  Driver* const driver_;
  UniqueFd fd_;
  const std::string peer_;
  bool shut_down_ = false;
  Op* reading_ = nullptr;  // in flight
  Op* writing_ = nullptr;
  uint64_t bytes_read_ = 0;
  uint64_t bytes_written_ = 0;
};

}  // namespace uringsync

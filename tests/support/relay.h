// TcpRelay: stands between two programs on loopback and makes the way bad: slow, far, or cut. Forwards to 127.0.0.1.
//
// Thread rule: every method from any thread. A thread of its own for accepting and one for each connection.
// Use:  TcpRelay relay(server_port, {.delay = std::chrono::milliseconds(20), .bytes_per_second = 1 << 20});
//       Connect("127.0.0.1", relay.port());   relay.Reset();
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/base/unique_fd.h"

namespace uringsync {

struct RelayOptions {
  std::chrono::milliseconds delay{0};  // one way
  uint64_t bytes_per_second = 0;       // each way; 0: no limit
  uint64_t reset_after_bytes = 0;      // of a connection, both ways together: then it is reset; 0: never
  uint64_t swallow_after_bytes = 0;    // of a connection: then nothing passes any more, and nothing is closed; 0: never
  // Flips one bit of the byte at this offset of what flows back from the target, on every connection; 0: none.
  uint64_t corrupt_reply_byte = 0;
};

class TcpRelay {
 public:
  // Aborts the test program when it cannot listen.
  TcpRelay(uint16_t target_port, RelayOptions options = {});
  // Resets what is open and joins every thread.
  ~TcpRelay();
  TcpRelay(const TcpRelay&) = delete;
  TcpRelay& operator=(const TcpRelay&) = delete;

  uint16_t port() const { return port_; }
  // Resets every open connection (RST both ways). New ones are served.
  void Reset() { ++reset_generation_; }
  // While on, nothing is forwarded and nothing is closed.
  void Swallow(bool on) { swallow_ = on; }
  uint64_t forwarded_bytes() const { return forwarded_; }
  uint64_t connections() const { return connections_; }

 private:
  void AcceptLoop();
  void Serve(UniqueFd client);

  const uint16_t target_port_;
  const RelayOptions options_;
  UniqueFd listener_;
  uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> swallow_{false};
  std::atomic<uint64_t> reset_generation_{0};
  std::atomic<uint64_t> forwarded_{0};
  std::atomic<uint64_t> connections_{0};
  std::vector<std::thread> servers_;  // acceptor thread only, until it has ended
  std::thread acceptor_;
};

}  // namespace uringsync

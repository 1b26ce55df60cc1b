// DelayRelay: a long link between programs on loopback: each direction has a delay and a rate that all connections
// share, and a short queue in front of it. For measuring, beside relay.h, which is for faults.
//
// Bytes come out in order, as late as the link would bring them and no earlier than its rate allows. What is on the way
// is bounded by rate × (delay + queue); the relay reads no more than that, so senders feel the link's back-pressure,
// and connections share it fairly. Opening a connection takes a round trip. Not modelled: loss. A connection's window
// (what may be under way and not yet acknowledged, a round trip) is modelled when asked for, also that it starts small.
//
// Thread rule: one thread of its own does everything; Start and destruction on another. Counters from any thread.
// Use:  auto relay = DelayRelay::Start({{.listen = "127.0.0.2:7440", .target = "127.0.0.1:7440"}}, {.delay = 25ms});
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace uringsync {

struct DelayOptions {
  std::chrono::nanoseconds delay{0};                               // one way
  uint64_t bytes_per_second = 0;                                   // each way, all connections together; 0: no limit
  std::chrono::nanoseconds queue = std::chrono::milliseconds(10);  // of the rate, in front of the link
  uint64_t window_bytes = 0;                                       // of one connection, each way; 0: no limit
  bool slow_start = false;  // a window begins with 14,480 bytes and grows by what is acknowledged
};

// When bytes come out of one direction of a link. Pure.
class DelayLink {
 public:
  using Time = std::chrono::nanoseconds;
  explicit DelayLink(const DelayOptions& options) : options_(options) {}

  // The last of `bytes` that go in at `now` (or when those before them are in) come out then.
  Time Enter(uint64_t bytes, Time now);
  // How long what waits in front of the link will wait.
  Time Backlog(Time now) const { return free_at_ > now ? free_at_ - now : Time(0); }
  bool Full(Time now) const { return Backlog(now) > options_.queue; }

 private:
  const DelayOptions options_;
  Time free_at_{0};
};

struct RelayedAddress {
  std::string listen;  // numeric IPv4 and port, 0 for any free one: "127.0.0.2:7441"
  std::string target;
};

class DelayRelay {
 public:
  static constexpr uint64_t kUnlimitedBytes = 64 << 20;  // on the way in one direction where the rate has no limit

  // InvalidArgument for an address; Unavailable when it cannot listen there.
  static absl::StatusOr<std::unique_ptr<DelayRelay>> Start(std::vector<RelayedAddress> addresses, DelayOptions options);
  ~DelayRelay();
  DelayRelay(const DelayRelay&) = delete;
  DelayRelay& operator=(const DelayRelay&) = delete;

  // In the order of the addresses.
  const std::vector<uint16_t>& ports() const;
  uint64_t forth_bytes() const;
  uint64_t back_bytes() const;
  uint64_t connections() const;

 private:
  struct State;
  explicit DelayRelay(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace uringsync

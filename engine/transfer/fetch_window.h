// FetchWindow: how much a shard asks for before the first of it has come: what the way to the source holds, twice.
//
// A way with a long round trip needs more requests under way than a short one; more than it holds would only wait in
// memory and hold descriptors. So the window follows the product of the rate of answers and the shortest time that an
// answer took (the idea of BBR, Cardwell et al. 2016, for requests instead of segments): while the window is the limit,
// the rate doubles with it each round trip; once the link or a disk is, it stays at twice the product.
//
// Thread rule: one shard. Pure: time comes from the caller. The window never shrinks within a session: what it holds is
// bounded, and what is not used costs nothing.
// Use:  window.OnAnswered(first_answer_time - request_time, bytes, now);   ... window.requests(), window.bytes()
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace uringsync {

class FetchWindow {
 public:
  using Time = std::chrono::nanoseconds;  // since any moment, steady
  // Small files under way at first: covers a disk and a local network.
  static constexpr size_t kLeastRequests = 192;
  // 1 Gbit/s in files of 7 KB over 200 ms, on one shard.
  static constexpr size_t kMostRequests = 4096;
  static constexpr uint64_t kLeastBytes = uint64_t{12} << 20;
  static constexpr uint64_t kMostBytes = uint64_t{48} << 20;
  // The window is looked at after a round trip, and not more often than this.
  static constexpr Time kShortestRound = std::chrono::milliseconds(2);

  // A request was answered to its end: the first item came `latency` after it was sent; `bytes` in all.
  void OnAnswered(Time latency, uint64_t bytes, Time now);

  size_t requests() const { return requests_; }
  uint64_t bytes() const { return bytes_; }
  // Shortest time that an answer took so far; 0 before the first.
  Time shortest() const { return shortest_; }

 private:
  size_t requests_ = kLeastRequests;
  uint64_t bytes_ = kLeastBytes;
  Time shortest_{0};
  Time round_begin_{0};
  uint64_t round_requests_ = 0;
  uint64_t round_bytes_ = 0;
};

}  // namespace uringsync

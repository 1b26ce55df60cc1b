// OpeningWatch: ends a control stream whose peer does not say in time what opens a session.
//
// A peer that is late is told so (SessionError kTimeout), may then hang up by itself for a while, and is cut off.
//
// Thread rule: made, used and destroyed on the session's thread; it has one of its own until Stop.
// Use:  OpeningWatch watch(stream, {});
//       US_RETURN_IF_ERROR(watch.Passed(AgentHandshake(stream, reply).status(), "OpenSession"));   ...   watch.Stop();
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "proto/transport.h"

namespace uringsync {

struct OpeningLimits {
  std::chrono::milliseconds message{20'000};  // for Hello, and again for OpenSession
  std::chrono::milliseconds linger{5'000};    // for the late peer to hang up
};

class OpeningWatch {
 public:
  // The time for Hello begins.
  OpeningWatch(AgentStream* stream, OpeningLimits limits);
  ~OpeningWatch();
  OpeningWatch(const OpeningWatch&) = delete;
  OpeningWatch& operator=(const OpeningWatch&) = delete;

  // What was waited for has come, or `result` says why not; the time for `next` begins. DeadlineExceeded when it came
  // too late, else `result`.
  absl::Status Passed(absl::Status result, const char* next);
  // Nothing is waited for any more. Idempotent.
  void Stop();

 private:
  void Loop();

  AgentStream* const stream_;
  const OpeningLimits limits_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string awaited_ = "Hello";
  std::chrono::steady_clock::time_point deadline_;
  absl::Status late_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace uringsync

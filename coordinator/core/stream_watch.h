// StreamWatch: closes the control streams of a conversation when it is cancelled or an answer is late, and remembers
// why. For conversations that one thread leads, asking and waiting (bench.cc, proof_tree.cc).
//
// Thread rule: one thread; the streams may be closed from another one.
// Use:  StreamWatch watch({&source, &destination}, request.cancel);
//       watch.Arm(time);  stream.Receive();  watch.Arm(absl::InfiniteDuration());
//       if (!message.ok()) if (auto reason = watch.reason()) ...
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "coordinator/core/exit_code.h"
#include "engine/coro/cancel.h"
#include "proto/transport.h"

namespace uringsync {

class StreamWatch {
 public:
  StreamWatch(std::vector<ClientStream*> streams, const CancelToken& cancel);
  // Closes the streams.
  ~StreamWatch();
  // From now on the streams are closed when so much time has passed.
  void Arm(absl::Duration time);
  // Why the streams were closed, if they were.
  std::optional<std::pair<ExitCode, std::string>> reason();

 private:
  void End(ExitCode code, std::string text);
  void Loop();

  const std::vector<ClientStream*> streams_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  absl::Time deadline_ = absl::InfiniteFuture();
  std::optional<std::pair<ExitCode, std::string>> reason_;
  std::thread thread_;
  CancelToken::Registration registration_;
};

}  // namespace uringsync

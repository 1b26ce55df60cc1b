// Mux: many streams over one pair of pipes, each with credit of its own, so that bulk data never keeps a message
// waiting for more than one frame (docs/protocol-shell.md).
//
// Either end opens streams; what it opens arrives at the other end's Accept. What a stream may hold unread is what its
// reader granted, so the reader of the pipe never waits for anybody. Streams of kControl are written first, the others
// in turn.
//
// Thread rule: a mux and its streams belong to one shard. Run ends only when Shutdown was called, the peer has said
// goodbye, or the pipe broke; the mux must outlive Run, streams may outlive the mux. Use:  Mux mux(std::move(pipe),
// MuxSide::kClient, driver);
//       scope.Spawn(RunMux(&mux));                                    // co_await mux.Run()
//       US_CO_ASSIGN_OR_RETURN(auto stream, mux.Open(MuxKind::kData));
//       ... ;  co_await mux.End();   co_await scope.Join();
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/coro/task.h"
#include "engine/net/mux_frame.h"
#include "engine/net/stream.h"
#include "engine/ring/driver.h"

namespace uringsync {

// Streams that one end may have open at once. With the windows of mux_frame.h it bounds what an end holds for a peer.
constexpr size_t kMaxMuxStreams = 48;

// Streams of the client have odd numbers, those of the agent even ones.
enum class MuxSide : uint8_t { kClient, kAgent };

struct MuxTimes {
  std::chrono::milliseconds tick{250};      // how exact time-outs of streams are
  std::chrono::milliseconds ping{30'000};   // after so long without a byte from the peer it is asked for one
  std::chrono::milliseconds dead{300'000};  // and after this it is given up
};

struct MuxAccepted {
  MuxKind kind = MuxKind::kControl;
  std::unique_ptr<Stream> stream;
};

class MuxCore;

class Mux {
 public:
  // `pipe` is past the greeting. Without a driver there is no clock: streams wait for ever.
  Mux(std::unique_ptr<Stream> pipe, MuxSide side, Driver* driver, MuxTimes times = {});
  ~Mux();
  Mux(const Mux&) = delete;
  Mux& operator=(const Mux&) = delete;

  // Once. OK when one of the ends said goodbye; Cancelled after Shutdown; Unavailable when the pipe broke,
  // DeadlineExceeded when the peer was silent for too long, InvalidArgument when it sent what the protocol does not
  // have. Every stream has ended then.
  Task<absl::Status> Run();
  // Unavailable when the mux has ended, ResourceExhausted beyond kMaxMuxStreams. Nothing is waited for.
  absl::StatusOr<std::unique_ptr<Stream>> Open(MuxKind kind);
  // The next stream that the peer opened; nullopt when the mux has ended. One coroutine at a time.
  Task<std::optional<MuxAccepted>> Accept();
  // Says goodbye after everything that was written before, and makes Run end. To a peer that reads nothing any more
  // this waits until Shutdown.
  Task<void> End();
  // Ends everything now.
  void Shutdown();

 private:
  std::shared_ptr<MuxCore> core_;
};

}  // namespace uringsync

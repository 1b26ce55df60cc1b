// ResumableEnd: one end of a control stream that survives the loss of its connection. Both ends are the same code; what
// differs is where the next connection comes from (ConnectionSupply): the coordinator dials, the agent waits.
//
// What is sent is kept until the other end has confirmed it (ReplayWindow), and sent again on the next connection from
// where that end says; so nothing is lost and nothing arrives twice. A thread of its own writes: Send only queues, and
// the thread that receives never writes, so two ends that repeat much at once cannot stall each other. Notes
// (StreamNote) between the messages confirm what came and are signs of life: a connection that brings nothing for
// `silence`, though somebody waits for it, is given up and replaced.
//
// Thread rule: Send from any thread; Receive on one thread; Close and detached_for from any. Destroy it when no call
// runs.
// Use:  ResumableEnd end(first_connection, &supply, {.silence = 15s});
//       end.Send(bytes);  ...  absl::StatusOr<std::string> message = end.Receive();  ...  end.Finish(2s);
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/byte_stream.h"
#include "proto/replay_window.h"
#include "proto/resumable_wire.h"

namespace uringsync {

// Where an end gets its next connection from.
class ConnectionSupply {
 public:
  using Clock = std::chrono::steady_clock;
  struct Connection {
    std::shared_ptr<ByteStream> stream;
    uint64_t peer_received = 0;                  // what the other end has, in order
    std::optional<ResumeToken> tell_token = {};  // goes to the other end with the first note
    bool kept = true;                            // false: the other end begins anew, and has nothing
  };
  // What is left of the old connection when the next one is asked for.
  struct Loss {
    absl::Status why;
    Clock::time_point last_heard;
    uint64_t received = 0;  // messages that have arrived, in order
    // The connection was no good: since the loss before this one nothing has got through, either way. The time that
    // this end waits for another goes on.
    bool again = false;
  };
  virtual ~ConnectionSupply() = default;
  // Blocks until there is one, or none will be: the status then is the stream's end. Called by the thread that
  // receives, which holds nothing of the old connection any more.
  virtual absl::StatusOr<Connection> Next(const Loss& loss) = 0;
  // Next ends soon, now and later. Any thread.
  virtual void Cancel() = 0;
  // The first message came over a connection of Next.
  virtual void Proved() {}
};

struct ResumableOptions {
  static constexpr size_t kWindowBytes = size_t{4} << 20;
  // What is not confirmed at most, each way, beside one message.
  size_t window_bytes = kWindowBytes;
  // A connection without a sign of life for so long is given up; a quarter of it is the interval of our own.
  std::chrono::milliseconds silence{15'000};
  // The other end is known to keep what belongs to the stream; else its first message tells (ByteStream::resumable).
  bool peer_keeps = false;
};

class ResumableEnd {
 public:
  // `supply` outlives this object.
  ResumableEnd(std::shared_ptr<ByteStream> first, ConnectionSupply* supply, ResumableOptions options = {});
  // Closes what is still open.
  ~ResumableEnd();
  ResumableEnd(const ResumableEnd&) = delete;
  ResumableEnd& operator=(const ResumableEnd&) = delete;

  // Queues a message; blocks while the other end has not confirmed enough. Unavailable when the stream has ended.
  absl::Status Send(std::string message);
  // The next message. OutOfRange at the other end's orderly end, InvalidArgument where it breaks the rules, else why
  // the stream is over.
  absl::StatusOr<std::string> Receive();
  // Ends both directions now, with a word to the other end where that is quick.
  void Close();
  // Sends what is queued and says that nothing follows; waits at most `limit` for the other end to be done, too. No
  // Receive runs. `half_close`: this end is the one that ends the call (a client); an agent's returns from it.
  void Finish(std::chrono::milliseconds limit, bool half_close);

  // For how long there has been no connection; nullopt: there is one, or the stream has ended.
  std::optional<std::chrono::milliseconds> detached_for() const;
  // As ReplayWindow::CanRewind.
  absl::Status CanRewind(uint64_t received) const;
  // A connection that the other end has brought on its own takes the place of the present one, which is closed: while
  // nobody receives, because the receiving thread is busy with what came, nobody would ask the supply for it. False:
  // somebody receives or is in Next, or the stream has ended, and `*next` is untouched.
  bool Adopt(ConnectionSupply::Connection* next);
  // The present connection, if there is one, counts as lost from now on.
  void DropConnection(const std::string& why);

 private:
  using Clock = ConnectionSupply::Clock;
  enum class Peer : uint8_t { kUnknown, kKeeps, kForgets };

  absl::Status TakeNote(const std::string& message);
  absl::Status Regain(absl::Status why);
  void Install(ConnectionSupply::Connection next);
  absl::StatusOr<std::string> OnReceived(absl::StatusOr<std::string> message, const ByteStream& from, bool* lost);
  void EndWith(absl::Status end);
  void WriteLoop();
  bool NoteDue(Clock::time_point now) const;
  std::string MakeNote(Clock::time_point now);
  bool WriteOne(std::unique_lock<std::mutex>* lock);
  void WatchSilence(std::unique_lock<std::mutex>* lock);
  Clock::duration beat() const { return options_.silence / 4; }

  ConnectionSupply* const supply_;
  const ResumableOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  ReplayWindow window_;
  std::shared_ptr<ByteStream> connection_;  // null: lost
  uint64_t generation_ = 0;                 // of connection_
  uint64_t unwritable_ = UINT64_MAX;        // generation on which nothing can be sent any more
  Peer peer_;
  bool proved_ = true;  // something came over the present connection
  std::string dropped_why_;
  Clock::time_point lost_at_{};       // for the first time without anything getting through since
  Clock::time_point connected_at_{};  // since a loss
  std::optional<uint64_t> through_;   // messages, both ways, when it was lost last
  bool again_ = false;                // ConnectionSupply::Loss
  std::optional<ResumeToken> tell_token_;

  uint64_t received_ = 0;
  uint64_t told_received_ = 0;
  size_t untold_bytes_ = 0;
  bool note_now_ = false;
  Clock::time_point last_note_{};
  Clock::time_point last_heard_{};
  Clock::time_point waiting_since_{};  // of Receive, in the connection
  bool waiting_ = false;
  bool regaining_ = false;  // the receiving thread is about to ask for a connection, or asks

  absl::Status end_;
  bool ended_ = false;    // Receive and Send give end_
  bool say_end_ = false;  // a last note is to be sent
  StreamNote::End last_word_ = StreamNote::End::kNone;
  bool finishing_ = false;
  bool writing_ = false;
  bool stop_ = false;
  bool writer_gone_ = false;
  std::thread writer_;
};

}  // namespace uringsync

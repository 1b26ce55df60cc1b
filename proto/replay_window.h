// ReplayWindow: what one end of a resumable stream has sent, or is to send, and the other end has not confirmed.
//
// The messages of one direction are counted 1, 2, 3, ... in the order in which they are added; nothing on the wire says
// so, because a connection delivers in order and a new one begins where Rewind says. Bounded in bytes: a sender waits
// for HasRoom.
//
// Thread rule: a value; pure. Use:
//   if (window.HasRoom(bytes.size())) window.Add(bytes);
//   while (auto message = window.Next()) { connection->Send(*message); window.Advance(); }
//   window.Acknowledge(note.received);           // those are forgotten
//   window.Rewind(request.received);             // on a new connection: what comes after it is sent again
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "absl/status/status.h"

namespace uringsync {

class ReplayWindow {
 public:
  // What a message counts beside its bytes, so that many small ones are bounded as well.
  static constexpr size_t kOverheadBytes = 64;
  explicit ReplayWindow(size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  // A single message always has room, however large.
  bool HasRoom(size_t bytes) const { return messages_.empty() || bytes_ + bytes + kOverheadBytes <= limit_bytes_; }
  void Add(std::string message);
  // The next message for the present connection; null when all were sent.
  std::shared_ptr<const std::string> Next() const;
  // It was handed to the connection.
  void Advance() { ++sent_; }

  // The other end has everything up to message number `received`. InvalidArgument when that goes back, or beyond what
  // was sent on this connection and before.
  absl::Status Acknowledge(uint64_t received);
  // Whether a connection that begins behind `received` can be served: OutOfRange for what was forgotten,
  // InvalidArgument for what was never sent.
  absl::Status CanRewind(uint64_t received) const;
  // A new connection, whose other end has everything up to `received`. As CanRewind; nothing changes on an error.
  absl::Status Rewind(uint64_t received);
  // For a peer that confirms nothing: what was sent is forgotten.
  void ForgetSent();

  uint64_t acknowledged() const { return acknowledged_; }
  size_t bytes() const { return bytes_; }

 private:
  void DropThrough(uint64_t number);

  const size_t limit_bytes_;
  std::deque<std::shared_ptr<const std::string>> messages_;  // numbers acknowledged_ + 1 and following
  size_t bytes_ = 0;  // with kOverheadBytes for each
  uint64_t acknowledged_ = 0;
  uint64_t sent_ = 0;       // number of the last one handed to the present connection
  uint64_t ever_sent_ = 0;  // to any connection
};

}  // namespace uringsync

// ByteStream: one connection under a resumable stream, as whole messages of bytes.
//
// Thread rule: one thread may Send while another one Receives; Close from any thread. Both block.
#pragma once

#include <chrono>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace uringsync {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Not OK: the connection is of no further use; why shows in Receive.
  virtual absl::Status Send(const std::string& message) = 0;
  virtual absl::StatusOr<std::string> Receive() = 0;
  // After Receive was not OK: the connection broke. False: the other end has ended the stream, or refused it.
  virtual bool lost() const = 0;
  // After a Receive that was OK: whether the other end keeps what belongs to this stream when the connection breaks.
  virtual bool resumable() const = 0;
  // Says that nothing follows and waits until the other end is done as well, for at most `limit`. Instead of Receive.
  virtual void End(std::chrono::milliseconds limit) = 0;
  // Ends both directions now; blocked calls return.
  virtual void Close() = 0;
};

}  // namespace uringsync

// PipeStream: a Stream over two descriptors, one to read from and one to write to: the two pipes of a remote shell, or
// the standard input and output of a program that was started through one. Sockets and terminals will do as well.
//
// Thread rule: as Stream; the driver is the shard's. SIGPIPE must be ignored by the process.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/base/unique_fd.h"
#include "engine/net/stream.h"
#include "engine/ring/driver.h"

namespace uringsync {

// Room asked of the kernel for each pipe; less where it gives less.
constexpr int kPipeBytes = 1 << 20;

struct PipeEnds {
  UniqueFd input;    // read from
  UniqueFd output;   // written to
  std::string peer;  // for messages
};

class PipeStream final : public Stream {
 public:
  // Takes both descriptors and makes them non-blocking (they share that with whoever shares the open file). The status
  // of what the kernel refused.
  static absl::StatusOr<std::unique_ptr<PipeStream>> Adopt(Driver* driver, PipeEnds ends);
  ~PipeStream() override;

  Task<absl::StatusOr<size_t>> Read(std::span<std::byte> into, Timeout timeout) override;
  Task<absl::Status> WriteAll(std::span<const ConstBytes> parts, Timeout timeout) override;
  // Closes the descriptor that is written to.
  Task<absl::Status> EndWrites(Timeout timeout) override;
  void Shutdown() override;
  const std::string& peer_address() const override { return ends_.peer; }
  uint64_t bytes_read() const override { return bytes_read_; }
  uint64_t bytes_written() const override { return bytes_written_; }

 private:
  PipeStream(Driver* driver, PipeEnds ends) : driver_(driver), ends_(std::move(ends)) {}
  absl::Status Failed(int64_t result, const char* operation) const;

  Driver* const driver_;
  PipeEnds ends_;
  bool shut_down_ = false;
  Op* reading_ = nullptr;  // in flight
  Op* writing_ = nullptr;
  uint64_t bytes_read_ = 0;
  uint64_t bytes_written_ = 0;
};

}  // namespace uringsync

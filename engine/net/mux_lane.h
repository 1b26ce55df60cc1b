// MuxLane: what one end of a mux knows of one stream: what arrived and was not read, what is to be written, and the
// credit of both. For mux.cc and its parts only.
//
// Thread rule: the mux's shard. A lane is shared by the mux, while the protocol knows the stream, and by the stream's
// handle.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "engine/coro/signal.h"
#include "engine/net/mux_frame.h"
#include "engine/net/payload.h"
#include "engine/net/stream.h"

namespace uringsync {

// What a WriteAll has left to say.
class MuxOutput {
 public:
  void Begin(std::span<const ConstBytes> parts) {
    parts_ = parts;
    begun_ = 0;
    left_ = 0;
    for (const ConstBytes& part : parts) left_ += part.size();
  }
  size_t left() const { return left_; }
  // Appends the next `length` bytes to `out`, at most left().
  void Take(size_t length, std::vector<ConstBytes>* out) {
    left_ -= length;
    while (length > 0) {
      const ConstBytes rest = parts_.front().subspan(begun_);
      const size_t n = std::min(rest.size(), length);
      if (n > 0) out->push_back(rest.first(n));
      begun_ += n;
      length -= n;
      if (begun_ < parts_.front().size()) continue;
      parts_ = parts_.subspan(1);
      begun_ = 0;
    }
  }
  void Drop() {
    parts_ = {};
    left_ = 0;
  }

 private:
  std::span<const ConstBytes> parts_;
  size_t begun_ = 0;
  size_t left_ = 0;
};

// Bytes that arrived, in order: straight into the waiting reader's buffer, else kept.
class MuxInput {
 public:
  void Deliver(Payload chunk) {
    if (wanted()) {
      Deliver(ConstBytes(chunk.data(), chunk.size()));
    } else {
      chunks_.push_back(std::move(chunk));
    }
  }
  void Deliver(ConstBytes bytes) {
    if (wanted()) {
      const size_t n = std::min(bytes.size(), reader_.size() - delivered_);
      std::memcpy(reader_.data() + delivered_, bytes.data(), n);
      delivered_ += n;
      bytes = bytes.subspan(n);
    }
    if (bytes.empty()) return;
    Payload rest;
    rest.Append(bytes);
    chunks_.push_back(std::move(rest));
  }
  bool wanted() const { return chunks_.empty() && delivered_ < reader_.size(); }
  // The reader waits with `into`; it leaves again, and is told how much it got.
  void Await(std::span<std::byte> into) {
    reader_ = into;
    delivered_ = 0;
  }
  size_t delivered() const { return delivered_; }
  void Leave() { reader_ = {}; }
  // What is kept, as much as `into` takes.
  size_t Take(std::span<std::byte> into) {
    size_t done = 0;
    while (done < into.size() && !chunks_.empty()) {
      const Payload& chunk = chunks_.front();
      const size_t n = std::min(into.size() - done, chunk.size() - taken_);
      std::memcpy(into.data() + done, chunk.data() + taken_, n);
      done += n;
      taken_ += n;
      if (taken_ < chunk.size()) break;
      chunks_.pop_front();
      taken_ = 0;
    }
    return done;
  }
  void Clear() { chunks_.clear(); }

 private:
  std::deque<Payload> chunks_;
  size_t taken_ = 0;  // of the first one
  std::span<std::byte> reader_;
  size_t delivered_ = 0;
};

struct MuxLane {
  MuxLane(uint32_t lane_id, MuxKind lane_kind)
      : id(lane_id), kind(lane_kind), granted(MuxWindow(lane_kind)), credit(MuxWindow(lane_kind)) {}

  const uint32_t id;
  const MuxKind kind;
  bool known = true;    // to the mux: frames of it mean something
  bool counted = true;  // among the open streams of whoever opened it
  absl::Status end;     // not OK: broken off, and why
  // Receiving.
  MuxInput input;
  uint32_t granted;       // the peer may send so much more
  uint32_t consumed = 0;  // read and not granted again
  bool credit_due = false;
  bool peer_ended = false;
  bool reading = false;
  bool read_late = false;
  Deadline read_deadline{kNoTimeout};
  Signal readable;
  // Sending.
  MuxOutput output;
  uint32_t credit;      // may be sent
  bool queued = false;  // among those that have something to send and may
  bool lent = false;    // a write of the pipe reads the caller's bytes
  bool write_ended = false;
  bool writing = false;
  bool write_late = false;
  Deadline write_deadline{kNoTimeout};
  Signal written;
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
};

}  // namespace uringsync

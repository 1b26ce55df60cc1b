// MuxCore: the state of a mux, shared with its streams (mux.h says what it is). For mux.cc and its parts only.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "engine/net/mux.h"
#include "engine/net/mux_lane.h"

namespace uringsync {

class MuxCore : public std::enable_shared_from_this<MuxCore> {
 public:
  MuxCore(std::unique_ptr<Stream> pipe, MuxSide side, Driver* driver, MuxTimes times);

  Task<absl::Status> Run();
  absl::StatusOr<std::unique_ptr<Stream>> Open(MuxKind kind);
  Task<std::optional<MuxAccepted>> Accept();
  Task<void> End();
  void Shutdown();

  // For streams.
  const std::string& peer() const { return pipe_->peer_address(); }
  // `lane` has something to write, or may write again.
  void Ready(const std::shared_ptr<MuxLane>& lane);
  // Its reader took `bytes`.
  void Consumed(const std::shared_ptr<MuxLane>& lane, size_t bytes);
  void EndWrites(MuxLane* lane);
  // Nobody here wants anything of it any more.
  void Drop(MuxLane* lane, absl::Status why);

 private:
  using LanePtr = std::shared_ptr<MuxLane>;
  // A frame that goes before all data.
  struct Urgent {
    MuxFrame frame;
    LanePtr credit_of;  // kCredit: what it consumed by then
  };
  // One write of the pipe.
  struct Batch {
    static constexpr size_t kFrames = 32;
    std::array<std::array<std::byte, kMuxFrameBytes + 4>, kFrames> headers;
    size_t frames = 0;
    size_t bytes = 0;
    std::vector<ConstBytes> parts;
    std::vector<LanePtr> lanes;
    bool goodbye = false;
    bool full() const { return frames == kFrames; }
    std::byte* AddHeader(const MuxFrame& frame, size_t more);
  };

  // Writing (mux_write.cc).
  Task<void> WriteLoop();
  void Fill(Batch* batch);
  void AddUrgent(Batch* batch);
  void AddData(std::deque<LanePtr>* ready, Batch* batch);
  void Settle(Batch* batch);
  void Queue(MuxFrame frame, LanePtr credit_of = nullptr);
  // Reading (mux_read.cc).
  Task<absl::Status> ReadLoop();
  Task<absl::StatusOr<size_t>> ReadPipe(std::span<std::byte> into);
  Task<absl::StatusOr<size_t>> Refill();
  Task<absl::Status> ReadBuffered(std::span<std::byte> into, bool may_end);
  Task<absl::Status> ReadChunk(Payload* chunk);
  Task<absl::Status> TakeData(LanePtr lane, uint32_t length);
  Task<absl::Status> TakeFrame(MuxFrame frame);
  absl::Status TakeOpen(const MuxFrame& frame);
  absl::Status TakeCredit(MuxLane* lane, uint32_t bytes);
  // The lane, null for one that is over; InvalidArgument for one that never was.
  absl::StatusOr<LanePtr> Find(uint32_t id) const;
  // Clock and end (mux.cc).
  Task<void> TickLoop();
  void Tick();
  void Finish(absl::Status why);
  void Break(MuxLane* lane, const absl::Status& why);
  void Uncount(MuxLane* lane);
  void Forget(MuxLane* lane);

  const std::unique_ptr<Stream> pipe_;
  Driver* const driver_;
  const MuxTimes times_;
  const uint32_t our_parity_;
  uint32_t next_id_;
  uint32_t last_peer_id_ = 0;
  size_t open_ours_ = 0;
  size_t open_theirs_ = 0;
  std::map<uint32_t, LanePtr> lanes_;
  std::deque<LanePtr> accepted_;
  Signal arrived_;
  // Writing.
  std::deque<Urgent> urgent_;
  std::deque<LanePtr> control_ready_;
  std::deque<LanePtr> data_ready_;
  Signal work_;
  bool closing_ = false;
  bool said_goodbye_ = false;
  bool write_failed_ = false;
  absl::Status write_error_;
  Signal parted_;
  // Reading.
  std::unique_ptr<std::byte[]> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool peer_left_ = false;
  // Clock.
  Op tick_;
  bool ticking_ = false;
  std::chrono::milliseconds silence_{0};
  bool running_ = false;
  bool ended_ = false;
  absl::Status why_;  // every stream of an ended mux fails with it
};

}  // namespace uringsync

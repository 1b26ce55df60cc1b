#include "engine/net/mux.h"

#include <utility>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/net/mux_core.h"

namespace uringsync {

namespace {

absl::Status ClosedHere() {
  return absl::CancelledError("the connection was closed on this side");
}

// A lane as its owner sees it.
class MuxStream final : public Stream {
 public:
  MuxStream(std::shared_ptr<MuxCore> core, std::shared_ptr<MuxLane> lane)
      : core_(std::move(core)), lane_(std::move(lane)), peer_(core_->peer()) {}
  ~MuxStream() override { core_->Drop(lane_.get(), ClosedHere()); }

  Task<absl::StatusOr<size_t>> Read(std::span<std::byte> into, Timeout timeout) override {
    if (shut_down_) co_return ClosedHere();
    size_t n = lane_->input.Take(into);
    if (n == 0) n = co_await ReadNew(into, timeout);
    lane_->bytes_read += n;
    core_->Consumed(lane_, n);
    if (n > 0) co_return n;
    if (shut_down_) co_return ClosedHere();
    if (lane_->peer_ended) co_return size_t{0};
    if (!lane_->end.ok()) co_return lane_->end;
    co_return MakeStatus(absl::StatusCode::kDeadlineExceeded, "receive from " + peer_ + ": timed out");
  }

  Task<absl::Status> WriteAll(std::span<const ConstBytes> parts, Timeout timeout) override {
    if (shut_down_) co_return ClosedHere();
    if (lane_->write_ended) co_return absl::UnavailableError("send to " + peer_ + ": nothing more was to be sent");
    if (!lane_->end.ok()) co_return lane_->end;
    lane_->output.Begin(parts);
    lane_->write_deadline = Deadline(timeout);
    lane_->write_late = false;
    lane_->writing = true;
    core_->Ready(lane_);
    while (lane_->lent || (lane_->output.left() > 0 && lane_->end.ok() && !lane_->write_late))
      co_await lane_->written.Wait();
    lane_->writing = false;
    const bool whole = lane_->output.left() == 0;
    lane_->output.Drop();
    if (shut_down_) co_return ClosedHere();
    if (!lane_->end.ok()) co_return lane_->end;
    if (whole) co_return absl::OkStatus();
    co_return MakeStatus(absl::StatusCode::kDeadlineExceeded, "send to " + peer_ + ": timed out");
  }

  Task<absl::Status> EndWrites(Timeout) override {
    if (shut_down_) co_return ClosedHere();
    if (!lane_->end.ok()) co_return lane_->end;
    core_->EndWrites(lane_.get());
    co_return absl::OkStatus();
  }

  void Shutdown() override {
    if (std::exchange(shut_down_, true)) return;
    core_->Drop(lane_.get(), ClosedHere());
  }

  const std::string& peer_address() const override { return peer_; }
  uint64_t bytes_read() const override { return lane_->bytes_read; }
  uint64_t bytes_written() const override { return lane_->bytes_written; }

 private:
  Task<size_t> ReadNew(std::span<std::byte> into, Timeout timeout) {
    lane_->input.Await(into);
    lane_->read_deadline = Deadline(timeout);
    lane_->read_late = false;
    lane_->reading = true;
    while (lane_->input.delivered() == 0 && lane_->end.ok() && !lane_->peer_ended && !lane_->read_late) {
      co_await lane_->readable.Wait();
    }
    lane_->reading = false;
    lane_->input.Leave();
    co_return lane_->input.delivered();
  }

  const std::shared_ptr<MuxCore> core_;
  const std::shared_ptr<MuxLane> lane_;
  const std::string peer_;
  bool shut_down_ = false;
};

}  // namespace

MuxCore::MuxCore(std::unique_ptr<Stream> pipe, MuxSide side, Driver* driver, MuxTimes times)
    : pipe_(std::move(pipe)),
      driver_(driver),
      times_(times),
      our_parity_(side == MuxSide::kClient ? 1 : 0),
      next_id_(side == MuxSide::kClient ? 1 : 2) {}

absl::StatusOr<std::unique_ptr<Stream>> MuxCore::Open(MuxKind kind) {
  if (ended_ || write_failed_) return ended_ ? why_ : write_error_;
  if (open_ours_ >= kMaxMuxStreams) return absl::ResourceExhaustedError("too many streams to " + peer() + " are open");
  const uint32_t id = std::exchange(next_id_, next_id_ + 2);
  ++open_ours_;
  auto lane = std::make_shared<MuxLane>(id, kind);
  lanes_.emplace(id, lane);
  Queue({MuxFrameType::kOpen, kind, id, 0});
  return std::make_unique<MuxStream>(shared_from_this(), std::move(lane));
}

Task<std::optional<MuxAccepted>> MuxCore::Accept() {
  while (accepted_.empty() && !ended_) co_await arrived_.Wait();
  if (accepted_.empty()) co_return std::nullopt;
  LanePtr lane = std::move(accepted_.front());
  accepted_.pop_front();
  const MuxKind kind = lane->kind;
  co_return MuxAccepted{kind, std::make_unique<MuxStream>(shared_from_this(), std::move(lane))};
}

void MuxCore::Consumed(const LanePtr& lane, size_t bytes) {
  lane->consumed += static_cast<uint32_t>(bytes);
  // Often enough that an honest sender never stands still, seldom enough to cost nothing.
  if (!lane->known || lane->peer_ended || lane->credit_due || lane->consumed < MuxWindow(lane->kind) / 4) return;
  lane->credit_due = true;
  Queue({MuxFrameType::kCredit, lane->kind, lane->id, sizeof(uint32_t)}, lane);
}

void MuxCore::EndWrites(MuxLane* lane) {
  if (std::exchange(lane->write_ended, true)) return;
  Queue({MuxFrameType::kEnd, lane->kind, lane->id, 0});
  if (lane->peer_ended) Uncount(lane);
}

void MuxCore::Uncount(MuxLane* lane) {
  if (!std::exchange(lane->counted, false)) return;
  --(lane->id % 2 == our_parity_ ? open_ours_ : open_theirs_);
}

void MuxCore::Forget(MuxLane* lane) {
  lane->known = false;
  Uncount(lane);
  lanes_.erase(lane->id);  // the stream's handle, or the caller, holds it as well
}

void MuxCore::Break(MuxLane* lane, const absl::Status& why) {
  if (lane->end.ok()) lane->end = why;
  lane->readable.Set();
  if (!lane->lent) lane->written.Set();
}

void MuxCore::Drop(MuxLane* lane, absl::Status why) {
  Break(lane, why);
  lane->input.Clear();
  if (!lane->known) return;
  if (!lane->peer_ended || !lane->write_ended) Queue({MuxFrameType::kReset, lane->kind, lane->id, 0});
  Forget(lane);
}

void MuxCore::Tick() {
  for (auto& [id, lane] : lanes_) {
    if (lane->reading && lane->read_deadline.expired()) {
      lane->read_late = true;
      lane->readable.Set();
    }
    if (lane->writing && lane->write_deadline.expired()) {
      lane->write_late = true;
      lane->written.Set();
    }
  }
  const std::chrono::milliseconds before = silence_;
  silence_ +=
      times_.tick;  // counted, not measured: a process that was stopped has heard nothing, but nobody was silent
  if (before < times_.ping && silence_ >= times_.ping) Queue({MuxFrameType::kPing, MuxKind::kControl, 0, 0});
  if (silence_ < times_.dead) return;
  if (write_error_.ok()) write_error_ = absl::DeadlineExceededError(peer() + " has been silent for too long");
  pipe_->Shutdown();
}

Task<void> MuxCore::TickLoop() {
  while (!ended_) {
    tick_ = Op();
    tick_.code = OpCode::kTimeout;
    tick_.timeout = times_.tick;
    ticking_ = true;
    const int64_t result = co_await Await(driver_, &tick_);
    ticking_ = false;
    if (!ended_ && result >= 0) Tick();
  }
}

void MuxCore::Finish(absl::Status why) {
  ended_ = true;
  why_ = std::move(why);
  const std::map<uint32_t, LanePtr> lanes = std::exchange(lanes_, {});
  for (const auto& [id, lane] : lanes) {
    lane->known = false;
    Break(lane.get(), why_);
  }
  urgent_.clear();
  arrived_.Set();
  work_.Set();
  if (ticking_) driver_->Cancel(&tick_);
  pipe_->Shutdown();
}

Task<absl::Status> MuxCore::Run() {
  running_ = true;
  Scope scope;
  scope.Spawn(WriteLoop());
  if (driver_ != nullptr) scope.Spawn(TickLoop());
  absl::Status end = co_await ReadLoop();
  if (said_goodbye_) {
    end = absl::OkStatus();
  } else if (!end.ok() && !write_error_.ok() && !absl::IsInvalidArgument(end)) {
    end = write_error_;
  }
  Finish(end.ok() ? absl::UnavailableError(peer() + " has ended the connection") : end);
  co_await scope.Join();
  parted_.Set();
  running_ = false;
  co_return end;
}

Task<void> MuxCore::End() {
  closing_ = true;
  work_.Set();
  while (!ended_ && !said_goodbye_ && !write_failed_) co_await parted_.Wait();
}

void MuxCore::Shutdown() {
  pipe_->Shutdown();
}

Mux::Mux(std::unique_ptr<Stream> pipe, MuxSide side, Driver* driver, MuxTimes times)
    : core_(std::make_shared<MuxCore>(std::move(pipe), side, driver, times)) {}
Mux::~Mux() = default;
Task<absl::Status> Mux::Run() {
  return core_->Run();
}
absl::StatusOr<std::unique_ptr<Stream>> Mux::Open(MuxKind kind) {
  return core_->Open(kind);
}
Task<std::optional<MuxAccepted>> Mux::Accept() {
  return core_->Accept();
}
Task<void> Mux::End() {
  return core_->End();
}
void Mux::Shutdown() {
  core_->Shutdown();
}

}  // namespace uringsync

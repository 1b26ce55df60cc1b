// The writing half of a mux: one coroutine owns the pipe's end and takes from the lanes what they may send.
#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/net/mux_core.h"

namespace uringsync {

namespace {

// Of one write, headers not counted.
constexpr size_t kBatchBytes = kMaxMuxDataBytes;
// Frames without data that wait to be written. An honest peer that reads leaves a few for each stream.
constexpr size_t kMaxUrgent = 4096;

}  // namespace

std::byte* MuxCore::Batch::AddHeader(const MuxFrame& frame, size_t more) {
  std::byte* header = headers[frames++].data();
  const auto bytes = EncodeMuxFrame(frame);
  std::memcpy(header, bytes.data(), bytes.size());
  parts.emplace_back(header, bytes.size() + more);
  return header + bytes.size();
}

void MuxCore::Queue(MuxFrame frame, LanePtr credit_of) {
  if (ended_ || write_failed_) return;
  if (urgent_.size() >= kMaxUrgent) {
    write_error_ = absl::ResourceExhaustedError(peer() + " reads nothing of what it is answered");
    pipe_->Shutdown();
    return;
  }
  urgent_.push_back({frame, std::move(credit_of)});
  work_.Set();
}

void MuxCore::Ready(const LanePtr& lane) {
  if (lane->queued || lane->lent || lane->output.left() == 0 || lane->credit == 0 || !lane->end.ok()) return;
  lane->queued = true;
  (lane->kind == MuxKind::kControl ? control_ready_ : data_ready_).push_back(lane);
  work_.Set();
}

void MuxCore::AddUrgent(Batch* batch) {
  while (!urgent_.empty() && !batch->full()) {
    Urgent urgent = std::move(urgent_.front());
    urgent_.pop_front();
    if (urgent.credit_of == nullptr) {
      batch->AddHeader(urgent.frame, 0);
      continue;
    }
    MuxLane* lane = urgent.credit_of.get();
    lane->credit_due = false;
    const uint32_t bytes = std::exchange(lane->consumed, 0);
    lane->granted += bytes;
    const auto body = EncodeMuxCredit(bytes);
    std::memcpy(batch->AddHeader(urgent.frame, body.size()), body.data(), body.size());
  }
}

void MuxCore::AddData(std::deque<LanePtr>* ready, Batch* batch) {
  while (!ready->empty() && !batch->full() && batch->bytes < kBatchBytes) {
    LanePtr lane = std::move(ready->front());
    ready->pop_front();
    lane->queued = false;
    const size_t length = std::min<size_t>({lane->output.left(), lane->credit, kMaxMuxDataBytes});
    if (length == 0 || !lane->end.ok()) continue;
    batch->AddHeader({MuxFrameType::kData, lane->kind, lane->id, static_cast<uint32_t>(length)}, 0);
    lane->output.Take(length, &batch->parts);
    lane->credit -= static_cast<uint32_t>(length);
    lane->bytes_written += length;
    lane->lent = true;
    batch->bytes += length;
    batch->lanes.push_back(std::move(lane));
  }
}

void MuxCore::Fill(Batch* batch) {
  batch->frames = batch->bytes = 0;
  batch->parts.clear();
  batch->lanes.clear();
  AddUrgent(batch);
  AddData(&control_ready_, batch);
  AddData(&data_ready_, batch);
  if (!batch->parts.empty() || !closing_) return;
  batch->AddHeader({MuxFrameType::kBye, MuxKind::kControl, 0, 0}, 0);
  batch->goodbye = true;
}

void MuxCore::Settle(Batch* batch) {
  for (LanePtr& lane : batch->lanes) {
    lane->lent = false;
    if (lane->output.left() == 0 || !lane->end.ok() || lane->write_late) lane->written.Set();
    Ready(lane);
  }
  batch->lanes.clear();
}

Task<void> MuxCore::WriteLoop() {
  auto batch = std::make_unique<Batch>();
  absl::Status status;
  while (!ended_ && status.ok() && !batch->goodbye) {
    Fill(batch.get());
    if (batch->parts.empty()) {
      co_await work_.Wait();
      continue;
    }
    status = co_await pipe_->WriteAll(batch->parts, kNoTimeout);
    Settle(batch.get());
  }
  if (batch->goodbye && status.ok()) {
    said_goodbye_ = true;
    (void)co_await pipe_->EndWrites(kNoTimeout);
    // Nothing that the peer still says matters any more.
    pipe_->Shutdown();
  }
  if (!status.ok() && !ended_) {
    // What it said before it hung up is still to be read, and tells more.
    write_failed_ = true;
    if (write_error_.ok()) write_error_ = status;
    for (auto& [id, lane] : lanes_) Break(lane.get(), status);
  }
  parted_.Set();
}

}  // namespace uringsync

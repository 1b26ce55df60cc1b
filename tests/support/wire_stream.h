// WireEnd: a connection under a resumable stream, in memory, that a test breaks where it likes.
//
// Thread rule: as of ByteStream; the Wire from any thread.
// Use:  auto wire = std::make_shared<Wire>();  WireEnd here(wire, 0);  WireEnd there(wire, 1);  wire->Break();
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "proto/byte_stream.h"

namespace uringsync {

// A connection in memory: two lanes that break together.
struct Wire {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> lanes[2];
  bool broken = false;
  bool gently = false;    // what was sent before the break still arrives
  bool swallows = false;  // takes everything and brings nothing
  int64_t left = -1;      // messages that still pass, both ways; -1: any number

  void Break() {
    std::lock_guard lock(mutex);
    broken = true;
    changed.notify_all();
  }
};

class WireEnd final : public ByteStream {
 public:
  WireEnd(std::shared_ptr<Wire> wire, int side, bool keeps = true) : wire_(std::move(wire)), side_(side), keeps_(keeps) {}
  ~WireEnd() override { wire_->Break(); }

  absl::Status Send(const std::string& message) override {
    std::lock_guard lock(wire_->mutex);
    if (wire_->left == 0) wire_->broken = true;
    wire_->changed.notify_all();
    if (wire_->broken) return absl::UnavailableError("broken");
    if (wire_->left > 0) --wire_->left;
    if (!wire_->swallows) wire_->lanes[side_].push_back(message);
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Receive() override {
    std::unique_lock lock(wire_->mutex);
    auto& lane = wire_->lanes[1 - side_];
    wire_->changed.wait(lock, [&] { return wire_->broken || !lane.empty(); });
    // What was under way is gone with the connection.
    if (wire_->broken && (!wire_->gently || lane.empty())) return absl::UnavailableError("broken");
    std::string message = std::move(lane.front());
    lane.pop_front();
    return message;
  }
  bool lost() const override { return true; }
  bool resumable() const override { return keeps_; }
  void End(std::chrono::milliseconds) override {
    std::lock_guard lock(wire_->mutex);
    wire_->gently = true;
  }
  void Close() override { wire_->Break(); }

 private:
  const std::shared_ptr<Wire> wire_;
  const int side_;
  const bool keeps_;
};

}  // namespace uringsync

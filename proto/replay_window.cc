#include "proto/replay_window.h"

#include <algorithm>
#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {

void ReplayWindow::Add(std::string message) {
  bytes_ += message.size() + kOverheadBytes;
  messages_.push_back(std::make_shared<const std::string>(std::move(message)));
}

std::shared_ptr<const std::string> ReplayWindow::Next() const {
  const uint64_t index = sent_ - acknowledged_;
  return index < messages_.size() ? messages_[index] : nullptr;
}

absl::Status ReplayWindow::Acknowledge(uint64_t received) {
  if (received < acknowledged_ || received > sent_) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      "a confirmation of message " + std::to_string(received) + ", where " + std::to_string(sent_) +
                          " were sent and " + std::to_string(acknowledged_) + " confirmed before");
  }
  DropThrough(received);
  return absl::OkStatus();
}

absl::Status ReplayWindow::CanRewind(uint64_t received) const {
  if (received < acknowledged_) {
    return MakeStatus(absl::StatusCode::kOutOfRange, "message " + std::to_string(received + 1) +
                                                         " was confirmed before and is not kept any more");
  }
  if (received > std::max(sent_, ever_sent_)) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      "message " + std::to_string(received) + " was never sent");
  }
  return absl::OkStatus();
}

absl::Status ReplayWindow::Rewind(uint64_t received) {
  absl::Status can = CanRewind(received);
  if (!can.ok()) return can;
  ever_sent_ = std::max(sent_, ever_sent_);
  sent_ = received;
  DropThrough(received);
  return absl::OkStatus();
}

void ReplayWindow::ForgetSent() {
  DropThrough(sent_);
}

void ReplayWindow::DropThrough(uint64_t number) {
  for (; acknowledged_ < number; ++acknowledged_) {
    bytes_ -= messages_.front()->size() + kOverheadBytes;
    messages_.pop_front();
  }
}

}  // namespace uringsync

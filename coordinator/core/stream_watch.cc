#include "coordinator/core/stream_watch.h"

namespace uringsync {

StreamWatch::StreamWatch(std::vector<ClientStream*> streams, const CancelToken& cancel)
    : streams_(std::move(streams)), thread_([this] { Loop(); }) {
  registration_ =
      cancel.OnCancel([this, cancel] { End(ExitCode::kInterrupted, std::string(cancel.status().message())); });
}

StreamWatch::~StreamWatch() {
  registration_ = {};
  {
    std::lock_guard lock(mutex_);
    done_ = true;
  }
  changed_.notify_all();
  thread_.join();
  for (ClientStream* stream : streams_) stream->Close();
}

void StreamWatch::Arm(absl::Duration time) {
  std::lock_guard lock(mutex_);
  deadline_ = absl::Now() + time;
  changed_.notify_all();
}

std::optional<std::pair<ExitCode, std::string>> StreamWatch::reason() {
  std::lock_guard lock(mutex_);
  return reason_;
}

void StreamWatch::End(ExitCode code, std::string text) {
  {
    std::lock_guard lock(mutex_);
    if (!reason_) reason_ = {code, std::move(text)};
  }
  for (ClientStream* stream : streams_) stream->Close();
}

void StreamWatch::Loop() {
  std::unique_lock lock(mutex_);
  while (!done_) {
    if (deadline_ == absl::InfiniteFuture() || reason_) {
      changed_.wait(lock);
    } else if (absl::Now() < deadline_) {
      changed_.wait_until(lock, absl::ToChronoTime(deadline_));
    } else {
      lock.unlock();
      End(ExitCode::kTimeout, "no answer in time");
      lock.lock();
    }
  }
}

}  // namespace uringsync

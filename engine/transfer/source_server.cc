#include "engine/transfer/source_server.h"

#include <algorithm>
#include <chrono>
#include <coroutine>
#include <deque>
#include <memory>
#include <utility>

#include "engine/base/kill_point.h"
#include "engine/coro/scope.h"
#include "engine/coro/semaphore.h"
#include "engine/ring/runtime.h"

namespace uringsync {
namespace {

// Packs reply items into messages. While the sender sends one message the next one fills; a reply that does not fit
// waits.
class Packer {
 public:
  Packer(ReplyChannel* channel, SourceServerLimits limits)
      : channel_(channel), limits_(limits), compressor_(limits.compression) {
    if (limits_.throttle != nullptr)
      limits_.message_bytes = std::min<size_t>(limits_.message_bytes, limits_.throttle->unit_bytes());
  }

  // `file`: what the item is of.
  Task<absl::Status> Add(FileId file, ReplyItem item, Piece piece) {
    while (failed_.ok() && !Fits(piece.size())) co_await Suspend{&room_waiters_};
    if (!failed_.ok()) co_return failed_;
    if (piece.in_buffer()) {
      filling_.tail_length = piece.size();
      filling_.tail = piece.TakeBuffer();
      filling_file_ = file;
    } else {
      // As large as the last one: growing step by step would copy it several times.
      if (filling_.payload.empty() && piece.size() < last_payload_bytes_) {
        filling_.payload.resize(last_payload_bytes_);
        filling_.payload.resize(0);
      }
      filling_.payload.Append(piece.bytes());
    }
    filling_.items.push_back(std::move(item));
    WakeAll(&sender_);
    co_return absl::OkStatus();
  }

  // Sends until Finish() and everything packed is gone, or the channel fails.
  Task<void> SendLoop() {
    while (failed_.ok()) {
      if (filling_.items.empty()) {
        if (finished_) break;
        co_await Suspend{&sender_};
        continue;
      }
      ReplyMessage message = std::exchange(filling_, {});
      last_payload_bytes_ = message.payload.size();
      const FileId file = filling_file_;
      WakeAll(&room_waiters_);
      co_await compressor_.Prepare(&message, file);
      if (!failed_.ok()) break;
      const auto begin = std::chrono::steady_clock::now();
      if (limits_.throttle != nullptr) {
        co_await limits_.throttle->Take(Shard::Current()->driver(), message.payload.size() + message.tail_length);
      }
      absl::Status sent = co_await channel_->Send(std::move(message));
      if (!sent.ok()) Fail(std::move(sent));
      compressor_.Sent(std::chrono::steady_clock::now() - begin);
    }
  }

  void Finish() {
    finished_ = true;
    WakeAll(&sender_);
  }

  void Fail(absl::Status reason) {
    if (!failed_.ok()) return;
    failed_ = std::move(reason);
    WakeAll(&room_waiters_);
    WakeAll(&sender_);
  }

  const absl::Status& failed() const { return failed_; }

 private:
  using Waiters = std::deque<std::coroutine_handle<>>;
  struct Suspend {
    Waiters* waiters;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const { waiters->push_back(handle); }
    void await_resume() const noexcept {}
  };
  static void WakeAll(Waiters* waiters) {
    Waiters woken;
    woken.swap(*waiters);
    for (std::coroutine_handle<> handle : woken) Executor::Current()->Post(handle);
  }
  bool Fits(size_t bytes) const {
    if (filling_.items.empty()) return true;
    return filling_.tail_length == 0 && filling_.items.size() < limits_.message_items &&
           filling_.payload.size() + bytes <= limits_.message_bytes;
  }

  ReplyChannel* const channel_;
  SourceServerLimits limits_;
  ReplyCompressor compressor_;
  ReplyMessage filling_;
  FileId filling_file_;  // of its tail
  size_t last_payload_bytes_ = 0;
  absl::Status failed_;
  bool finished_ = false;
  Waiters room_waiters_;
  Waiters sender_;
};

// Hands the answers to one request over.
class RequestSink final : public ReplySink {
 public:
  RequestSink(Packer* packer, FileId file) : packer_(packer), file_(file) {}
  Task<absl::Status> OnItem(ReplyItem item, Piece piece) override {
    return packer_->Add(file_, std::move(item), std::move(piece));
  }

 private:
  Packer* const packer_;
  const FileId file_;
};

Task<void> ServeOne(SourceReader* reader, FileRequest request, Packer* packer, [[maybe_unused]] SemaphoreUnits slot) {
  RequestSink sink(packer, request.file);
  // A status here is the packer's own, and the loop sees it there.
  PassKillPoint(KillPoint::kReadOpen);
  absl::Status served = co_await reader->Serve(std::move(request), &sink);
  PassKillPoint(KillPoint::kReadServed);
  if (!served.ok()) packer->Fail(std::move(served));
}

Task<void> SendAndClose(Packer* packer, ReplyChannel* channel) {
  co_await packer->SendLoop();
  // Makes a Receive that still waits on a broken connection return.
  if (!packer->failed().ok()) channel->Close();
}

}  // namespace

Task<absl::Status> ServeReplies(ReplyChannel* channel, SourceReader* reader, SourceServerLimits limits) {
  Packer packer(channel, limits);
  Semaphore slots(limits.concurrent_requests);
  Scope sender;
  Scope requests;
  sender.Spawn(SendAndClose(&packer, channel));
  absl::Status end;
  while (true) {
    absl::StatusOr<RequestMessage> message = co_await channel->Receive();
    if (!message.ok()) {
      end = message.status();
      break;
    }
    for (FileRequest& request : message->requests) {
      SemaphoreUnits slot = co_await slots.Acquire(1);
      requests.Spawn(ServeOne(reader, std::move(request), &packer, std::move(slot)));
    }
  }
  // An orderly end means that nobody waits for replies any more; a broken connection cannot carry them.
  packer.Fail(end);
  co_await requests.Join();
  packer.Finish();
  co_await sender.Join();
  channel->Close();
  co_return absl::IsOutOfRange(end) ? absl::OkStatus() : end;
}

}  // namespace uringsync

#include "coordinator/core/agent_link.h"

#include <algorithm>
#include <span>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "proto/handshake.h"
#include "proto/wire_size.h"

namespace uringsync {
namespace {

// A broken stream is told better by the receiving thread (the agent's own last words); it gets this long to do so.
constexpr absl::Duration kLastWords = absl::Seconds(2);
// HelloReply and SessionOpened come once each.
constexpr size_t kMaxReplies = 2;
// Beside those of SessionOpened.
constexpr size_t kMaxLateNotices = 64;

// An agent of either role that lives and has nothing to tell.
bool IsSignOfLife(const AgentMessage& message) {
  const auto* progress = std::get_if<ApplyProgress>(&message);
  return progress != nullptr && progress->completed_sequence == 0 && progress->problems.empty() &&
         progress->skipped_actions.empty() && progress->counters.actions_done == 0 &&
         progress->counters.bytes_received == 0 && progress->counters.wire_bytes == 0;
}

absl::Status Stopped() {
  return absl::CancelledError("the run has ended");
}

}  // namespace

void AgentLink::Start() {
  events_->AddProducer();
  stream_->OnConnection([this](const ConnectionChange& change) { events_->Push(ConnectionEvent{side_, change}); });
  thread_ = std::thread([this] {
    ReceiveLoop();
    {
      std::lock_guard lock(mutex_);
      ended_ = true;
      changed_.notify_all();
    }
    on_arrival_();
    events_->EndProducer();
    events_->Wake();
  });
}

void AgentLink::Stop() {
  stream_->Close();
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  on_arrival_();
}

void AgentLink::ExpectEnd() {
  std::lock_guard lock(mutex_);
  end_expected_ = true;
}

void AgentLink::Join() {
  stream_->Close();
  if (thread_.joinable()) thread_.join();
}

bool AgentLink::ended() const {
  std::lock_guard lock(mutex_);
  return ended_;
}

void AgentLink::FailProtocol(const std::string& text) {
  events_->Fail({ExitCode::kProtocol, side_, std::string(name()) + ": " + text});
}

void AgentLink::ReceiveLoop() {
  while (true) {
    absl::StatusOr<AgentMessage> message = stream_->Receive();
    if (!message.ok()) {
      OnStreamError(message.status());
      return;
    }
    events_->NoteActivity(side_);
    if (!Handle(*std::move(message))) return;
  }
}

void AgentLink::OnStreamError(const absl::Status& status) {
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || end_expected_) return;
  }
  const std::string text = EscapeName(ToStd(status.message()));
  switch (status.code()) {
    case absl::StatusCode::kOutOfRange: FailProtocol("ended the session before it was done"); return;
    case absl::StatusCode::kInvalidArgument: FailProtocol("sent a malformed message: " + text); return;
    case absl::StatusCode::kUnavailable: FailProtocol("the connection broke or the agent died: " + text); return;
    default: events_->Fail({ExitCodeForStatus(status), side_, std::string(name()) + ": " + text}); return;
  }
}

// Under the lock. What is wrong with it; null: nothing.
const char* AgentLink::AcceptBatch(DirectoryBatch batch) {
  const bool uncredited = batch.folded.has_value() || batch.expanded;
  if (uncredited && (!folding_ || uncredited_ == kMaxUncredited)) return "sent more folded listings than it may";
  if (!uncredited && received_ == granted_) return "sent more of its manifest than it was asked for";
  if (end_ && !batch.expanded) return "sent more of its manifest after the end";
  ++(uncredited ? uncredited_ : received_);
  batches_.push_back(std::move(batch));
  return nullptr;
}

bool AgentLink::Handle(AgentMessage message) {
  if (const auto* error = std::get_if<SessionError>(&message)) {
    events_->Fail(
        {ExitCodeForSessionError(error->kind), side_, std::string(name()) + ": " + EscapeName(error->message)});
    return false;
  }
  if (IsSignOfLife(message)) return true;
  if (auto* notice = std::get_if<Notice>(&message)) {
    const bool allowed = notices_++ < kMaxLateNotices;
    if (allowed) events_->Push(NoticeEvent{side_, std::move(notice->text), awaits_lock_.load()});
    if (!allowed) FailProtocol("sent more notices than it may");
    return allowed;
  }
  if (std::holds_alternative<SessionOpened>(message)) awaits_lock_ = false;
  if (std::holds_alternative<ApplyProgress>(message) || std::holds_alternative<ApplyDone>(message)) {
    const absl::Status handled =
        on_apply_ ? on_apply_(std::move(message)) : absl::InvalidArgumentError("an apply report from a source");
    if (!handled.ok()) FailProtocol(std::string(ToStd(handled.message())));
    return handled.ok();
  }
  std::unique_lock lock(mutex_);
  const char* broken = nullptr;
  if (auto* batch = std::get_if<DirectoryBatch>(&message)) {
    broken = AcceptBatch(std::move(*batch));
  } else if (auto* group = std::get_if<FoldedGroup>(&message)) {
    for (size_t i = 0; i < group->batches.size() && broken == nullptr; ++i)
      broken = AcceptBatch(std::move(group->batches[i]));
  } else if (const auto* end = std::get_if<ManifestEnd>(&message)) {
    if (end_ || !manifest_asked_) broken = "ended a manifest that was not running";
    end_ = *end;
  } else if (replies_.size() < kMaxReplies) {
    replies_.push_back(std::move(message));
  } else {
    broken = "answered more than it was asked";
  }
  changed_.notify_all();
  lock.unlock();
  on_arrival_();
  if (broken != nullptr) FailProtocol(broken);
  return broken == nullptr;
}

absl::Status AgentLink::Send(const ClientMessage& message) {
  const absl::Status sent = stream_->Send(message);
  if (sent.ok()) return sent;
  if (!events_->WaitFailed(kLastWords)) FailProtocol(EscapeName(ToStd(sent.message())));
  return Stopped();
}

template <typename Reply>
absl::StatusOr<Reply> AgentLink::AwaitReply(const char* what) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopped_ || !replies_.empty(); });
  if (stopped_) return Stopped();
  AgentMessage message = std::move(replies_.front());
  replies_.pop_front();
  lock.unlock();
  if (auto* reply = std::get_if<Reply>(&message)) return std::move(*reply);
  FailProtocol(std::string("did not answer with ") + what);
  return Stopped();
}

absl::StatusOr<HelloReply> AgentLink::AwaitHello() {
  absl::StatusOr<HelloReply> reply = AwaitReply<HelloReply>("a hello");
  if (!reply.ok()) return reply;
  // It is asked for nothing until its session is opened.
  if (!asked_to_open_) events_->Rest(side_);
  if (!HasFeature(reply->features, kAliveFeature)) events_->ShareActivity(side_);
  return reply;
}
absl::Status AgentLink::Open(OpenSession open) {
  asked_to_open_ = true;
  awaits_lock_ = open.wait_for_lock && open.role == Role::kDestination;
  events_->Expect(side_);
  if (open.operands.empty()) return Send(open);
  // A long list goes in several messages.
  const std::vector<SourceOperand> operands = std::move(open.operands);
  std::span<const SourceOperand> left(operands);
  const auto take = [&left] {
    const size_t count = OperandsOfOneMessage(left);
    std::vector<SourceOperand> taken(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(count));
    left = left.subspan(count);
    return taken;
  };
  open.operands = take();
  open.more_operands = !left.empty();
  US_RETURN_IF_ERROR(Send(open));
  while (!left.empty()) {
    OperandBatch batch{.operands = take()};
    batch.last = left.empty();
    US_RETURN_IF_ERROR(Send(batch));
  }
  return absl::OkStatus();
}
absl::StatusOr<SessionOpened> AgentLink::AwaitOpened() {
  return AwaitReply<SessionOpened>("an open session");
}

absl::StatusOr<TreeReply> AgentLink::AwaitTree() {
  return AwaitReply<TreeReply>("what its index knows");
}

absl::StatusOr<NameReply> AgentLink::AskNames(const NameQuery& query) {
  US_RETURN_IF_ERROR(Send(query));
  return AwaitReply<NameReply>("names");
}

absl::StatusOr<MountReply> AgentLink::AskMounts(const MountQuery& query) {
  US_RETURN_IF_ERROR(Send(query));
  return AwaitReply<MountReply>("what is mounted");
}

absl::StatusOr<EntryReply> AgentLink::AwaitEntries() {
  return AwaitReply<EntryReply>("what is there");
}

absl::Status AgentLink::StartManifest(const uringsync::StartManifest& start) {
  {
    std::lock_guard lock(mutex_);
    folding_ = start.fold.has_value();
    manifest_asked_ = true;
  }
  uringsync::StartManifest keyed = start;
  keyed.digest_key = digest_key_;
  US_RETURN_IF_ERROR(Send(keyed));
  return GrantCredit(average_entries_);
}

absl::Status AgentLink::GrantCredit(size_t entries) {
  // A moving average over about four batches.
  average_entries_ = (average_entries_ * 3 + entries) / 4;
  const auto wanted = std::clamp<uint64_t>(kCreditEntries / (average_entries_ + 1), kMinCredit, kMaxCredit);
  const uint64_t open = offered_ - taken_;
  if (open > wanted / 2) return absl::OkStatus();
  const uint64_t more = wanted - open;
  offered_ += more;
  {
    std::lock_guard lock(mutex_);
    granted_ = offered_;
  }
  return Send(ManifestCredit{static_cast<uint32_t>(more)});
}

bool AgentLink::has_credit() const {
  std::lock_guard lock(mutex_);
  return granted_ > received_;
}

absl::StatusOr<FoldingLink::Arrival> AgentLink::Take(DirectoryBatch* batch) {
  std::lock_guard lock(mutex_);
  if (stopped_) return Stopped();
  if (batches_.empty()) {
    if (!end_) return Arrival::kNothingYet;
    manifest_end_ = *end_;
    return Arrival::kEnd;
  }
  *batch = std::move(batches_.front());
  batches_.pop_front();
  if (batch->folded || batch->expanded) --uncredited_;
  return Arrival::kBatch;
}

absl::Status AgentLink::GiveBack(size_t entries) {
  ++taken_;
  return GrantCredit(entries);
}

absl::StatusOr<std::optional<DirectoryBatch>> AgentLink::Next() {
  std::unique_lock lock(mutex_);
  if (!stopped_ && batches_.empty() && !end_ && before_waiting_) {
    lock.unlock();
    US_RETURN_IF_ERROR(before_waiting_());
    lock.lock();
  }
  changed_.wait(lock, [this] { return stopped_ || !batches_.empty() || end_; });
  if (stopped_) return Stopped();
  if (batches_.empty()) {
    manifest_end_ = *end_;
    return std::optional<DirectoryBatch>();
  }
  std::optional<DirectoryBatch> batch = std::move(batches_.front());
  batches_.pop_front();
  lock.unlock();
  ++taken_;
  US_RETURN_IF_ERROR(GrantCredit(batch->entries.size()));
  return batch;
}

}  // namespace uringsync

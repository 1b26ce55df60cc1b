#include "agent/resumable_sessions.h"

#include <algorithm>
#include <condition_variable>
#include <optional>
#include <string>
#include <utility>

#include "agent/logging.h"
#include "engine/base/errno_status.h"
#include "proto/resumable_streams.h"

namespace uringsync {
namespace {

using std::chrono::milliseconds;

// How long the last messages of a session that has ended may take.
constexpr milliseconds kFarewell{2000};

std::string Shown(milliseconds time) {
  return std::to_string(time.count() / 1000) + "." + std::to_string(time.count() % 1000 / 100) + " s";
}

}  // namespace

// One stream: its secrets, and where its next connection arrives.
class ResumableSessions::Waiting final : public ConnectionSupply {
 public:
  Waiting(const ResumeOffer& offer, const ControlPeer& peer, milliseconds hold)
      : names_(peer.Names()), who_(peer.Describe()), hold_(hold), token_(offer.token), certificate_(peer.certificate) {}

  absl::StatusOr<Connection> Next(const Loss& loss) override {
    const Clock::time_point lost_at = Clock::now();
    std::unique_lock lock(mutex_);
    if (!next_ && !cancelled_ && !stopping_) {
      LogEvent(LogLevel::kInfo, "connection lost",
               {{"who", who_}, {"reason", std::string(ToStd(loss.why.message()))}, {"kept", Shown(hold_)}});
    }
    if (!loss.again) kept_since_ = lost_at;
    arrived_.wait_until(lock, kept_since_ + hold_, [this] { return next_ || cancelled_ || stopping_; });
    if (cancelled_) return absl::UnavailableError("the session was closed at this end");
    if (!next_) return loss.why;
    LogEvent(LogLevel::kInfo, "connected again",
             {{"who", who_},
              {"address", address_},
              {"after", Shown(std::chrono::duration_cast<milliseconds>(Clock::now() - lost_at))}});
    taken_ = delivered_;
    return *std::exchange(next_, std::nullopt);
  }

  void Cancel() override {
    std::lock_guard lock(mutex_);
    cancelled_ = true;
    next_.reset();
    arrived_.notify_all();
  }

  void Proved() override {
    std::lock_guard lock(mutex_);
    // Said of the connection that was taken last; another may have been delivered by now, with a token of its own.
    if (taken_ == delivered_) earlier_.reset();
  }

  // The peer's, as it has shown it last.
  std::string certificate() {
    std::lock_guard lock(mutex_);
    return certificate_;
  }

  // Whether the token and the names are the stream's.
  bool Knows(const ResumeRequest& request, const ControlPeer& peer) {
    std::lock_guard lock(mutex_);
    const bool earlier = earlier_ && TokensMatch(*earlier_, request.token);
    return (TokensMatch(token_, request.token) || earlier) && peer.Names() == names_;
  }

  absl::Status Deliver(const ResumeRequest& request, const ControlPeer& peer, std::shared_ptr<ByteStream> call) {
    US_ASSIGN_OR_RETURN(const ResumeToken fresh, DrawResumeToken());
    std::optional<Connection> replaced;
    std::lock_guard ending(ending_);
    if (end_ == nullptr) return absl::NotFoundError("the session has ended");
    US_RETURN_IF_ERROR(end_->CanRewind(request.received));
    std::lock_guard lock(mutex_);
    if (cancelled_ || stopping_) return absl::UnavailableError("the agent is stopping");
    // Until the coordinator has shown that it has the new one, it may have to come with the old one again.
    earlier_ = request.token;
    token_ = fresh;
    address_ = peer.address;
    certificate_ = peer.certificate;
    ++delivered_;
    replaced = std::exchange(next_, std::nullopt);
    Connection next{.stream = std::move(call), .peer_received = request.received, .tell_token = fresh};
    // A session that works for long asks for no connection meanwhile; its coordinator would wait for an answer in vain.
    if (end_->Adopt(&next)) {
      taken_ = delivered_;
      LogEvent(LogLevel::kInfo, "connected again", {{"who", who_}, {"address", address_}});
      return absl::OkStatus();
    }
    // Before the new one is there to be taken for it.
    end_->DropConnection("its coordinator has connected again");
    next_ = std::move(next);
    arrived_.notify_all();
    return absl::OkStatus();
  }

  void Stop() {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    next_.reset();
    arrived_.notify_all();
  }

  // Null: the stream has ended. Waits for a Deliver that uses it.
  void SetEnd(ResumableEnd* end) {
    std::lock_guard lock(ending_);
    end_ = end;
  }

 private:
  const std::string names_;
  const std::string who_;
  const milliseconds hold_;
  std::mutex ending_;  // before mutex_, and both before the end's own
  ResumableEnd* end_ = nullptr;

  std::mutex mutex_;
  std::condition_variable arrived_;
  ResumeToken token_;
  std::optional<ResumeToken> earlier_;
  std::optional<Connection> next_;
  std::string address_;
  std::string certificate_;
  uint64_t delivered_ = 0;  // connections
  uint64_t taken_ = 0;      // of which the last one that was used
  Clock::time_point kept_since_{};
  bool cancelled_ = false;
  bool stopping_ = false;
};

// The stream as its session sees it.
class ResumableSessions::Resumable final : public CodedStream<AgentMessage, ClientMessage> {
 public:
  Resumable(ResumableSessions* owner, const ResumeOffer& offer, std::shared_ptr<Waiting> waiting,
            std::shared_ptr<ByteStream> call)
      : owner_(owner),
        stream_(offer.stream),
        waiting_(std::move(waiting)),
        end_(std::move(call), waiting_.get(), {.silence = offer.silence, .peer_keeps = true}) {
    waiting_->SetEnd(&end_);
  }
  ~Resumable() override {
    owner_->Forget(stream_);
    waiting_->SetEnd(nullptr);
    end_.Finish(kFarewell, /*half_close=*/false);
  }
  std::optional<std::string> LatestCertificate() const override { return waiting_->certificate(); }

 protected:
  ResumableEnd* end() override { return &end_; }

 private:
  ResumableSessions* const owner_;
  const StreamId stream_;
  const std::shared_ptr<Waiting> waiting_;
  ResumableEnd end_;
};

ResumeGrant ResumableSessions::Grant(const ResumeOffer& offer) {
  return {.hold = std::min(offer.hold, longest_)};
}

absl::StatusOr<std::unique_ptr<AgentStream>> ResumableSessions::Begin(const ResumeOffer& offer, const ControlPeer& peer,
                                                                      std::shared_ptr<ByteStream> call) {
  auto waiting = std::make_shared<Waiting>(offer, peer, Grant(offer).hold);
  {
    std::lock_guard lock(mutex_);
    if (stopping_) waiting->Stop();
    if (!streams_.emplace(offer.stream, waiting).second)
      return absl::AlreadyExistsError("a stream of that name is there already");
  }
  return std::make_unique<Resumable>(this, offer, std::move(waiting), std::move(call));
}

absl::Status ResumableSessions::Resume(const ResumeRequest& request, const ControlPeer& peer,
                                       std::shared_ptr<ByteStream> call) {
  std::shared_ptr<Waiting> waiting;
  {
    std::lock_guard lock(mutex_);
    const auto found = streams_.find(request.stream);
    if (found != streams_.end()) waiting = found->second;
  }
  // A stranger does not learn which of it is wrong.
  absl::Status resumed = absl::NotFoundError("no session that this token could go on with");
  if (waiting != nullptr && waiting->Knows(request, peer)) resumed = waiting->Deliver(request, peer, std::move(call));
  if (resumed.ok()) {
    if (on_resumed_) on_resumed_(peer);
  } else {
    refusals_.Tell(
        "reconnection refused",
        {{"who", peer.Describe()}, {"address", peer.address}, {"reason", std::string(ToStd(resumed.message()))}});
  }
  return resumed;
}

void ResumableSessions::Forget(const StreamId& stream) {
  std::lock_guard lock(mutex_);
  streams_.erase(stream);
}

void ResumableSessions::Stop() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  for (auto& [id, waiting] : streams_) waiting->Stop();
}

}  // namespace uringsync

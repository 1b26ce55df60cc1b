#include "proto/grpc_resumable.h"

#include <grpcpp/client_context.h>
#include <grpcpp/impl/rpc_method.h>
#include <grpcpp/support/sync_stream.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "proto/grpc_bytes.h"
#include "proto/resumable_streams.h"

namespace uringsync::grpc_internal {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Pauses between tries: half to all of it, doubled each time.
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{2000};
// One try: connection, TLS, and the agent's first word. The first ones are short: packets that were sent while the
// network was away are repeated late.
constexpr milliseconds kFirstTryLimit{2000};
constexpr milliseconds kTryLimit{10'000};
// An agent's host that refuses connections for so long has no agent, and so no session, any more.
constexpr milliseconds kRefusedLimit{3000};
// Beyond what the agent is asked to keep a session for, because it may notice a loss before this end does.
constexpr milliseconds kHoldMargin{2000};
constexpr milliseconds kPoliteEnd{2000};
constexpr milliseconds kSlice{50};

// Closes a stream that does not do what it should in time. On a thread of its own.
class TimeLimit {
 public:
  TimeLimit(ByteStream* stream, milliseconds limit)
      : thread_([this, stream, limit] {
          std::unique_lock lock(mutex_);
          if (!changed_.wait_for(lock, limit, [this] { return over_; })) stream->Close();
        }) {}
  ~TimeLimit() {
    {
      std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;
};

// One call.
class CallStream final : public ByteStream {
 public:
  CallStream(std::shared_ptr<grpc::Channel> channel, const std::string& name, const char* method, const char* metadata,
             const std::string& value)
      : channel_(std::move(channel)),
        name_(name),
        resumes_(method == kResumeMethod),
        method_(method, grpc::internal::RpcMethod::BIDI_STREAMING, channel_) {
    context_.AddMetadata(metadata, value);
    call_.reset(grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(
        channel_.get(), method_, &context_));
  }
  ~CallStream() override {
    if (finished_) return;
    context_.TryCancel();
    call_->Finish();
  }

  absl::Status Send(const std::string& message) override {
    if (!call_->Write(ToBuffer(message))) return MakeStatus(absl::StatusCode::kUnavailable, "lost the connection");
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Receive() override {
    if (finished_) return end_;
    grpc::ByteBuffer buffer;
    if (call_->Read(&buffer)) {
      absl::StatusOr<std::string> bytes = ToBytes(buffer);
      if (!heard_) {
        heard_ = true;
        granted_ = resumes_ || context_.GetServerInitialMetadata().count(kGrantMetadata) > 0;
      }
      return bytes;
    }
    const grpc::Status status = call_->Finish();
    finished_ = true;
    end_ = CallEnd(status, name_);
    switch (status.error_code()) {
      case grpc::StatusCode::UNAVAILABLE:
      case grpc::StatusCode::CANCELLED:
      case grpc::StatusCode::INTERNAL:
      case grpc::StatusCode::UNKNOWN:
      case grpc::StatusCode::DEADLINE_EXCEEDED:
      case grpc::StatusCode::ABORTED:
      case grpc::StatusCode::DATA_LOSS: lost_ = true; break;
      // No thread was free for it at this moment; the session is there all the same.
      case grpc::StatusCode::RESOURCE_EXHAUSTED: lost_ = resumes_; break;
      default: break;
    }
    unimplemented_ = status.error_code() == grpc::StatusCode::UNIMPLEMENTED;
    return end_;
  }

  bool lost() const override { return lost_; }
  bool resumable() const override { return granted_; }
  // After the end: the agent does not know the method.
  bool unimplemented() const { return unimplemented_; }

  void End(milliseconds limit) override {
    if (finished_) return;
    const TimeLimit watch(this, limit);
    call_->WritesDone();
    grpc::ByteBuffer buffer;
    while (call_->Read(&buffer)) buffer.Clear();
  }
  void Close() override { context_.TryCancel(); }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::string name_;
  const bool resumes_;
  grpc::internal::RpcMethod method_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> call_;
  absl::Status end_;
  bool heard_ = false;
  bool granted_ = false;
  bool lost_ = false;
  bool unimplemented_ = false;
  std::atomic<bool> finished_{false};
};

// Dials again.
class Redialer final : public ConnectionSupply {
 public:
  using Told = std::function<void(const ConnectionChange&)>;
  Redialer(ResumableChannel channel, StreamId stream, ResumeToken token)
      : channel_(std::move(channel)), stream_(stream), token_(token) {}

  void SetTold(Told told) { told_ = std::move(told); }

  std::shared_ptr<ByteStream> Begin(std::shared_ptr<grpc::Channel> over) {
    const ResumeOffer offer{.stream = stream_,
                            .token = token_,
                            .hold = std::min(channel_.reconnecting.limit + kHoldMargin, kMostHold),
                            .silence = channel_.reconnecting.silence};
    return std::make_shared<CallStream>(std::move(over), channel_.name, kSessionMethod, kOfferMetadata, Encode(offer));
  }

  absl::StatusOr<Connection> Next(const Loss& loss) override {
    const Clock::time_point lost_at = Clock::now();
    if (!loss.again) {
      deadline_ = loss.last_heard + channel_.reconnecting.limit;
      pause_ = kFirstPause;
    }
    const auto left = [this] { return std::chrono::duration_cast<milliseconds>(deadline_ - Clock::now()); };
    Tell({.lost = true,
          .peer = channel_.name,
          .why = std::string(ToStd(loss.why.message())),
          .time = std::max(milliseconds(0), left())});
    absl::Status last = loss.why;
    if (loss.again) LetPass(left());
    milliseconds limit = kFirstTryLimit;
    Clock::time_point refused_since = Clock::time_point::max();
    while (!cancelled_ && left() > milliseconds(0)) {
      absl::StatusOr<Connection> next = Try(loss, std::min(left(), limit));
      if (next.ok()) {
        Tell({.peer = channel_.name, .time = std::chrono::duration_cast<milliseconds>(Clock::now() - lost_at)});
        return next;
      }
      last = next.status();
      if (final_) return last;
      if (Refused(&last, left()) && !cancelled_) {
        refused_since = std::min(refused_since, Clock::now());
        if (Clock::now() - refused_since >= kRefusedLimit) break;
      } else {
        refused_since = Clock::time_point::max();
      }
      LetPass(left());
      limit = std::min(limit * 2, kTryLimit);
    }
    if (cancelled_) return absl::UnavailableError("the session was closed at this end");
    const bool late = channel_.reconnecting.limit_is_asked && left() <= milliseconds(0);
    return MakeStatus(
        late ? absl::StatusCode::kDeadlineExceeded : absl::StatusCode::kUnavailable,
        std::string(ToStd(loss.why.message())) + "; no other connection came about within " +
            std::to_string(std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - lost_at).count()) +
            " s: " + std::string(ToStd(last.message())));
  }

  void Cancel() override {
    std::shared_ptr<ByteStream> trying;
    {
      std::lock_guard lock(mutex_);
      cancelled_ = true;
      trying = trying_.lock();
      changed_.notify_all();
    }
    if (trying != nullptr) trying->Close();
  }

 private:
  void Tell(ConnectionChange change) {
    if (told_ && !cancelled_) told_(change);
  }

  // The pause before the next try, a longer one each time.
  void LetPass(milliseconds most) {
    const milliseconds time = std::min(Scattered(pause_), most);
    pause_ = std::min(pause_ * 2, kLongestPause);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [this] { return cancelled_.load(); });
  }

  milliseconds Scattered(milliseconds pause) {
    std::uniform_int_distribution<int64_t> jitter(pause.count() / 2, pause.count());
    return milliseconds(jitter(random_));
  }

  // Whether the agent's host says that nobody listens there; `*why` gets better words where there are some.
  bool Refused(absl::Status* why, milliseconds limit) {
    const absl::Status found = channel_.diagnose(std::clamp(limit, milliseconds(1), milliseconds(1000)));
    if (found.ok()) return false;
    *why = found;
    return StatusErrno(found) == ECONNREFUSED;
  }

  // A connection on which gRPC works, within `limit`.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Dial(milliseconds limit) {
    const Clock::time_point deadline = Clock::now() + limit;
    std::shared_ptr<grpc::Channel> channel = channel_.fresh();
    grpc_connectivity_state state = channel->GetState(/*try_to_connect=*/true);
    while (state != GRPC_CHANNEL_READY) {
      if (state == GRPC_CHANNEL_TRANSIENT_FAILURE) return absl::UnavailableError("it accepts no connection");
      if (cancelled_ || Clock::now() >= deadline) return absl::UnavailableError("no answer in time");
      channel->WaitForStateChange(state, std::chrono::system_clock::now() + kSlice);
      state = channel->GetState(/*try_to_connect=*/true);
    }
    return channel;
  }

  absl::StatusOr<Connection> Try(const Loss& loss, milliseconds limit) {
    const Clock::time_point deadline = Clock::now() + limit;
    US_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, Dial(limit));
    const ResumeRequest request{.stream = stream_, .token = token_, .received = loss.received};
    auto call = std::make_shared<CallStream>(channel, channel_.name, kResumeMethod, kResumeMetadata, Encode(request));
    {
      std::lock_guard lock(mutex_);
      if (cancelled_) return absl::CancelledError("closed");
      trying_ = call;
    }
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    absl::StatusOr<std::string> first;
    {
      const TimeLimit watch(call.get(), std::max(left, kSlice));
      first = call->Receive();
    }
    if (!first.ok()) return Refusal(loss, *call, first.status(), channel);
    absl::StatusOr<StreamNote> note = DecodeStreamNote(*first);
    if (note.ok() && !note->token) note = absl::InvalidArgumentError("no token came with a resumed session");
    if (!note.ok()) {
      final_ = true;
      return note.status();
    }
    heard_ = true;
    token_ = *note->token;
    return Connection{.stream = std::move(call), .peer_received = note->received};
  }

  // The agent did not go on with the session.
  absl::StatusOr<Connection> Refusal(const Loss& loss, const CallStream& call, const absl::Status& why,
                                     const std::shared_ptr<grpc::Channel>& channel) {
    if (call.lost()) return why;
    // It never heard of this session, or it is too old to say anything else: as far as we know nothing has begun.
    const bool unknown = absl::IsNotFound(why);
    if (unknown && !heard_ && loss.received == 0) {
      US_ASSIGN_OR_RETURN(stream_, DrawStreamId());
      US_ASSIGN_OR_RETURN(token_, DrawResumeToken());
      return Connection{.stream = Begin(channel), .kept = false};
    }
    final_ = true;
    if (call.unimplemented()) return loss.why;
    if (!unknown) return why;
    return MakeStatus(absl::StatusCode::kUnavailable,
                      std::string(ToStd(loss.why.message())) +
                          "; the agent does not have the session any more: it was restarted, gave the session up, or "
                          "made way for a newer one");
  }

  const ResumableChannel channel_;
  Clock::time_point deadline_{};
  milliseconds pause_ = kFirstPause;
  Told told_;
  StreamId stream_;
  ResumeToken token_;
  bool heard_ = false;  // a resumed connection came about
  bool final_ = false;
  std::minstd_rand random_{std::random_device{}()};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> cancelled_{false};
  std::weak_ptr<ByteStream> trying_;
};

class ResumableClientStream final : public CodedStream<ClientMessage, AgentMessage> {
 public:
  ResumableClientStream(ResumableChannel channel, StreamId stream, ResumeToken token)
      : redialer_(channel, stream, token),
        end_(redialer_.Begin(channel.first), &redialer_, {.silence = channel.reconnecting.silence}) {}
  ~ResumableClientStream() override { end_.Finish(kPoliteEnd, /*half_close=*/true); }

  void OnConnection(std::function<void(const ConnectionChange&)> told) override { redialer_.SetTold(std::move(told)); }

 protected:
  ResumableEnd* end() override { return &end_; }

 private:
  Redialer redialer_;
  ResumableEnd end_;
};

}  // namespace

absl::Status CallEnd(const grpc::Status& status, const std::string& name) {
  const std::string detail = EscapeName(status.error_message());
  switch (status.error_code()) {
    case grpc::StatusCode::OK: return absl::OutOfRangeError("the agent ended the session");
    case grpc::StatusCode::INVALID_ARGUMENT:
      return MakeStatus(absl::StatusCode::kInvalidArgument, name + " refused a message: " + detail);
    case grpc::StatusCode::UNIMPLEMENTED:
      return MakeStatus(absl::StatusCode::kUnavailable, name + " is no uringsync agent: " + detail);
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      // gRPC's own refusal of an oversized message, in whichever direction, or the agent's limit of sessions.
      return MakeStatus(absl::StatusCode::kUnavailable, name + ": " + detail);
    case grpc::StatusCode::UNAUTHENTICATED:
      return MakeStatus(absl::StatusCode::kUnauthenticated,
                        name + " refused the certificate of this command: " + detail);
    case grpc::StatusCode::NOT_FOUND: return MakeStatus(absl::StatusCode::kNotFound, name + ": " + detail);
    case grpc::StatusCode::CANCELLED:
      return MakeStatus(absl::StatusCode::kUnavailable, name + " gave the session up: " + detail);
    default: return MakeStatus(absl::StatusCode::kUnavailable, "lost the connection to " + name + ": " + detail);
  }
}

absl::StatusOr<std::unique_ptr<ClientStream>> OpenResumableStream(ResumableChannel channel) {
  US_ASSIGN_OR_RETURN(const StreamId stream, DrawStreamId());
  US_ASSIGN_OR_RETURN(const ResumeToken token, DrawResumeToken());
  return std::unique_ptr<ClientStream>(std::make_unique<ResumableClientStream>(std::move(channel), stream, token));
}

}  // namespace uringsync::grpc_internal

#include "proto/resumable_end.h"

#include <algorithm>
#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

// So much may arrive before it is confirmed; and what has arrived waits so long for that.
constexpr size_t kConfirmBytes = size_t{256} << 10;
constexpr std::chrono::milliseconds kConfirmDelay{100};
// How long Close tries to say good-bye over a connection that may be dead.
constexpr std::chrono::milliseconds kGoodbye{200};
constexpr std::chrono::milliseconds kGoodbyeGap{100};
// A connection that has lasted so long was a good one, also where nobody had anything to say.
constexpr std::chrono::seconds kLasting{10};

absl::Status ClosedHere() {
  return absl::UnavailableError("the session was closed at this end");
}

std::string Seconds(std::chrono::milliseconds time) {
  const auto ms = time.count();
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

}  // namespace

ResumableEnd::ResumableEnd(std::shared_ptr<ByteStream> first, ConnectionSupply* supply, ResumableOptions options)
    : supply_(supply),
      options_(options),
      window_(options.window_bytes),
      connection_(std::move(first)),
      peer_(options.peer_keeps ? Peer::kKeeps : Peer::kUnknown) {
  last_note_ = last_heard_ = Clock::now();
  writer_ = std::thread([this] { WriteLoop(); });
}

ResumableEnd::~ResumableEnd() {
  Close();
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    changed_.notify_all();
  }
  writer_.join();
}

absl::Status ResumableEnd::Send(std::string message) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return ended_ || finishing_ || window_.HasRoom(message.size()); });
  if (ended_) return absl::IsUnavailable(end_) ? end_ : absl::UnavailableError("the session is over");
  if (finishing_) return ClosedHere();
  window_.Add(std::move(message));
  changed_.notify_all();
  return absl::OkStatus();
}

absl::StatusOr<std::string> ResumableEnd::Receive() {
  while (true) {
    std::shared_ptr<ByteStream> connection;
    {
      std::lock_guard lock(mutex_);
      if (ended_) return end_;
      connection = connection_;
      waiting_ = true;
      waiting_since_ = Clock::now();
    }
    absl::StatusOr<std::string> message = connection->Receive();
    bool lost = false;
    message = OnReceived(std::move(message), *connection, &lost);
    if (!lost && (!message.ok() || !IsStreamNote(*message))) return message;
    // Whoever lent the connection waits until nobody has it any more.
    connection.reset();
    if (lost) US_RETURN_IF_ERROR(Regain(message.status()));
  }
}

// What the connection gave, seen by the stream: a message, a note that has been taken, the stream's end, or, with
// `*lost`, why the connection is gone.
absl::StatusOr<std::string> ResumableEnd::OnReceived(absl::StatusOr<std::string> message, const ByteStream& from,
                                                     bool* lost) {
  bool proves = false;
  {
    std::lock_guard lock(mutex_);
    waiting_ = false;
    if (ended_) {
      changed_.notify_all();
      return end_;
    }
    if (message.ok()) {
      last_heard_ = Clock::now();
      proves = !std::exchange(proved_, true);
      if (peer_ == Peer::kUnknown) peer_ = from.resumable() ? Peer::kKeeps : Peer::kForgets;
      if (peer_ == Peer::kForgets) {
        window_.ForgetSent();
      } else if (IsStreamNote(*message)) {
        if (absl::Status taken = TakeNote(*message); !taken.ok()) {
          EndWith(taken);
          return end_;
        }
      } else {
        ++received_;
        untold_bytes_ += message->size();
      }
      changed_.notify_all();
    } else if (!from.lost() || peer_ == Peer::kForgets) {
      EndWith(message.status());
      return end_;
    } else {
      *lost = regaining_ = true;
      connection_.reset();
      const uint64_t through = received_ + window_.acknowledged();
      again_ = through_ == through && Clock::now() - connected_at_ < kLasting;
      through_ = through;
      if (!again_) lost_at_ = Clock::now();
      if (!dropped_why_.empty()) message = MakeStatus(absl::StatusCode::kUnavailable, dropped_why_);
      dropped_why_.clear();
      changed_.notify_all();
    }
  }
  if (proves) supply_->Proved();
  return message;
}

// Under the lock.
absl::Status ResumableEnd::TakeNote(const std::string& message) {
  US_ASSIGN_OR_RETURN(const StreamNote note, DecodeStreamNote(message));
  // A token travels with the first word on a connection, which whoever dialled has taken.
  if (note.token) return absl::InvalidArgumentError("a token for a stream that has its connection");
  US_RETURN_IF_ERROR(window_.Acknowledge(note.received));
  if (note.end == StreamNote::End::kOrderly) return absl::OutOfRangeError("the other side ended the session");
  if (note.end == StreamNote::End::kBrokenOff) return absl::UnavailableError("the other side gave the session up");
  return absl::OkStatus();
}

absl::Status ResumableEnd::Regain(absl::Status why) {
  ConnectionSupply::Loss loss{.why = std::move(why), .last_heard = {}};
  {
    std::lock_guard lock(mutex_);
    // What came while nobody waited has not been seen.
    loss.last_heard = std::max(last_heard_, waiting_since_);
    loss.received = received_;
    loss.again = again_;
  }
  absl::StatusOr<ConnectionSupply::Connection> next = supply_->Next(loss);
  std::lock_guard lock(mutex_);
  regaining_ = false;
  if (ended_) {
    if (next.ok()) next->stream->Close();
    return end_;
  }
  absl::Status usable = next.ok() ? window_.Rewind(next->peer_received) : next.status();
  if (!usable.ok()) {
    if (next.ok()) next->stream->Close();
    EndWith(usable);
    return end_;
  }
  Install(*std::move(next));
  return absl::OkStatus();
}

// Under the lock.
void ResumableEnd::Install(ConnectionSupply::Connection next) {
  connection_ = std::move(next.stream);
  peer_ = next.kept ? Peer::kKeeps : Peer::kUnknown;
  ++generation_;
  proved_ = false;
  tell_token_ = next.tell_token;
  note_now_ = true;
  last_heard_ = last_note_ = connected_at_ = Clock::now();
  changed_.notify_all();
}

bool ResumableEnd::Adopt(ConnectionSupply::Connection* next) {
  std::shared_ptr<ByteStream> old;
  {
    std::lock_guard lock(mutex_);
    if (ended_ || waiting_ || regaining_ || connection_ == nullptr) return false;
    if (!window_.Rewind(next->peer_received).ok()) return false;
    old = connection_;
    dropped_why_.clear();
    // The supply was not asked, and so has not begun to count.
    through_.reset();
    Install(std::move(*next));
  }
  old->Close();
  return true;
}

// Under the lock.
void ResumableEnd::EndWith(absl::Status end) {
  if (std::exchange(ended_, true)) return;
  end_ = std::move(end);
  changed_.notify_all();
}

void ResumableEnd::Close() {
  std::shared_ptr<ByteStream> connection;
  {
    std::unique_lock lock(mutex_);
    const bool was_ended = ended_;
    EndWith(ClosedHere());
    connection = connection_;
    if (!was_ended && !finishing_ && connection != nullptr && peer_ == Peer::kKeeps && unwritable_ != generation_) {
      say_end_ = true;
      last_word_ = StreamNote::End::kBrokenOff;
      changed_.notify_all();
      const bool said = changed_.wait_for(lock, kGoodbye, [this] { return !say_end_ || writer_gone_; });
      // A call that is cancelled takes along what its other end has not read yet.
      if (said && waiting_) changed_.wait_for(lock, kGoodbyeGap, [this] { return !waiting_; });
    }
  }
  supply_->Cancel();
  if (connection != nullptr) connection->Close();
}

void ResumableEnd::Finish(std::chrono::milliseconds limit, bool half_close) {
  std::shared_ptr<ByteStream> connection;
  bool orderly = false;
  {
    std::unique_lock lock(mutex_);
    orderly = !ended_;
    finishing_ = true;
    changed_.notify_all();
    const auto drained = [this] {
      const bool writable = !ended_ && connection_ != nullptr && unwritable_ != generation_;
      return !writable || (window_.Next() == nullptr && !writing_);
    };
    orderly = changed_.wait_for(lock, limit, drained) && orderly;
    if (orderly && half_close && peer_ == Peer::kKeeps && connection_ != nullptr) {
      say_end_ = true;
      last_word_ = StreamNote::End::kOrderly;
      changed_.notify_all();
      orderly = changed_.wait_for(lock, limit, [this] { return !say_end_; });
    }
    EndWith(ClosedHere());
    connection = std::move(connection_);
    connection_.reset();
  }
  supply_->Cancel();
  if (connection == nullptr) return;
  if (!orderly) connection->Close();
  if (orderly && half_close) connection->End(limit);
}

std::optional<std::chrono::milliseconds> ResumableEnd::detached_for() const {
  std::lock_guard lock(mutex_);
  if (ended_ || connection_ != nullptr) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - lost_at_);
}

absl::Status ResumableEnd::CanRewind(uint64_t received) const {
  std::lock_guard lock(mutex_);
  return window_.CanRewind(received);
}

void ResumableEnd::DropConnection(const std::string& why) {
  std::shared_ptr<ByteStream> connection;
  {
    std::lock_guard lock(mutex_);
    if (ended_ || connection_ == nullptr) return;
    connection = connection_;
    dropped_why_ = why;
  }
  connection->Close();
}

// Under the lock.
bool ResumableEnd::NoteDue(Clock::time_point now) const {
  if (peer_ != Peer::kKeeps) return false;
  if (say_end_ || note_now_ || tell_token_ || untold_bytes_ >= kConfirmBytes) return true;
  if (received_ != told_received_ && now - last_note_ >= kConfirmDelay) return true;
  return now - last_note_ >= beat();
}

// Under the lock.
std::string ResumableEnd::MakeNote(Clock::time_point now) {
  StreamNote note{.received = received_, .token = std::exchange(tell_token_, std::nullopt)};
  if (say_end_) note.end = last_word_;
  note_now_ = false;
  told_received_ = received_;
  untold_bytes_ = 0;
  last_note_ = now;
  return Encode(note);
}

// Sends one note or message, if there is one and a connection for it.
bool ResumableEnd::WriteOne(std::unique_lock<std::mutex>* lock) {
  if (connection_ == nullptr || unwritable_ == generation_) return false;
  if (ended_ && !say_end_) return false;
  const Clock::time_point now = Clock::now();
  std::shared_ptr<const std::string> message;
  if (NoteDue(now)) {
    message = std::make_shared<const std::string>(MakeNote(now));
  } else {
    message = window_.Next();
    if (message == nullptr) return false;
    window_.Advance();
  }
  const bool last = say_end_ && IsStreamNote(*message);
  const uint64_t generation = generation_;
  std::shared_ptr<ByteStream> connection = connection_;
  writing_ = true;
  lock->unlock();
  const absl::Status sent = connection->Send(*message);
  connection.reset();
  lock->lock();
  writing_ = false;
  if (!sent.ok() && generation == generation_) unwritable_ = generation;
  if (last || !sent.ok()) say_end_ = false;
  if (peer_ == Peer::kForgets) window_.ForgetSent();
  changed_.notify_all();
  return true;
}

void ResumableEnd::WatchSilence(std::unique_lock<std::mutex>* lock) {
  const auto since = std::max(last_heard_, waiting_since_);
  if (!waiting_ || ended_ || connection_ == nullptr || peer_ != Peer::kKeeps || !dropped_why_.empty()) return;
  if (Clock::now() - since < options_.silence) return;
  dropped_why_ = "nothing came for " + Seconds(options_.silence);
  const std::shared_ptr<ByteStream> connection = connection_;
  lock->unlock();
  connection->Close();
  lock->lock();
}

void ResumableEnd::WriteLoop() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    WatchSilence(&lock);
    if (stop_ || WriteOne(&lock)) continue;
    const Clock::time_point before = Clock::now();
    const Clock::duration nap = received_ != told_received_ ? std::min<Clock::duration>(kConfirmDelay, beat()) : beat();
    changed_.wait_for(lock, nap);
    // This process was stopped, or got no turn: nobody else was silent for that.
    if (Clock::now() - before > nap + options_.silence / 2) last_heard_ = Clock::now();
  }
  writer_gone_ = true;
  changed_.notify_all();
}

}  // namespace uringsync

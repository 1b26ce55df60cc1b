#include "agent/room_watch.h"

#include <sys/vfs.h>

#include <cerrno>
#include <utility>

#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

struct Room {
  uint64_t bytes = 0;
  uint64_t capacity = 0;  // of the empty file system, bytes
  bool inodes = false;    // there are some
};

// What is left in the file system of `fd`; nothing where it does not tell.
Room LookAtRoom(Driver* driver, int fd) {
  struct statfs stat{};
  if (driver->Call(CallCode::kFstatfs, fd, sys::Arg(&stat)) < 0) return {};
  const uint64_t unit = stat.f_frsize > 0 ? static_cast<uint64_t>(stat.f_frsize) : static_cast<uint64_t>(stat.f_bsize);
  // Some file systems make inodes as they go and count none.
  return {.bytes = uint64_t{stat.f_bavail} * unit,
          .capacity = uint64_t{stat.f_blocks} * unit,
          .inodes = stat.f_files == 0 || stat.f_ffree > 0};
}

Task<void> Pause(Driver* driver, int times = 1) {
  Op pause;
  pause.code = OpCode::kTimeout;
  pause.timeout = RoomWatch::kPause * times;
  co_await Await(driver, &pause);
}

}  // namespace

void RoomWatch::Filling::End(bool whole) {
  RoomWatch* watch = std::exchange(watch_, nullptr);
  if (watch == nullptr) return;
  const std::scoped_lock lock(watch->mutex_);
  watch->last_end_ = std::chrono::steady_clock::now();
  --watch->filling_;
  watch->begun_bytes_ -= bytes_;
  if (!alone_) return;
  watch->alone_ = false;
  if (whole) watch->refusals_.store(0);
}

void RoomWatch::Enter(uint64_t size_bytes, bool alone, Filling* filling) {
  ++filling_;
  begun_bytes_ += size_bytes;
  alone_ |= alone;
  filling->watch_ = this;
  filling->bytes_ = size_bytes;
  filling->alone_ = alone;
}

bool RoomWatch::NothingComesBack() const {
  return filling_ == 0 && std::chrono::steady_clock::now() - last_end_ >= kGivingBack;
}

RoomWatch::Entry RoomWatch::TryEnter(Driver* driver, int fd, uint64_t size_bytes, bool alone, bool patient,
                                     Filling* filling) {
  const std::scoped_lock lock(mutex_);
  const Room room = LookAtRoom(driver, fd);
  if (size_bytes > room.capacity) return Entry::kHopeless;
  const bool free = alone ? filling_ == 0 : !alone_ && waiting_to_be_alone_ == 0;
  const uint64_t begun = patient ? 0 : begun_bytes_;
  const bool fits = room.inodes && room.bytes >= kLeastBytes && room.bytes >= begun && room.bytes - begun >= size_bytes;
  if (fits && (free || patient)) {
    Enter(size_bytes, alone && filling_ == 0, filling);
    return Entry::kEntered;
  }
  return !fits && NothingComesBack() ? Entry::kHopeless : Entry::kWait;
}

Task<int> RoomWatch::Begin(Driver* driver, int fd, uint64_t size_bytes, int tries, Filling* filling) {
  if (!tight_.load(std::memory_order_relaxed) && receive_->full() == 0) {
    const std::scoped_lock lock(mutex_);
    Enter(size_bytes, /*alone=*/false, filling);
    co_return 0;
  }
  if (size_bytes >= over_quota_.load(std::memory_order_relaxed)) co_return EDQUOT;
  const bool alone = tries > 1;
  auto wait = [&](int by) {
    const std::scoped_lock lock(mutex_);
    waiting_to_be_alone_ += by;
  };
  if (alone) wait(1);
  int refused = ENOSPC;
  for (int pauses = 0; pauses <= kMaxPauses; ++pauses) {
    refused = receive_->stopped() ? ECANCELED : receive_->full();
    if (refused != 0) break;
    const Entry entry = TryEnter(driver, fd, size_bytes, alone, pauses >= kPatience, filling);
    if (entry == Entry::kEntered) break;
    refused = ENOSPC;
    if (entry == Entry::kHopeless) break;
    co_await Pause(driver);
  }
  if (alone) wait(-1);
  co_return refused;
}

Task<bool> RoomWatch::Judge(Driver* driver, int fd, int error, int tries, const Filling& ended) {
  tight_.store(true, std::memory_order_relaxed);
  if (receive_->stopped() || receive_->full() != 0) co_return false;
  if (ended.alone_ && refusals_.fetch_add(1) + 1 >= kMaxRefusals) {
    receive_->SetFull(error);
    co_return false;
  }
  if (tries < kMaxTries) {
    // What the numbers promise, the file system may give out only a little later.
    if (tries > 1) co_await Pause(driver, 5 * tries);
    co_return true;
  }
  if (error == EDQUOT) {
    uint64_t smallest = over_quota_.load();
    while (ended.bytes_ > 0 && ended.bytes_ < smallest && !over_quota_.compare_exchange_weak(smallest, ended.bytes_)) {
    }
  }
  EndIfFull(driver, fd, error);
  co_return false;
}

void RoomWatch::Note(Driver* driver, int fd, int error) {
  tight_.store(true, std::memory_order_relaxed);
  EndIfFull(driver, fd, error);
}

void RoomWatch::EndIfFull(Driver* driver, int fd, int error) {
  const std::scoped_lock lock(mutex_);
  // While somebody may give room back, what is left says nothing.
  if (!NothingComesBack()) return;
  const Room room = LookAtRoom(driver, fd);
  if (!room.inodes || room.bytes < kLeastBytes) receive_->SetFull(error);
}

void RoomWatch::Reset() {
  receive_->SetFull(0);
  tight_.store(false);
  refusals_.store(0);
  over_quota_.store(std::numeric_limits<uint64_t>::max());
}

}  // namespace uringsync

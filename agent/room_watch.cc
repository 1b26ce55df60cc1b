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

void RoomWatch::Filling::End() {
  RoomWatch* watch = std::exchange(watch_, nullptr);
  if (watch == nullptr) return;
  watch->last_end_.store(std::chrono::steady_clock::now().time_since_epoch());
  watch->filling_.fetch_sub(1);
}

bool RoomWatch::MayGetRoom() const {
  if (filling_.load() > 0) return true;
  return std::chrono::steady_clock::now().time_since_epoch() - kGivingBack < last_end_.load();
}

bool RoomWatch::MayTryAgain(int tries) {
  if (tries < kMaxTries) return true;
  return tries < kMaxTriesBesideOthers && MayGetRoom() && further_tries_.fetch_add(1) < kMaxFurtherTries;
}

Task<int> RoomWatch::Refuses(Driver* driver, int fd, uint64_t size_bytes) {
  if (const int full = receive_->full(); full != 0) co_return full;
  if (!tight_.load(std::memory_order_relaxed)) co_return 0;
  if (size_bytes >= over_quota_.load(std::memory_order_relaxed)) co_return EDQUOT;
  const bool fits = co_await AwaitRoom(driver, fd, size_bytes);
  if (const int full = receive_->full(); full != 0) co_return full;
  co_return fits ? 0 : ENOSPC;
}

Task<bool> RoomWatch::AwaitRoom(Driver* driver, int fd, uint64_t size_bytes) {
  for (int pauses = 0; !receive_->stopped() && receive_->full() == 0; ++pauses) {
    const bool others = MayGetRoom();
    const Room room = LookAtRoom(driver, fd);
    if (room.inodes && room.bytes >= size_bytes && room.bytes >= kLeastBytes) co_return true;
    if (!others || pauses >= kMaxPauses || size_bytes > room.capacity) break;
    co_await Pause(driver);
  }
  co_return false;
}

Task<bool> RoomWatch::AwaitOthers(Driver* driver) {
  for (int pauses = 0; pauses < kMaxPauses; ++pauses) {
    if (filling_.load() == 0 || receive_->stopped() || receive_->full() != 0) co_return true;
    co_await Pause(driver);
  }
  co_return false;
}

Task<bool> RoomWatch::Judge(Driver* driver, int fd, int error, uint64_t size_bytes, int tries) {
  tight_.store(true, std::memory_order_relaxed);
  const bool may_try = MayTryAgain(tries);
  if (may_try && error == EDQUOT) {
    // A quota tells nobody what it has left: only what others give back can help.
    const bool waited = filling_.load() > 0 && co_await AwaitOthers(driver);
    if (waited && receive_->full() == 0 && !receive_->stopped()) co_return true;
  } else if (may_try) {
    // What the numbers promise, the file system may give out only a little later.
    if (tries >= kMaxTries) co_await Pause(driver, tries);
    const bool fits = co_await AwaitRoom(driver, fd, size_bytes);
    if (fits) co_return true;
  }
  if (receive_->stopped() || receive_->full() != 0) co_return false;
  if (error == EDQUOT) {
    uint64_t smallest = over_quota_.load();
    while (size_bytes > 0 && size_bytes < smallest && !over_quota_.compare_exchange_weak(smallest, size_bytes)) {
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
  const Room room = LookAtRoom(driver, fd);
  const bool full = !room.inodes || room.bytes < kLeastBytes;
  if (full || refusals_.fetch_add(1) + 1 >= kMaxRefusals) receive_->SetFull(error);
}

void RoomWatch::Reset() {
  receive_->SetFull(0);
  tight_.store(false);
  refusals_.store(0);
  further_tries_.store(0);
  over_quota_.store(std::numeric_limits<uint64_t>::max());
}

}  // namespace uringsync

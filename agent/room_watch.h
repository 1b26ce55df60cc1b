// RoomWatch: what a session makes of a file system that takes no more.
//
// One file that is too large must not stop those that fit, and 100,000 files on a full disk must not be tried one by
// one. So after the first refusal (ENOSPC, EDQUOT) a file begins only where what is left suffices for it beside what
// others have begun with; one that was refused begins again with nobody beside it, because what a large file holds
// comes back when that ends. Only what is refused with nobody left who may give room back says something of the file
// system: next to nothing left, no inode, or too many refusals that its numbers do not explain (a quota, a reserve) end
// all further writing (ReceiveShared::SetFull).
//
// Thread rule: any thread; coroutines on the shard of their driver.
// Use:  RoomWatch::Filling filling;
//       int refused = co_await room.Begin(driver, directory, size, tries, &filling);
//       ... fill, or remove what there is of it ...;  filling.End(is it whole?);
//       if (out of room && co_await room.Judge(driver, directory, error, tries, filling)) ... again, from Begin
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <mutex>

#include "engine/coro/task.h"
#include "engine/ring/driver.h"
#include "engine/transfer/receive_shared.h"

namespace uringsync {

class RoomWatch {
 public:
  // Less than this is no room. Bytes.
  static constexpr uint64_t kLeastBytes = 64 << 10;
  // How often one file is tried; all but the first time alone.
  static constexpr int kMaxTries = 4;
  // Refusals of files that were alone, none of which the numbers explain, with none between them that came through.
  static constexpr int kMaxRefusals = 32;
  // How long one file waits for others that are being filled and may give room back.
  static constexpr int kMaxPauses = 3000;
  // After that many it begins beside them where there is room just now: they may take long.
  static constexpr int kPatience = 300;
  static constexpr std::chrono::milliseconds kPause{10};
  // How long after a file's end the room that it held may still be on its way back: the kernel frees what is closed in
  // its own time.
  static constexpr std::chrono::milliseconds kGivingBack{300};

  explicit RoomWatch(ReceiveShared* receive) : receive_(receive) {}

  // A file is being filled, and may hold room that it gives back.
  class Filling {
   public:
    Filling() = default;
    Filling(const Filling&) = delete;
    Filling& operator=(const Filling&) = delete;
    ~Filling() { End(/*whole=*/false); }
    // It gives back nothing more. `whole`: nothing refused it.
    void End(bool whole);

   private:
    friend class RoomWatch;
    RoomWatch* watch_ = nullptr;
    uint64_t bytes_ = 0;
    bool alone_ = false;
  };

  // Lets a file that takes `size_bytes` begin for the `tries`th time (from 1) in the file system of `fd`, and has it
  // counted by `filling`; waits, once there was a refusal, for what others may give back. Returns 0, or the errno with
  // which it is not worth a try: ENOSPC, EDQUOT, ECANCELED.
  Task<int> Begin(Driver* driver, int fd, uint64_t size_bytes, int tries, Filling* filling);
  // What `ended` counted was refused with `error` for the `tries`th time, and nothing of it is left. True: try again.
  Task<bool> Judge(Driver* driver, int fd, int error, int tries, const Filling& ended);
  // Something was refused that is not tried again.
  void Note(Driver* driver, int fd, int error);
  // A phase begins: deletes may have made room.
  void Reset();

 private:
  enum class Entry { kEntered, kWait, kHopeless };
  // `patient`: it has waited long enough for those that may give room back.
  Entry TryEnter(Driver* driver, int fd, uint64_t size_bytes, bool alone, bool patient, Filling* filling);
  // mutex_ is held.
  void Enter(uint64_t size_bytes, bool alone, Filling* filling);
  // Nobody is being filled, and nobody has only just ended. mutex_ is held.
  bool NothingComesBack() const;
  // Whether `fd`'s file system has next to nothing left.
  void EndIfFull(Driver* driver, int fd, int error);

  ReceiveShared* const receive_;
  mutable std::mutex mutex_;
  int filling_ = 0;              // guarded by mutex_
  uint64_t begun_bytes_ = 0;     // of those; guarded by mutex_
  bool alone_ = false;           // one of those is meant to be alone; guarded by mutex_
  int waiting_to_be_alone_ = 0;  // guarded by mutex_
  std::chrono::steady_clock::time_point last_end_{};  // guarded by mutex_
  std::atomic<bool> tight_{false};
  std::atomic<int> refusals_{0};
  std::atomic<uint64_t> over_quota_{
      std::numeric_limits<uint64_t>::max()};  // size of the smallest file that a quota refused
};

}  // namespace uringsync

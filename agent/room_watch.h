// RoomWatch: what a session makes of a file system that takes no more.
//
// One file that is too large must not stop those that fit, and 100,000 files on a full disk must not be tried one by
// one. So after a refusal (ENOSPC, EDQUOT), and once the refused file's temporary is gone, the file system is asked
// what it has left: next to nothing, or no inode, ends all further writing (ReceiveShared::SetFull); otherwise the file
// is tried again where it fits now, or fails alone, and files that are larger than what is left fail without a try.
// Refusals that the numbers do not explain (a quota, a reserve) are bounded.
//
// Thread rule: any thread; Judge on the shard of its driver.
// Use:  RoomWatch::Filling filling = room.Begin();  ... fill, or remove what there is of it ...;  filling.End();
//       if (refused && co_await room.Judge(driver, directory, error, size, tries)) ... again
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>

#include "engine/coro/task.h"
#include "engine/ring/driver.h"
#include "engine/transfer/receive_shared.h"

namespace uringsync {

class RoomWatch {
 public:
  // Less than this is no room. Bytes.
  static constexpr uint64_t kLeastBytes = 64 << 10;
  // How often one file is tried, and how often while others are being filled: a large one that ends gives back room
  // which the next large one takes before it is known to be too large.
  static constexpr int kMaxTries = 2;
  static constexpr int kMaxTriesBesideOthers = 16;
  // Such tries of a phase, all files together.
  static constexpr int kMaxFurtherTries = 128;
  // Refusals of a phase, none of which the numbers explain.
  static constexpr int kMaxRefusals = 32;
  // How long one file waits for others that are being filled and may give room back.
  static constexpr int kMaxPauses = 3000;
  static constexpr std::chrono::milliseconds kPause{10};

  explicit RoomWatch(ReceiveShared* receive) : receive_(receive) {}

  // How long after a file's end the room that it held may still be on its way back: the kernel frees what is closed in
  // its own time.
  static constexpr std::chrono::milliseconds kGivingBack{300};

  // A file is being filled, and may hold room that it gives back.
  class Filling {
   public:
    explicit Filling(RoomWatch* watch) : watch_(watch) { watch_->filling_.fetch_add(1); }
    Filling(const Filling&) = delete;
    Filling& operator=(const Filling&) = delete;
    ~Filling() { End(); }
    void End();

   private:
    RoomWatch* watch_;
  };
  Filling Begin() { return Filling(this); }

  // errno where a file of `size_bytes` is not worth a try in the file system of `fd`; else 0. Asks only after a
  // refusal.
  Task<int> Refuses(Driver* driver, int fd, uint64_t size_bytes);
  // A file of `size_bytes` was refused with `error` for the `tries`th time; nothing of it is left. True: try again.
  Task<bool> Judge(Driver* driver, int fd, int error, uint64_t size_bytes, int tries);
  // An object without contents was refused.
  void Note(Driver* driver, int fd, int error);
  // A phase begins: deletes may have made room.
  void Reset();

 private:
  // True once `size_bytes` fit; false when nobody is left who may give room back, or after the longest wait.
  Task<bool> AwaitRoom(Driver* driver, int fd, uint64_t size_bytes);
  // False after the longest wait.
  Task<bool> AwaitOthers(Driver* driver);
  // Somebody is being filled, or has only just ended.
  bool MayGetRoom() const;
  bool MayTryAgain(int tries);
  void EndIfFull(Driver* driver, int fd, int error);

  ReceiveShared* const receive_;
  std::atomic<int> filling_{0};
  std::atomic<std::chrono::steady_clock::duration> last_end_{std::chrono::steady_clock::duration::min()};
  std::atomic<bool> tight_{false};
  std::atomic<int> refusals_{0};
  std::atomic<int> further_tries_{0};
  std::atomic<uint64_t> over_quota_{
      std::numeric_limits<uint64_t>::max()};  // size of the smallest file that a quota refused
};

}  // namespace uringsync

// InPlaceInodes: files of several names in a session that writes over what is there (--inplace).
//
// What is written under one of the names shows under all of them. So one action at a time works on such an inode, an
// action that finds it changed by an earlier one of the session does not take that for somebody else's doing, and
// contents that stand later in the plan are not written over by earlier ones that come late: as with one action after
// the other, the last one wins, whole.
//
// Memory: some 100 bytes for each such inode that was written. Thread rule: any thread.
// Use:  SemaphoreUnits turn = co_await inodes.Turn(existing.id);
//       inodes.Refresh(&existing);   ... write ...   inodes.Leave(stat, action.id);
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>

#include "engine/base/entry.h"
#include "engine/coro/semaphore.h"

namespace uringsync {

class InPlaceInodes {
 public:
  // Inodes share these; whoever has one waits for nobody who may wait for another one.
  static constexpr size_t kTurns = 64;

  InPlaceInodes();

  // Resumes when no other action works on `file`. To be given back before anything is waited for that other actions
  // have to do.
  Semaphore::Awaiter Turn(FileId file) { return turns_[file.inode % kTurns].Acquire(1); }
  // Makes what was planned against what the session has left of it since.
  void Refresh(Entry* existing) const;
  // Whether the contents of an action with a larger id are in place.
  bool HasLater(FileId file, uint64_t action) const;
  // What was made of an inode; `action` 0: not its contents, or not all of them.
  void Leave(FileId file, const struct statx& now, uint64_t action);

 private:
  struct Left {
    uint64_t size_bytes = 0;
    FileTime mtime;
    uint64_t action = 0;
  };
  std::deque<Semaphore> turns_;
  mutable std::mutex mutex_;
  std::map<FileId, Left> left_;
};

}  // namespace uringsync

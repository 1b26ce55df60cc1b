// ResumeJournal: what a destination session writes down of the temporaries of large files, and takes over from sessions
// that ended before theirs were whole.
//
// A journal is a file in the session's directory, JournalName(slot), locked (flock) by the session that writes it for
// as long as that lives: who gets the lock knows that its session is dead. It is made when there is something to write
// down, and removed when a run ends with nothing left. A temporary is taken over, or removed, only if it still is the
// inode that the journal names; it gets a name of this session, so that nobody takes it for a stray.
//
// What was taken over is only ever a proposal for contents. A journal that cannot be written costs the next run bytes,
// no more: such failures are not told.
//
// Thread rule: TakeOver before everything else; the rest from any shard, with that shard's driver. Use:
//   journal.TakeOver(driver, /*keep=*/true);
//   std::optional<LeftTemporary> left = journal.Take(driver, path, wanted);   // before a file is staged
//   journal.Note(driver, entry); ... journal.NoteWhole(driver, temporary); ... journal.Forget(temporary);
//   journal.Drop(driver);                                                     // nothing more is wanted
//   journal.Close(driver);
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/resume_record.h"
#include "engine/base/unique_fd.h"
#include "engine/fs/directory.h"
#include "engine/fs/state_name.h"
#include "engine/ring/driver.h"

namespace uringsync {

// A temporary of an earlier session. It stays written down until Forget.
struct LeftTemporary {
  DirectoryPtr directory;
  std::string name;
  UniqueFd fd;                   // for reading and writing, or for reading what is whole
  uint64_t data_bytes = 0;       // up to where it has data
  uint64_t allocated_bytes = 0;  // the room that it takes
  bool whole = false;            // it had all contents, and perhaps attributes
};

class ResumeJournal {
 public:
  // Sessions of single operands that write into one directory at once and keep journals.
  static constexpr uint64_t kSlots = 8;
  // Numbers of the names that temporaries of other sessions get: others than those of this session's own.
  static constexpr uint64_t kFirstSerial = uint64_t{1} << 32;

  struct Options {
    std::optional<FollowBase> links;  // as in DirectoryCache
    bool start_writeback = false;     // what is written is sent on its way to the disk at once
    bool may_loosen_root = false;     // a root that refuses its owner is made writable to remove a journal
  };
  ResumeJournal(DirectoryPtr root, uint64_t session_tag, Options options);
  // What is written down stays.
  ~ResumeJournal() = default;
  ResumeJournal(const ResumeJournal&) = delete;
  ResumeJournal& operator=(const ResumeJournal&) = delete;

  // Makes the temporaries of dead sessions this one's, or removes them where `keep` is false. What does not fit what
  // their journals say stays. Root also removes what other users' journals are when they describe nothing any more.
  void TakeOver(Driver* driver, bool keep);
  // How many temporaries of dead sessions TakeOver removed. To be read after it, on its thread.
  uint64_t strays_removed() const { return removed_; }

  // What is left of the file, where it was for the source's file as `wanted` says; what was for another one is removed.
  std::optional<LeftTemporary> Take(Driver* driver, const RelPath& path, const Entry& wanted);
  // Writes down a temporary of this session, or that another source file's contents are put into it. Whether it is.
  bool Note(Driver* driver, ResumeEntry entry);
  // Writes down that it has all contents, where it is written down.
  void NoteWhole(Driver* driver, const std::string& temporary);
  bool Holds(const std::string& temporary) const;
  // It has its final name, or is gone.
  void Forget(const std::string& temporary);
  // Removes it.
  void Remove(Driver* driver, const LeftTemporary& left);

  // Removes temporaries that were taken over and that nobody asked for: all of them, or those in `directory`. How many.
  size_t Drop(Driver* driver);
  size_t DropIn(Driver* driver, const RelPath& directory);
  // Nothing more will be written: the journal goes, unless it still describes something. An error where it could not be
  // removed, or the directory's time not be set as it was.
  absl::Status Close(Driver* driver);

 private:
  struct Kept {
    ResumeEntry entry;
    bool offered = false;  // taken over, and not asked for
  };
  // A journal whose session is dead.
  struct Dead {
    std::string name;
    UniqueFd fd;  // locked
    uint64_t device = 0;
    bool ours = true;  // else it is another user's, and only removed
    std::vector<ResumeEntry> entries;
  };
  std::optional<Dead> LockDead(Driver* driver, const std::string& name);
  // Those of `dead` that are there, the best one of each file; the others are removed.
  std::vector<ResumeEntry> Candidates(Driver* driver, DirectoryCache* directories, const std::vector<Dead>& dead);
  void Rename(Driver* driver, DirectoryCache* directories, const std::vector<ResumeEntry>& found);
  // Whether it was there, and is gone.
  bool RemoveAs(Driver* driver, const ResumeEntry& entry);
  // Of a journal, also one that is not there any more.
  int RemoveName(Driver* driver, const std::string& name) const;
  size_t DropIf(Driver* driver, const RelPath* directory);
  bool Append(Driver* driver, const ResumeEntry& entry);
  // A new file with all that is written down takes the place of `name`, or, where that is empty, of a free slot.
  bool Write(Driver* driver, const std::string& name);
  bool WriteFirst(Driver* driver);
  bool WriteInto(Driver* driver, const std::string& name, bool replace);
  std::string TextOfAll() const;
  absl::Status Unlink(Driver* driver);
  // The directory's, which a journal's coming and going must not move. Where it is somebody else's it is not ours to
  // set.
  absl::StatusOr<timespec> RootTime(Driver* driver) const;
  absl::Status SetRootTime(Driver* driver, const timespec& time) const;

  const DirectoryPtr root_;
  const Options options_;
  const uint64_t session_tag_;
  StateNamer namer_;
  mutable std::mutex mutex_;  // of all below
  ResumeHeader header_;
  std::map<std::string, Kept> kept_;  // by the temporary's name
  std::string name_;                  // of the journal; empty: there is none
  UniqueFd fd_;                       // locked
  size_t size_bytes_ = 0;
  uint64_t removed_ = 0;    // by TakeOver
  bool failed_ = false;     // it cannot be written
  timespec time_before_{};  // of the directory, without the journal and with it
  timespec time_after_{};
};

}  // namespace uringsync

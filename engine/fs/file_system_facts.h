// FileSystems: what the file systems of one side of a session cannot do, found out by the calls that they refuse.
//
// Each file system is asked for a thing once: whoever meets a refusal that is one of the file system, and not of the
// single object, writes it down here and goes the other way, and so does everybody after that without asking. Where
// that other way promises less, the user is told so once, with the place of the file system. Refusals of single objects
// (an attribute of a symlink, a link of somebody else's file) do not belong here: the callers decide by the exact call.
//
// Facts hold for a session: whatever is mounted at the next one is asked anew.
//
// Thread rule: any thread; SetRoot before the object is shared.
// Use:  FileSystemFacts& system = directory.file_system(driver);
//       if (!system.Lacks(Lack::kExchange) && Exchange(...) == -EINVAL) system.Tell(Lack::kExchange);
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/ring/driver.h"

namespace uringsync {

class FileSystems;

// What a file system may lack.
enum class Lack : uint8_t {
  kExchange,       // RENAME_EXCHANGE
  kNoReplace,      // RENAME_NOREPLACE
  kNewNames,       // no way to give a new name without a chance to take somebody else's: no kNoReplace, no kHardLinks
  kHardLinks,      // a second name for a file of one's own
  kAttributes,     // extended attributes of any kind
  kAcls,           // POSIX ACLs
  kHoles,          // SEEK_DATA, SEEK_HOLE
  kPreallocation,  // fallocate
  kPunching,       // fallocate with FALLOC_FL_PUNCH_HOLE
  kDirectorySync,  // fsync of a directory
  kLeases,         // F_SETLEASE
  kOwners,         // chown by who may do it
  kCount
};

class FileSystemFacts {
 public:
  // Whether and how files without a name get one (unnamed_file.h).
  enum class UnnamedFiles : uint8_t { kUnknown, kNone, kByDescriptor, kThroughProc };

  bool Lacks(Lack lack) const { return lacks_[Index(lack)].load(std::memory_order_relaxed); }
  // It was refused, and something as good is done instead.
  void Remember(Lack lack) { lacks_[Index(lack)].store(true, std::memory_order_relaxed); }
  // It was refused, and less is promised without it: the user hears of it, the first time.
  void Tell(Lack lack);

  std::atomic<UnnamedFiles> unnamed_files{UnnamedFiles::kUnknown};

 private:
  friend class FileSystems;
  static constexpr size_t Index(Lack lack) { return static_cast<size_t>(lack); }

  FileSystems* owner_ = nullptr;
  std::string type_;  // "ext4"; empty: it could not be told
  std::string path_;  // of a directory or file there, as the kernel names it
  std::array<std::atomic<bool>, static_cast<size_t>(Lack::kCount)> lacks_{};
  std::array<std::atomic<bool>, static_cast<size_t>(Lack::kCount)> told_{};
};

class FileSystems {
 public:
  using TellUser = std::function<void(std::string)>;
  // `tell` gets a line for the user; null: nobody is told.
  explicit FileSystems(TellUser tell = nullptr) : tell_(std::move(tell)) {}
  FileSystems(const FileSystems&) = delete;
  FileSystems& operator=(const FileSystems&) = delete;

  // `fd` is open on the directory that people know as `shown`: places below it are told as paths below that.
  void SetRoot(Driver* driver, int fd, std::string shown);
  // Of the file system that `fd` lies on, `device` as in FileId. They live as long as this object.
  FileSystemFacts& Of(Driver* driver, int fd);
  FileSystemFacts& Of(Driver* driver, int fd, uint64_t device);
  // Null where nobody asked for any of this device yet.
  FileSystemFacts* Find(uint64_t device);
  // Nobody is told any more; returns when nobody is being told.
  void Mute();

 private:
  friend class FileSystemFacts;
  void TellOnce(const FileSystemFacts& system, Lack lack);
  std::string PlaceOf(const std::string& path) const;

  std::mutex tell_mutex_;
  TellUser tell_;  // under tell_mutex_
  std::string root_path_;
  std::string root_shown_;
  std::mutex mutex_;
  std::map<uint64_t, std::unique_ptr<FileSystemFacts>> by_device_;  // under mutex_
};

}  // namespace uringsync

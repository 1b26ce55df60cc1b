// FileSystem: a file system in memory that knows what of it is on its disk. A loss of power takes what was not synced,
// or leaves it, as the seed says: contents block by block, attributes, and names, each for itself.
//
// What it promises is what POSIX and Linux promise of any local file system, and no more (FsPromises::kWeak): fsync of
// a file brings its contents and attributes to disk but no name, fsync of a directory its names, a rename within one
// directory happens wholly or not at all, and changes of one directory reach the disk in their order. kOrdered has one
// journal for all, as ext4 and xfs: changes of names are kept up to some point in time, and each fsync commits it.
//
// Thread rule: one thread at a time (scheduler.h).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/scheduler.h"

namespace uringsync::sim {

constexpr uint64_t kBlockBytes = 4096;

struct FileTimes {
  Nanos access = 0;
  Nanos modify = 0;
  Nanos change = 0;
};

// What fsync of an object brings to disk.
struct Contents {
  uint32_t mode = 0;  // with the type
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  FileTimes times;
  std::string data;             // of a file; of a symlink its target
  std::vector<bool> allocated;  // blocks of a file that are no holes
  std::map<std::string, std::string> xattrs;
};

struct Inode;
using InodePtr = std::shared_ptr<Inode>;
using Names = std::map<std::string, InodePtr>;

struct Inode {
  uint64_t number = 0;
  uint32_t links = 0;
  Contents now;
  std::unique_ptr<Contents> on_disk;  // null: nothing of it ever was
  bool dirty = true;
  bool lost_pages = false;  // a sync failed: the pages count as written, and are not
  Names names;              // of a directory
  Names names_on_disk;
  Inode* parent = nullptr;  // of a directory; the top's is itself
  int writers = 0;          // descriptors open for writing
  bool room_freed = false;  // it has no name and no descriptor any more
  uint32_t type() const { return now.mode & 0170000; }
  bool is_directory() const { return type() == 0040000; }
  bool is_file() const { return type() == 0100000; }
};

enum class FsPromises : uint8_t { kWeak, kOrdered };

struct FileSystemOptions {
  uint64_t device = 1;
  uint64_t magic = 0xEF53;
  FsPromises promises = FsPromises::kWeak;
  bool acks_lost_syncs = false;  // planted: fsync says yes and does nothing
};

class FileSystem {
 public:
  explicit FileSystem(FileSystemOptions options);
  const FileSystemOptions& options() const { return options_; }
  const InodePtr& top() const { return top_; }

  // Times of changes are those of the last tick of the kernel's clock, as on Linux.
  void SetClock(std::function<Nanos()> clock) { clock_ = std::move(clock); }
  Nanos Tick() const;

  // Results are 0 or -errno. Names are valid components; the caller has found `directory`.
  InodePtr MakeInode(uint32_t mode);
  int Link(Inode* directory, const std::string& name, const InodePtr& inode);
  int Unlink(Inode* directory, const std::string& name, bool as_directory);
  // flags: RENAME_NOREPLACE, RENAME_EXCHANGE, or 0.
  int Rename(Inode* from, const std::string& name, Inode* to, const std::string& new_name, unsigned flags);
  int64_t Read(Inode* file, void* buffer, uint64_t bytes, uint64_t offset) const;
  int64_t Write(Inode* file, const void* buffer, uint64_t bytes, uint64_t offset);
  int Truncate(Inode* file, uint64_t bytes);
  int Allocate(Inode* file, uint64_t offset, uint64_t bytes, bool keep_size);
  // SEEK_DATA, SEEK_HOLE.
  int64_t Seek(const Inode& file, uint64_t offset, bool data) const;
  void Touch(Inode* inode);   // attributes changed
  void Modify(Inode* inode);  // contents changed

  // fsync of a file or directory; `failed`: it says EIO, and what was dirty is not on disk though it counts as clean.
  void Sync(Inode* inode, bool failed = false);
  void SyncAll();
  // Everything has been on disk for long, also what a failed sync had lost.
  void Settle();
  // What is there after a loss of power and the next start.
  void LosePower(SeededRandom* random);

  // Gives back the blocks of a file without a name.
  void FreeRoom(Inode* inode);
  void SetRoom(uint64_t bytes) { room_bytes_ = bytes; }
  uint64_t room_bytes() const { return room_bytes_; }
  uint64_t used_bytes() const { return used_bytes_; }
  // Changes of anything since the beginning.
  uint64_t changes() const { return changes_; }

  // Null: no directory of this file system any more.
  InodePtr HolderOf(Inode* directory) const;
  // Without symlinks; null: not there.
  InodePtr Find(const std::string& path) const;

 private:
  struct NameChange {
    struct Part {
      Inode* directory;
      InodePtr holder;  // keeps the directory alive
      std::string name;
      InodePtr inode;  // null: gone
    };
    std::vector<Part> parts;
    bool Touches(const Inode* directory) const;
  };
  void Record(std::vector<NameChange::Part> parts);
  static void Apply(const NameChange& change);
  void CommitNames(const Inode* directory);
  void CommitAllNames();
  void LoseNames(SeededRandom* random);
  void LoseContents(Inode* inode, SeededRandom* random);
  void Reload(Inode* directory, SeededRandom* random);
  void Drop(const InodePtr& inode);
  int Reserve(Inode* file, uint64_t offset, uint64_t bytes);

  const FileSystemOptions options_;
  std::function<Nanos()> clock_;
  uint64_t next_number_ = 2;
  InodePtr top_;
  std::map<const Inode*, std::weak_ptr<Inode>> directories_;
  std::deque<NameChange> pending_;  // not on disk yet, oldest first
  uint64_t room_bytes_ = uint64_t{1} << 40;
  uint64_t used_bytes_ = 0;
  uint64_t changes_ = 0;
};

}  // namespace uringsync::sim

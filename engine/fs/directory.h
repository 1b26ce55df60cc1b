// Directories as pinned descriptors, and the only way in which a path below a root is resolved.
//
// Below a root every resolution is openat2 with RESOLVE_BENEATH|NO_SYMLINKS|NO_MAGICLINKS, in pieces shorter than
// PATH_MAX, each relative to the descriptor of the piece before: any depth works, and a link that somebody plants on
// the way makes the operation fail instead of leading it out of the root. There is no fallback to a weaker resolution.
//
// Thread rule: Directory is immutable (but for its facts, which are atomic) and may be shared; the functions run on the
// shard that owns `driver`; DirectoryCache and DirectoryReader belong to one shard.
// Use:  US_ASSIGN_OR_RETURN(DirectoryPtr root, OpenRoot(driver, "/srv/data"));
//       US_ASSIGN_OR_RETURN(DirectoryPtr parent, OpenBeneath(driver, *root, path.Parent()));
//       sys::Unlinkat(driver, parent->fd(), LeafName(path), 0);
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/rel_path.h"
#include "engine/base/unique_fd.h"
#include "engine/fs/file_system_facts.h"
#include "engine/ring/driver.h"

namespace uringsync {

// What was found out about a directory, once for each descriptor, by whoever had to know; what its file system cannot do
// is kept in FileSystemFacts.
struct DirectoryFacts {
  std::atomic<bool> no_unnamed_files{false};  // a file without a name got none here (unnamed_file.h)
  enum class Answer : uint8_t { kUnknown, kYes, kNo };
  std::atomic<Answer> default_acl{Answer::kUnknown};  // new objects inherit an ACL (metadata.h)
};

class Directory {
 public:
  // `readable`: opened O_RDONLY (getdents, fsync, flock work), else O_PATH (a base for *at calls only). Without
  // `systems` it has some of its own; what is opened beneath it (OpenBeneath, OpenChild) shares them.
  Directory(UniqueFd fd, bool readable, std::shared_ptr<FileSystems> systems = nullptr);
  int fd() const { return fd_.get(); }
  bool readable() const { return readable_; }
  // Any thread.
  DirectoryFacts& facts() const { return facts_; }
  const std::shared_ptr<FileSystems>& systems() const { return systems_; }
  // What the file system that it lies on cannot do. Any thread.
  FileSystemFacts& file_system(Driver* driver) const;
  // Takes part in those of a session. Before anybody else has the directory.
  void Share(std::shared_ptr<FileSystems> systems) const;

 private:
  UniqueFd fd_;
  bool readable_;
  mutable DirectoryFacts facts_;
  mutable std::shared_ptr<FileSystems> systems_;
  mutable std::atomic<FileSystemFacts*> system_{nullptr};  // of systems_
};
using DirectoryPtr = std::shared_ptr<const Directory>;

// Where paths begin whose links are followed (link_follower.h).
struct FollowBase {
  DirectoryPtr directory;
  std::string prefix;    // names joined by '/', in front of every path; "" for none
  bool beneath = false;  // no link leads out of `directory`
  // The base of what lies below `path`.
  FollowBase Below(std::string_view path) const;
  // From `directory` on.
  const char* path() const { return prefix.empty() ? "." : prefix.c_str(); }
};

// O_RDONLY comes with O_NOATIME where that is permitted (the owner's and privileged processes).
enum class DirectoryAccess : uint8_t {
  kPath,            // O_PATH: needs no permission on the directory itself
  kRead,            // O_RDONLY, or PermissionDenied
  kReadIfPermitted  // O_RDONLY, else O_PATH where reading is not permitted
};

// openat2 of `path` below `dirfd` with O_CLOEXEC, again while a rename elsewhere disturbs it. The descriptor or -errno.
int OpenResolving(Driver* driver, int dirfd, const char* path, uint64_t flags, uint64_t resolve);
// The directory at `path` below `dirfd`, resolved as the RESOLVE_ bits say.
absl::StatusOr<DirectoryPtr> OpenDirectoryAt(Driver* driver, int dirfd, const char* path, DirectoryAccess access,
                                             uint64_t resolve, std::shared_ptr<FileSystems> systems = nullptr);

// The operator's own path: links in it are followed. NotFound, FailedPrecondition (ENOTDIR), PermissionDenied.
absl::StatusOr<DirectoryPtr> OpenRoot(Driver* driver, const std::string& path,
                                      DirectoryAccess access = DirectoryAccess::kReadIfPermitted);
// The directory `path` below `root`, following no link at all. Errors carry errno: ENOENT, ENOTDIR or ELOOP where
// something else than a directory is in the way, EACCES, EXDEV where resolution would leave the root.
absl::StatusOr<DirectoryPtr> OpenBeneath(Driver* driver, const Directory& root, const RelPath& path,
                                         DirectoryAccess access = DirectoryAccess::kReadIfPermitted);
// Same for one component below `parent`.
absl::StatusOr<DirectoryPtr> OpenChild(Driver* driver, const Directory& parent, const std::string& name,
                                       DirectoryAccess access = DirectoryAccess::kReadIfPermitted);

// Last component as a C string: it ends where the path ends. Valid as long as `path`.
inline const char* LeafName(const RelPath& path) {
  return path.name().data();
}

// One name of a directory as getdents reports it.
struct DirectoryItem {
  std::string_view name;  // valid until the next call of Next; NUL-terminated
  uint64_t inode = 0;
  uint8_t type = 0;  // DT_*; DT_UNKNOWN where the file system does not say
};

// Buffered iteration over the names of a readable directory, without "." and "..", in the file system's order.
// A name that no RelPath could hold cannot come from a kernel; it ends the iteration with DataLoss.
class DirectoryReader {
 public:
  // Borrows `fd`; starts where the descriptor's position is (SeekToStart for a descriptor that was read before).
  DirectoryReader(Driver* driver, int fd);
  int SeekToStart();
  // Goes on with another freshly opened descriptor, keeping the buffer.
  void Restart(int fd) {
    fd_ = fd;
    position_ = filled_ = 0;
  }
  // 1: `item` is filled; 0: end; -errno.
  int Next(DirectoryItem* item);

 private:
  Driver* driver_;
  int fd_;
  std::vector<char> buffer_;
  size_t position_ = 0;
  size_t filled_ = 0;
};

// Open parent directories of the hot path: bounded, least recently used out first. One per session and shard.
//
// A cached descriptor names the directory that was there when it was opened. Whoever removes, renames or replaces a
// directory calls Invalidate on its own cache; the other shards' caches follow through the shared epoch
// (InvalidateEverywhere).
class DirectoryCache {
 public:
  static constexpr size_t kDefaultCapacity = 64;  // descriptors held
  // `epoch` may be shared by the caches of several shards and must outlive them; null: this cache is alone. With
  // `links`, which is the root seen by them, symlinks to directories are followed.
  DirectoryCache(Driver* driver, DirectoryPtr root, std::atomic<uint64_t>* epoch = nullptr,
                 size_t capacity = kDefaultCapacity, std::optional<FollowBase> links = std::nullopt);
  // The directory `path` below the root, from the cache or opened now (errors as OpenBeneath; not cached).
  absl::StatusOr<DirectoryPtr> Get(const RelPath& path);
  // Forgets `path` and everything below it.
  void Invalidate(const RelPath& path);
  // Makes every cache that shares the epoch forget everything at its next Get.
  void InvalidateEverywhere();
  void Clear();
  size_t size() const { return index_.size(); }
  const DirectoryPtr& root() const { return root_; }

 private:
  struct Slot {
    std::string path;
    DirectoryPtr directory;
  };
  Driver* driver_;
  DirectoryPtr root_;
  std::atomic<uint64_t>* epoch_;
  uint64_t seen_epoch_ = 0;
  const size_t capacity_;
  const std::optional<FollowBase> links_;
  std::list<Slot> slots_;                                                  // most recently used first
  std::unordered_map<std::string_view, std::list<Slot>::iterator> index_;  // keys lie in the slots
};

}  // namespace uringsync

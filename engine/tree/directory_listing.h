// What one directory holds: its names, sorted, and an Entry for each.
//
// Thread rule: values and tools of one scanning task on one shard.
#pragma once

#include <linux/stat.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/entry.h"
#include "engine/base/link_rules.h"
#include "engine/fs/directory.h"
#include "engine/fs/external_sorter.h"
#include "engine/fs/link_follower.h"
#include "engine/fs/xattrs.h"
#include "engine/ring/driver.h"

namespace uringsync {

// Names of a directory in one block of memory, in the order of their bytes once sorted.
class NameList {
 public:
  void Clear();
  void Add(std::string_view name, uint8_t type);
  void Sort();  // and drops names that came twice (the directory changed while it was read)
  size_t size() const { return items_.size(); }
  std::string_view name(size_t i) const { return std::string_view(arena_).substr(items_[i].offset, items_[i].length); }
  // NUL-terminated.
  const char* c_str(size_t i) const { return arena_.data() + items_[i].offset; }
  uint8_t type(size_t i) const { return items_[i].type; }  // DT_*

 private:
  struct Item {
    uint64_t prefix;  // first 8 bytes, big-endian: decides nearly every comparison
    uint32_t offset;
    uint8_t length;
    uint8_t type;
  };
  std::string arena_;
  std::vector<Item> items_;
};

// Names of one directory, few or many: in memory up to a bound, beyond it sorted on disk. Fill, then take them in
// order.
class SortedNames {
 public:
  // `names_in_memory`: bound of the first kind.
  SortedNames(Driver* driver, std::string spool_directory, size_t names_in_memory);
  absl::Status Add(std::string_view name, uint8_t type);
  absl::Status Finish();
  // Fills `chunk` with up to `limit` further names, ascending; an empty chunk is the end.
  absl::Status Take(size_t limit, NameList* chunk);
  uint64_t size() const { return count_; }
  bool spilled() const { return sorter_ != nullptr; }

 private:
  absl::Status MoveToSorter();
  Driver* driver_;
  const std::string spool_directory_;
  const size_t names_in_memory_;
  NameList memory_;
  size_t next_ = 0;
  std::unique_ptr<ExternalSorter> sorter_;
  std::string last_name_;  // taken from the sorter: drops names that came twice
  uint64_t count_ = 0;
};

// The symlinks of a directory that are followed, and where it is.
struct ScanLinks {
  LinkFollowing which;
  FollowBase base;   // of paths below the directory
  size_t depth = 0;  // components of the directory's path in the transfer: what is unsafe depends on it
  // A destination's: a link to a directory stays one in the manifest, with Entry::directory_link, and its listing comes
  // too.
  bool stay_links = false;
  // Of the directory at `path`.
  ScanLinks Below(const RelPath& path) const {
    return {which, base.Below(path.text()), depth + path.depth(), stay_links};
  }
};

// Looks at objects: statx, link target, digests of attributes.
class EntryReader {
 public:
  EntryReader(Driver* driver, const MetadataSelection& selection)
      : xattrs_(driver), selection_(selection), reads_xattrs_(SelectsXattrs(selection)) {}

  // Fills `entry` (name included). False: the object vanished. Other failures are entry->error, with the type that
  // getdents told.
  bool Read(int dirfd, const char* name, size_t name_length, uint8_t type, Entry* entry);
  // For what is read from now on; nullopt: links stay links.
  void FollowLinks(std::optional<ScanLinks> links) { links_ = std::move(links); }
  // Whether the rules of names take the object for a directory: it is one, or a link that is followed to one. nullopt:
  // nobody can tell, for it would be followed and leads nowhere. `type`: DT_*.
  std::optional<bool> IsDirectory(int dirfd, const char* name, uint8_t type);
  // The directory behind `fd` (which may be O_PATH) as its own entry, and its statx. The objects read next are taken to
  // lie in it: where its file system keeps no attributes they are not asked for any.
  void ReadDirectory(const Directory& directory, struct statx* stat, Entry* entry);

 private:
  int ReadTarget(int dirfd, const char* name, Entry* entry);
  void ReadAttributes(ObjectHandle object, Entry* entry);
  bool Unsettled(const Entry& entry) const;
  // Puts what a symlink leads to in its place, or the error of that, where it is to be followed; false: it stays.
  bool Follow(int dirfd, const char* name, Entry* entry);
  bool Follows(const Entry& link) const;

  XattrAccess xattrs_;
  const MetadataSelection& selection_;
  const bool reads_xattrs_;
  std::optional<ScanLinks> links_;
  bool file_system_has_xattrs_ = true;
  uint64_t device_ = 0;  // of the directory
  // The clock when the directory was opened, less a tick, and less the coarsest tick of a file system.
  FileTime tick_before_;
  FileTime settled_before_;
  std::vector<char> target_buffer_;
};

// True when the directory behind `fd` is the root of a mount. `stat` is its statx.
bool IsMountRoot(Driver* driver, int fd, const struct statx& stat);

}  // namespace uringsync

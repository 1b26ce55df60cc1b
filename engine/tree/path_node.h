// PathNode: one directory of a scan as its parent and its name, with the descriptor while it is worth keeping open.
//
// Paths of pending directories share their upper parts; the whole path is only built when a batch needs it.
// OpenDirectories bounds how many descriptors the nodes hold; a directory whose ancestors were all closed is opened
// again from further up.
//
// Thread rule: a node's fields are fixed, its descriptor belongs to OpenDirectories, which is thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "engine/base/entry.h"
#include "engine/base/rel_path.h"
#include "engine/fs/directory.h"

namespace uringsync {

class FilterScope;
class PathNode;
using PathNodePtr = std::shared_ptr<PathNode>;

class PathNode {
 public:
  PathNode(PathNodePtr parent, std::string name);
  // Frees a chain of ancestors in a loop: one of 500,000 levels would overflow the stack otherwise.
  ~PathNode();
  PathNode(const PathNode&) = delete;
  PathNode& operator=(const PathNode&) = delete;

  const PathNodePtr& parent() const { return parent_; }
  const std::string& name() const { return name_; }
  // 0 for the root.
  uint32_t depth() const { return depth_; }
  // Length of path().text() in bytes.
  size_t path_bytes() const { return path_bytes_; }
  RelPath path() const { return PathBelow(nullptr); }
  // Path from `base` (an ancestor or this node; null: the root).
  RelPath PathBelow(const PathNode* base) const;
  // Filter rules in force for the entries of the directory: set by its scan, before there are nodes below it.
  const std::shared_ptr<const FilterScope>& scope() const { return scope_; }
  void set_scope(std::shared_ptr<const FilterScope> scope) { scope_ = std::move(scope); }
  // The directory itself, set likewise, where links are followed.
  const FileId& id() const { return id_; }
  void set_id(const FileId& id) { id_ = id; }
  // Ancestor (or this node) at `depth` ≤ depth().
  static PathNodePtr AncestorAt(PathNodePtr node, uint32_t depth);

 private:
  friend class OpenDirectories;
  PathNodePtr parent_;
  std::string name_;
  uint32_t depth_;
  size_t path_bytes_;
  std::shared_ptr<const FilterScope> scope_;
  FileId id_;
  DirectoryPtr directory_;  // guarded by OpenDirectories
};

class OpenDirectories {
 public:
  static constexpr size_t kDefaultCapacity = 96;
  static constexpr uint32_t kAnchorDistance = 32;  // levels
  explicit OpenDirectories(DirectoryPtr root, size_t capacity = kDefaultCapacity)
      : root_(std::move(root)), capacity_(capacity) {}

  // Opens `node`'s directory from its nearest open ancestor. Errors as OpenBeneath.
  absl::StatusOr<DirectoryPtr> Open(Driver* driver, const PathNodePtr& node, DirectoryAccess access);
  // Keeps `directory` open for the children of `node`, until newer ones push it out.
  void Keep(const PathNodePtr& node, DirectoryPtr directory);
  // Gives up every descriptor that is kept: what lies below is opened from the root again.
  void CloseKept();

 private:
  std::mutex mutex_;
  const DirectoryPtr root_;
  const size_t capacity_;
  std::deque<std::weak_ptr<PathNode>> kept_;  // oldest first
};

}  // namespace uringsync

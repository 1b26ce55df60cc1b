#include "engine/tree/path_node.h"

#include <cassert>
#include <utility>
#include <vector>

#include "engine/base/errno_status.h"

namespace uringsync {

PathNode::PathNode(PathNodePtr parent, std::string name)
    : parent_(std::move(parent)),
      name_(std::move(name)),
      depth_(parent_ == nullptr ? 0 : parent_->depth_ + 1),
      path_bytes_(parent_ == nullptr ? 0 : parent_->path_bytes_ + name_.size() + (parent_->depth_ > 0 ? 1 : 0)) {}

PathNode::~PathNode() {
  PathNodePtr up = std::move(parent_);
  // While this is the last reference, take the parent's own link before it dies.
  while (up != nullptr && up.use_count() == 1) {
    PathNodePtr next = std::move(up->parent_);
    up = std::move(next);
  }
}

RelPath PathNode::PathBelow(const PathNode* base) const {
  std::vector<const PathNode*> chain;
  for (const PathNode* node = this; node != base && node->depth_ > 0; node = node->parent_.get()) chain.push_back(node);
  std::string text;
  text.reserve(path_bytes_);
  for (auto it = chain.rbegin(); it != chain.rend(); ++it) {
    if (!text.empty()) text += '/';
    text += (*it)->name_;
  }
  // Names come from a kernel and were checked by DirectoryReader.
  absl::StatusOr<RelPath> parsed = RelPath::Parse(text);
  assert(parsed.ok());
  return parsed.ok() ? *std::move(parsed) : RelPath();
}

PathNodePtr PathNode::AncestorAt(PathNodePtr node, uint32_t depth) {
  while (node != nullptr && node->depth_ > depth) node = node->parent_;
  return node;
}

absl::StatusOr<DirectoryPtr> OpenDirectories::Open(Driver* driver, const PathNodePtr& node, DirectoryAccess access) {
  const PathNode* base = node.get();
  DirectoryPtr from;
  {
    std::lock_guard lock(mutex_);
    // An open node itself cannot serve: the caller needs a description with a position of its own.
    if (base->depth_ > 0) base = base->parent_.get();
    while (base->depth_ > 0 && base->directory_ == nullptr) base = base->parent_.get();
    from = base->depth_ > 0 ? base->directory_ : root_;
  }
  if (node->depth() - base->depth() > 2 * kAnchorDistance) {
    // Coming back up a deep tree, every sibling would be resolved from far above: leave a descriptor on the way for the
    // next ones.
    const PathNodePtr anchor = PathNode::AncestorAt(node, node->depth() - kAnchorDistance);
    US_ASSIGN_OR_RETURN(from, OpenBeneath(driver, *from, anchor->PathBelow(base), DirectoryAccess::kPath));
    Keep(anchor, from);
    base = anchor.get();
  }
  return OpenBeneath(driver, *from, node->PathBelow(base), access);
}

void OpenDirectories::CloseKept() {
  std::vector<DirectoryPtr> closing;  // closed after the lock is gone
  std::lock_guard lock(mutex_);
  for (const std::weak_ptr<PathNode>& kept : kept_) {
    if (const PathNodePtr node = kept.lock()) closing.push_back(std::move(node->directory_));
  }
  kept_.clear();
}

void OpenDirectories::Keep(const PathNodePtr& node, DirectoryPtr directory) {
  std::vector<DirectoryPtr> closing;  // closed after the lock is gone
  std::lock_guard lock(mutex_);
  node->directory_ = std::move(directory);
  kept_.push_back(node);
  while (kept_.size() > capacity_) {
    if (const PathNodePtr oldest = kept_.front().lock()) closing.push_back(std::move(oldest->directory_));
    kept_.pop_front();
  }
}

}  // namespace uringsync

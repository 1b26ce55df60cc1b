#include "engine/tree/scan_window.h"

#include <iterator>
#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

ScanNodePtr MakeNode(PathNodePtr path) {
  auto node = std::make_shared<ScanNode>();
  node->path = std::move(path);
  return node;
}

}  // namespace

ScanWindow::ScanWindow(PathNodePtr root, ScanWindowOptions options)
    : options_(std::move(options)), stack_(options_.spool_directory) {
  nodes_.push_back(MakeNode(std::move(root)));
  nodes_.front()->place = nodes_.begin();
}

ScanNodePtr ScanWindow::Find() const {
  size_t position = 0;
  for (const ScanNodePtr& node : nodes_) {
    if (position >= options_.look_ahead_nodes) break;
    if (node->state == ScanNode::State::kWaiting) {
      if (position == 0) return node;
      if (used_ + options_.directory_entries > options_.read_ahead_entries) return nullptr;
      if (!node->head_only) return node;
    }
    ++position;
  }
  return nullptr;
}

ScanNodePtr ScanWindow::Pick() {
  ScanNodePtr node = Find();
  if (node == nullptr) return nullptr;
  node->state = ScanNode::State::kRunning;
  if (!IsHead(node)) Charge(node, options_.directory_entries);
  return node;
}

void ScanWindow::Charge(const ScanNodePtr& node, size_t entries) {
  used_ = used_ - node->charged + entries;
  node->charged = entries;
}

absl::Status ScanWindow::InsertChildren(Driver* driver, const ScanNodePtr& node,
                                        const std::vector<std::string>& names) {
  auto before = std::next(node->place);
  for (const std::string& name : names) {
    ScanNodePtr child = MakeNode(std::make_shared<PathNode>(node->path, name));
    child->place = nodes_.insert(before, child);
  }
  return SpillTo(driver, options_.window_nodes);
}

absl::Status ScanWindow::InsertChildrenOfHead(Driver* driver, const Spool& names) {
  std::string name;
  if (names.records() <= options_.window_nodes / 2) {
    std::vector<std::string> few;
    for (Spool::Reader forward = names.Forward();;) {
      US_ASSIGN_OR_RETURN(const bool more, forward.Next(&name));
      if (!more) return InsertChildren(driver, nodes_.front(), few);
      few.push_back(name);
    }
  }
  // Too many for the window: everything behind the head goes to the stack, then they do, last first.
  US_RETURN_IF_ERROR(SpillTo(driver, 1));
  const uint32_t depth = nodes_.front()->path->depth() + 1;
  Spool::Reader backward = names.Backward();
  while (true) {
    US_ASSIGN_OR_RETURN(const bool more, backward.Next(&name));
    if (!more) break;
    US_RETURN_IF_ERROR(stack_.Push(driver, depth, name));
  }
  return Refill(driver);
}

absl::Status ScanWindow::PopHead(Driver* driver) {
  const ScanNodePtr head = nodes_.front();
  Release(head);
  last_popped_ = head->path;
  nodes_.pop_front();
  return Refill(driver);
}

absl::Status ScanWindow::SpillTo(Driver* driver, size_t nodes) {
  while (nodes_.size() > nodes) {
    const ScanNodePtr node = nodes_.back();
    if (node->state != ScanNode::State::kWaiting) {
      // Descendants of a node follow it without a gap: they are the deeper ones on top of the stack.
      uint32_t depth = 0;
      std::string name;
      while (!stack_.empty()) {
        US_ASSIGN_OR_RETURN(const uint32_t top, stack_.TopDepth(driver));
        if (top <= node->path->depth()) break;
        US_RETURN_IF_ERROR(stack_.Pop(driver, &depth, &name));
      }
      node->abandoned = true;
      node->batches.clear();
      Release(node);
    }
    US_RETURN_IF_ERROR(stack_.Push(driver, node->path->depth(), node->path->name()));
    nodes_.pop_back();
  }
  return absl::OkStatus();
}

absl::Status ScanWindow::Refill(Driver* driver) {
  while (nodes_.size() < options_.window_nodes / 4 && !stack_.empty()) {
    uint32_t depth = 0;
    std::string name;
    US_RETURN_IF_ERROR(stack_.Pop(driver, &depth, &name));
    const PathNodePtr& before = nodes_.empty() ? last_popped_ : nodes_.back()->path;
    ScanNodePtr node = MakeNode(std::make_shared<PathNode>(PathNode::AncestorAt(before, depth - 1), std::move(name)));
    node->place = nodes_.insert(nodes_.end(), node);
  }
  return absl::OkStatus();
}

}  // namespace uringsync

// ScanWindow: which directories come next, in manifest order, in bounded memory. The data structure under
// ManifestScanner.
//
// The directories that are known and not yet handed out form one sequence in manifest order. Its front part is the
// window: at most kWindowNodes nodes in memory, the first of them the head, whose batches the consumer takes next. The
// rest is names on the PendingStack (spilled to disk). A directory that was listed has its subdirectories inserted
// right after it, which keeps the order; what then does not fit into the window is pushed from the window's end onto
// the stack.
//
// A node that leaves the window that way after it was read ahead loses its result: it goes back as a mere name, and its
// descendants, which lie on top of the stack by then, are dropped; they are found again when it is read again.
//
// A name on the stack needs no path: in this order the parent of a node at depth d is the ancestor at depth d-1 of
// whatever node comes just before it.
//
// Thread rule: guarded by the scanner's mutex; `driver` is that of the calling shard.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/entry.h"
#include "engine/fs/spool.h"
#include "engine/tree/path_node.h"
#include "engine/tree/pending_stack.h"

namespace uringsync {

struct ScanNode {
  enum class State : uint8_t { kWaiting, kRunning, kComplete };
  PathNodePtr path;
  State state = State::kWaiting;
  bool head_only = false;              // too large to be read ahead: waits until it is the head
  bool abandoned = false;              // left the window while it was running: its result is not wanted
  size_t charged = 0;                  // entries of it that count against the read-ahead budget
  std::deque<DirectoryBatch> batches;  // ready to be taken, in order
  uint64_t temporaries = 0;            // that are left out (ScanTotals)
  std::string first_temporary;         // least of their names
  std::list<std::shared_ptr<ScanNode>>::iterator place;
};
using ScanNodePtr = std::shared_ptr<ScanNode>;

struct ScanWindowOptions {
  std::string spool_directory;
  size_t window_nodes = 4096;         // W
  size_t look_ahead_nodes = 128;      // how far from the head a directory may be started
  size_t read_ahead_entries = 16384;  // budget of all results that are not the head's
  size_t directory_entries = 2048;    // largest directory that is read ahead; reserved when one is started
};

class ScanWindow {
 public:
  ScanWindow(PathNodePtr root, ScanWindowOptions options);

  // The directory whose batches come next; null at the end of the tree.
  ScanNodePtr head() const { return nodes_.empty() ? nullptr : nodes_.front(); }
  bool IsHead(const ScanNodePtr& node) const { return !nodes_.empty() && nodes_.front() == node; }

  // A directory to scan now: the head, always, or one ahead while the budget lasts. It is kRunning afterwards; null:
  // nothing to do.
  ScanNodePtr Pick();
  bool HasWork() const { return Find() != nullptr; }

  // Sets what a node ahead counts against the budget once its size is known, and gives all of it back.
  void Charge(const ScanNodePtr& node, size_t entries);
  void Release(const ScanNodePtr& node) { Charge(node, 0); }

  // Inserts the subdirectories (names ascending) right after `node`, which has just been listed.
  absl::Status InsertChildren(Driver* driver, const ScanNodePtr& node, const std::vector<std::string>& names);
  // Same for the head, with any number of names.
  absl::Status InsertChildrenOfHead(Driver* driver, const Spool& names);
  // Takes the head away; the next one follows.
  absl::Status PopHead(Driver* driver);

  size_t window_size() const { return nodes_.size(); }
  uint64_t pending_on_stack() const { return stack_.records(); }
  size_t budget_used() const { return used_; }

 private:
  ScanNodePtr Find() const;
  absl::Status SpillTo(Driver* driver, size_t nodes);
  absl::Status Refill(Driver* driver);

  const ScanWindowOptions options_;
  std::list<ScanNodePtr> nodes_;
  PendingStack stack_;
  PathNodePtr last_popped_;  // what comes before the first node on the stack when the window is empty
  size_t used_ = 0;
};

}  // namespace uringsync

// SourceSnapshot: what a source session reads in the place of the tree that others go on writing to
// (OpenSession::snapshot).
//
// A read-only snapshot of the whole tree where that is possible (engine/fs/tree_snapshot.h), else a clone of each file
// when its turn comes (engine/transfer/file_snapshots.h). Both write to the source: its root has to be writable, for
// the agent and for the peer.
//
// Thread rule: made and removed on the shard of the driver; the rest by any, until it is removed.
// Use:  US_ASSIGN_OR_RETURN(SourceSnapshot snapshot, SourceSnapshot::Take(driver, context, open, root, view));
//       ... read snapshot.tree(), if there is one ...
//       snapshot.Remove(driver);
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/session_root.h"
#include "engine/base/entry.h"
#include "engine/fs/tree_snapshot.h"
#include "engine/fs/tree_view.h"
#include "engine/transfer/file_snapshots.h"
#include "proto/messages.h"

namespace uringsync {

class SourceSnapshot {
 public:
  // As `open.snapshot` asks; `view`: of a session with operands, else null. FailedPrecondition: that cannot be done, and
  // the text says why and what can. First it removes what sessions that died left in the session's directory.
  static absl::StatusOr<SourceSnapshot> Take(Driver* driver, const AgentContext& context, const OpenSession& open,
                                             const SessionRoot& root, const TreeView* view);

  // Null: the tree itself is read.
  DirectoryPtr tree() const { return tree_ ? tree_->directory : nullptr; }
  // Null: files are read as they are, or as they are in tree().
  FileSnapshots* files() const { return files_.get(); }
  // A file that cannot be cloned is read as it is.
  bool lenient() const { return lenient_; }
  // What the user should know about it; empty: nothing.
  const std::string& notice() const { return notice_; }
  // `id`, of the snapshot of the tree, as the object itself has it.
  FileId Live(FileId id) const;

  // OK where there was none.
  absl::Status Remove(Driver* driver);

 private:
  absl::Status TakeTree(Driver* driver, const AgentContext& context, const OpenSession& open, const SessionRoot& root,
                        const TreeView* view);
  absl::Status TakeFiles(Driver* driver, const SessionRoot& root, const TreeView* view, size_t shards);

  std::optional<TreeSnapshot> tree_;
  uint64_t tree_device_ = 0;
  uint64_t live_device_ = 0;
  std::unique_ptr<FileSnapshots> files_;
  bool lenient_ = false;
  std::string notice_;
};

}  // namespace uringsync

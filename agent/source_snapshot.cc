#include "agent/source_snapshot.h"

#include <algorithm>
#include <utility>

#include "agent/roots.h"
#include "agent/session_handler.h"
#include "engine/base/errno_status.h"
#include "engine/fs/descriptor_budget.h"
#include "engine/fs/metadata.h"
#include "engine/fs/state_name.h"
#include "engine/ring/runtime.h"

namespace uringsync {
namespace {

// Clones held between requests, all shards together.
constexpr size_t kMaxClones = 256;
// Directories of operands that are tried before anything is changed; what lies in others is told file by file.
constexpr size_t kMaxProbedOperands = 64;

std::string Words(const absl::Status& status) {
  return std::string(ToStd(status.message()));
}

absl::StatusOr<uint64_t> DeviceOf(Driver* driver, const Directory& directory) {
  struct statx stat {};
  Entry entry;
  US_RETURN_IF_ERROR(StatDescriptor(driver, directory.fd(), &stat));
  if (!EntryFromStatx(stat, false, &entry)) return absl::InternalError("no type for a directory");
  return entry.id.device;
}

// Snapshots and clones are made in the source.
absl::Status MayWrite(const AgentContext& context, const OpenSession& open) {
  if (open.root.empty()) return absl::OkStatus();
  return context.roots->FindForRole(open.root, Role::kDestination).status();
}

absl::Status Refusal(SnapshotMode mode, const std::string& where, const absl::Status& tree, const absl::Status& files) {
  std::string text = "no snapshot of " + where + ": ";
  if (mode == SnapshotMode::kTree) {
    text += Words(tree) + "; --snapshot-mode=files reads each file from a clone of its own";
  } else if (mode == SnapshotMode::kFiles || Words(tree) == Words(files)) {
    text += Words(files);
  } else {
    text += Words(tree) + ", and its files cannot be cloned one by one (" + Words(files) + ")";
  }
  return absl::FailedPreconditionError(
      text + "; --snapshot-mode=auto reads what is there then, and files that change are told as without a snapshot");
}

}  // namespace

absl::Status SourceSnapshot::TakeTree(Driver* driver, const AgentContext& context, const OpenSession& open,
                                      const SessionRoot& root, const TreeView* view) {
  if (view != nullptr) return absl::FailedPreconditionError("a snapshot of a tree is of one whole directory");
  if (open.follow_links.any())
    return absl::FailedPreconditionError("links that are followed would lead out of the snapshot");
  DirectoryPtr limit;
  // Whom the agent trusts with everything may read what lies above, too.
  if (!open.root.empty() && context.access != nullptr) {
    US_ASSIGN_OR_RETURN(const Root* const named, context.roots->Find(open.root));
    limit = named->directory;
  }
  StateNamer namer(SessionTag(open.session));
  US_ASSIGN_OR_RETURN(live_device_, DeviceOf(driver, *root.directory));
  absl::StatusOr<TreeSnapshot> made = MakeTreeSnapshot(driver, root.directory, limit.get(), &namer);
  if (!made.ok()) return made.status();
  const absl::StatusOr<uint64_t> device = DeviceOf(driver, *made->directory);
  if (!device.ok()) {
    static_cast<void>(RemoveTreeSnapshot(driver, *std::move(made)));
    return device.status();
  }
  tree_device_ = *device;
  tree_ = *std::move(made);
  return absl::OkStatus();
}

absl::Status SourceSnapshot::TakeFiles(Driver* driver, const SessionRoot& root, const TreeView* view, size_t shards) {
  if (view == nullptr) {
    US_RETURN_IF_ERROR(ProbeFileSnapshots(driver, *root.directory));
  } else {
    for (size_t i = 0; i < std::min(view->members().size(), kMaxProbedOperands); ++i) {
      std::string name;
      const absl::StatusOr<DirectoryPtr> parent = view->OpenParent(driver, {i, RelPath()}, &name);
      // An operand that is not there is told by the scan.
      if (parent.ok()) US_RETURN_IF_ERROR(ProbeFileSnapshots(driver, **parent));
    }
  }
  const DescriptorBudget budget = DescriptorBudget::OfProcess(shards);
  const size_t capacity = std::clamp<size_t>(budget.files * shards / 4, 4, kMaxClones);
  files_ = std::make_unique<FileSnapshots>(view == nullptr ? root.directory : nullptr, capacity);
  return absl::OkStatus();
}

absl::StatusOr<SourceSnapshot> SourceSnapshot::Take(Driver* driver, const AgentContext& context,
                                                    const OpenSession& open, const SessionRoot& root,
                                                    const TreeView* view) {
  SourceSnapshot snapshot;
  const absl::Status writable = MayWrite(context, open);
  // An agent that a command started for itself has its source read-only, where the command does not want more.
  const bool may_clean = writable.ok() || context.access == nullptr;
  if (may_clean && !open.dry_run && view == nullptr) RemoveDeadTreeSnapshots(driver, *root.directory);
  const SnapshotMode mode = open.snapshot;
  if (mode == SnapshotMode::kNone) return snapshot;
  absl::Status tree = writable;
  absl::Status files = writable;
  if (tree.ok() && mode != SnapshotMode::kFiles) tree = snapshot.TakeTree(driver, context, open, root, view);
  if (snapshot.tree_) return snapshot;
  if (files.ok() && mode != SnapshotMode::kTree)
    files = snapshot.TakeFiles(driver, root, view, context.runtime->size());
  const bool clones = snapshot.files_ != nullptr;
  if (!clones && mode != SnapshotMode::kAuto) return Refusal(mode, root.full_path, tree, files);
  snapshot.lenient_ = mode == SnapshotMode::kAuto;
  if (clones && mode != SnapshotMode::kFiles) {
    snapshot.notice_ = "no snapshot of the whole of " + root.full_path + ": " + Words(tree) +
                       "; each file is as of the moment when it is read";
  } else if (!clones) {
    snapshot.notice_ = "no snapshot of " + root.full_path + ": " + Words(tree) +
                       (Words(tree) == Words(files) ? "" : ", and its files cannot be cloned (" + Words(files) + ")") +
                       "; files are read while others may write to them";
  }
  return snapshot;
}

FileId SourceSnapshot::Live(FileId id) const {
  if (tree_ && id.device == tree_device_) id.device = live_device_;
  return id;
}

absl::Status SourceSnapshot::Remove(Driver* driver) {
  if (!tree_) return absl::OkStatus();
  return RemoveTreeSnapshot(driver, *std::exchange(tree_, std::nullopt));
}

}  // namespace uringsync

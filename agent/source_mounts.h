// Where a source's tree is mounted, and whether what was mounted there before still is: so that a disk that is missing
// is not taken for a tree whose files were deleted.
//
// Thread rule: the shard that owns `driver`.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "engine/fs/directory.h"
#include "engine/fs/tree_view.h"
#include "engine/ring/driver.h"
#include "proto/messages.h"

namespace uringsync {

struct SourceMountOptions {
  DirectoryPtr root;
  std::shared_ptr<const TreeView> view;  // null: the whole of `root`
  bool one_file_system = false;          // what is mounted below is not in the transfer
  // Whether the session's rules hide a directory of the transfer.
  std::function<bool(const RelPath&)> hides = [](const RelPath&) { return false; };
};

// The mount points of the file systems that the tree lies in and, but with `one_file_system`, of those mounted below
// it; and of `query.recorded` those that the tree has lost:
// - one at or above the tree, or at a directory of it, that is no mount point any more (a directory that is gone with
//   it is no loss: somebody removed both);
// - one where another file system is mounted by now, with nothing in it but lost+found;
// - one where AreOthers knows for sure that another file system is mounted, whatever is in it.
MountReply AnswerMounts(Driver* driver, const SourceMountOptions& options, const MountQuery& query);

// Two file systems as MountedPlace::file_system tells them are not the same one: of other types, or of one type with
// ids that last. Those of ext2 to ext4 and btrfs do, and those of xfs where the kernel tells them (6.9 or newer); numbers of
// others change with each mount or boot and say nothing.
bool AreOthers(std::string_view one, std::string_view another);

}  // namespace uringsync

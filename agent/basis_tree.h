// BasisTree: one basis directory of a session (OpenSession::basis_directories) as one shard uses it: objects that take
// part of a new tree without being fetched, as hard links or as local copies. Nothing in it is ever changed.
//
// An object is used only while it is the one that was planned with; whoever cannot have it fetches from the source
// instead.
//
// Thread rule: one shard. Use:
//   BasisTree basis(shard, shared, shared->options.basis_directories[i]);
//   bool filled = co_await basis.Fill(&staged, action);
#pragma once

#include "agent/apply_namespace.h"
#include "agent/apply_shared.h"
#include "engine/fs/directory.h"
#include "engine/ring/runtime.h"
#include "engine/transfer/content_source.h"
#include "engine/transfer/receiver.h"

namespace uringsync {

class BasisTree {
 public:
  // Descriptors of directories, and of larger files, that are kept open.
  static constexpr size_t kDirectories = 16;
  static constexpr size_t kOpenFiles = 2;

  BasisTree(Shard* shard, ApplyShared* shared, DirectoryPtr root);

  // Contents of the object that action->basis names into the empty file `staged`; its metadata is not complete. False:
  // the object could not be had, and `staged` may hold a part.
  Task<bool> Fill(StagedObject* staged, const Action* action, std::shared_ptr<WrittenContents> written);
  // A directory of it, by its path.
  absl::StatusOr<DirectoryPtr> DirectoryAt(const RelPath& path) { return directories_.Get(path); }
  // A staged hard link of it. False: it cannot be linked to. True with `staged` left invalid: the name is that object
  // already.
  bool StageLink(const NamespaceContext& context, const Action& action, StagedObject* staged);

 private:
  Shard* const shard_;
  DirectoryCache directories_;
  LocalContentSource source_;
  Receiver receiver_;
};

}  // namespace uringsync

#include "agent/basis_tree.h"

#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/file.h"

namespace uringsync {
namespace {

std::unique_ptr<SourceReader> MakeReader(Shard* shard, const ReceiveOptions& receive, DirectoryPtr root) {
  SourceReaderOptions options;
  options.digest_seed = receive.digest_seed;
  options.leaf_secret = receive.leaf_secret;
  options.selection = receive.selection;
  options.open_files = BasisTree::kOpenFiles;
  options.directories = BasisTree::kDirectories;
  options.background = receive.background;
  return std::make_unique<SourceReader>(shard->driver(), shard->buffers(), std::move(root), options);
}

}  // namespace

BasisTree::BasisTree(Shard* shard, ApplyShared* shared, DirectoryPtr root)
    : shard_(shard),
      directories_(shard->driver(), root, nullptr, kDirectories),
      source_(MakeReader(shard, shared->basis_receive.options(), root)),
      receiver_(shard, &shared->basis_receive, &source_) {}

Task<bool> BasisTree::Fill(StagedObject* staged, const Action* action, std::shared_ptr<WrittenContents> written) {
  const Entry& object = action->basis->object;
  IncomingFile file;
  file.path = action->path;
  file.written = std::move(written);
  file.wanted = action->wanted;
  // By these the reader knows it; the caller sets the time that is wanted.
  file.wanted.id = object.id;
  file.wanted.size_bytes = object.size_bytes;
  file.wanted.mtime = object.mtime;
  file.wanted.allocated_bytes = object.allocated_bytes;
  const std::optional<TransferFailure> failure = co_await receiver_.Fill(staged, &file);
  // The receiver follows a file that changes; one that changed is not what was planned with.
  const bool same =
      file.wanted.id == object.id && file.wanted.size_bytes == object.size_bytes && file.wanted.mtime == object.mtime;
  co_return !failure.has_value() && same;
}

bool BasisTree::StageLink(const NamespaceContext& context, const Action& action, StagedObject* staged) {
  absl::StatusOr<DirectoryPtr> parent = directories_.Get(action.path.Parent());
  if (!parent.ok()) return false;
  if (!VerifyExisting(shard_->driver(), (*parent)->fd(), LeafName(action.path), action.basis->object).ok())
    return false;
  return !StageLinkOf(context, action, **parent, LeafName(action.path), staged).has_value();
}

}  // namespace uringsync

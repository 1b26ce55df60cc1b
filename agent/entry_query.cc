#include "agent/entry_query.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/fs/state_name.h"
#include "engine/ring/runtime.h"
#include "engine/tree/content_digests.h"
#include "engine/tree/directory_listing.h"
#include "proto/wire_size.h"

namespace uringsync {
namespace {

constexpr size_t kPathsPerTurn = 64;

class EntryLook {
 public:
  explicit EntryLook(const EntryLookOptions& options)
      : options_(options), driver_(Shard::Current()->driver()), reader_(driver_, options.selection) {
    if (options.root != nullptr) directories_.emplace(driver_, options.root);
  }

  Task<EntryFinding> At(RelPath path) {
    directory_ = nullptr;
    EntryFinding finding = options_.view != nullptr ? InView(path) : BelowRoot(path);
    if (!finding.entry) co_return finding;
    // Asked for by name, but no part of any manifest.
    if (IsStateName(path.name())) co_return EntryFinding();
    const bool digest = options_.checksum && finding.entry->type == FileType::kRegular && finding.entry->error == 0;
    if (digest) {
      std::vector<Entry> files{*finding.entry};
      const DirectoryPtr directory = directory_;
      co_await AddContentDigests(Shard::Current(), directory->fd(), &files, options_.selection.digest_key,
                                 options_.cancel);
      finding.entry = std::move(files.front());
    }
    finding.entry->name = path.name();
    co_return finding;
  }

 private:
  // What is called `name` in `directory`; "." is the directory itself.
  EntryFinding Read(const absl::StatusOr<DirectoryPtr>& directory, const std::string& name) {
    EntryFinding finding;
    if (!directory.ok()) {
      const int error = StatusErrno(directory.status());
      if (error != ENOENT) finding.error = error != 0 ? error : EIO;
      return finding;
    }
    struct statx stat = {};
    Entry self;
    if (directory_ != *directory) reader_.ReadDirectory(**directory, &stat, &self);
    directory_ = *directory;
    if (name == ".") {
      reader_.ReadDirectory(**directory, &stat, &finding.entry.emplace());
      return finding;
    }
    Entry found;
    if (reader_.Read((*directory)->fd(), name.c_str(), name.size(), /*type=*/0, &found))
      finding.entry = std::move(found);
    return finding;
  }

  EntryFinding BelowRoot(const RelPath& path) {
    if (options_.root == nullptr) return {};
    if (path.is_root()) return Read(options_.root, ".");
    return Read(directories_->Get(path.Parent()), std::string(path.name()));
  }

  // Directories first, then as operands were given: as the view's manifest decides.
  EntryFinding InView(const RelPath& path) {
    EntryFinding best;
    DirectoryPtr best_directory;
    for (const TreeView::Place& place : options_.view->PlacesOf(path)) {
      std::string name;
      const absl::StatusOr<DirectoryPtr> parent = options_.view->OpenParent(driver_, place, &name);
      EntryFinding finding = Read(parent, name);
      const bool better =
          finding.entry &&
          (!best.entry || (finding.entry->type == FileType::kDirectory && best.entry->type != FileType::kDirectory));
      if (better) {
        best = std::move(finding);
        best_directory = directory_;
      } else if (!best.entry && best.error == 0) {
        best.error = finding.error;
      }
    }
    directory_ = best_directory;
    return best;
  }

  const EntryLookOptions& options_;
  Driver* const driver_;
  EntryReader reader_;
  std::optional<DirectoryCache> directories_;
  DirectoryPtr directory_;  // that the last object was read in
};

}  // namespace

Task<void> AnswerEntryQuery(EntryLookOptions options, EntryQuery query, EntryReply* reply) {
  EntryLook look(options);
  size_t bytes = 0;
  for (const RelPath& path : query.paths) {
    EntryFinding finding = co_await look.At(path);
    bytes += finding.entry ? WireBytesBound(*finding.entry) : 0;
    if (!reply->findings.empty() && bytes > kTargetBatchBytes) break;
    reply->findings.push_back(std::move(finding));
    if (reply->findings.size() % kPathsPerTurn == 0) co_await Yield{};
  }
}

}  // namespace uringsync

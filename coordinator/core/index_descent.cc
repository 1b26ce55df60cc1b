#include "coordinator/core/index_descent.h"

#include <algorithm>

#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

// Questions of one message: what they name stays far below the bound of a message.
constexpr size_t kAskedAtOnce = 512;
constexpr size_t kPathBytesAtOnce = size_t{256} << 10;
// Of all directories that differ, as they travel in StartManifest.
constexpr size_t kMaxPathBytes = size_t{1} << 20;

class Descent {
 public:
  Descent(const AskIndexes& ask, bool compare_root) : ask_(ask), compare_root_(compare_root) {}

  absl::StatusOr<IndexDifference> Run() {
    std::vector<RelPath> level = {RelPath()};
    while (!level.empty()) {
      std::vector<RelPath> next;
      US_ASSIGN_OR_RETURN(const bool usable, Look(level, &next));
      if (!usable) return IndexDifference();
      level = std::move(next);
    }
    result_.usable = true;
    std::sort(result_.directories.begin(), result_.directories.end());
    return std::move(result_);
  }

 private:
  // False: the indexes cannot be used, or so much differs that they do not pay.
  absl::StatusOr<bool> Look(const std::vector<RelPath>& level, std::vector<RelPath>* next) {
    for (size_t done = 0; done < level.size();) {
      TreeQuery query;
      size_t bytes = 0;
      for (size_t i = done; i < level.size() && i - done < kAskedAtOnce && bytes < kPathBytesAtOnce; ++i) {
        query.directories.push_back(level[i]);
        bytes += level[i].text().size();
      }
      US_ASSIGN_OR_RETURN(const auto replies, ask_(query));
      const auto& [source, destination] = replies;
      if (!source.valid || !destination.valid) return false;
      const size_t answered = std::min(source.rows.size(), destination.rows.size());
      if (answered == 0 || std::max(source.rows.size(), destination.rows.size()) > query.directories.size()) {
        return MakeStatus(absl::StatusCode::kInvalidArgument, "an index answered what was not asked");
      }
      for (size_t i = 0; i < answered; ++i) {
        if (!Compare(query.directories[i], source.rows[i], destination.rows[i], next)) return false;
      }
      done += answered;
    }
    return true;
  }

  bool Compare(const RelPath& path, const TreeRow& source, const TreeRow& destination, std::vector<RelPath>* next) {
    if (path.is_root()) {
      if (!source.found || !destination.found) return false;
      if (compare_root_ && source.tree.Equals(destination.tree)) {
        AddEqual(source.tree.below);
        return true;
      }
    }
    result_.directories.push_back(path);
    path_bytes_ += path.text().size();
    if (result_.directories.size() > kMaxOnlyDirectories || path_bytes_ > kMaxPathBytes) return false;
    size_t at = 0;
    for (const TreeRow::Child& child : source.children) {
      for (; at < destination.children.size() && destination.children[at].name < child.name; ++at) {
        next->push_back(path.Child(destination.children[at].name));
      }
      const bool both = at < destination.children.size() && destination.children[at].name == child.name;
      if (both && child.tree.Equals(destination.children[at].tree)) {
        AddEqual(child.tree.below);
      } else {
        next->push_back(path.Child(child.name));
      }
      at += both ? 1 : 0;
    }
    for (; at < destination.children.size(); ++at) next->push_back(path.Child(destination.children[at].name));
    return result_.directories.size() + next->size() <= kMaxOnlyDirectories;
  }

  void AddEqual(const TreeTotals& below) {
    result_.equal.entries += below.entries;
    result_.equal.files += below.files;
    result_.equal.bytes += below.bytes;
  }

  const AskIndexes& ask_;
  const bool compare_root_;
  IndexDifference result_;
  size_t path_bytes_ = 0;
};

}  // namespace

absl::StatusOr<IndexDifference> DescendIndexes(const AskIndexes& ask, bool compare_root) {
  return Descent(ask, compare_root).Run();
}

}  // namespace uringsync

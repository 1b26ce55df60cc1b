#include "coordinator/core/overlap.h"

#include <algorithm>

namespace uringsync {
namespace {

bool IsBelow(const SessionOpened& inner, const SessionOpened& outer) {
  return std::find(inner.ancestors.begin(), inner.ancestors.end(), outer.root.id) != inner.ancestors.end();
}

}  // namespace

std::optional<std::string> DescribeOverlap(const SessionOpened& source, const SessionOpened& destination,
                                           const OverlapRules& rules) {
  if (!source.exists || !destination.exists || source.host_id.empty() || source.host_id != destination.host_id) {
    return std::nullopt;
  }
  if (const std::vector<FileId>& trees = source.tree_roots; !trees.empty()) {
    const auto is_tree = [&trees](const FileId& id) {
      return std::find(trees.begin(), trees.end(), id) != trees.end();
    };
    if (is_tree(destination.root.id))
      return "the destination is one of the source directories: it would be copied into itself";
    if (!rules.hidden && std::any_of(destination.ancestors.begin(), destination.ancestors.end(), is_tree))
      return "the destination lies inside a source directory: it would be copied into itself; choose a destination "
             "outside of it, or exclude it";
  }
  // Of operands only the directories count that hold something below them.
  if (source.root.id == FileId()) return std::nullopt;
  if (source.root.id == destination.root.id) return "source and destination are the same directory";
  if (!rules.hidden && IsBelow(destination, source)) {
    return "the destination lies inside the source: every run would copy the copy; choose a destination outside of it, "
           "or exclude it";
  }
  if (rules.deletes && IsBelow(source, destination)) {
    return "the source lies inside the destination: --delete would remove it; leave out --delete or choose another "
           "destination";
  }
  return std::nullopt;
}

}  // namespace uringsync

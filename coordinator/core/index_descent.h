// IndexDescent: asks the indexes of both agents, level by level, which directories differ.
//
// A directory whose digest is certain and equal on both sides is left out with all below it. What remains (and what
// only one side has) is to be listed and compared entry by entry: an index proves equality, never a difference.
// Questions for one level travel together, so the number of round trips is that of levels in which something differs.
//
// Thread rule: one thread. Use:
//   US_ASSIGN_OR_RETURN(IndexDifference difference, DescendIndexes(ask, compare_root));
//   if (difference.usable && difference.directories.empty()) everything_is_equal();
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/messages.h"

namespace uringsync {

struct IndexDifference {
  bool usable = false;               // else every directory is to be compared
  std::vector<RelPath> directories;  // that are to be compared, in the order of manifests; none: all is equal
  TreeTotals equal;                  // below directories that are left out, themselves not counted
};

// Puts one question to both sides: the source's answer, the destination's.
using AskIndexes = std::function<absl::StatusOr<std::pair<TreeReply, TreeReply>>(const TreeQuery& query)>;

// `compare_root` false: the metadata of the roots themselves may differ, so the roots are always listed.
// InvalidArgument for answers that fit no question.
absl::StatusOr<IndexDifference> DescendIndexes(const AskIndexes& ask, bool compare_root);

}  // namespace uringsync

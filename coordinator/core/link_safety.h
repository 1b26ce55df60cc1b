// LinkSafety: whether a symlink could lead out of the tree that is copied (--safe-links), by rsync's rule.
//
// A pure function, any thread. Use:  if (IsUnsafeLink(entry.symlink_target, directory.depth())) leave_it_out();
#pragma once

#include <cstddef>
#include <string_view>

namespace uringsync {

// `depth`: components of the path of the directory that holds the link, below the root of the transfer. Unsafe are empty and absolute
// targets, those that climb above the root, and those with a ".." behind anything but other ".."s: where that leads depends on what is a link.
bool IsUnsafeLink(std::string_view target, size_t depth);

}  // namespace uringsync

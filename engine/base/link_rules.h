// What a run makes of symlinks: which of them it follows (rsync's --copy-links, --copy-unsafe-links, --copy-dirlinks),
// and which could lead out of the tree that is copied (--safe-links), by rsync's rule.
//
// Pure values and functions, any thread. Use:  if (IsUnsafeLink(entry.symlink_target, directory.depth()))
// leave_it_out();
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace uringsync {

// The symlinks that stand for what they lead to.
struct LinkFollowing {
  bool all = false;          // every one; one that leads nowhere cannot be looked at
  bool unsafe = false;       // those of IsUnsafeLink, likewise
  bool directories = false;  // those that lead to a directory
  bool any() const { return all || unsafe || directories; }
  friend bool operator==(const LinkFollowing&, const LinkFollowing&) = default;
};

// `depth`: components of the path of the directory that holds the link, below the root of the transfer. Unsafe are
// empty and absolute targets, those that climb above the root, and those with a ".." behind anything but other ".."s:
// where that leads depends on what is a link.
bool IsUnsafeLink(std::string_view target, size_t depth);

}  // namespace uringsync

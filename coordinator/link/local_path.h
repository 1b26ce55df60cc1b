// Local paths of the command line, resolved once to what an agent's root can be made of.
//
// The user's own symlinks are followed here, because a path on the command line says where to go; below the root
// nothing follows a link any more. The agent looks again when the session opens, so a change in between is caught
// there. Thread rule: functions; they read the file system of this process with plain calls, before any session exists.
// Use:  US_ASSIGN_OR_RETURN(ResolvedPath source, ResolveSource("src/"));
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/base/entry.h"
#include "engine/base/rel_path.h"
#include "proto/messages.h"

namespace uringsync {

struct ResolvedPath {
  std::string root;          // canonical absolute path of an existing directory: the agent's root
  RelPath path;              // below it: empty, or the one component that is to be made
  bool create_root = false;  // the directory `path` is missing and its parent is there
  FileId id;                 // of the directory root/path; {0, 0} when it is missing
  // Canonical absolute path of root/path.
  std::string Canonical() const;
};

// LinkError(kSelection) when it is missing, no directory, or not reachable; the text names the path and the reason.
absl::StatusOr<ResolvedPath> ResolveSource(std::string_view path);

// A missing last component is fine (create_root). LinkError(kSelection): it exists and is no directory, its parent is
// missing (the text says which and how to make it), or it is a symlink that leads nowhere.
absl::StatusOr<ResolvedPath> ResolveDestination(std::string_view path);

// What is at a path of this host, as an agent's PathReply would tell it.
PathInfo LookAtPath(const std::string& path);

// How two resolved directories of one host lie to each other; both by path and, where they exist, by (device, inode),
// so that a bind mount of the same directory is seen as the same.
enum class Overlap { kNone, kSame, kDestinationInsideSource, kSourceInsideDestination };
Overlap FindOverlap(const ResolvedPath& source, const ResolvedPath& destination);

}  // namespace uringsync

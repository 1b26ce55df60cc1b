// Where the basis directories (--link-dest and its kin) and the backup directory of the command line lie: as with
// rsync, relative to the destination.
//
// Thread rule: functions; the local one reads the file system with plain calls, before any session exists.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "coordinator/link/local_path.h"
#include "engine/base/rel_path.h"

namespace uringsync {

// A directory of an agent's root, seen from the destination there. LinkError(kUsage): an absolute path, one that leads
// above the root, or no valid path.
absl::StatusOr<RelPath> ResolveAgentBasis(const RelPath& destination, std::string_view text);

// A local one, absolute or not. `root` exists, `path` is what is missing below it. The destination itself may be
// missing. LinkError(kSelection) where it cannot be looked at.
struct LocalBasis {
  std::string root;
  RelPath path;
};
absl::StatusOr<LocalBasis> ResolveLocalBasis(const ResolvedPath& destination, std::string_view text);
// False where something that is no directory this process may search has the name: a file, a link that leads nowhere. A
// name that is missing is no obstacle.
bool MayBeDirectory(const LocalBasis& basis);

// Where in the local directory `destination` a directory is that is written so (relative ones begin there); nullopt:
// elsewhere. Looks at no file.
std::optional<RelPath> InsideOf(const std::string& destination, const std::string& directory);

}  // namespace uringsync

// Objects that are looked at through symlinks, where a run asks for it (rsync's --copy-links and its kin). Everything
// else in this room follows none.
//
// The kernel resolves: it counts the links on the way (40, then ELOOP), and where the base is a border it is given the
// whole path from there and keeps beneath it (EXDEV). Magic links of /proc lead nowhere: they are descriptors of this
// process.
//
// Thread rule: values; calls take the driver of their shard.
// Use:  const FollowBase base{.directory = root, .prefix = "home/me", .beneath = true};
//       US_ASSIGN_OR_RETURN(UniqueFd object, PinFollowed(driver, {directory->fd(), "link", base.Below("link")},
//       &stat));
#pragma once

#include <linux/stat.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/base/entry.h"
#include "engine/base/unique_fd.h"
#include "engine/fs/directory.h"
#include "engine/fs/file.h"
#include "engine/ring/driver.h"

namespace uringsync {

// An object that may be a link. Borrows `name`.
struct LinkPlace {
  int dirfd;  // of the directory that holds it, and its name there
  const char* name;
  FollowBase whole;  // the same object, seen from the base
};

// Pins what the object is in the end and looks at it. Errors carry errno: ENOENT (also of a link that leads nowhere),
// ELOOP, EXDEV (out of the base), ENAMETOOLONG, EACCES.
absl::StatusOr<UniqueFd> PinFollowed(Driver* driver, const LinkPlace& place, struct statx* stat);
// The regular file that it is; as OpenSourceFile.
absl::StatusOr<SourceFile> OpenFollowedFile(Driver* driver, const LinkPlace& place);
// StatAt; of a link that leads anywhere what it leads to.
absl::Status StatThroughLink(Driver* driver, const LinkPlace& place, struct statx* out);
// The directory that the whole path leads to. Errors as PinFollowed's, and ENOTDIR.
absl::StatusOr<DirectoryPtr> OpenFollowedDirectory(Driver* driver, const FollowBase& whole, DirectoryAccess access);

// True for what resolution without links says of a path with one.
bool IsLinkInTheWay(const absl::Status& opened);

}  // namespace uringsync

// Files without a name (O_TMPFILE) that get one when they are whole: nothing is left behind by whoever is killed,
// nobody can open what is not complete, and a new file costs one directory change instead of two (decision 0009).
//
// What a file system can do is found out with the first file there and kept in its FileSystemFacts: whether it has
// unnamed files, and how this process may link one (by descriptor: CAP_DAC_READ_SEARCH or a kernel from 6.10 on; else
// through /proc). That a single directory takes none is kept in its DirectoryFacts.
//
// Thread rule: the shard that owns `driver`; directories may be shared.
// Use:  US_ASSIGN_OR_RETURN(UniqueFd fd, OpenUnnamed(driver, *parent, {.mode = 0644}));
//       if (!fd.valid()) ... make a named one ...
//       int linked = LinkUnnamed(driver, fd.get(), *parent, "name");
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "engine/base/unique_fd.h"
#include "engine/fs/directory.h"
#include "engine/fs/process_capabilities.h"

namespace uringsync {

struct UnnamedOptions {
  uint32_t mode = 0600;  // permission bits of the new file; the process's umask and a default ACL take from them
  // Contents are fsynced before the file gets its name, and the name with the directory: only file systems that keep
  // both then (not btrfs, whose log knows nothing of a file that had no name when it was synced).
  bool durable = true;
};

// False for a process that may give files away but not link what belongs to others (fs.protected_hardlinks).
bool MayLinkUnnamed(const ProcessCapabilities& capabilities);

// An empty unnamed regular file in `parent`, open for reading and writing. An invalid descriptor: not in this
// directory. Errors: of the creation (EACCES, ENOSPC, EMFILE, ...).
absl::StatusOr<UniqueFd> OpenUnnamed(Driver* driver, const Directory& parent, const UnnamedOptions& options);

// False once it is known that there are no such files in `parent`.
bool MayHaveUnnamed(Driver* driver, const Directory& parent);

// Gives the unnamed file the free name `name` in `parent`. 0 or -errno: EEXIST where the name is taken.
int LinkUnnamed(Driver* driver, int fd, const Directory& parent, const char* name);

}  // namespace uringsync

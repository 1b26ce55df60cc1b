// Merge files in directories above a session's tree, where a rule asks for them ("dir-merge /.rsync-filter").
//
// An agent that a command started looks up to "/"; any other no further than its named root, and follows no link.
//
// Thread rule: the shard that owns the driver.
// Use:  FilesAbove files(driver, top.directory);
//       US_ASSIGN_OR_RETURN(scope, rules->Above(files, top.path, ""));
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "engine/fs/directory.h"
#include "engine/ring/driver.h"
#include "engine/tree/path_filter.h"

namespace uringsync {

// What the rules of a session take for the top of all.
struct FilterTop {
  DirectoryPtr directory;  // null: "/" of this host
  std::string path;        // of the session's directory below it, without slashes at its ends
};

class FilesAbove final : public MergeFiles {
 public:
  // `top` null: paths begin at "/".
  FilesAbove(Driver* driver, DirectoryPtr top) : driver_(driver), top_(std::move(top)) {}
  // Errors as ReadMergeFile's, and those of opening the directory.
  absl::StatusOr<std::optional<std::string>> Read(std::string_view directory, const std::string& name) override;

 private:
  absl::StatusOr<DirectoryPtr> Open(const std::string& directory) const;

  Driver* const driver_;
  const DirectoryPtr top_;
};

// Where the kernel says that the directory lies, without the leading slash. Errors of readlink(2).
absl::StatusOr<std::string> AbsolutePath(Driver* driver, const Directory& directory);

}  // namespace uringsync

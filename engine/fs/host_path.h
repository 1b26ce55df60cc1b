// Paths of this host as a user writes them: relative to the working directory or absolute, links in them followed.
//
// Thread rule: functions; those with a driver on its shard.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/fs/directory.h"
#include "engine/ring/driver.h"

namespace uringsync {

// `path` without slashes at its end; "/" and "" stay.
std::string_view WithoutTrailingSlashes(std::string_view path);
// The directory above: "." for a path of one component, "/" for one below the root and for the root itself.
std::string ParentOfHostPath(std::string_view path);
// The last component, without slashes behind it; may be "." or "..", empty for "/" and "".
std::string NameOfHostPath(std::string_view path);
// The components but for "." and empty ones; ".." stays. They borrow from `path`.
std::vector<std::string_view> PathComponents(std::string_view path);

// Makes the directory `path`, mode 0777 less the umask, where its parent is there, or with `parents` what is missing
// above it, too. What is a directory already is fine. Errors carry errno and name the path that could not be made.
absl::Status MakeHostDirectory(Driver* driver, const std::string& path, bool parents);

}  // namespace uringsync

// Where basis directories and the backup directory are, seen from a destination that is a path of its agent's host: as
// with rsync, relative to the destination.
//
// Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/rel_path.h"

namespace uringsync {

// The path of `directory`. A destination that is not there yet is climbed without the file system.
std::string PathBeside(const std::string& destination, bool is_there, std::string_view directory);

// Every directory on the way to `path`, itself included: "/", "/a", "/a/b".
std::vector<std::string> WayTo(std::string_view path);

// What comes behind the first `known` directories of WayTo(path). LinkError(kUsage) where that is no list of names.
absl::StatusOr<RelPath> RestOfWay(std::string_view path, size_t known);

// Where `directory` is within the destination; nullopt: outside. Paths are compared as text, from `working_directory`
// where they are relative. LinkError(kUsage): it is the destination itself.
absl::StatusOr<std::optional<RelPath>> PlaceWithin(const std::string& destination, std::string_view directory,
                                                   const std::string& working_directory);

}  // namespace uringsync

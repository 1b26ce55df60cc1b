// What a file system is called and what it can do.
//
// Thread rule: the shard that owns `driver`. Probes make unnamed files (O_TMPFILE) or, where that is refused, objects
// under state names in the directory, and remove them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/time_range.h"
#include "engine/fs/directory.h"
#include "engine/fs/state_name.h"

namespace uringsync {

// "ext4", "tmpfs", "xfs", ...; the number in hex ("0x1234") for one not known by name.
absl::StatusOr<std::string> FileSystemTypeName(Driver* driver, int fd);

// True where a file that is fsynced before it has a name is whole on disk once its directory is synced with the name:
// journals that keep the order of everything (ext4, xfs), and what keeps nothing anyway (tmpfs). False for all others,
// and where it cannot be told.
bool SyncsUnnamedFiles(Driver* driver, int fd);

// Smallest step of a modification time that the file system of `directory` keeps, in ns: 1, 100, 1000, ..., 1e9 or 2e9
// (FAT). 1 where it cannot be probed (read-only, no O_TMPFILE): times are then compared in full.
uint32_t ProbeTimeGranularity(Driver* driver, const Directory& directory);

// First and last second that the file system keeps as a modification time; by name (FAT), else without limits, where it
// cannot be probed.
TimeRange ProbeTimeRange(Driver* driver, const Directory& directory);

enum class FeatureState : uint8_t { kYes, kNo, kUnknown };
struct FeatureReport {
  std::string name;  // "user xattrs", "ACLs", "O_TMPFILE", ...
  FeatureState state = FeatureState::kUnknown;
  int error = 0;        // errno of a failed probe
  std::string meaning;  // what is lost without it, one sentence
};
// Tries each feature of the file system at `directory` for real and cleans up. A directory that may not be written
// yields kUnknown.
std::vector<FeatureReport> ProbeFeatures(Driver* driver, const Directory& directory, StateNamer* namer);

}  // namespace uringsync

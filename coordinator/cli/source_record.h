// What earlier runs of one source into one destination were told of the source's mounts, kept on the host of the
// command: so that a disk that is missing is noticed before anything is deleted because of it.
//
// One small file a pair, "sources/<32 hex digits>" below the state directory, replaced by a rename; private to its
// owner. Thread rule: values and functions.
// Use:  SourceRecord record(program.state_directory, key);
//       absl::StatusOr<std::optional<std::vector<MountedPlace>>> mounts = record.Load();   ...
//       record.Save(outcome.mounts)
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/messages.h"

namespace uringsync {

// Source and destination, however each is written: places of hosts, one text for each pair.
struct SourceRecordKey {
  std::string source;
  std::string destination;
};

class SourceRecord {
 public:
  SourceRecord(const std::string& state_directory, SourceRecordKey key);

  // nullopt: no earlier run is known. DataLoss: the file is none of ours, cut or damaged; else the file system's errors.
  // All with the path.
  absl::StatusOr<std::optional<std::vector<MountedPlace>>> Load() const;
  // Puts the record in its place, on disk; makes the directories. Errors of the file system, with the path.
  absl::Status Save(const std::vector<MountedPlace>& mounts) const;

  const std::string& path() const { return path_; }

 private:
  const SourceRecordKey key_;
  const std::string directory_;
  const std::string path_;
};

// Form of the file. Decoding fails with DataLoss on anything that is not whole or belongs to another pair.
std::string EncodeSourceRecord(const SourceRecordKey& key, const std::vector<MountedPlace>& mounts);
absl::StatusOr<std::vector<MountedPlace>> DecodeSourceRecord(const SourceRecordKey& key, std::string_view bytes);

}  // namespace uringsync

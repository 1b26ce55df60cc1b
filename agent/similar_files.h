// SimilarFiles: finds a file of a directory that may be what a new one was made from (rsync's --fuzzy), to be the old
// contents of a delta.
//
// Which one is only a guess that can cost time: size and time of the new file first, else the name that has most in
// common with its own.
//
// Thread rule: one shard. Use:
//   SimilarFiles similar(driver);
//   file.basis = similar.Open(*parent, path.Parent(), wanted, policy, &direct_io);
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/entry.h"
#include "engine/base/rel_path.h"
#include "engine/delta/decision.h"
#include "engine/fs/directory.h"
#include "engine/transfer/delta_job.h"

namespace uringsync {

// How much two names have in common at their beginnings and ends, 0 to 1.
double Likeness(std::string_view a, std::string_view b);

class SimilarFiles {
 public:
  // Names of one directory that are looked at.
  static constexpr size_t kMaxNames = 65536;
  // Names that have less in common are not taken for versions of one thing.
  static constexpr double kLeastLikeness = 0.5;

  explicit SimilarFiles(Driver* driver) : driver_(driver) {}

  // The best one for `wanted` in `directory`, which is at `path`; null where there is none that a delta could use. The
  // names of a directory are read once, as long as no other one is asked for.
  std::shared_ptr<const DeltaBasis> Open(const Directory& directory, const RelPath& path, const Entry& wanted,
                                         DeltaPolicy policy, DirectIo* direct_io);

 private:
  void Read(const Directory& directory);

  Driver* const driver_;
  std::optional<RelPath> path_;  // of what is read
  std::vector<Entry> files_;     // with contents
};

}  // namespace uringsync

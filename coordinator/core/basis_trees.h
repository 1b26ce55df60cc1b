// BasisTrees: what the basis directories of a run (--link-dest, --copy-dest, --compare-dest) have where the planner
// stands.
//
// Their manifests come in the order of the source's, so they are read beside it, forwards only: one batch of each in
// memory, whatever they hold. What only they have is passed over. A manifest that breaks the order is InvalidArgument
// (a protocol error).
//
// Thread rule: the planning thread. Use:
//   BasisTrees bases(BasisUse::kLink, {&newest, &older});
//   US_ASSIGN_OR_RETURN(std::optional<BasisMatch> match, bases.Match(directory, source_entry, policy));
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/core/compare.h"
#include "coordinator/core/planner.h"

namespace uringsync {

// Walks one manifest; directories and names are asked for in its own order.
class BasisCursor {
 public:
  explicit BasisCursor(ManifestStream* stream) : stream_(stream) {}
  // The entry `name` of `directory`; null where there is none. Valid until the next call.
  absl::StatusOr<const Entry*> Find(const RelPath& directory, const std::string& name);
  // The root itself; null: there is none. Before anything is found.
  absl::StatusOr<const Entry*> Root();

 private:
  absl::Status Load();
  // Whether `entries` of the loaded batch are in order and go on where the batch before ended.
  bool InOrder(bool first) const;

  ManifestStream* const stream_;
  std::optional<DirectoryBatch> batch_;
  bool begun_ = false;
  size_t next_ = 0;
  RelPath last_directory_;
  bool last_complete_ = true;
  std::string last_name_;
};

// The best object that any basis directory has under a name, of the source object's type.
struct BasisMatch {
  enum class Level : uint8_t {
    kType,      // something else is in it
    kContents,  // contents, target or device number are equal
    kExact      // nothing differs that the run preserves
  };
  Level level = Level::kType;
  ActionBasis basis;
  Differences differences;  // of the source object against it
};

class BasisTrees {
 public:
  // In the order in which they are to be preferred; outlive this object.
  BasisTrees(BasisUse use, const std::vector<ManifestStream*>& streams);
  BasisUse use() const { return use_; }
  // What the source's root differs in from the best of the bases' roots; nullopt: there is none. Before anything else
  // is asked for.
  absl::StatusOr<std::optional<Differences>> CompareRoot(const Entry& source, const ComparePolicy& policy);
  // Names and directories have to be asked for in the order of a manifest. The first of the best.
  absl::StatusOr<std::optional<BasisMatch>> Match(const RelPath& directory, const Entry& source,
                                                  const ComparePolicy& policy);

 private:
  const BasisUse use_;
  std::vector<BasisCursor> cursors_;
};

}  // namespace uringsync

// AskedManifest: the source's manifest, held to what the run asked for: its operands, and no name that its filter rules
// hide.
//
// An agent on another host may be hostile. In a transfer of single operands, what it could tell besides would be
// written to the destination (say, .ssh/authorized_keys beside the one file that was asked for). What only its own
// merge files can decide stays its word.
//
// Memory: four bytes for each operand. Thread rule: one thread, the planning one.
// Use:  AskedManifest asked(&link, request.operands, filter);   planner.Run(asked, destination, sink);
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "coordinator/core/planner.h"
#include "engine/tree/path_filter.h"
#include "proto/messages.h"

namespace uringsync {

class AskedManifest final : public ManifestStream {
 public:
  // `source` and `operands` outlive this object. Without operands every path was asked for; `filter` may be null.
  AskedManifest(ManifestStream* source, const std::vector<SourceOperand>& operands, PathFilterPtr filter);

  // As the source's; InvalidArgument names what nobody asked for.
  absl::StatusOr<std::optional<DirectoryBatch>> Next() override;

 private:
  using Place = std::vector<uint32_t>::const_iterator;
  // The first operand that is at `path` or behind it.
  Place Find(const RelPath& path) const;
  const SourceOperand& At(Place place) const { return operands_[*place]; }
  // Some operand is at `path` or below it.
  bool LeadsToOperand(const RelPath& path) const;
  // All entries of `directory` were asked for.
  bool ListsAll(const RelPath& directory) const;
  absl::Status Check(const DirectoryBatch& batch);

  ManifestStream* const source_;
  const std::vector<SourceOperand>& operands_;
  const PathFilterPtr filter_;
  std::vector<uint32_t> by_path_;     // of operands_, in the order of manifests
  std::optional<RelPath> directory_;  // that was looked at last
  bool lists_all_ = false;            // of that one
};

}  // namespace uringsync

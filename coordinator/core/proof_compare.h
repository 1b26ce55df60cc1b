// What differs between a proof and a tree: both are read once, in the same order, and merged.
//
// Pure. Memory: one item of each. Thread rule: one thread.
// Use:  US_ASSIGN_OR_RETURN(ProofTotals totals, CompareWithProof(proof, tree, selection, on_difference));
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/proof_document.h"

namespace uringsync {

struct ProofDifference {
  enum class Kind : uint8_t { kMissing = 1, kExtra, kChanged };
  Kind kind = Kind::kChanged;
  RelPath path;
  // kChanged: "type", "content", "size", "target", "device", "mode", "owner", "group", "mtime", "attributes".
  std::vector<std::string> fields;
};

struct ProofTotals {
  uint64_t objects = 0;  // of the proof
  uint64_t missing = 0;
  uint64_t extra = 0;
  uint64_t changed = 0;
  uint64_t unproven = 0;  // there, and not read as a whole
  bool equal() const { return missing + extra + changed + unproven == 0; }
};

// The attributes of `now` that are not those of `then`, as far as `selection` counts them.
std::vector<std::string> ChangedFields(const Entry& then, const Entry& now, const MetadataSelection& selection);

// What either fails with.
absl::StatusOr<ProofTotals> CompareWithProof(ProofItems& proof, ProofItems& tree, const MetadataSelection& selection,
                                             const std::function<void(const ProofDifference&)>& on_difference);

}  // namespace uringsync

// ListingDigest: the entries of one directory as one digest, so that two agents can find equal listings without sending
// them.
//
// Equal digests mean that the planner would find nothing to do: every attribute that it compares is in them, as the
// kernel tells it, times as the destination keeps them. Names, times and attributes are chosen by who writes to a tree,
// so they are digested under the key of MetadataSelection::digest_key, which he does not know. With a peer that knows
// no keys XXH3-128 does it, seeded for each session: pairs that collide under one seed of 2^27 are published.
//
// Left out of the digest, and to be sent as entries of their own: directories (the walk needs their names), names of an
// object that has several (hard-link groups are found across the tree), what could not be looked at, and what is not
// settled.
//
// Thread rule: a value of one thread; keep it for its buffer.
// Use:  ListingDigester digester(rules);  digester.Begin();
//       for (entry : entries) if (!digester.Add(entry)) send(entry);
//       FoldedEntries folded = digester.Finish();
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/entry.h"
#include "engine/base/leaf_digest.h"
#include "engine/base/time_range.h"

namespace uringsync {

// What both sides of a session must agree on.
struct DigestRules {
  uint64_t seed = 0;
  MetadataSelection selection;
  uint32_t time_granularity_ns = 1;  // of the destination
  TimeRange time_range;              // that the destination keeps
};

// True for an entry that a digest may stand for.
bool CanFold(const Entry& entry);
// Appends every attribute of `entry` that a comparison looks at, in a form that is the same on every host and of which
// no two different entries share one.
void AppendCanonical(const Entry& entry, const DigestRules& rules, std::string* out);

class ListingDigester {
 public:
  explicit ListingDigester(DigestRules rules);
  void Begin();
  // False: not in the digest (see above). Entries come in the order of their names.
  bool Add(const Entry& entry);
  uint64_t entries() const { return folded_.entries; }
  FoldedEntries Finish();
  const DigestRules& rules() const { return rules_; }

 private:
  Digest128 Digest();

  const DigestRules rules_;
  std::unique_ptr<LeafHasher> keyed_;
  std::string canonical_;
  FoldedEntries folded_;
};

}  // namespace uringsync

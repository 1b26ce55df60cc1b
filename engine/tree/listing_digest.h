// ListingDigest: the entries of one directory as one digest, so that two agents can find equal listings without sending
// them.
//
// Equal digests mean that the planner would find nothing to do: every attribute that it compares is in them, as the
// kernel tells it, times as the destination keeps them. XXH3 proves nothing against somebody who knows the seed; the
// seed is drawn for each session (or shared in secret, where an index keeps digests), so nobody can prepare names and
// times that collide.
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
#include <string>

#include "engine/base/entry.h"
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
  explicit ListingDigester(DigestRules rules) : rules_(std::move(rules)) {}
  void Begin();
  // False: not in the digest (see above). Entries come in the order of their names.
  bool Add(const Entry& entry);
  uint64_t entries() const { return folded_.entries; }
  FoldedEntries Finish();
  const DigestRules& rules() const { return rules_; }

 private:
  const DigestRules rules_;
  std::string canonical_;
  FoldedEntries folded_;
};

}  // namespace uringsync

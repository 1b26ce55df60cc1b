// RewrittenManifest: the source's manifest as the run wants the destination to have it: owners and groups mapped, modes
// changed
// (--chmod), munged links made whole or links munged. The planner compares and acts on what comes out.
//
// Thread rule: one thread. What stays as it is costs a look at each entry.
// Use:  RewrittenManifest source(&link, {.mapper = &mapper, .mode_changes = changes});  planner.Run(source,
// destination, sink);
#pragma once

#include <optional>

#include "coordinator/core/id_mapper.h"
#include "coordinator/core/mode_changes.h"
#include "coordinator/core/planner.h"

namespace uringsync {

// rsync's --munge-links: a prefix that makes a link lead nowhere until it is taken away again.
enum class LinkMunging : uint8_t {
  kNone = 1,
  kUnmunge,  // prefixes of the source are taken away (the command's host is the source's)
  kMunge,    // every link of the destination gets the prefix (the command's host is the destination's)
};
constexpr std::string_view kMungePrefix = "/rsyncd-munged/";

class RewrittenManifest final : public ManifestStream {
 public:
  struct Rewriting {
    IdMapper* mapper = nullptr;  // null: owners and groups stay
    ModeChanges mode_changes;
    LinkMunging munging = LinkMunging::kNone;
  };
  // `source` and the mapper outlive this object.
  RewrittenManifest(ManifestStream* source, Rewriting rewriting) : source_(source), rewriting_(std::move(rewriting)) {}

  absl::StatusOr<std::optional<DirectoryBatch>> Next() override;

 private:
  void Rewrite(Entry* entry) const;

  ManifestStream* const source_;
  const Rewriting rewriting_;
};

}  // namespace uringsync

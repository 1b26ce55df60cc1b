// TreeMerge: walks both manifests together and decides for each name.
//
// The walk is driven by what was listed: every directory that either side listed must come next in that side's
// manifest, in order, or the manifest is a lie and the walk ends with InvalidArgument. So nothing that a manifest says
// can make the walk take an object for absent that is merely missing from the stream.
//
// Creations and changes are emitted at once; links, deletes and directory metadata go to LinkGroups and
// DeferredActions. Thread rule: one thread. Use:  TreeMerge merge(...);  US_RETURN_IF_ERROR(merge.Run());
#pragma once

#include <cerrno>
#include <string>

#include "coordinator/core/basis_trees.h"
#include "coordinator/core/deferred_actions.h"
#include "coordinator/core/link_groups.h"
#include "coordinator/core/manifest_cursor.h"
#include "coordinator/core/moved_files.h"
#include "coordinator/core/pending_directories.h"
#include "coordinator/core/plan_emitter.h"

namespace uringsync {

class TreeMerge {
 public:
  // Everything referred to outlives the merge.
  struct Parts {
    const PlanOptions& options;
    ManifestCursor& source;
    ManifestCursor& destination;
    PlanEmitter& emitter;
    LinkGroups& links;
    DeferredActions& deferred;
    BasisTrees* bases;  // null: there are none
    MovedFiles* moved;  // null: nothing is looked for under other names
  };
  TreeMerge(Parts parts, Driver* driver, const std::string& spool_directory);

  // Both manifests to their ends.
  absl::Status Run();

 private:
  // The directory being merged.
  struct Current {
    RelPath path;
    uint64_t number = 0;
    uint64_t parent = 0;  // number of the directory above
    DirectoryPlan plan = DirectoryPlan::kMerge;
    bool has_source = false;
    bool has_destination = false;
    bool touched = false;        // an entry of it changes: its times will move
    bool maybe_touched = false;  // ... if a hard link or a type change turns out to need something
    bool recorded_delete = false;
    bool makes_way = false;  // it, or one that it is in, goes for something else
    bool kept = false;       // kExtraneous: something in it stays
    bool told_kept = false;  // kKept: the problem was told
  };

  absl::Status MergeDirectory(const PendingDirectory& directory, RelPath path);
  absl::Status EnterBoth(const PendingDirectory& directory);
  absl::Status MergeEntries();
  absl::Status CountMatched();
  absl::Status FinishDirectory(const PendingDirectory& directory);
  absl::Status ReportListings();
  absl::Status PlanDirectoryMetadata(const PendingDirectory& directory);
  absl::Status MakeWay(const PendingDirectory& directory);

  // One name; either pointer may be null, not both. By plan of the directory:
  absl::Status Visit(Entry* source, Entry* destination);
  // The destination has a symlink to a directory, whose listing comes too (--keep-dirlinks).
  absl::Status VisitDirectoryLink(Entry* source, Entry& destination);
  absl::Status VisitPair(Entry& source, Entry& destination);
  absl::Status VisitNew(Entry& source);
  absl::Status VisitExtraneous(Entry& destination);
  // A backup of an earlier run, or where this one keeps its own.
  bool IsBackup(const RelPath& path) const;
  // Something in the current directory stays: if it was to go, it stays too.
  absl::Status KeepCurrent();
  // An operand that is not there, and is not to be told.
  bool IsMissing(const Entry& source) const {
    return source.error == ENOENT && source.type != FileType::kSymlink &&
           options_.rules.missing_operands != MissingOperands::kTell;
  }
  absl::Status VisitMissing(const Entry& source, Entry* destination);
  // A directory that a missing operand is about.
  absl::Status DeleteMissing();
  // Tells that `source` could not be looked at.
  absl::Status ReportUnseen(const Entry& source);
  // Everything that the directory holds at the source is in the manifest, or is to be taken as if it were: what is not
  // there may be deleted.
  bool ListedWhole() const {
    return !source_.partial() && ((source_.listing_error() == 0 && !in_doubt_) || options_.rules.ignore_errors);
  }
  absl::Status ReportPruned(const RelPath& path);
  absl::Status VisitKept(const Entry& source);
  absl::Status VisitIgnored(const Entry* source, const Entry* destination, DirectoryPlan plan);
  absl::Status PairDirectories(Entry& source, Entry& destination);
  absl::Status PairSameType(Entry& source, Entry& destination);
  absl::Status PairOtherType(Entry& source, Entry& destination);
  // A file of the source, and a device that gets its contents.
  absl::Status PairDevice(Entry& source, Entry& destination);
  absl::Status PutOrJoinGroup(Entry& source, std::optional<Entry> destination, Differences differences, bool waits,
                              std::optional<ActionBasis> basis = std::nullopt, bool link_basis = false);
  // What the basis directories have for `source`, where that counts; `destination` is null or what has its name.
  absl::StatusOr<std::optional<BasisMatch>> FindBasis(const Entry& source, const Entry* destination);
  // What `source`, the root of a new destination, differs in from the best root of a basis directory.
  absl::StatusOr<std::optional<Differences>> CompareRootWithBasis(const Entry& source);
  // Carries `source` (no directory) out from what FindBasis gave.
  absl::Status UseBasis(Entry& source, std::optional<Entry> destination, BasisMatch match);
  // The same for what takes the place of the current directory, once that is gone.
  absl::Status UseBasisLate(Entry source, const BasisMatch& match);
  // The object of a basis directory that `source` is linked to, or gets its contents from.
  std::optional<ActionBasis> MadeFrom(const Entry& source, const BasisMatch& match) const;
  absl::Status PutLate(Entry source, Differences differences, std::optional<ActionBasis> basis, bool link_basis);
  // The reason to leave out `source`, if there is one; `destination` is null or what has that name.
  std::optional<SkipReason> SkipReasonFor(const Entry& source, const Entry* destination) const;
  // The same by options_.rules; of a directory, all below it is left out too.
  std::optional<SkipReason> RuleAgainst(const Entry& source, const Entry* destination) const;
  absl::Status LeaveOutByRule(SkipReason reason, const Entry& source, const Entry* destination);
  // Tells that `source` is left out, or that it should not have been.
  absl::Status LeaveOut(SkipReason reason, const Entry& source);

  RelPath PathOf(const Entry& entry) const { return current_.path.Child(entry.name); }
  void CountEntries(const Entry* source, const Entry* destination);

  const PlanOptions& options_;
  ManifestCursor& source_;
  ManifestCursor& destination_;
  PlanEmitter& emitter_;
  LinkGroups& links_;
  DeferredActions& deferred_;
  BasisTrees* const bases_;
  MovedFiles* const moved_;
  PendingDirectories pending_;
  Current current_;
  std::optional<Differences> root_beside_basis_;  // of a new root
  bool by_link_ = false;                          // the destination's directory that is visited is a link's
  bool in_doubt_ = false;                         // an operand could not be looked at: nothing is deleted any more
  uint64_t directories_ = 0;
};

}  // namespace uringsync

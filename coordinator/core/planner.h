// Planner: two ordered manifests in, an ordered stream of actions out. The decision core of a sync.
//
// Pure but for its spool (unlinked temporary files in which everything that grows with the tree waits). Memory is
// bounded by the batch size and a fixed spool cache, whatever the trees hold. It trusts neither stream: a directory out
// of order, twice, never listed or listed and missing, entries out of order, a directory that its parent called a file:
// InvalidArgument (a protocol error, exit 12), and no delete is ever emitted, because deletes come after both streams
// have ended well.
//
// Order of what it emits: kCreate (parents before children) → kLink (hard-link groups) → kDelete (children before
// parents) → kCreate and kLink again (objects whose name a directory held until the deletes) → kDirectoryMetadata
// (deepest first). With DeleteTiming::kBefore the deletes come first. docs/consistency.md says what each rule is for.
//
// Thread rule: one thread. Use:
//   Planner planner(options, driver, spool_directory);
//   absl::Status planned = planner.Run(source_manifest, destination_manifest, sink);
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/compare.h"
#include "engine/ring/driver.h"
#include "proto/messages.h"

namespace uringsync {

class BasisTrees;

// What objects of basis directories are used for (rsync's --compare-dest, --copy-dest, --link-dest).
enum class BasisUse : uint8_t {
  kNone = 0,
  kCompare,  // what is equal there is left out here
  kCopy,     // contents come from there
  kLink      // what is equal there becomes a hard link of it
};

// When objects that only the destination has are removed. Within a run the plan is the same; what differs is which
// phase comes first, so what a run that stops half way has done, and how much room it needs.
enum class DeleteTiming : uint8_t {
  kAfter = 1,  // after everything was created and updated
  kBefore,     // before anything is: creations wait until both trees are known
};

// Which objects of the source are acted upon at all, and how far deletions go: rsync's switches of these names.
// What becomes of operands that the source does not have.
enum class MissingOperands : uint8_t {
  kTell = 1,  // they are problems
  kIgnore,
  kDelete,  // they are deleted at the destination; a directory that is not empty only where deletes or force_delete
            // allow it
};

struct TransferRules {
  MissingOperands missing_operands = MissingOperands::kTell;
  bool update = false;         // a regular file that is newer at the destination stays as it is
  bool existing_only = false;  // nothing is created where nothing is (--existing)
  bool ignore_existing =
      false;  // what exists stays as it is; directories are gone through and keep their metadata in step
  // Regular files larger or smaller than these stay as they are at the destination, or missing.
  std::optional<uint64_t> max_size;
  std::optional<uint64_t> min_size;
  bool safe_links = false;  // symlinks that may lead out of the tree (link_rules.h) stay as they are at the destination
  bool prune_empty_directories =
      false;  // directories of the source with nothing but directories below them do not exist
  // Deletions beyond this many are left out and told (kDeleteLimit, exit 25). What makes way for another type counts
  // for what is in it, not for itself.
  std::optional<uint64_t> max_delete;
  bool append =
      false;  // regular files that are no shorter at the destination, and have other contents, stay as they are
  // Deletes also where the source's listing has errors. Otherwise nothing is deleted in a directory that was not listed
  // whole.
  bool ignore_errors = false;
  // Unless ignore_errors: one object of either side that could not be looked at, and nothing is deleted at all (rsync).
  bool errors_spare_all = false;
  bool sources_missing = false;  // counts as such an object
  // Directories whose entries are deleted first are told with the time that this moves.
  bool tell_times_moved_by_deletes = false;
  DeleteTiming delete_timing = DeleteTiming::kAfter;
};

struct PlanOptions {
  ComparePolicy policy;
  TransferRules rules;
  bool delete_extraneous = false;  // remove what the source does not have
  bool force_delete = false;  // a non-empty directory may make way for another type, even without delete_extraneous
  bool preserve_hard_links = true;  // false: every name becomes its own file
  // Kinds that are not selected are skipped and counted; a destination object of that name is left alone, as rsync
  // does.
  bool symlinks = true;
  bool devices = true;              // block and character devices
  bool specials = true;             // FIFOs and sockets
  bool explicit_devices = false;    // devices were named by an option: try them even without CAP_MKNOD
  bool can_mknod = false;           // of the destination
  bool omit_root_metadata = false;  // leave owner, mode, times and xattrs of the destination's root alone
  // Replaced and deleted objects are kept beside, under their names and this suffix: what is called so is never
  // deleted, and a directory in which something is kept stays. Empty: not.
  std::string backup_suffix;
  // They are kept below this directory of the destination, which is never deleted.
  std::optional<RelPath> backup_directory;
  // PlanSink::OnUnchanged hears of every object that needs nothing.
  bool tell_unchanged = false;
  // A symlink of the destination to a directory stays where the source has a directory.
  bool keep_directory_links = false;
  // Files that are new, or have new contents, get as origin a file of the destination that seems to be theirs
  // (moved_files.h). Deletes come after all creations then, whatever the rules say.
  bool detect_renames = false;
  bool in_place = false;       // files that exist are written over
  bool write_devices = false;  // a device where the source has a file gets its contents
  // What both indexes say is equal and no manifest tells: the objects below pruned directories.
  TreeTotals pruned;
  bool only_planned = false;       // nothing is carried out: a directory that is missing stays so
  bool root_is_new = false;        // the destination's root was made for this run, and gets the mode of a new directory
  bool destination_exists = true;  // false (dry run): the whole tree is new, no destination manifest is read

  // Takes abilities and existence from the destination's answer; the switches keep their defaults.
  static PlanOptions For(const MetadataSelection& selection, bool checksum, const SessionOpened& destination);
};

// One side's manifest, in order. Next() blocks; nullopt at the complete end. An error ends the planning with that
// error.
class ManifestStream {
 public:
  virtual ~ManifestStream() = default;
  virtual absl::StatusOr<std::optional<DirectoryBatch>> Next() = 0;
};

// Why an object of the source is not acted upon.
enum class SkipReason : uint8_t {
  kSymlinkOff = 1,  // switched off by an option
  kDeviceOff,
  kSpecialOff,
  kNoMknod,       // a device, and the destination may not make devices: no part of the asked state
  kBelowProblem,  // below a destination directory that could not be read or made
  kNotEmpty,    // only at the destination, and something in it stays (filter rules, the limit, an unreadable directory)
  kMountPoint,  // only at the destination and not entered (--one-file-system): never deleted
  // By TransferRules:
  kNotExisting,  // existing_only; of a directory, all below it is left out with it
  kExists,       // ignore_existing
  kNewer,        // update
  kTooLarge,
  kTooSmall,
  kUnsafeLink,      // safe_links
  kNotShorter,      // append
  kDeleteLimit,     // a deletion beyond max_delete
  kSparedByErrors,  // all deletions, of the root's path: errors_spare_all
};

// An action as planned, with the reasons.
struct PlannedAction {
  Phase phase = Phase::kCreate;
  Action action;
  Differences differences;
};

class PlanSink {
 public:
  virtual ~PlanSink() = default;
  // Ids count 1, 2, 3, ... in the order of emission; phases never go back but for the second kCreate and kLink. May
  // block.
  virtual absl::Status OnAction(PlannedAction planned) = 0;
  virtual absl::Status OnProblem(Problem problem) = 0;
  virtual absl::Status OnSkipped(SkipReason reason, const RelPath& path, FileType type) = 0;
  // A symlink that is skipped as kUnsafeLink; `target` is raw.
  virtual absl::Status OnUnsafeLink(const RelPath& path, const std::string& target);
  // An object of the source that needs nothing; only with PlanOptions::tell_unchanged.
  virtual absl::Status OnUnchanged(const RelPath& path, const Entry& source);
  // One that is left out because a basis directory has it (BasisUse::kCompare); `basis` as ActionBasis::directory.
  virtual absl::Status OnInBasis(const RelPath& path, const Entry& source, uint32_t basis);
};

// Totals of a plan. Entries count the objects below the roots and the roots.
struct PlanCounters {
  uint64_t source_entries = 0;
  uint64_t source_files = 0;  // regular files
  uint64_t source_bytes = 0;  // their sizes
  // The others by kind, as far as they were told one by one: what a digest or an index stands for is not in these.
  uint64_t source_directories = 0;
  uint64_t source_symlinks = 0;
  uint64_t source_devices = 0;
  uint64_t source_specials = 0;
  uint64_t source_symlink_bytes = 0;  // lengths of their targets
  uint64_t destination_entries = 0;
  uint64_t unchanged = 0;       // source objects that need nothing
  uint64_t told_by_digest = 0;  // of those: never sent, a digest of their directory's entries is equal on both sides
  uint64_t told_by_index =
      0;  // of those: not looked at in this run, the indexes of both agents know that they are equal
  uint64_t actions = 0;
  uint64_t creates = 0;  // objects that were not there
  uint64_t updates = 0;  // objects made anew in place of one
  uint64_t metadata_only = 0;
  uint64_t links = 0;
  uint64_t from_basis = 0;    // objects that are linked or copied from a basis directory
  uint64_t renames = 0;       // files whose contents seem to be at the destination under another name
  uint64_t rename_bytes = 0;  // their sizes
  uint64_t deletes = 0;
  uint64_t transfer_files = 0;  // regular files whose contents move; renames are among them
  uint64_t transfer_bytes = 0;  // their sizes
  uint64_t problems = 0;
  uint64_t skipped_options = 0;  // kinds switched off by an option
  uint64_t skipped_devices = 0;  // kNoMknod
  uint64_t skipped_below_problem = 0;
  uint64_t skipped_by_rule = 0;   // kNotExisting to kUnsafeLink
  uint64_t skipped_deletes = 0;   // kDeleteLimit: not 0 means exit 25
  uint64_t unseen = 0;            // objects and listings that could not be looked at
  uint64_t missing_operands = 0;  // operands of the source that could not be looked at
  // Objects whose source state differs in what the destination cannot set and nobody named (compare.h). The agent
  // counts the attributes that it leaves out itself; these here are the numbers to report.
  uint64_t skipped_owner = 0;
  uint64_t skipped_xattrs = 0;
};

class Planner {
 public:
  // `driver` belongs to the planning thread; only its inline calls are used, for the spool. Spool files are made in
  // `spool_directory` ($TMPDIR, else /tmp, when empty) and unlinked at once: room for about 200 bytes per action that
  // has to wait; small trees write nothing.
  Planner(PlanOptions options, Driver* driver, std::string spool_directory);
  ~Planner();
  Planner(const Planner&) = delete;
  Planner& operator=(const Planner&) = delete;

  // Basis directories to be read along; outlives the run. Before Run.
  void SetBasis(BasisTrees* bases);
  // Plans the whole of both trees. InvalidArgument: a manifest breaks the protocol (the message names side and object);
  // other codes: the streams', the sink's, or the spool's own. To be called once.
  absl::Status Run(ManifestStream& source, ManifestStream& destination, PlanSink& sink);

  // Running totals; to be read on the planning thread (from the sink's calls too).
  const PlanCounters& counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace uringsync

// DeferredActions: what has to wait until both trees are known, in spools, and the order in which it is emitted then.
//
//   links → deletes (read backwards: a directory's contents were recorded after it) → creations that a delete makes
//   room for → links to those → directory metadata (backwards: deepest first).
// With DeleteTiming::kBefore: deletes → all creations → links → the rest.
//
// Thread rule: one thread, the owner of `driver`.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "coordinator/core/entered_links.h"
#include "coordinator/core/plan_emitter.h"
#include "coordinator/core/spool_record.h"
#include "engine/fs/external_sorter.h"
#include "engine/fs/spool.h"

namespace uringsync {

// Where a delete belongs to, for TransferRules::max_delete (counted as rsync counts).
enum class DeletePlace : uint8_t {
  kTop = 1,   // in a directory that stays
  kNested,    // in one that goes too
  kInTheWay,  // in one that makes way: as kNested, but not spared by errors (TransferRules::errors_spare_all)
  kMakesWay,  // a directory in whose place something else comes: counts for what is in it
};

class MovedFiles;

class DeferredActions {
 public:
  // Bytes held by each spool before it goes to disk.
  static constexpr size_t kSpoolMemoryBytes = size_t{1} << 20;

  DeferredActions(Driver* driver, const std::string& directory, const TransferRules& rules);

  // DeleteTiming::kBefore: a creation, to come after the deletes.
  absl::Status AddCreate(const PlannedAction& planned);

  // `late`: after the deletes.
  absl::Status AddLink(const PlannedAction& planned, bool late);
  absl::Status AddLateCreate(const PlannedAction& planned);

  // A delete of an entry of the directory with number `parent`. What is in a directory is recorded after it; it is all
  // deleted before whatever was recorded earlier.
  absl::Status AddDelete(uint64_t parent, DeletePlace place, const RelPath& path, const Entry& entry);
  // Takes back every delete recorded with `parent`; to be called after the last of them, before any other directory's.
  absl::Status VoidDeletes(uint64_t parent);
  // The directory `path`, recorded for deletion before, holds something that stays: it and what is above it stay too.
  absl::Status KeepDirectory(const RelPath& path);
  // The destination's directory `id` is compared under the name `path`, which is a link where `by_link` says so: where
  // links are entered each is to be told, so that no other name of one loses what is put there (EnteredLinks).
  absl::Status NoteMerged(const FileId& id, const RelPath& path, bool by_link) {
    return entered_.NoteMerged(id, path, by_link);
  }
  // The directory `path`, recorded for deletion, may be one that a link leads to.
  absl::Status NoteDoomed(const FileId& id, const RelPath& path) { return entered_.NoteDoomed(id, path); }
  // Some directory's listing is more than parts of it: what it lacks could be deleted.
  void NoteDeletable() { deletable_ = true; }

  // Metadata of the directory with number `directory` (numbers ascend in the order of the calls, parents before
  // children). Unless `always`, it is emitted only when Touch(directory) is called.
  // `moved`: its time differs too where something in it is deleted.
  absl::Status AddDirectory(uint64_t directory, const PlannedAction& planned, bool always, bool moved = false);
  // An entry of the directory changes. Directories may be named in any order.
  absl::Status Touch(uint64_t directory);

  // Tells `moved` of the files that EmitAll will delete, and of those that it leaves because of a limit or an error.
  absl::Status TellDoomed(const PlanEmitter& emitter, MovedFiles* moved);
  // Emits everything in order. To be called once.
  absl::Status EmitAll(PlanEmitter& emitter);

 private:
  absl::Status EmitSpool(const Spool& spool, Phase phase, PlanEmitter& emitter);
  // The object waits for a directory to make way that is kept: tells so.
  absl::Status TellNoWay(const Action& action, PlanEmitter& emitter);
  // What becomes of the recorded deletes, in their order.
  struct Deletion {
    enum class Fate : uint8_t { kEmit = 1, kMakesWay, kSpared, kNotEmpty, kNotEmptyLimit, kLimit };
    Fate fate = Fate::kEmit;
    RelPath path;
    Entry entry;
  };
  using TakeDeletion = std::function<absl::Status(Deletion)>;
  bool ErrorsSpare(const PlanEmitter& emitter) const;
  absl::Status WalkDeletes(const PlanEmitter& emitter, const TakeDeletion& take);
  Deletion::Fate Judge(DeletePlace place, const RelPath& path, const Entry& entry);
  absl::Status EmitDeletes(PlanEmitter& emitter);
  absl::Status EmitDelete(Deletion deletion, PlanEmitter& emitter);
  absl::Status EmitDirectories(PlanEmitter& emitter);
  bool WasEmptied(const RelPath& directory) const;

  absl::Status AddTo(Spool& spool, const PlannedAction& planned);

  const TransferRules rules_;
  Spool creates_;
  Spool links_;
  Spool late_creates_;
  Spool late_links_;
  Spool deletes_;
  Spool directories_;
  ExternalSorter touched_;
  EnteredLinks entered_;
  uint64_t last_touched_ = 0;
  // What was met last (backwards) of that which must stay: a directory above it stays, too. One is enough, because what
  // is in a directory is recorded between it and whatever was recorded earlier.
  std::optional<RelPath> kept_;
  bool kept_by_limit_ = false;
  bool deletable_ = false;
  bool spares_ = false;   // errors spare what is not in the way
  uint64_t deleted_ = 0;  // that count for the limit
  // Kept directories, where something may wait for their names; bounded, beyond it the destination finds out.
  static constexpr size_t kMaxInTheWay = 4096;
  std::unordered_set<std::string> in_the_way_;
  // Where deletes are limited: directories in which something was deleted; bounded, beyond it all count as such.
  static constexpr size_t kMaxEmptied = 65536;
  std::unordered_set<std::string> emptied_;
  RecordWriter writer_;
};

}  // namespace uringsync

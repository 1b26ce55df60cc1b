// EnteredLinks: directories that a run enters through symlinks of the destination (--keep-dirlinks), and which of their
// other names must not lose anything: what the run puts there by one name is extraneous by another.
//
//   * A name that only the destination has stays with all below it.
//   * Where the source has the name too, or two links lead there, nothing is deleted by any of them.
//
// Thread rule: one thread, the owner of `driver`. Use:
//   EnteredLinks links(driver, directory);
//   links.NoteMerged(id, path, by_link);  links.NoteDoomed(id, path);  // while the trees are walked
//   US_RETURN_IF_ERROR(links.Settle());
//   if (links.Protects(path)) ...                                     // it is not deleted
#pragma once

#include <map>
#include <string>
#include <unordered_set>

#include "absl/status/status.h"
#include "coordinator/core/spool_record.h"
#include "engine/base/entry.h"
#include "engine/base/rel_path.h"
#include "engine/fs/spool.h"

namespace uringsync {

class EnteredLinks {
 public:
  // Links whose directories are told apart, and names that are protected; beyond either nothing at all is deleted.
  static constexpr size_t kMaxLinks = 65536;
  static constexpr size_t kMaxNames = 65536;

  EnteredLinks(Driver* driver, const std::string& directory);

  // The destination's directory `id` is compared under the name `path`; `by_link`: that is a link. Errors: of the
  // spool.
  absl::Status NoteMerged(const FileId& id, const RelPath& path, bool by_link);
  // It is to be deleted under the name `path`.
  absl::Status NoteDoomed(const FileId& id, const RelPath& path);
  // After the last note: finds out what is protected. May be called again.
  absl::Status Settle();
  // Whether `path` or what it is in is protected.
  bool Protects(const RelPath& path) const;

 private:
  enum class Name : uint8_t { kOwn = 1, kLink, kDoomed };
  struct Uses {
    size_t links = 0;
    bool own = false;  // the source has its own name too
  };
  absl::Status Note(Name name, const FileId& id, const RelPath& path);
  template <typename Take>
  absl::Status ForEach(const Take& take) const;

  Spool names_;
  RecordWriter writer_;
  std::map<FileId, Uses> entered_;
  std::unordered_set<std::string> protected_;
  bool any_link_ = false;
  bool settled_ = false;
  bool protects_all_ = false;
};

}  // namespace uringsync

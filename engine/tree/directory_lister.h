// DirectoryLister: the entries of one directory, without what lies below it. For what needs no scan of a tree: an index
// that looks at a directory again, a manifest of directories that are known to differ.
//
// Shows and hides what ManifestScanner does. Every call is an inline one of the driver.
//
// Thread rule: one thread, that of `driver`. Use:
//   DirectoryLister lister(driver, options);
//   US_RETURN_IF_ERROR(lister.Begin(directory, &self));
//   while (true) { US_ASSIGN_OR_RETURN(bool more, lister.Next(limit, &entries)); if (!more) break; ... }
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/entry.h"
#include "engine/fs/directory.h"
#include "engine/tree/directory_listing.h"

namespace uringsync {

struct DirectoryListerOptions {
  MetadataSelection selection;
  // Destination: remove temporaries whose session is not this one (the caller holds the subtree lock), and resume
  // journals below the root.
  std::optional<uint64_t> remove_strays_but;
  bool tell_temporaries = false;  // as in ScanOptions, but that no rules are asked
  std::string spool_directory;  // of the names of huge directories; empty: $TMPDIR, else /tmp
  size_t names_in_memory = 32768;
};

class DirectoryLister {
 public:
  DirectoryLister(Driver* driver, DirectoryListerOptions options)
      : driver_(driver), options_(std::move(options)), reader_(driver, options_.selection), names_reader_(driver, -1) {}

  // Reads all names and the directory's own entry. An error carries errno where the directory cannot be read; `self` is
  // filled as far as it is known. `directory` must stay until the last Next.
  absl::Status Begin(const Directory& directory, Entry* self);
  // Before Begin: of the directory that comes.
  void FollowLinks(std::optional<ScanLinks> links) { reader_.FollowLinks(std::move(links)); }
  // Before Begin: the directory that comes is the root of the tree, whose session looks after the resume journals in
  // it.
  void AtRoot(bool at_root) { at_root_ = at_root; }
  // Replaces `entries` by up to `limit` further ones, in the order of their names; false (and none) after the last.
  absl::StatusOr<bool> Next(size_t limit, std::vector<Entry>* entries);
  // Of the directory begun last: it holds temporaries (which are not shown).
  bool holds_temporaries() const { return holds_temporaries_; }
  uint64_t strays_removed() const { return strays_removed_; }
  // Of the directory begun last: names of temporaries that are left out, where these are told.
  const std::vector<std::string>& temporaries() const { return temporaries_; }

 private:
  bool Hidden(const DirectoryItem& item, const struct statx& stat, std::vector<std::string>* strays);

  Driver* const driver_;
  const DirectoryListerOptions options_;
  EntryReader reader_;
  DirectoryReader names_reader_;
  NameList chunk_;
  std::optional<SortedNames> names_;
  const Directory* directory_ = nullptr;
  bool holds_temporaries_ = false;
  bool at_root_ = false;
  uint64_t strays_removed_ = 0;
  std::vector<std::string> temporaries_;
};

}  // namespace uringsync

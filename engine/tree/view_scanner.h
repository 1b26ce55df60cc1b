// ViewScanner: the ordered manifest of a TreeView.
//
// Directories in which members meet (those on the way to members, and directories that several members share) are
// listed here, one after the other. What lies below one member alone is scanned by a ManifestScanner, on all shards. So
// the batches come in one order, and errors are told, as ManifestScanner's. Beside that:
// - A batch of a directory that holds members only, and maybe more that is not in the view, is `partial`.
// - A directory that only leads to members has an `implied` entry, or in a mirror that of what is there.
// - A member that cannot be looked at is an entry with an error, in a mirror it is left out.
//
// Memory: the names of the subdirectories of the directories on the way to where it is. Thread rule: one shard.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/fs/tree_view.h"
#include "engine/tree/directory_lister.h"
#include "engine/tree/scanner.h"
#include "engine/tree/view_filter.h"

namespace uringsync {

class ViewScanner final : public ManifestProducer {
 public:
  // `options.remove_strays_but` counts for what one member holds alone.
  ViewScanner(Runtime* runtime, std::shared_ptr<const TreeView> view, ScanOptions options);
  ~ViewScanner() override = default;

  Task<absl::StatusOr<std::optional<DirectoryBatch>>> Next() override;
  Task<void> Close() override;
  const ScanTotals& totals() const override { return totals_; }

 private:
  // A real directory whose entries appear in one of the view.
  struct Layer {
    TreeView::Place place;
    uint32_t order = 0;
    bool descends = false;
  };
  struct Child {
    std::string name;
    Entry self;
    std::vector<Layer> layers;  // by order
    bool through_link = false;  // `self` is the link's, but for the type
    bool scans_alone = false;   // one layer, nothing else, and its attributes
    size_t begin = 0;           // members below it
    size_t end = 0;
  };
  struct Level {
    RelPath path;
    FilterScopePtr scope;  // of the rules, for what lies below
    std::vector<Child> children;
    size_t next = 0;
  };
  // A layer while it is listed.
  struct Reading {
    Layer layer;
    DirectoryPtr directory;
    std::unique_ptr<DirectoryLister> lister;
    std::optional<ScanLinks> links;
    Entry self;
    std::vector<Entry> chunk;
    size_t position = 0;
    bool ended = false;
  };
  struct Listing {
    RelPath path;
    Entry self;
    std::vector<Reading> readings;
    size_t begin = 0;  // members below that are not listed yet
    size_t end = 0;
    int error = 0;
    std::vector<Child> children;
    FilterScopePtr scope;  // of the directory above, until the filter is entered
    std::optional<DirectoryFilter> filter;
  };
  // Something that has the name in question.
  struct Found {
    Entry entry;
    uint32_t order = 0;
    Layer layer;  // directories: what of it appears
    bool appears = false;
    DirectoryPtr directory;  // that holds it, and its name there
    std::string source_name;
    std::optional<FollowBase> links;  // of the directory
  };
  // All that was found of one name, and the members below it.
  struct Group {
    std::string name;
    std::vector<Found> found;
    int error = 0;  // of a member that could not be looked at
    bool implied_error = false;
    size_t begin = 0;
    size_t end = 0;
  };
  // A file whose contents are to be digested.
  struct Undigested {
    size_t row = 0;
    DirectoryPtr directory;
    std::string source_name;
    std::optional<FollowBase> links;
  };

  absl::StatusOr<bool> Advance();
  absl::Status BeginRoot();
  absl::Status Begin(Child child, RelPath path, const FilterScopePtr& scope);
  absl::Status BeginListing(Child child, RelPath path, const FilterScopePtr& scope);
  // The rules' view of what is listed now; listing_->scope is that of the directory above.
  absl::Status EnterFilter();
  bool LeavesOut(Entry* entry);
  // Counts those of the directories that are listed now.
  void NoteTemporaries();
  absl::StatusOr<bool> Fill(Reading* reading);
  Task<absl::StatusOr<DirectoryBatch>> List();
  Task<absl::StatusOr<std::optional<DirectoryBatch>>> NextOfNested();
  std::string NextName() const;
  void TakeMembers(const std::string& name, Group* group);
  void LookAt(size_t member, Group* group);
  // Links below `place`, or nullopt where none are followed; `depth`: of its path in the view.
  absl::StatusOr<std::optional<ScanLinks>> LinksOf(const TreeView::Place& place, size_t depth) const;
  absl::Status TakeEntries(const std::string& name, Group* group);
  // False: nothing of it is in the view.
  bool Decide(Group* group, Entry* entry, Undigested* digest);
  bool HoldsAll(const std::vector<Layer>& layers) const;
  void AddChild(Group* group, std::vector<Layer> layers, bool own_attributes, Entry* entry);
  Task<void> Digest(DirectoryBatch* batch);
  void Count(const DirectoryBatch& batch);

  Runtime* const runtime_;
  const std::shared_ptr<const TreeView> view_;
  const ScanOptions options_;
  std::optional<ViewFilter> rules_;  // none: nothing is left out
  EntryReader reader_;
  uint32_t looked_base_ = UINT32_MAX;  // that reader_ is set to
  DirectoryPtr base_;
  bool started_ = false;
  std::vector<Level> levels_;
  std::unique_ptr<Listing> listing_;
  std::unique_ptr<ManifestScanner> nested_;
  RelPath nested_at_;
  std::vector<Undigested> undigested_;
  ScanTotals totals_;
  uint64_t nested_strays_ = 0;
};

}  // namespace uringsync

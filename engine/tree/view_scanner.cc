#include "engine/tree/view_scanner.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/ring/runtime.h"
#include "engine/tree/content_digests.h"

namespace uringsync {
namespace {

constexpr uint32_t kImpliedMode = 0755;
constexpr size_t kEntriesPerTurn = 128;

int ErrorOf(const absl::Status& status) {
  return StatusErrno(status) != 0 ? StatusErrno(status) : EIO;
}

Entry ImpliedDirectory(std::string name) {
  Entry entry;
  entry.name = std::move(name);
  entry.type = FileType::kDirectory;
  entry.mode = kImpliedMode;
  entry.implied = true;
  return entry;
}

// What `at` is called in `directory`, which is above it.
std::string_view NameBelow(const RelPath& directory, const RelPath& at) {
  std::string_view text = at.text();
  if (!directory.is_root()) text.remove_prefix(directory.text().size() + 1);
  return text.substr(0, text.find('/'));
}

}  // namespace

ViewScanner::ViewScanner(Runtime* runtime, std::shared_ptr<const TreeView> view, ScanOptions options)
    : runtime_(runtime),
      view_(std::move(view)),
      options_(std::move(options)),
      reader_(Shard::Current()->driver(), options_.selection) {
  if (options_.filter.rules != nullptr) rules_.emplace(view_, &options_.filter);
}

Task<absl::StatusOr<std::optional<DirectoryBatch>>> ViewScanner::Next() {
  while (true) {
    US_CO_RETURN_IF_ERROR(options_.cancel.status());
    if (nested_ != nullptr) {
      absl::StatusOr<std::optional<DirectoryBatch>> batch = co_await NextOfNested();
      if (!batch.ok() || batch->has_value()) co_return batch;
      continue;
    }
    if (listing_ != nullptr) {
      absl::StatusOr<DirectoryBatch> batch = co_await List();
      if (!batch.ok()) co_return batch.status();
      if (options_.checksum) co_await Digest(&*batch);
      Count(*batch);
      co_return std::optional<DirectoryBatch>(*std::move(batch));
    }
    absl::StatusOr<bool> more = Advance();
    if (!more.ok()) co_return more.status();
    if (!*more) co_return std::optional<DirectoryBatch>();
  }
}

Task<void> ViewScanner::Close() {
  if (nested_ == nullptr) co_return;
  co_await nested_->Close();
  nested_ = nullptr;
}

void ViewScanner::Count(const DirectoryBatch& batch) {
  totals_.entries += batch.entries.size();
  totals_.directories += batch.last ? 1 : 0;
  totals_.errors += batch.error != 0 ? 1 : 0;
  for (const Entry& entry : batch.entries) totals_.errors += entry.error != 0 ? 1 : 0;
}

Task<absl::StatusOr<std::optional<DirectoryBatch>>> ViewScanner::NextOfNested() {
  absl::StatusOr<std::optional<DirectoryBatch>> batch = co_await nested_->Next();
  if (!batch.ok()) co_return batch.status();
  totals_.strays_removed = nested_strays_ + nested_->totals().strays_removed;
  if (!batch->has_value()) {
    nested_strays_ = totals_.strays_removed;
    if (const ScanTotals& totals = nested_->totals(); totals.temporaries > 0) {
      const std::string above = nested_at_.is_root() ? "" : nested_at_.text() + "/";
      if (totals_.temporaries == 0) totals_.first_temporary = *RelPath::Parse(above + totals.first_temporary.text());
      totals_.temporaries += totals.temporaries;
    }
    co_await nested_->Close();
    nested_ = nullptr;
    co_return batch;
  }
  DirectoryBatch& found = **batch;
  if (!nested_at_.is_root()) {
    const bool top = found.directory.is_root();
    if (top) found.self.name = nested_at_.name();
    found.directory = top ? nested_at_ : *RelPath::Parse(nested_at_.text() + "/" + found.directory.text());
  }
  Count(found);
  co_return batch;
}

// Goes to the next directory; false after the last.
absl::StatusOr<bool> ViewScanner::Advance() {
  if (!std::exchange(started_, true)) {
    US_RETURN_IF_ERROR(BeginRoot());
    return true;
  }
  while (!levels_.empty()) {
    Level& level = levels_.back();
    if (level.next == level.children.size()) {
      levels_.pop_back();
      continue;
    }
    Child child = std::move(level.children[level.next++]);
    RelPath path = level.path.Child(child.name);
    US_RETURN_IF_ERROR(Begin(std::move(child), std::move(path), FilterScopePtr(level.scope)));
    return true;
  }
  return false;
}

absl::Status ViewScanner::BeginRoot() {
  Group group;
  const std::vector<TreeView::Member>& members = view_->members();
  while (group.begin < members.size() && members[group.begin].at.is_root()) LookAt(group.begin++, &group);
  group.end = members.size();
  Child root{.name = "", .self = ImpliedDirectory(""), .layers = {}, .begin = group.begin, .end = group.end};
  int error = group.error;
  bool own_attributes = false;
  for (Found& found : group.found) {
    if (found.entry.type != FileType::kDirectory) {
      error = ENOTDIR;
      continue;
    }
    if (root.self.implied) {
      root.self = found.entry;
      own_attributes = found.appears;
    }
    if (found.appears) root.layers.push_back(found.layer);
  }
  root.self.name.clear();
  root.scans_alone =
      own_attributes && error == 0 && root.layers.size() == 1 && root.layers[0].descends && root.begin == root.end;
  if (HoldsAll(root.layers)) root.begin = root.end;
  US_RETURN_IF_ERROR(Begin(std::move(root), RelPath(), options_.filter.scope));
  if (listing_ != nullptr && error != 0) listing_->error = error;
  return absl::OkStatus();
}

absl::Status ViewScanner::Begin(Child child, RelPath path, const FilterScopePtr& scope) {
  if (!child.scans_alone) return BeginListing(std::move(child), std::move(path), scope);
  Driver* const driver = Shard::Current()->driver();
  absl::StatusOr<DirectoryPtr> directory =
      view_->OpenPlace(driver, child.layers[0].place, DirectoryAccess::kReadIfPermitted);
  if (!directory.ok()) return BeginListing(std::move(child), std::move(path), scope);
  nested_at_ = std::move(path);
  ScanOptions options = options_;
  options.filter.path = nested_at_.text();
  options.filter.scope = scope;
  if (rules_) {
    absl::StatusOr<FilterScopePtr> reached = rules_->Reach(driver, nested_at_, scope);
    // Listed here it becomes that directory's problem.
    if (!reached.ok()) return BeginListing(std::move(child), RelPath(nested_at_), scope);
    options.filter.scope = *std::move(reached);
  }
  US_ASSIGN_OR_RETURN(options.links, LinksOf(child.layers[0].place, nested_at_.depth()));
  nested_ = ManifestScanner::Start(runtime_, *std::move(directory), std::move(options));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<ScanLinks>> ViewScanner::LinksOf(const TreeView::Place& place, size_t depth) const {
  if (!view_->follow().any()) return std::nullopt;
  US_ASSIGN_OR_RETURN(FollowBase base, view_->FollowBaseOf(Shard::Current()->driver(), place));
  return ScanLinks{.which = view_->follow(), .base = std::move(base), .depth = depth, .stay_links = view_->mirror()};
}

absl::Status ViewScanner::EnterFilter() {
  if (!rules_) return absl::OkStatus();
  Driver* const driver = Shard::Current()->driver();
  const absl::StatusOr<FilterScopePtr> reached = rules_->Reach(driver, listing_->path, listing_->scope);
  absl::StatusOr<DirectoryFilter> entered = reached.ok() ? rules_->Enter(driver, listing_->path, *reached)
                                                         : absl::StatusOr<DirectoryFilter>(reached.status());
  if (entered.ok()) {
    listing_->filter = *std::move(entered);
    listing_->scope = listing_->filter->scope();
    return absl::OkStatus();
  }
  // As ManifestScanner: a rule that is wrong ends the scan.
  if (absl::IsInvalidArgument(entered.status()) && StatusErrno(entered.status()) == 0) return entered.status();
  // What the rules would have hidden must not be shown.
  listing_->error = ErrorOf(entered.status());
  listing_->begin = listing_->end;
  for (Reading& reading : listing_->readings) reading.ended = true;
  return absl::OkStatus();
}

// True for an entry that the rules leave out; otherwise it gets its protection.
bool ViewScanner::LeavesOut(Entry* entry) {
  if (!listing_->filter) return false;
  const bool directory = entry->type == FileType::kDirectory;
  Driver* const driver = Shard::Current()->driver();
  if (rules_->LeavesOut(driver, listing_->path, &*listing_->filter, entry->name, directory)) {
    if (!listing_->children.empty() && listing_->children.back().name == entry->name) listing_->children.pop_back();
    return true;
  }
  entry->protection = listing_->filter->ProtectionOf(entry->name, directory);
  return false;
}

absl::Status ViewScanner::BeginListing(Child child, RelPath path, const FilterScopePtr& scope) {
  Driver* const driver = Shard::Current()->driver();
  listing_ = std::make_unique<Listing>();
  listing_->path = std::move(path);
  listing_->scope = scope;
  listing_->self = std::move(child.self);
  listing_->begin = child.begin;
  listing_->end = child.end;
  for (Layer& layer : child.layers) {
    Reading reading;
    reading.layer = std::move(layer);
    absl::StatusOr<DirectoryPtr> directory =
        view_->OpenPlace(driver, reading.layer.place, DirectoryAccess::kReadIfPermitted);
    absl::Status begun = directory.status();
    if (begun.ok()) {
      reading.directory = *std::move(directory);
      reading.lister = std::make_unique<DirectoryLister>(
          driver, DirectoryListerOptions{.selection = options_.selection,
                                         .remove_strays_but = std::nullopt,
                                         .tell_temporaries = options_.tell_temporaries,
                                         .spool_directory = options_.spool_directory});
      US_ASSIGN_OR_RETURN(reading.links, LinksOf(reading.layer.place, listing_->path.depth()));
      reading.lister->FollowLinks(reading.links);
      begun = reading.lister->Begin(*reading.directory, &reading.self);
    }
    // Only the whole run can stop for a full disk; a directory that cannot be read stops nobody.
    if (absl::IsResourceExhausted(begun) && StatusErrno(begun) == ENOSPC) return begun;
    if (child.through_link) {
      reading.self.name = listing_->self.name;
      listing_->self = reading.self;
      listing_->self.type = FileType::kDirectory;
    }
    reading.ended = !begun.ok();
    if (!begun.ok() && listing_->error == 0) listing_->error = ErrorOf(begun);
    listing_->readings.push_back(std::move(reading));
  }
  US_RETURN_IF_ERROR(EnterFilter());
  NoteTemporaries();
  return absl::OkStatus();
}

void ViewScanner::NoteTemporaries() {
  Driver* const driver = Shard::Current()->driver();
  for (const Reading& reading : listing_->readings) {
    if (reading.lister == nullptr) continue;
    for (const std::string& name : reading.lister->temporaries()) {
      if (listing_->filter && rules_->LeavesOut(driver, listing_->path, &*listing_->filter, name, false)) continue;
      if (totals_.temporaries++ == 0) totals_.first_temporary = listing_->path.Child(name);
    }
  }
}

// Makes the reading's next entry known; false at its end.
absl::StatusOr<bool> ViewScanner::Fill(Reading* reading) {
  if (reading->ended) return false;
  if (reading->position < reading->chunk.size()) return true;
  reading->position = 0;
  US_ASSIGN_OR_RETURN(const bool more, reading->lister->Next(ManifestScanner::kBatchEntries, &reading->chunk));
  reading->ended = !more;
  return more;
}

// The first name in order that was not handed out; empty at the end. The readings are filled.
std::string ViewScanner::NextName() const {
  std::string_view first;
  for (const Reading& reading : listing_->readings) {
    if (reading.ended) continue;
    const std::string& name = reading.chunk[reading.position].name;
    if (first.empty() || name < first) first = name;
  }
  if (listing_->begin < listing_->end) {
    const std::string_view name = NameBelow(listing_->path, view_->members()[listing_->begin].at);
    if (first.empty() || name < first) first = name;
  }
  return std::string(first);
}

// Looks at one member's object.
void ViewScanner::LookAt(size_t number, Group* group) {
  const TreeView::Member& member = view_->members()[number];
  Driver* const driver = Shard::Current()->driver();
  Found found;
  found.order = member.order;
  found.layer = {{number, RelPath()}, member.order, member.depth == ViewDepth::kTree};
  found.appears = member.depth != ViewDepth::kObject;
  absl::Status looked;
  if (looked_base_ != member.base || member.name.empty()) {
    looked_base_ = UINT32_MAX;
    absl::StatusOr<DirectoryPtr> base = view_->OpenBase(driver, member.base);
    looked = base.status();
    if (looked.ok()) {
      base_ = *std::move(base);
      struct statx stat = {};
      reader_.ReadDirectory(*base_, &stat, &found.entry);
      looked_base_ = member.base;
    }
  }
  if (looked.ok() && !member.name.empty()) {
    found.entry = Entry();
    if (view_->follow().any()) {
      absl::StatusOr<FollowBase> base = view_->FollowBaseOf(driver, member.base);
      if (base.ok()) found.links = *base;
      reader_.FollowLinks(base.ok() ? std::optional(ScanLinks{view_->follow(), *std::move(base),
                                                              member.at.Parent().depth(), view_->mirror()})
                                    : std::nullopt);
    }
    if (!reader_.Read(base_->fd(), member.name.c_str(), member.name.size(), 0, &found.entry))
      looked = ErrnoStatus(ENOENT, "stat");
    // A link of a destination that leads out of it is there all the same.
    if (looked.ok() && found.entry.error != 0 && !found.entry.directory_link)
      looked = ErrnoStatus(found.entry.error, "stat");
  }
  if (!looked.ok()) {
    if (group->error == 0 || group->implied_error) {
      group->error = ErrorOf(looked);
      group->implied_error = member.implied;
    }
    return;
  }
  found.directory = base_;
  found.source_name = member.name;
  found.entry.name = member.at.name();
  group->found.push_back(std::move(found));
}

void ViewScanner::TakeMembers(const std::string& name, Group* group) {
  const std::vector<TreeView::Member>& members = view_->members();
  size_t next = listing_->begin;
  const size_t depth = listing_->path.depth() + 1;
  for (;
       next < listing_->end && NameBelow(listing_->path, members[next].at) == name && members[next].at.depth() == depth;
       ++next) {
    LookAt(next, group);
  }
  group->begin = next;
  while (next < listing_->end && NameBelow(listing_->path, members[next].at) == name) ++next;
  group->end = next;
  listing_->begin = next;
}

absl::Status ViewScanner::TakeEntries(const std::string& name, Group* group) {
  for (Reading& reading : listing_->readings) {
    if (reading.ended || reading.chunk[reading.position].name != name) continue;
    Found found;
    found.entry = std::move(reading.chunk[reading.position++]);
    found.order = reading.layer.order;
    const bool mounted = options_.one_file_system && found.entry.id.device != reading.self.id.device;
    found.appears = reading.layer.descends && !mounted && found.entry.error == 0;
    found.layer = reading.layer;
    found.layer.place.rest = reading.layer.place.rest.Child(name);
    found.directory = reading.directory;
    found.source_name = name;
    if (reading.links) found.links = reading.links->base;
    group->found.push_back(std::move(found));
    US_RETURN_IF_ERROR(Fill(&reading).status());
  }
  return absl::OkStatus();
}

bool ViewScanner::Decide(Group* group, Entry* entry, Undigested* digest) {
  const bool leads = group->begin < group->end;
  const bool broken = group->error != 0 && (!group->implied_error || leads);
  if (group->found.empty()) {
    // Nothing is wrong with what a destination does not have.
    if (view_->mirror()) return false;
    if (group->error != 0) {
      if (!broken) return false;
      entry->name = group->name;
      entry->error = group->error;
      return true;
    }
    *entry = ImpliedDirectory(group->name);
    AddChild(group, {}, /*own_attributes=*/false, entry);
    return true;
  }
  if (broken && !view_->mirror() && listing_->error == 0) listing_->error = group->error;
  std::sort(group->found.begin(), group->found.end(), [](const Found& a, const Found& b) {
    if ((a.entry.error != 0) != (b.entry.error != 0)) return a.entry.error == 0;
    const bool a_enters = a.entry.type == FileType::kDirectory;
    const bool b_enters = b.entry.type == FileType::kDirectory;
    return a_enters != b_enters ? a_enters : a.order < b.order;
  });
  Found& first = group->found.front();
  // What has the name and cannot be looked at leaves it to another, and the listing in doubt.
  const int lost = first.entry.error == 0 ? group->found.back().entry.error : 0;
  if (lost != 0 && !view_->mirror() && listing_->error == 0) listing_->error = lost == ENOENT ? ENOLINK : lost;
  *entry = std::move(first.entry);
  if (entry->type != FileType::kDirectory && !entry->directory_link) {
    *digest = {0, first.directory, first.source_name, first.links};
    return true;
  }
  if (entry->error != 0) return true;
  const bool leads_on = entry->directory_link;
  // What the rules leave out and a member lies in only leads there.
  if (leads && rules_ && listing_->filter && listing_->filter->LeavesOut(group->name, /*is_directory=*/true)) {
    for (Found& found : group->found) found.appears = found.appears && found.layer.place.rest.is_root();
  }
  std::vector<Layer> layers;
  if (first.appears) layers.push_back(first.layer);
  for (size_t i = 1; i < group->found.size(); ++i) {
    const Found& other = group->found[i];
    if (other.appears && other.entry.type == FileType::kDirectory) layers.push_back(other.layer);
  }
  // In a mirror they are one directory.
  const auto whole = std::find_if(layers.begin(), layers.end(), [](const Layer& layer) { return layer.descends; });
  if (view_->mirror() && whole != layers.end()) layers = std::vector<Layer>{*whole};
  AddChild(group, std::move(layers), first.appears, entry);
  // Its listing comes in any case.
  if (leads_on && entry->not_entered) entry->directory_link = entry->not_entered = false;
  return true;
}

// In a mirror what one layer holds is all there is, but for members in what the rules leave out of it.
bool ViewScanner::HoldsAll(const std::vector<Layer>& layers) const {
  return view_->mirror() && !rules_ && !layers.empty() && layers[0].descends;
}

void ViewScanner::AddChild(Group* group, std::vector<Layer> layers, bool own_attributes, Entry* entry) {
  if (HoldsAll(layers)) group->begin = group->end;
  if (layers.empty() && group->begin == group->end) {
    entry->not_entered = true;
    return;
  }
  Child child;
  child.name = group->name;
  child.self = *entry;
  if (entry->directory_link) {
    // The link was told; what comes is the directory, as it says itself where it is listed.
    child.through_link = true;
    child.self.type = FileType::kDirectory;
    child.self.directory_link = false;
    child.self.symlink_target.clear();
  }
  child.scans_alone = own_attributes && layers.size() == 1 && layers[0].descends && group->begin == group->end;
  child.layers = std::move(layers);
  child.begin = group->begin;
  child.end = group->end;
  listing_->children.push_back(std::move(child));
}

Task<absl::StatusOr<DirectoryBatch>> ViewScanner::List() {
  DirectoryBatch batch;
  batch.directory = listing_->path;
  batch.self = listing_->self;
  batch.partial = listing_->readings.empty();
  batch.last = false;
  undigested_.clear();
  size_t looked_at = 0;
  for (Reading& reading : listing_->readings) US_CO_RETURN_IF_ERROR(Fill(&reading).status());
  while (batch.entries.size() < ManifestScanner::kBatchEntries) {
    Group group;
    group.name = NextName();
    batch.last = group.name.empty();
    if (batch.last) break;
    // In a mirror a layer's entry and a member are one object.
    TakeMembers(group.name, &group);
    US_CO_RETURN_IF_ERROR(TakeEntries(group.name, &group));
    Entry entry;
    Undigested digest;
    if (Decide(&group, &entry, &digest) && !LeavesOut(&entry)) {
      digest.row = batch.entries.size();
      if (options_.checksum && entry.type == FileType::kRegular && entry.error == 0)
        undigested_.push_back(std::move(digest));
      batch.entries.push_back(std::move(entry));
    }
    if (++looked_at % kEntriesPerTurn == 0) {
      co_await Yield{};
      US_CO_RETURN_IF_ERROR(options_.cancel.status());
    }
  }
  batch.error = listing_->error;
  batch.holds_excluded = listing_->filter && listing_->filter->holds_excluded();
  if (!batch.last) co_return batch;
  levels_.push_back({std::move(listing_->path), std::move(listing_->scope), std::move(listing_->children), 0});
  listing_ = nullptr;
  co_return batch;
}

Task<void> ViewScanner::Digest(DirectoryBatch* batch) {
  for (size_t begin = 0; begin < undigested_.size();) {
    const DirectoryPtr directory = undigested_[begin].directory;
    size_t end = begin;
    std::vector<Entry> files;
    for (; end < undigested_.size() && undigested_[end].directory == directory; ++end) {
      files.push_back(batch->entries[undigested_[end].row]);
      files.back().name = undigested_[end].source_name;
    }
    const std::optional<FollowBase> links = undigested_[begin].links;
    co_await AddContentDigests(Shard::Current(), directory->fd(), &files, options_.selection.digest_key,
                               options_.cancel, links ? &*links : nullptr);
    for (size_t i = begin; i < end; ++i) {
      Entry& entry = batch->entries[undigested_[i].row];
      entry.content_digest = files[i - begin].content_digest;
      entry.error = files[i - begin].error;
    }
    begin = end;
  }
}

}  // namespace uringsync

#include "engine/fs/tree_view.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <unordered_map>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/file.h"
#include "engine/fs/metadata.h"

namespace uringsync {
namespace {

std::string Joined(const std::string& base, const RelPath& below) {
  if (below.is_root()) return base;
  if (base.empty()) return below.text();
  return base + (base.back() == '/' ? "" : "/") + below.text();
}

// The first `depth` components of `path`.
RelPath Prefix(const RelPath& path, size_t depth) {
  RelPath prefix = path;
  for (size_t have = path.depth(); have > depth; --have) prefix = prefix.Parent();
  return prefix;
}

RelPath Below(const RelPath& path, const RelPath& ancestor) {
  if (ancestor.is_root()) return path;
  if (path == ancestor) return RelPath();
  // A part of a valid path between two of its slashes is one.
  return *RelPath::Parse(std::string_view(path.text()).substr(ancestor.text().size() + 1));
}

}  // namespace

TreeView::TreeView(std::vector<ViewMember> members, TreeViewOptions options) : options_(std::move(options)) {
  if (options_.mirror) AddWaysTo(&members);
  std::unordered_map<std::string, uint32_t> numbers;
  members_.reserve(members.size());
  for (ViewMember& member : members) {
    const bool itself = member.from.is_root() || (member.follow && options_.root == nullptr);
    std::string base = Joined(member.base, itself ? member.from : member.from.Parent());
    const auto [place, is_new] = numbers.emplace(std::move(base), static_cast<uint32_t>(bases_.size()));
    if (is_new) bases_.emplace_back().path = place->first;
    Member& made = members_.emplace_back();
    made.name = itself ? std::string() : std::string(member.from.name());
    made.at = std::move(member.at);
    made.base = place->second;
    made.order = static_cast<uint32_t>(members_.size());
    made.depth = member.depth;
    made.implied = member.implied;
    member = ViewMember();
  }
  std::sort(members_.begin(), members_.end(), [](const Member& a, const Member& b) {
    const std::strong_ordering order = a.at <=> b.at;
    return order == 0 ? a.order < b.order : order < 0;
  });
  // The same object twice at one path: it is there once, as deep as it was asked for.
  const auto same = [](Member& kept, const Member& next) {
    if (kept.at != next.at || kept.base != next.base || kept.name != next.name) return false;
    kept.depth = std::max(kept.depth, next.depth);
    kept.implied = kept.implied && next.implied;
    return true;
  };
  size_t kept = 0;
  for (size_t i = 1; i < members_.size(); ++i) {
    if (same(members_[kept], members_[i])) continue;
    if (++kept != i) members_[kept] = std::move(members_[i]);
  }
  if (!members_.empty()) members_.resize(kept + 1);
}

void TreeView::AddWaysTo(std::vector<ViewMember>* members) const {
  std::set<RelPath> ways;
  ways.insert(RelPath());
  for (ViewMember& member : *members) {
    member.base.clear();
    member.from = member.at;
    member.implied = member.follow = false;
    for (RelPath above = member.at; !above.is_root(); above = above.Parent()) {
      if (!ways.insert(above.Parent()).second) break;
    }
  }
  for (const RelPath& way : ways) {
    members->push_back({.base = "", .from = way, .at = way, .depth = ViewDepth::kObject, .implied = true});
  }
}

void TreeView::Drop(const std::vector<bool>& dropped) {
  if (std::find(dropped.begin(), dropped.end(), true) == dropped.end()) return;
  std::set<RelPath> ways;  // that still lead somewhere
  for (size_t i = 0; i < members_.size(); ++i) {
    if (dropped[i] || members_[i].implied) continue;
    for (RelPath way = members_[i].at; !way.is_root(); way = way.Parent()) {
      if (!ways.insert(way.Parent()).second) break;
    }
  }
  size_t kept = 0;
  for (size_t i = 0; i < members_.size(); ++i) {
    if (dropped[i] || (members_[i].implied && !ways.contains(members_[i].at))) continue;
    if (kept != i) members_[kept] = std::move(members_[i]);
    ++kept;
  }
  members_.resize(kept);
}

const TreeView::Member* TreeView::FirstWithin(const RelPath& path) const {
  const auto first = std::lower_bound(members_.begin(), members_.end(), path,
                                      [](const Member& m, const RelPath& p) { return m.at < p; });
  return first != members_.end() && first->at.IsWithin(path) ? &*first : nullptr;
}

std::vector<TreeView::Place> TreeView::PlacesOf(const RelPath& path) const {
  std::vector<Place> places;
  const size_t depth = path.depth();
  for (size_t above = 0; above <= depth; ++above) {
    const RelPath at = Prefix(path, above);
    auto it = std::lower_bound(members_.begin(), members_.end(), at,
                               [](const Member& m, const RelPath& p) { return m.at < p; });
    for (; it != members_.end() && it->at == at; ++it) {
      const bool reaches =
          above == depth || it->depth == ViewDepth::kTree || (it->depth == ViewDepth::kEntries && above + 1 == depth);
      if (reaches) places.push_back({static_cast<size_t>(it - members_.begin()), Below(path, at)});
    }
  }
  std::sort(places.begin(), places.end(),
            [this](const Place& a, const Place& b) { return members_[a.member].order < members_[b.member].order; });
  return places;
}

bool TreeView::Covers(const RelPath& path) const {
  const std::vector<Place> places = PlacesOf(path);
  return std::any_of(places.begin(), places.end(), [this](const Place& p) { return !members_[p.member].implied; });
}

absl::StatusOr<DirectoryPtr> TreeView::OpenPath(Driver* driver, const std::string& path) const {
  if (options_.root == nullptr) {
    absl::StatusOr<DirectoryPtr> opened = OpenRoot(driver, path.empty() ? "." : path);
    if (opened.ok() && options_.systems != nullptr) (*opened)->Share(options_.systems);
    return opened;
  }
  US_ASSIGN_OR_RETURN(const RelPath below, RelPath::Parse(path));
  return OpenBeneath(driver, *options_.root, below);
}

absl::StatusOr<DirectoryPtr> TreeView::OpenBase(Driver* driver, uint32_t number) const {
  std::string path;
  {
    std::lock_guard lock(mutex_);
    Base& base = bases_[number];
    if (base.directory != nullptr) {
      open_.splice(open_.begin(), open_, base.place);
      return base.directory;
    }
    path = base.path;
  }
  US_ASSIGN_OR_RETURN(DirectoryPtr opened, OpenPath(driver, path));
  struct statx stat{};
  US_RETURN_IF_ERROR(StatDescriptor(driver, opened->fd(), &stat));
  Entry entry;
  if (!EntryFromStatx(stat, false, &entry)) return ErrnoStatus(ENOTDIR, "open directory");
  std::vector<DirectoryPtr> closing;  // closed after the lock is gone
  std::lock_guard lock(mutex_);
  Base& base = bases_[number];
  if (base.known && base.id != entry.id) return ErrnoStatus(ESTALE, "open directory");
  base.known = true;
  base.id = entry.id;
  if (base.directory != nullptr) return base.directory;
  base.directory = opened;
  open_.push_front(number);
  base.place = open_.begin();
  while (open_.size() > std::max<size_t>(options_.open_bases, 1)) {
    closing.push_back(std::move(bases_[open_.back()].directory));
    bases_[open_.back()].directory = nullptr;
    open_.pop_back();
  }
  return opened;
}

absl::StatusOr<DirectoryPtr> TreeView::OpenParent(Driver* driver, const Place& place, std::string* name) const {
  const Member& member = members_[place.member];
  if (place.rest.is_root()) {
    *name = member.name.empty() ? "." : member.name;
    return OpenBase(driver, member.base);
  }
  *name = place.rest.name();
  return OpenPlace(driver, {place.member, place.rest.Parent()}, DirectoryAccess::kPath);
}

absl::StatusOr<DirectoryPtr> TreeView::OpenPlace(Driver* driver, const Place& place, DirectoryAccess access) const {
  const Member& member = members_[place.member];
  US_ASSIGN_OR_RETURN(const DirectoryPtr base, OpenBase(driver, member.base));
  RelPath below = member.name.empty() ? RelPath() : RelPath().Child(member.name);
  if (!place.rest.is_root())
    below = below.is_root() ? place.rest : *RelPath::Parse(below.text() + "/" + place.rest.text());
  // Also for the base itself: the caller gets a description with a position of its own.
  absl::StatusOr<DirectoryPtr> opened = OpenBeneath(driver, *base, below, access);
  if (opened.ok() || !options_.follow.any() || !IsLinkInTheWay(opened.status())) return opened;
  US_ASSIGN_OR_RETURN(const FollowBase follow, FollowBaseOf(driver, place));
  return OpenFollowedDirectory(driver, follow, access);
}

absl::StatusOr<FollowBase> TreeView::FollowBaseOf(Driver* driver, const Place& place) const {
  const Member& member = members_[place.member];
  US_ASSIGN_OR_RETURN(const FollowBase base, FollowBaseOf(driver, member.base));
  return base.Below(member.name).Below(place.rest.text());
}

absl::StatusOr<FollowBase> TreeView::FollowBaseOf(Driver* driver, uint32_t number) const {
  if (options_.root == nullptr) {
    FollowBase base;
    US_ASSIGN_OR_RETURN(base.directory, OpenBase(driver, number));
    return base;
  }
  std::lock_guard lock(mutex_);
  return options_.root_base.Below(bases_[number].path);
}

std::string TreeView::NameOf(size_t member) const {
  std::lock_guard lock(mutex_);
  const std::string& base = bases_[members_[member].base].path;
  const std::string& name = members_[member].name;
  if (name.empty()) return base.empty() ? "." : base;
  return base.empty() ? name : base + (base.back() == '/' ? "" : "/") + name;
}

}  // namespace uringsync

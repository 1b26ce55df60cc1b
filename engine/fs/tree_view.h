// TreeView: a tree that is put together from objects which lie anywhere: what several sources, or a list of names, are
// as one transfer.
//
// A member gives an object a path in the view. Of objects at one path the first member's counts; directories at one
// path are merged. What lies between the top and a member's path and is no member itself is a directory that only leads
// there.
//
// Confinement: a base is opened once, as its path says (host paths: links in it are followed; below a root: none). What
// lies below an object is resolved beneath it, following nothing but with `follow`. Of many bases only some stay open;
// one that is opened again must be the same directory.
//
// Memory: some 120 bytes a member and its names. Thread rule: any thread; calls take the driver of their shard.
// Use:  auto view = std::make_shared<const TreeView>(std::move(members), TreeViewOptions{});
//       for (const TreeView::Place& place : view->PlacesOf(path)) { ... view->OpenParent(driver, place) ... }
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/entry.h"
#include "engine/base/link_rules.h"
#include "engine/base/rel_path.h"
#include "engine/fs/directory.h"
#include "engine/fs/link_follower.h"

namespace uringsync {

// How much of a member's object is in the view.
enum class ViewDepth : uint8_t { kObject = 1, kEntries, kTree };

struct ViewMember {
  std::string base;  // directory that `from` lies in; "" the working directory or the root
  RelPath from;      // the root: the base itself
  RelPath at;        // path in the view
  ViewDepth depth = ViewDepth::kTree;
  bool implied = false;  // leads to another member: nothing is wrong where it is missing
  bool follow = false;   // `from` may be a link to a directory; only for host paths
};

struct TreeViewOptions {
  DirectoryPtr root;  // not null: bases are paths below it
  // A destination's side of a transfer: members are parts of the tree below `root`, each where it is in the view; the
  // directories on the way are looked at, too, and nothing is wrong where something is missing.
  bool mirror = false;
  size_t open_bases = 64;  // kept open
  // Links below members that are followed. With a `root`, `root_base` is that directory, and the border, as they see
  // it.
  LinkFollowing follow;
  FollowBase root_base;
  // Of the session, for bases that are paths of this host; null: each has its own.
  std::shared_ptr<FileSystems> systems;
};

class TreeView {
 public:
  struct Member {
    RelPath at;
    std::string name;  // in the base; empty: the base itself
    uint32_t base = 0;
    uint32_t order = 0;  // among all members, as they were given
    ViewDepth depth = ViewDepth::kTree;
    bool implied = false;
  };
  // An object that may be what is at a path of the view: `rest` below a member's object.
  struct Place {
    size_t member = 0;
    RelPath rest;
  };

  TreeView(std::vector<ViewMember> members, TreeViewOptions options);

  // Takes these members away, by their places in members(), and what then leads to none. Only before others have the
  // view.
  void Drop(const std::vector<bool>& dropped);

  // Sorted by path in the view, then as they were given.
  const std::vector<Member>& members() const { return members_; }
  // The first of members() that is at `path` or below it; null: none.
  const Member* FirstWithin(const RelPath& path) const;
  bool mirror() const { return options_.mirror; }
  // What may be at `path`, the member first that was given first.
  std::vector<Place> PlacesOf(const RelPath& path) const;
  // Whether what is at `path` is part of the transfer, and not only on the way to something that is.
  bool Covers(const RelPath& path) const;

  // The directory that holds the place's object; `name` becomes the object's name there, "." where there is no
  // directory above.
  absl::StatusOr<DirectoryPtr> OpenParent(Driver* driver, const Place& place, std::string* name) const;
  // The place itself as a directory. Errors as OpenBeneath; ESTALE where a base is another directory by now.
  absl::StatusOr<DirectoryPtr> OpenPlace(Driver* driver, const Place& place, DirectoryAccess access) const;
  // From where what a link at the place, or on the way to it, leads to is found, in a view that follows links.
  absl::StatusOr<FollowBase> FollowBaseOf(Driver* driver, const Place& place) const;
  // The same for a base: what is in the directory.
  absl::StatusOr<FollowBase> FollowBaseOf(Driver* driver, uint32_t base) const;
  const LinkFollowing& follow() const { return options_.follow; }
  absl::StatusOr<DirectoryPtr> OpenBase(Driver* driver, uint32_t base) const;
  // How messages call the member's object: the path as the user gave it.
  std::string NameOf(size_t member) const;

 private:
  struct Base {
    std::string path;
    bool known = false;  // `id` is set
    FileId id;
    DirectoryPtr directory;
    std::list<uint32_t>::iterator place;  // in open_, with `directory`
  };
  void AddWaysTo(std::vector<ViewMember>* members) const;
  absl::StatusOr<DirectoryPtr> OpenPath(Driver* driver, const std::string& path) const;

  const TreeViewOptions options_;
  std::vector<Member> members_;
  mutable std::mutex mutex_;  // guards what follows
  mutable std::vector<Base> bases_;
  mutable std::list<uint32_t> open_;  // most recently used first
};

}  // namespace uringsync

// LinkGroups: hard links, planned once all their names are known.
//
// Two rules, each over an external sort, in memory that does not grow with the tree:
//  1. an inode of the destination that several names share belongs to one inode of the source; names of other source
//  inodes that
//     share it are broken off (made anew);
//  2. the names of one source inode become links of one leader: the first name whose destination object already
//     matches, else the first that a basis directory has, else the first under which there is something similar, else
//     the first. Names that share the leader's destination inode already need nothing.
// A group with one name inside the tree is a plain object. Leaders are complete, times included, before any link is
// made: a link is made only to an object that looks like the source's.
//
// Thread rule: one thread, the owner of `driver`. Use:  groups.Add(member) ...;  groups.Resolve(plan);
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "coordinator/core/compare.h"
#include "coordinator/core/spool_record.h"
#include "engine/fs/external_sorter.h"

namespace uringsync {

// One name of an object that is hard-linked on either side.
struct LinkMember {
  uint64_t directory = 0;  // number of the directory it lies in
  RelPath path;
  Entry source;
  std::optional<Entry> destination;  // nullopt: nothing there, or a directory that will be deleted first
  Differences differences;           // kExistence where there is nothing
  // What it can be made from, as a hard link of it or as a copy.
  std::optional<ActionBasis> basis = std::nullopt;
  bool link_basis = false;
  bool waits = false;  // its name is free only after the deletes
};

// What is to be done with each name.
class LinkPlan {
 public:
  virtual ~LinkPlan() = default;
  // The object has to be made anew under this name.
  virtual absl::Status PutMember(LinkMember member) = 0;
  // The name becomes a link of `leader`; `late`: name or leader are there only after the deletes.
  virtual absl::Status LinkMemberTo(LinkMember member, const RelPath& leader, bool late) = 0;
  // The object stays; its metadata differs when member.differences is not empty.
  virtual absl::Status KeepMember(LinkMember member) = 0;
};

class LinkGroups {
 public:
  static constexpr size_t kSortMemoryBytes = size_t{4} << 20;  // of each of the two sorts

  LinkGroups(Driver* driver, const std::string& directory);
  absl::Status Add(const LinkMember& member);
  // Decides every group. To be called once, after the last Add.
  absl::Status Resolve(LinkPlan& plan);

 private:
  absl::Status AddToSourceGroup(const LinkMember& member, uint64_t order);
  absl::Status ResolveDestinationInodes(LinkPlan& plan);
  absl::Status ResolveSourceGroups(LinkPlan& plan);

  ExternalSorter by_destination_;
  ExternalSorter by_source_;
  uint64_t added_ = 0;
  RecordWriter writer_;
};

}  // namespace uringsync

// IndexTree: the directories below a root with a digest of each listing and of all that lies below it. Memory for each
// directory, none for a file.
//
// A digest of a directory covers its own metadata, its entries (engine/tree/listing_digest.h) and, by their names, the
// digests of its subdirectories. It is certain when every entry below is in it; else it says nothing, and who compares
// has to look.
//
// Thread rule: one thread at a time. Use:
//   IndexTree tree(rules);
//   tree.SetListing(IndexTree::kRoot, listing, &added, &removed);   // then list what was added
//   const IndexNode& node = tree.Summed(tree.Find(path));
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/entry.h"
#include "engine/base/rel_path.h"
#include "engine/tree/listing_digest.h"
#include "proto/messages.h"

namespace uringsync {

struct IndexNode {
  std::string name;
  uint32_t parent = 0;
  std::vector<uint32_t> children;  // by name
  FileId id;
  Digest128 self;
  Digest128 listing;
  TreeTotals own;        // entries that are no directories
  bool certain = false;  // `listing` holds every entry that is no directory
  bool dirty = false;    // of the owner of the tree: to be listed again
  bool used = false;
  bool summed = false;  // what follows is up to date
  bool tree_certain = false;
  Digest128 tree;
  TreeTotals totals;  // of everything below
};

// What one look at a directory found.
struct IndexListing {
  Entry self;
  Digest128 digest;
  TreeTotals own;
  bool certain = false;
  std::vector<Entry> directories;  // by name
};

class IndexTree {
 public:
  using Id = uint32_t;
  static constexpr Id kRoot = 0;
  static constexpr Id kNone = UINT32_MAX;

  explicit IndexTree(DigestRules rules);
  const DigestRules& rules() const { return rules_; }

  // kNone where no such directory is known.
  Id Find(const RelPath& path) const;
  RelPath PathOf(Id id) const;
  bool known(Id id) const { return id < nodes_.size() && nodes_[id].used; }
  IndexNode& node(Id id) { return nodes_[id]; }

  // Replaces what is known of a directory. `added`: subdirectories that are new or other objects than before, to be
  // listed; `removed`: directories that are gone with all below them. Ids of removed ones are used again.
  void SetListing(Id id, const IndexListing& listing, std::vector<Id>* added, std::vector<Id>* removed);
  // It can no longer be told what the directory holds.
  void SetUncertain(Id id);
  // The node with tree, tree_certain and totals up to date.
  const IndexNode& Summed(Id id);

  size_t directories() const { return used_; }
  // About, of all nodes.
  size_t memory_bytes() const { return used_ * (sizeof(IndexNode) + sizeof(Id)) + name_bytes_; }

 private:
  Id Make(Id parent, const Entry& entry);
  void Remove(Id id, std::vector<Id>* removed);
  void Invalidate(Id id);
  void Sum(IndexNode* node);
  Digest128 SelfDigest(const Entry& entry);

  const DigestRules rules_;
  LeafHasher hasher_;
  std::vector<IndexNode> nodes_;
  std::vector<Id> free_;
  size_t used_ = 0;
  size_t name_bytes_ = 0;
  std::string buffer_;
};

}  // namespace uringsync

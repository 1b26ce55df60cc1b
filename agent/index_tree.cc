#include "agent/index_tree.h"

#include <algorithm>
#include <span>
#include <utility>

namespace uringsync {
namespace {

template <typename T>
void Append(const T& value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace

IndexTree::IndexTree(DigestRules rules)
    : rules_(std::move(rules)), hasher_(rules_.selection.digest_key.value_or(DigestKeyOf(rules_.seed))) {
  Entry root;
  root.type = FileType::kDirectory;
  Make(kNone, root);
}

Digest128 IndexTree::SelfDigest(const Entry& entry) {
  // Without its name, which the directory above adds: two roots have different ones.
  Entry unnamed = entry;
  unnamed.name.clear();
  buffer_.clear();
  AppendCanonical(unnamed, rules_, &buffer_);
  return KeyedDigest(&hasher_, DigestDomain::kTree, std::as_bytes(std::span(buffer_)));
}

IndexTree::Id IndexTree::Make(Id parent, const Entry& entry) {
  Id id = static_cast<Id>(nodes_.size());
  if (free_.empty()) {
    nodes_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
    nodes_[id] = IndexNode();
  }
  IndexNode& node = nodes_[id];
  node.name = entry.name;
  node.parent = parent;
  node.id = entry.id;
  node.self = SelfDigest(entry);
  node.used = true;
  ++used_;
  name_bytes_ += entry.name.size();
  return id;
}

void IndexTree::Remove(Id id, std::vector<Id>* removed) {
  std::vector<Id> pending = {id};
  while (!pending.empty()) {
    const Id next = pending.back();
    pending.pop_back();
    IndexNode& node = nodes_[next];
    pending.insert(pending.end(), node.children.begin(), node.children.end());
    --used_;
    name_bytes_ -= node.name.size();
    node = IndexNode();
    free_.push_back(next);
    removed->push_back(next);
  }
}

void IndexTree::Invalidate(Id id) {
  for (; id != kNone && nodes_[id].summed; id = nodes_[id].parent) nodes_[id].summed = false;
}

IndexTree::Id IndexTree::Find(const RelPath& path) const {
  Id id = kRoot;
  std::string_view rest = path.text();
  while (!rest.empty()) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view name = rest.substr(0, slash);
    const std::vector<Id>& children = nodes_[id].children;
    const auto found =
        std::lower_bound(children.begin(), children.end(), name,
                         [this](Id child, std::string_view wanted) { return nodes_[child].name < wanted; });
    if (found == children.end() || nodes_[*found].name != name) return kNone;
    id = *found;
    rest.remove_prefix(std::min(slash + 1, rest.size()));
  }
  return id;
}

RelPath IndexTree::PathOf(Id id) const {
  std::vector<Id> way;
  for (; id != kRoot; id = nodes_[id].parent) way.push_back(id);
  RelPath path;
  for (auto at = way.rbegin(); at != way.rend(); ++at) path = path.Child(nodes_[*at].name);
  return path;
}

void IndexTree::SetListing(Id id, const IndexListing& listing, std::vector<Id>* added, std::vector<Id>* removed) {
  Invalidate(id);
  const std::vector<Id> before = std::exchange(nodes_[id].children, {});
  std::vector<Id> now;
  now.reserve(listing.directories.size());
  size_t old = 0;
  for (const Entry& entry : listing.directories) {
    while (old < before.size() && nodes_[before[old]].name < entry.name) Remove(before[old++], removed);
    const bool same_name = old < before.size() && nodes_[before[old]].name == entry.name;
    if (same_name && nodes_[before[old]].id == entry.id) {
      IndexNode& child = nodes_[before[old]];
      const Digest128 self = SelfDigest(entry);
      if (self != child.self) child.summed = false;
      child.self = self;
      now.push_back(before[old++]);
      continue;
    }
    if (same_name) Remove(before[old++], removed);
    now.push_back(Make(id, entry));
    added->push_back(now.back());
  }
  while (old < before.size()) Remove(before[old++], removed);
  IndexNode& node = nodes_[id];
  node.children = std::move(now);
  node.id = listing.self.id;
  node.self = SelfDigest(listing.self);
  node.listing = listing.digest;
  node.own = listing.own;
  node.certain = listing.certain;
}

void IndexTree::SetUncertain(Id id) {
  Invalidate(id);
  nodes_[id].certain = false;
}

void IndexTree::Sum(IndexNode* node) {
  node->tree_certain = node->certain;
  node->totals = node->own;
  buffer_.clear();
  Append(node->self, &buffer_);
  Append(node->listing, &buffer_);
  for (const Id id : node->children) {
    const IndexNode& child = nodes_[id];
    node->tree_certain = node->tree_certain && child.tree_certain;
    node->totals.entries += child.totals.entries + 1;
    node->totals.files += child.totals.files;
    node->totals.bytes += child.totals.bytes;
    Append(static_cast<uint32_t>(child.name.size()), &buffer_);
    buffer_ += child.name;
    Append(child.tree, &buffer_);
  }
  node->tree = KeyedDigest(&hasher_, DigestDomain::kTree, std::as_bytes(std::span(buffer_)));
  node->summed = true;
}

const IndexNode& IndexTree::Summed(Id id) {
  std::vector<Id> pending = {id};
  while (!pending.empty()) {
    IndexNode& node = nodes_[pending.back()];
    const size_t before = pending.size();
    for (const Id child : node.children) {
      if (!nodes_[child].summed) pending.push_back(child);
    }
    if (pending.size() != before) continue;
    Sum(&node);
    pending.pop_back();
  }
  return nodes_[id];
}

}  // namespace uringsync

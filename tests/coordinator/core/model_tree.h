// A file system in memory, simple enough to be obviously right: what the property test applies a plan to.
#pragma once

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/base/entry.h"
#include "proto/messages.h"

namespace uringsync {

struct ModelInode {
  FileType type = FileType::kRegular;
  uint32_t mode = 0644;
  uint32_t uid = 0;
  uint32_t gid = 0;
  FileTime mtime;
  std::string content;  // of a file; target of a symlink; device number of a device
  std::map<std::string, uint64_t> children;
  friend bool operator==(const ModelInode&, const ModelInode&) = default;
};

// Errors to put into a manifest.
struct ModelErrors {
  std::set<std::string> unlistable;  // directories: listing fails after some entries
  std::set<std::string> unreadable;  // objects: cannot be looked at
};

class ModelTree {
 public:
  explicit ModelTree(uint64_t device) : device_(device) { root_ = Make({.type = FileType::kDirectory, .mode = 0755}); }

  uint64_t root() const { return root_; }
  uint64_t Make(ModelInode inode) {
    inodes_[++last_] = std::move(inode);
    return last_;
  }
  ModelInode& at(uint64_t inode) { return inodes_.at(inode); }
  const ModelInode& at(uint64_t inode) const { return inodes_.at(inode); }
  // 0 where there is nothing.
  uint64_t Find(const RelPath& path) const {
    uint64_t inode = root_;
    std::string_view rest = path.text();
    while (!rest.empty()) {
      const size_t slash = std::min(rest.find('/'), rest.size());
      const ModelInode& directory = inodes_.at(inode);
      const auto child = directory.children.find(std::string(rest.substr(0, slash)));
      if (child == directory.children.end()) return 0;
      inode = child->second;
      rest.remove_prefix(std::min(slash + 1, rest.size()));
    }
    return inode;
  }
  uint64_t LinkCount(uint64_t wanted) const {
    uint64_t count = 0;
    for (const auto& [number, inode] : inodes_) {
      for (const auto& [name, child] : inode.children) count += child == wanted;
    }
    return count;
  }

  Entry MakeEntry(std::string name, uint64_t number) const {
    const ModelInode& inode = inodes_.at(number);
    Entry entry;
    entry.name = std::move(name);
    entry.type = inode.type;
    entry.mode = inode.mode;
    entry.uid = inode.uid;
    entry.gid = inode.gid;
    entry.mtime = inode.mtime;
    entry.id = {device_, number};
    entry.nlink = inode.type == FileType::kDirectory ? 2 : LinkCount(number) + extra_links_;
    if (inode.type == FileType::kRegular) entry.size_bytes = inode.content.size();
    if (inode.type == FileType::kSymlink) {
      entry.symlink_target = inode.content;
      entry.size_bytes = inode.content.size();
    }
    if (inode.type == FileType::kCharDevice) entry.rdev_minor = static_cast<uint32_t>(inode.content.size());
    return entry;
  }

  // The manifest, every directory in batches of one to `max_batch` entries.
  std::vector<DirectoryBatch> Manifest(std::mt19937_64& random, size_t max_batch,
                                       const ModelErrors& errors = {}) const {
    std::vector<DirectoryBatch> batches;
    AddDirectory(RelPath(), root_, random, max_batch, errors, &batches);
    return batches;
  }

  // Pretends that every file has one more link outside the tree.
  void set_extra_links(uint64_t links) { extra_links_ = links; }

 private:
  void AddDirectory(const RelPath& path, uint64_t number, std::mt19937_64& random, size_t max_batch,
                    const ModelErrors& errors, std::vector<DirectoryBatch>* batches) const {
    const ModelInode& inode = inodes_.at(number);
    DirectoryBatch batch;
    batch.directory = path;
    batch.self = MakeEntry(std::string(path.name()), number);
    batch.last = false;
    size_t room = 1 + random() % max_batch;
    std::vector<std::pair<RelPath, uint64_t>> below;
    const bool fails = errors.unlistable.contains(path.text());
    for (const auto& [name, child] : inode.children) {
      if (fails && random() % 2 == 0) break;
      if (room-- == 0) {
        batches->push_back(batch);
        batch.entries.clear();
        room = random() % max_batch;
      }
      Entry entry = MakeEntry(name, child);
      const RelPath child_path = path.Child(name);
      if (errors.unreadable.contains(child_path.text())) {
        Entry bad;
        bad.name = name;
        bad.type = entry.type;
        bad.error = 13;
        entry = bad;
      }
      if (entry.type == FileType::kDirectory && (entry.error == 0 || random() % 2 == 0)) {
        below.emplace_back(child_path, child);
      }
      batch.entries.push_back(std::move(entry));
    }
    batch.last = true;
    if (fails) batch.error = 13;
    batches->push_back(std::move(batch));
    for (const auto& [child_path, child] : below) AddDirectory(child_path, child, random, max_batch, errors, batches);
  }

  uint64_t device_;
  uint64_t root_ = 0;
  uint64_t last_ = 0;
  uint64_t extra_links_ = 0;
  std::map<uint64_t, ModelInode> inodes_;
};

}  // namespace uringsync

// Random small trees and changed copies of them, for the planner's property tests. Seeds are printed; URINGSYNC_SEED
// repeats one.
#pragma once

#include <cstdlib>
#include <iostream>
#include <random>
#include <utility>

#include "tests/coordinator/core/model_tree.h"

namespace uringsync {

constexpr uint64_t kSourceDevice = 7;
constexpr uint64_t kDestinationDevice = 9;
constexpr const char* kNames[] = {"a", "a.b", "ab", "b", "c"};

class RandomTrees {
 public:
  explicit RandomTrees(uint64_t seed) : random_(seed) {}
  std::mt19937_64& random() { return random_; }
  bool OneIn(uint64_t n) { return random_() % n == 0; }

  ModelInode RandomInode() {
    static constexpr FileType kTypes[] = {FileType::kRegular,   FileType::kRegular,  FileType::kRegular,
                                          FileType::kSymlink,   FileType::kFifo,     FileType::kCharDevice,
                                          FileType::kDirectory, FileType::kDirectory};
    ModelInode inode;
    inode.type = kTypes[random_() % std::size(kTypes)];
    inode.mode = inode.type == FileType::kSymlink ? 0777 : (OneIn(3) ? 0600 : 0644);
    inode.uid = static_cast<uint32_t>(random_() % 2);
    inode.mtime = {static_cast<int64_t>(random_() % 3), 0};
    // Contents follow from size and time, as the quick check assumes.
    if (inode.type == FileType::kRegular) {
      inode.content = std::string(random_() % 3, static_cast<char>('0' + inode.mtime.seconds));
    } else if (inode.type == FileType::kSymlink || inode.type == FileType::kCharDevice) {
      inode.content = std::string(1 + random_() % 2, 't');
    }
    return inode;
  }

  void Fill(ModelTree* tree, uint64_t directory, int depth, std::vector<uint64_t>* linkable) {
    for (const char* name : kNames) {
      if (OneIn(2)) continue;
      if (!linkable->empty() && OneIn(4)) {
        tree->at(directory).children[name] = (*linkable)[random_() % linkable->size()];
        continue;
      }
      ModelInode inode = RandomInode();
      if (inode.type == FileType::kDirectory && depth == 0) inode.type = FileType::kFifo;
      const FileType type = inode.type;
      const uint64_t made = tree->Make(std::move(inode));
      tree->at(directory).children[name] = made;
      if (type == FileType::kDirectory) {
        Fill(tree, made, depth - 1, linkable);
      } else {
        linkable->push_back(made);
      }
    }
  }

  // A copy with other inode numbers, links kept, some names changed, dropped, added or linked.
  void CopyChanged(const ModelTree& from, uint64_t from_directory, ModelTree* to, uint64_t to_directory,
                   std::map<uint64_t, uint64_t>* copies, std::vector<uint64_t>* linkable) {
    for (const auto& [name, child] : from.at(from_directory).children) {
      if (OneIn(12)) continue;
      ModelInode inode = from.at(child);
      const bool directory = inode.type == FileType::kDirectory;
      inode.children.clear();
      if (!linkable->empty() && OneIn(10)) {
        to->at(to_directory).children[name] = (*linkable)[random_() % linkable->size()];
        continue;
      }
      if (OneIn(10)) inode = RandomInode();
      if (OneIn(10) && inode.type != FileType::kSymlink) inode.mode ^= 0111;
      const auto copied = copies->find(child);
      const bool keeps_type = inode.type == from.at(child).type;
      uint64_t made;
      if (!directory && keeps_type && copied != copies->end() && !OneIn(8)) {
        made = copied->second;
      } else {
        made = to->Make(inode);
      }
      to->at(to_directory).children[name] = made;
      if (to->at(made).type != FileType::kDirectory) {
        (*copies)[child] = made;
        linkable->push_back(made);
      } else if (directory) {
        CopyChanged(from, child, to, made, copies, linkable);
      }
    }
    if (OneIn(6)) {
      const uint64_t made = to->Make(RandomInode());
      to->at(to_directory).children[kNames[random_() % std::size(kNames)]] = made;
      if (to->at(made).type != FileType::kDirectory) linkable->push_back(made);
    }
  }

 private:
  std::mt19937_64 random_;
};

struct Trees {
  ModelTree source{kSourceDevice};
  ModelTree destination{kDestinationDevice};
};

inline void MakeTrees(RandomTrees* random, Trees* trees) {
  std::vector<uint64_t> linkable;
  random->Fill(&trees->source, trees->source.root(), 2, &linkable);
  linkable.clear();
  if (random->OneIn(3)) {
    random->Fill(&trees->destination, trees->destination.root(), 2, &linkable);
  } else {
    std::map<uint64_t, uint64_t> copies;
    random->CopyChanged(trees->source, trees->source.root(), &trees->destination, trees->destination.root(), &copies,
                        &linkable);
  }
  if (random->OneIn(4)) trees->source.set_extra_links(1);
  if (random->OneIn(4)) trees->destination.set_extra_links(1);
}

inline std::pair<uint64_t, uint64_t> Seeds(uint64_t count) {
  if (const char* seed = std::getenv("URINGSYNC_SEED")) {
    const uint64_t first = std::strtoull(seed, nullptr, 10);
    return {first, first + 1};
  }
  const uint64_t first = std::random_device()();
  std::cout << "seeds from " << first << "\n";
  return {first, first + count};
}

inline void CollectPaths(const ModelTree& tree, const RelPath& path, std::vector<RelPath>* paths) {
  for (const auto& [name, child] : tree.at(tree.Find(path)).children) {
    paths->push_back(path.Child(name));
    if (tree.at(child).type == FileType::kDirectory) CollectPaths(tree, path.Child(name), paths);
  }
}

// Directories that cannot be listed and objects that cannot be looked at.
inline ModelErrors RandomErrors(RandomTrees* random, const ModelTree& tree) {
  ModelErrors errors;
  std::vector<RelPath> paths;
  CollectPaths(tree, RelPath(), &paths);
  paths.push_back(RelPath());
  for (const RelPath& path : paths) {
    if (tree.at(tree.Find(path)).type == FileType::kDirectory && random->OneIn(4)) {
      errors.unlistable.insert(path.text());
    } else if (!path.is_root() && random->OneIn(5)) {
      errors.unreadable.insert(path.text());
    }
  }
  return errors;
}

}  // namespace uringsync

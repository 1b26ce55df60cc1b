// Trees of a history: what is in them at random, how they change, and what they look like.
//
// All of it works on the simulated file systems directly, in one step each. Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/file_system.h"
#include "tests/sim/scheduler.h"

namespace uringsync::sim {

// What a name is. Contents by size and digest.
struct Shown {
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  Nanos modified = 0;
  std::string contents;  // of a file "SIZE:DIGEST", of a symlink its target
  std::map<std::string, std::string> xattrs;
  std::vector<std::string> links;  // every name of the same object in the tree, where there are several
  uint64_t inode = 0;
  Nanos changed = 0;
  bool is_directory() const { return (mode & 0170000) == 0040000; }
  bool is_file() const { return (mode & 0170000) == 0100000; }
  // Without inode and change time.
  bool SameAs(const Shown& other) const;
  std::string Text() const;
};
using Tree = std::map<std::string, Shown>;

std::string ContentsOf(const std::string& data);
// Everything at and below `top` of the file system: "" is the directory itself. `links`: find names of one object.
Tree Look(const FileSystem& files, const std::string& top);

struct TreeLimits {
  uint32_t objects = 30;
  bool large_files = false;  // some above 1 MiB, which are moved in pieces, resumed and sent as deltas
};

// Makes and changes trees; remembers every state that a file of the source ever had.
class Gardener {
 public:
  Gardener(FileSystem* files, std::string top, SeededRandom* random, TreeLimits limits)
      : files_(files), top_(std::move(top)), random_(random), limits_(limits) {}

  void Plant();
  // One change, as some program makes it. What it was, for the trace; empty: nothing could be done.
  std::string Change();
  // A copy of what is there, of which some things are older, missing, of another kind, or more than there should be.
  void PlantLike(const Gardener& source);
  // Of a stranger in a tree: replaces this file, or makes a new one, by name. The contents.
  std::string PutStranger(const std::string& path);

  // Every state that some name had, by path: contents of files.
  const std::map<std::string, std::set<std::string>>& history() const { return history_; }
  // Paths that were changed since the last call.
  std::set<std::string> TakeChanged() { return std::exchange(changed_, {}); }
  const std::string& top() const { return top_; }
  FileSystem* files() const { return files_; }

 private:
  std::string NewData();
  std::string Edited(const std::string& data);
  std::vector<std::string> Paths(bool directories, bool others) const;
  std::string Full(const std::string& path) const { return path.empty() ? top_ : top_ + "/" + path; }
  Inode* Directory(const std::string& path) const;
  InodePtr At(const std::string& path) const { return files_->Find(Full(path)); }
  std::string FreshPath();
  void PutFile(const std::string& path, const std::string& data);
  void PutSymlink(const std::string& path);
  void MakeDirectories(const std::string& path);
  void SetAttributes(Inode* inode);
  void Age(Inode* inode);
  bool RemoveAll(const std::string& path);
  void Copy(const std::string& path, const Inode& from);
  std::string ChangeFile(const std::string& path);
  void Remember(const std::string& path);

  FileSystem* const files_;
  const std::string top_;
  SeededRandom* const random_;
  const TreeLimits limits_;
  std::map<std::string, std::set<std::string>> history_;
  std::set<std::string> changed_;
  uint64_t serial_ = 0;
};

}  // namespace uringsync::sim

// Manifests of trees that were never made: as many objects as asked for, made batch by batch, in the order of a real
// scan.
//
// Thread rule: one thread. Use:  SyntheticManifest manifest(shape);  while (auto batch = manifest.Next()) ...
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "engine/base/entry.h"

namespace uringsync {

struct SyntheticShape {
  uint64_t objects = 0;           // below the root, directories that only hold others not counted; 0: the root alone
  uint64_t per_directory = 1000;  // 0: all of them lie in the root
  bool directories = false;       // the objects are (empty) directories instead of files
  uint64_t names_per_inode = 1;
  size_t name_bytes = 0;  // 0: about a dozen
  uint64_t first_inode = uint64_t{1} << 32;
};

class SyntheticManifest {
 public:
  static constexpr uint64_t kBatchEntries = 1000;

  explicit SyntheticManifest(SyntheticShape shape)
      : shape_(shape), holders_(shape.per_directory == 0 ? 0 : shape.objects / shape.per_directory) {}

  // nullopt at the end.
  std::optional<DirectoryBatch> Next() {
    switch (state_) {
      case State::kRoot: return Root();
      case State::kHolder: return Holder();
      case State::kLeaf: return Leaf();
      case State::kEnd: break;
    }
    return std::nullopt;
  }

 private:
  enum class State : uint8_t { kRoot, kHolder, kLeaf, kEnd };

  std::string Name(const char* prefix, uint64_t number) const {
    std::string digits = std::to_string(number);
    std::string name = prefix + std::string(10 - digits.size(), '0') + digits;
    if (shape_.name_bytes > name.size()) name.append(shape_.name_bytes - name.size(), 'x');
    return name;
  }
  Entry MakeEntry(std::string name, FileType type, uint64_t inode) const {
    Entry entry;
    entry.name = std::move(name);
    entry.type = type;
    entry.mode = type == FileType::kDirectory ? 0755 : 0644;
    entry.mtime = {100, 0};
    entry.id = {1, inode};
    if (type == FileType::kRegular) entry.size_bytes = 10;
    return entry;
  }
  DirectoryBatch Begin(RelPath path, uint64_t inode) const {
    DirectoryBatch batch;
    batch.self = MakeEntry(std::string(path.name()), FileType::kDirectory, inode);
    batch.directory = std::move(path);
    return batch;
  }
  Entry Object(uint64_t number) const {
    if (shape_.directories) return MakeEntry(Name("o", number), FileType::kDirectory, shape_.first_inode + number);
    // Names of one inode lie far apart, so that no group is near its end when the next one begins.
    const uint64_t inodes = std::max<uint64_t>(shape_.objects / shape_.names_per_inode, 1);
    Entry entry = MakeEntry(Name("o", number), FileType::kRegular, shape_.first_inode + number % inodes);
    entry.nlink = shape_.names_per_inode;
    return entry;
  }
  // Objects up to `end`, one batch; true when they are all there.
  bool AddObjects(uint64_t end, DirectoryBatch* batch) {
    const uint64_t stop = std::min(end, object_ + kBatchEntries);
    batch->entries.reserve(stop - object_);
    for (; object_ < stop; ++object_) batch->entries.push_back(Object(object_));
    batch->last = object_ == end;
    return batch->last;
  }
  // After the objects of a directory: their own listings, where they are directories, then what comes next.
  void EndHolder() {
    if (shape_.directories && listed_ < object_) {
      state_ = State::kLeaf;
    } else {
      state_ = holder_ < holders_ ? State::kHolder : State::kEnd;
    }
  }

  DirectoryBatch Root() {
    DirectoryBatch batch = Begin(RelPath(), 1);
    if (holders_ == 0) {
      if (AddObjects(shape_.objects, &batch)) EndHolder();
      return batch;
    }
    const uint64_t stop = std::min(holder_ + kBatchEntries, holders_);
    for (; holder_ < stop; ++holder_)
      batch.entries.push_back(MakeEntry(Name("d", holder_), FileType::kDirectory, 2 + holder_));
    batch.last = holder_ == holders_;
    if (batch.last) {
      holder_ = 0;
      state_ = State::kHolder;
    }
    return batch;
  }
  DirectoryBatch Holder() {
    path_ = RelPath().Child(Name("d", holder_));
    DirectoryBatch batch = Begin(path_, 2 + holder_);
    if (AddObjects((holder_ + 1) * shape_.per_directory, &batch)) {
      ++holder_;
      EndHolder();
    }
    return batch;
  }
  DirectoryBatch Leaf() {
    DirectoryBatch batch = Begin(path_.Child(Name("o", listed_)), shape_.first_inode + listed_);
    ++listed_;
    EndHolder();
    return batch;
  }

  const SyntheticShape shape_;
  const uint64_t holders_;  // directories that hold the objects
  State state_ = State::kRoot;
  RelPath path_;  // of the holder
  uint64_t holder_ = 0;
  uint64_t object_ = 0;  // next one to be named
  uint64_t listed_ = 0;  // next directory to be listed
};

}  // namespace uringsync

#include "tests/sim/file_system.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace uringsync::sim {
namespace {

constexpr Nanos kTick = 4 * kMillisecond;
constexpr uint64_t kLargestFile = uint64_t{1} << 26;
constexpr unsigned kNoReplace = 1;
constexpr unsigned kExchange = 2;

uint64_t BlocksOf(uint64_t bytes) {
  return (bytes + kBlockBytes - 1) / kBlockBytes;
}

bool IsBelow(const Inode* inode, const Inode* directory) {
  for (const Inode* at = inode;; at = at->parent) {
    if (at == directory) return true;
    if (at->parent == nullptr || at->parent == at) return false;
  }
}

}  // namespace

FileSystem::FileSystem(FileSystemOptions options) : options_(options), clock_([] { return Nanos{0}; }) {
  top_ = MakeInode(S_IFDIR | 0755);
  top_->parent = top_.get();
  top_->links = 2;
  Sync(top_.get());
}

Nanos FileSystem::Tick() const {
  return clock_() / kTick * kTick;
}

InodePtr FileSystem::MakeInode(uint32_t mode) {
  auto inode = std::make_shared<Inode>();
  inode->number = next_number_++;
  inode->now.mode = mode;
  const Nanos now = Tick();
  inode->now.times = {now, now, now};
  if (inode->is_directory()) directories_[inode.get()] = inode;
  ++changes_;
  return inode;
}

void FileSystem::Touch(Inode* inode) {
  inode->now.times.change = Tick();
  inode->dirty = true;
  // What it is besides pages is written with the next change.
  if (!inode->is_file()) inode->lost_pages = false;
  ++changes_;
}

void FileSystem::Modify(Inode* inode) {
  inode->now.times.modify = Tick();
  Touch(inode);
}

InodePtr FileSystem::HolderOf(Inode* directory) const {
  const auto found = directories_.find(directory);
  return found == directories_.end() ? nullptr : found->second.lock();
}

void FileSystem::Record(std::vector<NameChange::Part> parts) {
  for (NameChange::Part& part : parts) {
    part.holder = HolderOf(part.directory);
    Modify(part.directory);
    if (part.inode != nullptr && part.inode->is_directory()) part.inode->parent = part.directory;
  }
  pending_.push_back({std::move(parts)});
}

int FileSystem::Link(Inode* directory, const std::string& name, const InodePtr& inode) {
  if (directory->links == 0) return -ENOENT;
  if (!directory->names.emplace(name, inode).second) return -EEXIST;
  inode->links += inode->is_directory() ? 2 : 1;
  if (inode->is_directory()) ++directory->links;
  Touch(inode.get());
  Record({{directory, nullptr, name, inode}});
  return 0;
}

void FileSystem::Drop(const InodePtr& inode) {
  inode->links -= inode->is_directory() ? std::min(inode->links, 2U) : 1;
  Touch(inode.get());
  FreeRoom(inode.get());
}

void FileSystem::FreeRoom(Inode* inode) {
  if (inode->links > 0 || !inode->is_file() || inode->room_freed) return;
  inode->room_freed = true;
  const auto blocks = std::count(inode->now.allocated.begin(), inode->now.allocated.end(), true);
  used_bytes_ -= kBlockBytes * static_cast<uint64_t>(blocks);
}

int FileSystem::Unlink(Inode* directory, const std::string& name, bool as_directory) {
  const auto found = directory->names.find(name);
  if (found == directory->names.end()) return -ENOENT;
  const InodePtr inode = found->second;
  if (as_directory && !inode->is_directory()) return -ENOTDIR;
  if (!as_directory && inode->is_directory()) return -EISDIR;
  if (as_directory && !inode->names.empty()) return -ENOTEMPTY;
  directory->names.erase(found);
  Drop(inode);
  if (as_directory) --directory->links;
  Record({{directory, nullptr, name, nullptr}});
  return 0;
}

int FileSystem::Rename(Inode* from, const std::string& name, Inode* to, const std::string& new_name, unsigned flags) {
  const auto source = from->names.find(name);
  if (source == from->names.end() || to->links == 0) return -ENOENT;
  const InodePtr moved = source->second;
  if (moved->is_directory() && IsBelow(to, moved.get())) return -EINVAL;
  const auto there = to->names.find(new_name);
  const InodePtr replaced = there == to->names.end() ? nullptr : there->second;
  if (flags == kNoReplace && replaced != nullptr) return -EEXIST;
  if (flags == kExchange) {
    if (replaced == nullptr) return -ENOENT;
    if (replaced->is_directory() && IsBelow(from, replaced.get())) return -EINVAL;
    std::swap(source->second, there->second);
    from->links += static_cast<uint32_t>(replaced->is_directory()) - static_cast<uint32_t>(moved->is_directory());
    to->links += static_cast<uint32_t>(moved->is_directory()) - static_cast<uint32_t>(replaced->is_directory());
    Touch(moved.get());
    Touch(replaced.get());
    Record({{from, nullptr, name, replaced}, {to, nullptr, new_name, moved}});
    return 0;
  }
  if (replaced == moved) return 0;
  if (replaced != nullptr) {
    if (moved->is_directory() && !replaced->is_directory()) return -ENOTDIR;
    if (!moved->is_directory() && replaced->is_directory()) return -EISDIR;
    if (replaced->is_directory() && !replaced->names.empty()) return -ENOTEMPTY;
    Drop(replaced);
    if (replaced->is_directory()) --to->links;
  }
  from->names.erase(name);
  to->names[new_name] = moved;
  if (moved->is_directory() && from != to) --from->links, ++to->links;
  Touch(moved.get());
  Record({{from, nullptr, name, nullptr}, {to, nullptr, new_name, moved}});
  return 0;
}

int64_t FileSystem::Read(Inode* file, void* buffer, uint64_t bytes, uint64_t offset) const {
  const std::string& data = file->now.data;
  if (offset >= data.size()) return 0;
  const uint64_t count = std::min<uint64_t>(bytes, data.size() - offset);
  std::memcpy(buffer, data.data() + offset, count);
  return static_cast<int64_t>(count);
}

int FileSystem::Reserve(Inode* file, uint64_t offset, uint64_t bytes) {
  if (bytes == 0) return 0;
  std::vector<bool>& allocated = file->now.allocated;
  const uint64_t end = BlocksOf(offset + bytes);
  uint64_t missing = 0;
  for (uint64_t block = offset / kBlockBytes; block < end; ++block)
    missing += block >= allocated.size() || !allocated[block];
  if (used_bytes_ + missing * kBlockBytes > room_bytes_) return -ENOSPC;
  if (!file->room_freed) used_bytes_ += missing * kBlockBytes;
  if (allocated.size() < end) allocated.resize(end);
  for (uint64_t block = offset / kBlockBytes; block < end; ++block) allocated[block] = true;
  return 0;
}

int64_t FileSystem::Write(Inode* file, const void* buffer, uint64_t bytes, uint64_t offset) {
  if (offset + bytes > kLargestFile) return -EFBIG;
  const int reserved = Reserve(file, offset, bytes);
  if (reserved < 0) return reserved;
  std::string& data = file->now.data;
  if (data.size() < offset + bytes) data.resize(offset + bytes);
  std::memcpy(data.data() + offset, buffer, bytes);
  file->lost_pages = false;
  Modify(file);
  return static_cast<int64_t>(bytes);
}

int FileSystem::Truncate(Inode* file, uint64_t bytes) {
  if (bytes > kLargestFile) return -EFBIG;
  const uint64_t keep = BlocksOf(bytes);
  std::vector<bool>& allocated = file->now.allocated;
  for (uint64_t block = keep; block < allocated.size() && !file->room_freed; ++block)
    used_bytes_ -= allocated[block] ? kBlockBytes : 0;
  if (allocated.size() > keep) allocated.resize(keep);
  file->now.data.resize(bytes);
  Modify(file);
  return 0;
}

int FileSystem::Allocate(Inode* file, uint64_t offset, uint64_t bytes, bool keep_size) {
  const int reserved = Reserve(file, offset, bytes);
  if (reserved < 0) return reserved;
  if (!keep_size && file->now.data.size() < offset + bytes) file->now.data.resize(offset + bytes);
  Touch(file);
  return 0;
}

int64_t FileSystem::Seek(const Inode& file, uint64_t offset, bool data) const {
  const uint64_t size = file.now.data.size();
  if (offset >= size) return -ENXIO;
  const std::vector<bool>& allocated = file.now.allocated;
  for (uint64_t block = offset / kBlockBytes; block * kBlockBytes < size; ++block) {
    const bool is_data = block < allocated.size() && allocated[block];
    if (is_data == data) return static_cast<int64_t>(std::max(offset, block * kBlockBytes));
  }
  return data ? -ENXIO : static_cast<int64_t>(size);
}

bool FileSystem::NameChange::Touches(const Inode* directory) const {
  return std::any_of(parts.begin(), parts.end(), [directory](const Part& part) { return part.directory == directory; });
}

void FileSystem::Apply(const NameChange& change) {
  for (const NameChange::Part& part : change.parts) {
    if (part.inode == nullptr) {
      part.directory->names_on_disk.erase(part.name);
    } else {
      part.directory->names_on_disk[part.name] = part.inode;
    }
  }
}

// Of one directory, with what has to come before: older changes of any directory that they touch.
void FileSystem::CommitNames(const Inode* directory) {
  size_t last = pending_.size();
  while (last > 0 && !pending_[last - 1].Touches(directory)) --last;
  std::vector<const Inode*> wanted = {directory};
  std::vector<bool> commit(last);
  for (size_t i = last; i-- > 0;) {
    const NameChange& change = pending_[i];
    commit[i] = std::any_of(wanted.begin(), wanted.end(), [&change](const Inode* at) { return change.Touches(at); });
    if (!commit[i]) continue;
    for (const NameChange::Part& part : change.parts) wanted.push_back(part.directory);
  }
  std::deque<NameChange> left;
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (i < last && commit[i]) {
      Apply(pending_[i]);
    } else {
      left.push_back(std::move(pending_[i]));
    }
  }
  pending_ = std::move(left);
}

void FileSystem::CommitAllNames() {
  for (const NameChange& change : pending_) Apply(change);
  pending_.clear();
}

void FileSystem::Sync(Inode* inode, bool failed) {
  if (options_.acks_lost_syncs) return;
  if (failed) {
    inode->lost_pages = true;
    return;
  }
  if (inode->dirty && !inode->lost_pages) {
    inode->on_disk = std::make_unique<Contents>(inode->now);
    inode->dirty = false;
  }
  if (options_.promises == FsPromises::kOrdered) {
    CommitAllNames();
  } else if (inode->is_directory()) {
    CommitNames(inode);
  }
}

void FileSystem::SyncAll() {
  if (options_.acks_lost_syncs) return;
  CommitAllNames();
  std::vector<Inode*> open = {top_.get()};
  while (!open.empty()) {
    Inode* inode = open.back();
    open.pop_back();
    Sync(inode);
    for (const auto& [name, child] : inode->names) open.push_back(child.get());
  }
}

void FileSystem::Settle() {
  std::vector<Inode*> open = {top_.get()};
  while (!open.empty()) {
    Inode* inode = open.back();
    open.pop_back();
    inode->lost_pages = false;
    for (const auto& [name, child] : inode->names) open.push_back(child.get());
  }
  SyncAll();
}

InodePtr FileSystem::Find(const std::string& path) const {
  InodePtr at = top_;
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const auto found = at->names.find(path.substr(begin, end - begin));
    if (found == at->names.end()) return nullptr;
    at = found->second;
    begin = end + 1;
  }
  return at;
}

}  // namespace uringsync::sim

#include "tests/sim/trees.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <utility>

#include "engine/base/digest.h"

namespace uringsync::sim {
namespace {

constexpr uint64_t kLargeBytes = (uint64_t{1} << 20) + 300000;

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::string NameOf(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::string Noise(SeededRandom* random, uint64_t bytes) {
  std::string data(bytes, '\0');
  uint64_t word = 0;
  for (uint64_t i = 0; i < bytes; ++i) {
    if (i % 8 == 0) word = random->Next();
    data[i] = static_cast<char>(word >> (i % 8 * 8));
  }
  return data;
}

}  // namespace

bool Shown::SameAs(const Shown& other) const {
  return mode == other.mode && uid == other.uid && gid == other.gid && modified == other.modified &&
         contents == other.contents && xattrs == other.xattrs && links == other.links;
}

std::string Shown::Text() const {
  char text[160];
  std::snprintf(text, sizeof(text), "%o %u:%u %.9f ", mode, uid, gid, static_cast<double>(modified) / kSecond);
  std::string all = text + contents.substr(0, 60);
  for (const auto& [name, value] : xattrs) all += " " + name + "=" + value;
  for (const std::string& link : links) all += " =" + link;
  return all;
}

std::string ContentsOf(const std::string& data) {
  const Digest128 digest = Xxh128(data);
  return std::to_string(data.size()) + ":" + std::to_string(digest.low ^ digest.high);
}

Tree Look(const FileSystem& files, const std::string& top) {
  Tree tree;
  std::map<uint64_t, std::vector<std::string>> names;
  const std::function<void(const std::string&, const Inode&)> look = [&](const std::string& path, const Inode& inode) {
    Shown& shown = tree[path];
    shown.mode = inode.now.mode;
    shown.uid = inode.now.uid;
    shown.gid = inode.now.gid;
    shown.modified = inode.now.times.modify;
    shown.changed = inode.now.times.change;
    shown.inode = inode.number;
    shown.xattrs = inode.now.xattrs;
    if (inode.is_file()) shown.contents = ContentsOf(inode.now.data);
    if (inode.type() == S_IFLNK) shown.contents = inode.now.data;
    if (!inode.is_directory() && inode.links > 1) names[inode.number].push_back(path);
    for (const auto& [name, child] : inode.names) look(path.empty() ? name : path + "/" + name, *child);
  };
  const InodePtr start = files.Find(top);
  if (start != nullptr) look("", *start);
  for (const auto& [number, paths] : names) {
    if (paths.size() < 2) continue;
    for (const std::string& path : paths) tree[path].links = paths;
  }
  return tree;
}

void Gardener::Remember(const std::string& path) {
  const InodePtr inode = At(path);
  changed_.insert(path);
  if (inode != nullptr && inode->is_file()) history_[path].insert(ContentsOf(inode->now.data));
}

Inode* Gardener::Directory(const std::string& path) const {
  const InodePtr inode = At(path);
  return inode != nullptr && inode->is_directory() ? inode.get() : nullptr;
}

std::vector<std::string> Gardener::Paths(bool directories, bool others) const {
  std::vector<std::string> paths;
  for (const auto& [path, shown] : Look(*files_, top_)) {
    if (!path.empty() && (shown.is_directory() ? directories : others)) paths.push_back(path);
  }
  return paths;
}

std::string Gardener::NewData() {
  const std::vector<uint64_t> sizes = {0, 1, 90, 4096, 5000, 20000, 70000, 150000};
  uint64_t bytes = random_->Of(sizes);
  if (limits_.large_files && random_->Chance(150)) bytes = kLargeBytes + random_->Below(kLargeBytes);
  std::string data = Noise(random_, bytes);
  // Some have holes.
  if (bytes > 3 * kBlockBytes && random_->Chance(150))
    std::fill(data.begin() + kBlockBytes, data.begin() + 2 * kBlockBytes, '\0');
  return data;
}

// What an editor leaves: mostly the same.
std::string Gardener::Edited(const std::string& data) {
  std::string edited = data;
  if (edited.empty()) return Noise(random_, 10);
  const uint64_t at = random_->Below(edited.size());
  if (random_->Chance(500))
    edited.insert(at, Noise(random_, 1 + random_->Below(40)));
  else
    edited.replace(at, std::min<uint64_t>(8, edited.size() - at),
                   Noise(random_, std::min<uint64_t>(8, edited.size() - at)));
  return edited;
}

void Gardener::SetAttributes(Inode* inode) {
  if (inode->type() != S_IFLNK)
    inode->now.mode = inode->type() | static_cast<uint32_t>(random_->Of(std::vector<uint32_t>{0644, 0600, 0755, 0444}));
  if (inode->is_directory()) inode->now.mode = S_IFDIR | (random_->Chance(800) ? 0755U : 0700U);
  if (random_->Chance(200)) inode->now.uid = static_cast<uint32_t>(random_->Below(3));
  if (random_->Chance(150) && inode->type() != S_IFLNK) inode->now.xattrs["user.x"] = std::to_string(random_->Below(5));
  files_->Touch(inode);
}

// Changed some time before the history began.
void Gardener::Age(Inode* inode) {
  inode->now.times.modify =
      -static_cast<Nanos>(random_->Below(1000000)) * kSecond - static_cast<Nanos>(random_->Below(kSecond));
  files_->Touch(inode);
}

std::string Gardener::FreshPath() {
  std::vector<std::string> above = Paths(true, false);
  above.emplace_back();
  const std::string parent = random_->Of(above);
  std::string name(1, static_cast<char>('a' + random_->Below(26)));
  if (random_->Chance(300)) name += std::to_string(++serial_);
  return parent.empty() ? name : parent + "/" + name;
}

void Gardener::MakeDirectories(const std::string& path) {
  if (path.empty() || At(path) != nullptr) return;
  MakeDirectories(ParentOf(path));
  Inode* above = Directory(ParentOf(path));
  if (above == nullptr) return;
  files_->Link(above, NameOf(path), files_->MakeInode(S_IFDIR | 0755));
  Remember(path);
}

void Gardener::PutFile(const std::string& path, const std::string& data) {
  Inode* above = Directory(ParentOf(path));
  if (above == nullptr || above->names.contains(NameOf(path))) return;
  const InodePtr inode = files_->MakeInode(S_IFREG | 0644);
  // What is zeros from block to block is left out.
  for (uint64_t at = 0; at < data.size(); at += kBlockBytes) {
    const uint64_t bytes = std::min<uint64_t>(kBlockBytes, data.size() - at);
    if (data.find_first_not_of('\0', at) >= at + bytes && bytes == kBlockBytes) continue;
    files_->Write(inode.get(), data.data() + at, bytes, at);
  }
  files_->Truncate(inode.get(), data.size());
  files_->Link(above, NameOf(path), inode);
  SetAttributes(inode.get());
  Remember(path);
}

void Gardener::PutSymlink(const std::string& path) {
  Inode* above = Directory(ParentOf(path));
  if (above == nullptr || above->names.contains(NameOf(path))) return;
  const InodePtr inode = files_->MakeInode(S_IFLNK | 0777);
  inode->now.data = "to/" + std::to_string(random_->Below(1000));
  files_->Link(above, NameOf(path), inode);
  Remember(path);
}

void Gardener::Plant() {
  const uint64_t objects = 1 + random_->Below(limits_.objects);
  for (uint64_t i = 0; i < objects; ++i) {
    const std::string path = FreshPath();
    if (At(path) != nullptr) continue;
    const uint64_t kind = random_->Below(100);
    if (kind < 60) {
      PutFile(path, NewData());
    } else if (kind < 80) {
      MakeDirectories(path);
    } else if (kind < 88) {
      PutSymlink(path);
    } else if (kind < 91 && Directory(ParentOf(path)) != nullptr) {
      files_->Link(Directory(ParentOf(path)), NameOf(path), files_->MakeInode(S_IFIFO | 0640));
    } else {
      const std::vector<std::string> files = Paths(false, true);
      if (files.empty() || Directory(ParentOf(path)) == nullptr) continue;
      const InodePtr linked = At(random_->Of(files));
      if (linked->is_file()) files_->Link(Directory(ParentOf(path)), NameOf(path), linked);
      Remember(path);
    }
    if (const InodePtr made = At(path)) Age(made.get());
  }
  for (const std::string& path : Paths(true, false)) Age(At(path).get());
}

bool Gardener::RemoveAll(const std::string& path) {
  const InodePtr inode = At(path);
  Inode* above = Directory(ParentOf(path));
  if (inode == nullptr || above == nullptr) return false;
  if (inode->is_directory()) {
    const Names names = inode->names;
    for (const auto& [name, child] : names) RemoveAll(path + "/" + name);
  }
  files_->Unlink(above, NameOf(path), inode->is_directory());
  changed_.insert(path);
  return true;
}

std::string Gardener::ChangeFile(const std::string& path) {
  const InodePtr inode = At(path);
  if (inode == nullptr || !inode->is_file()) return {};
  const auto all_names = [&] {
    for (const auto& [other, shown] : Look(*files_, top_)) {
      if (shown.inode == inode->number) Remember(other);
    }
  };
  const std::string old = inode->now.data;
  switch (random_->Below(5)) {
    case 0: {  // written over from somewhere on
      const uint64_t at = random_->Below(old.size() + 1);
      const std::string piece = Noise(random_, 1 + random_->Below(20000));
      files_->Write(inode.get(), piece.data(), piece.size(), at);
      all_names();
      return "write " + path;
    }
    case 1: {  // a log grows
      const std::string piece = Noise(random_, 1 + random_->Below(9000));
      files_->Write(inode.get(), piece.data(), piece.size(), old.size());
      all_names();
      return "append " + path;
    }
    case 2:
      files_->Truncate(inode.get(), random_->Below(old.size() + 1));
      all_names();
      return "truncate " + path;
    case 3:
      SetAttributes(inode.get());
      all_names();
      return "attributes " + path;
    default: {  // an editor puts a new file over it
      const std::string aside = path + ".new" + std::to_string(++serial_);
      PutFile(aside, Edited(old));
      Inode* above = Directory(ParentOf(path));
      if (above == nullptr || At(aside) == nullptr) return {};
      files_->Rename(above, NameOf(aside), above, NameOf(path), 0);
      changed_.insert(aside);
      Remember(path);
      return "replace " + path;
    }
  }
}

std::string Gardener::Change() {
  const std::vector<std::string> files = Paths(false, true);
  const uint64_t kind = random_->Below(100);
  // Times of the directory above move as well.
  const auto note = [this](const std::string& path) { changed_.insert(ParentOf(path)); };
  if (kind < 55 && !files.empty()) {
    const std::string path = random_->Of(files);
    note(path);
    return ChangeFile(path);
  }
  if (kind < 75 || files.empty()) {
    const std::string path = FreshPath();
    if (At(path) != nullptr) return {};
    note(path);
    if (random_->Chance(250)) {
      MakeDirectories(path);
      return "mkdir " + path;
    }
    PutFile(path, NewData());
    return "create " + path;
  }
  if (kind < 88) {
    const std::string path = random_->Of(files);
    note(path);
    return RemoveAll(path) ? "remove " + path : std::string();
  }
  if (kind < 94) {
    const std::vector<std::string> directories = Paths(true, false);
    if (directories.empty()) return {};
    const std::string path = random_->Of(directories);
    note(path);
    return RemoveAll(path) ? "remove all " + path : std::string();
  }
  const std::string from = random_->Of(files);
  const std::string to = FreshPath();
  Inode* above = Directory(ParentOf(to));
  if (above == nullptr || At(to) != nullptr) return {};
  note(from);
  note(to);
  files_->Rename(Directory(ParentOf(from)), NameOf(from), above, NameOf(to), 0);
  changed_.insert(from);
  Remember(to);
  return "rename " + from + " to " + to;
}

void Gardener::Copy(const std::string& path, const Inode& from) {
  MakeDirectories(ParentOf(path));
  Inode* above = Directory(ParentOf(path));
  if (above == nullptr || above->names.contains(NameOf(path))) return;
  if (from.is_directory()) {
    MakeDirectories(path);
  } else if (from.is_file()) {
    PutFile(path, from.now.data);
  } else {
    const InodePtr inode = files_->MakeInode(from.now.mode);
    inode->now.data = from.now.data;
    files_->Link(above, NameOf(path), inode);
  }
  const InodePtr made = At(path);
  made->now.mode = from.now.mode;
  made->now.uid = from.now.uid;
  made->now.gid = from.now.gid;
  made->now.xattrs = from.now.xattrs;
  made->now.times.modify = from.now.times.modify;
}

void Gardener::PlantLike(const Gardener& source) {
  for (const auto& [path, shown] : Look(*source.files_, source.top_)) {
    if (path.empty()) continue;
    const InodePtr from = source.At(path);
    const uint64_t kind = random_->Below(100);
    if (kind < 35) {
      Copy(path, *from);
    } else if (kind < 60 && from->is_file()) {
      MakeDirectories(ParentOf(path));
      PutFile(path, random_->Chance(500) ? Edited(from->now.data) : NewData());
      if (const InodePtr made = At(path)) Age(made.get());
    } else if (kind < 65) {
      MakeDirectories(ParentOf(path));
      PutSymlink(path);
    } else if (kind < 68 && !from->is_directory()) {
      MakeDirectories(path);
      PutFile(path + "/in-the-way", NewData());
    }
  }
  for (uint64_t more = random_->Below(8); more > 0; --more) {
    const std::string path = FreshPath();
    if (At(path) != nullptr) continue;
    if (random_->Chance(200))
      MakeDirectories(path);
    else
      PutFile(path, NewData());
    if (const InodePtr made = At(path)) Age(made.get());
  }
}

std::string Gardener::PutStranger(const std::string& path) {
  Inode* above = Directory(ParentOf(path));
  if (above == nullptr) return {};
  const InodePtr there = At(path);
  if (there != nullptr && !there->is_file()) return {};
  const std::string data = "a stranger's " + std::to_string(++serial_) + Noise(random_, random_->Below(6000));
  const std::string aside = there == nullptr ? path : path + ".stranger";
  PutFile(aside, data);
  if (aside != path) files_->Rename(above, NameOf(aside), above, NameOf(path), 0);
  const InodePtr made = At(path);
  if (made == nullptr) return {};
  files_->Sync(made.get());
  // On disk, with the way to it.
  for (Inode* at = above; at != nullptr; at = at->parent == at ? nullptr : at->parent) files_->Sync(at);
  return ContentsOf(made->now.data);
}

}  // namespace uringsync::sim

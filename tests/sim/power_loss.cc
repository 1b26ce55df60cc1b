// FileSystem: what a loss of power leaves.
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/sim/file_system.h"

namespace uringsync::sim {

// Of each directory's changes the first few are kept; one that concerns two directories in both or in none.
void FileSystem::LoseNames(SeededRandom* random) {
  if (options_.promises == FsPromises::kOrdered) {
    const uint64_t kept = random->Below(pending_.size() + 1);
    for (uint64_t i = 0; i < kept; ++i) Apply(pending_[i]);
    pending_.clear();
    return;
  }
  std::map<const Inode*, uint64_t> cut;  // changes of the directory that are kept
  std::map<const Inode*, uint64_t> seen;
  for (const NameChange& change : pending_) {
    std::set<const Inode*> touched;
    for (const NameChange::Part& part : change.parts) touched.insert(part.directory);
    for (const Inode* directory : touched) ++seen[directory];
  }
  // In the order of inode numbers, which is that of the history: addresses differ.
  std::vector<const Inode*> ordered;
  for (const auto& [directory, count] : seen) ordered.push_back(directory);
  std::sort(ordered.begin(), ordered.end(), [](const Inode* a, const Inode* b) { return a->number < b->number; });
  for (const Inode* directory : ordered) cut[directory] = random->Below(seen[directory] + 1);
  std::map<const Inode*, uint64_t> position;
  std::set<const Inode*> over;  // nothing later of it is kept
  for (const NameChange& change : pending_) {
    std::set<const Inode*> touched;
    for (const NameChange::Part& part : change.parts) touched.insert(part.directory);
    bool keep = true;
    for (const Inode* directory : touched)
      keep = keep && position[directory] < cut[directory] && !over.contains(directory);
    for (const Inode* directory : touched) ++position[directory];
    if (keep) {
      Apply(change);
    } else {
      over.insert(touched.begin(), touched.end());
    }
  }
  pending_.clear();
}

// Attributes of now or of the last sync, and each block of either; of a file that never was synced, or zeros.
void FileSystem::LoseContents(Inode* inode, SeededRandom* random) {
  const Contents none{.mode = inode->now.mode,
                      .device_major = inode->now.device_major,
                      .device_minor = inode->now.device_minor,
                      .times = inode->now.times};
  const Contents& disk = inode->on_disk != nullptr ? *inode->on_disk : none;
  Contents kept = random->Chance(500) ? inode->now : disk;
  if (!inode->is_file()) {
    // A symlink's target is made with it.
    kept.data = inode->now.data;
    inode->now = std::move(kept);
    return;
  }
  const uint64_t size = kept.data.size();
  kept.data.assign(size, '\0');
  const bool all = random->Chance(300);
  for (uint64_t at = 0; at < size; at += kBlockBytes) {
    const std::string& from = all || random->Chance(500) ? inode->now.data : disk.data;
    if (at >= from.size()) continue;
    const uint64_t bytes = std::min({kBlockBytes, size - at, from.size() - at});
    kept.data.replace(at, bytes, from, at, bytes);
  }
  kept.allocated.assign((size + kBlockBytes - 1) / kBlockBytes, true);
  inode->now = std::move(kept);
}

void FileSystem::Reload(Inode* directory, SeededRandom* random) {
  directory->names = directory->names_on_disk;
  directory->links = 2;
  for (const auto& [name, inode] : directory->names) {
    const bool first = inode->links == 0;
    inode->links += inode->is_directory() ? 0 : 1;
    if (inode->is_directory()) {
      // Names of one directory in two places: what its move would have undone. fsck keeps the later one.
      inode->parent = directory;
      ++directory->links;
    }
    if (!first) continue;
    if (inode->dirty || inode->lost_pages) LoseContents(inode.get(), random);
    inode->dirty = false;
    inode->lost_pages = false;
    inode->on_disk = std::make_unique<Contents>(inode->now);
    if (inode->is_directory()) Reload(inode.get(), random);
    if (inode->is_file()) {
      used_bytes_ += kBlockBytes *
                     static_cast<uint64_t>(std::count(inode->now.allocated.begin(), inode->now.allocated.end(), true));
    }
  }
}

void FileSystem::LosePower(SeededRandom* random) {
  LoseNames(random);
  used_bytes_ = 0;
  // Every inode that a name on disk leads to counts its links anew.
  std::vector<Inode*> open = {top_.get()};
  std::set<Inode*> seen;
  while (!open.empty()) {
    Inode* inode = open.back();
    open.pop_back();
    if (!seen.insert(inode).second) continue;
    inode->links = 0;
    inode->writers = 0;
    inode->room_freed = false;
    for (const auto& [name, child] : inode->names_on_disk) open.push_back(child.get());
  }
  if (top_->dirty) LoseContents(top_.get(), random);
  top_->on_disk = std::make_unique<Contents>(top_->now);
  top_->dirty = false;
  Reload(top_.get(), random);
  ++changes_;
}

}  // namespace uringsync::sim

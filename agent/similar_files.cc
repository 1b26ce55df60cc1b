#include "agent/similar_files.h"

#include <dirent.h>

#include <algorithm>

#include "engine/fs/file.h"
#include "engine/fs/metadata.h"
#include "engine/fs/state_name.h"

namespace uringsync {

double Likeness(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return 0;
  const size_t shorter = std::min(a.size(), b.size());
  size_t prefix = 0;
  while (prefix < shorter && a[prefix] == b[prefix]) ++prefix;
  size_t suffix = 0;
  while (suffix < shorter - prefix && a[a.size() - 1 - suffix] == b[b.size() - 1 - suffix]) ++suffix;
  return 2.0 * static_cast<double>(prefix + suffix) / static_cast<double>(a.size() + b.size());
}

void SimilarFiles::Read(const Directory& directory) {
  files_.clear();
  DirectoryReader reader(driver_, directory.fd());
  if (!directory.readable() || reader.SeekToStart() < 0) return;
  DirectoryItem item;
  for (size_t names = 0; names < kMaxNames && reader.Next(&item) > 0; ++names) {
    if ((item.type != DT_REG && item.type != DT_UNKNOWN) || IsStateName(item.name)) continue;
    Entry entry;
    entry.name = std::string(item.name);
    struct statx found{};
    if (!StatAt(driver_, directory.fd(), entry.name.c_str(), &found).ok()) continue;
    if (!EntryFromStatx(found, /*with_atime=*/false, &entry) || entry.type != FileType::kRegular ||
        entry.size_bytes == 0)
      continue;
    files_.push_back(std::move(entry));
  }
}

std::shared_ptr<const DeltaBasis> SimilarFiles::Open(const Directory& directory, const RelPath& path,
                                                     const Entry& wanted, DeltaPolicy policy, DirectIo* direct_io) {
  if (!MayUseDelta(policy, wanted.size_bytes, wanted.size_bytes)) return nullptr;
  if (!path_ || *path_ != path) {
    Read(directory);
    path_ = path;
  }
  const Entry* best = nullptr;
  double likeness = kLeastLikeness;
  for (const Entry& file : files_) {
    if (file.name == wanted.name || !MayUseDelta(policy, wanted.size_bytes, file.size_bytes)) continue;
    const bool same = file.size_bytes == wanted.size_bytes && file.mtime == wanted.mtime;
    const double like = same ? 2 : Likeness(file.name, wanted.name);
    if (like < likeness || (best != nullptr && like == likeness)) continue;
    best = &file;
    likeness = like;
  }
  return best == nullptr ? nullptr : OpenBasis(driver_, directory.fd(), best->name.c_str(), *best, direct_io);
}

}  // namespace uringsync

// A whole scan as plain data, and a slow, obvious reference to compare it with.
#pragma once

#include <dirent.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/tree/scanner.h"
#include "tests/engine/fs/fs_test_support.h"
#include "tests/support/run_on.h"

namespace uringsync {

struct ScanResult {
  absl::Status status;
  std::vector<DirectoryBatch> batches;
  ScanTotals totals;

  // Every path in manifest order of its directory's batches: directories' own entries and all others.
  std::vector<std::string> Paths() const {
    std::vector<std::string> paths;
    for (const DirectoryBatch& batch : batches) {
      for (const Entry& entry : batch.entries) paths.push_back(batch.directory.Child(entry.name).text());
    }
    return paths;
  }
  const Entry* Find(const std::string& path) const {
    for (const DirectoryBatch& batch : batches) {
      for (const Entry& entry : batch.entries) {
        if (batch.directory.Child(entry.name).text() == path) return &entry;
      }
    }
    return nullptr;
  }
  // First batch of a directory.
  const DirectoryBatch* Batch(const std::string& directory) const {
    for (const DirectoryBatch& batch : batches) {
      if (batch.directory.text() == directory) return &batch;
    }
    return nullptr;
  }
};

inline Task<ScanResult> ScanTree(Runtime* runtime, std::string path, ScanOptions options, size_t take = ~size_t{0}) {
  ScanResult result;
  absl::StatusOr<DirectoryPtr> root = OpenRoot(Shard::Current()->driver(), path);
  if (!root.ok()) {
    result.status = root.status();
    co_return result;
  }
  std::unique_ptr<ManifestScanner> scanner = ManifestScanner::Start(runtime, *root, options);
  while (result.batches.size() < take) {
    absl::StatusOr<std::optional<DirectoryBatch>> batch = co_await scanner->Next();
    if (!batch.ok()) result.status = batch.status();
    if (!batch.ok() || !batch->has_value()) break;
    result.batches.push_back(std::move(**batch));
  }
  result.totals = scanner->totals();
  co_await scanner->Close();
  co_return result;
}

// Paths of a tree, depth-first as batches come: all entries of a directory, then its subdirectories one by one.
inline void ReferencePaths(const std::string& root, const std::string& below, std::vector<std::string>* paths) {
  std::vector<std::string> names;
  std::vector<std::string> directories;
  DIR* dir = ::opendir((root + "/" + below).c_str());
  if (dir == nullptr) return;
  while (const dirent* item = ::readdir(dir)) {
    const std::string name = item->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(dir);
  std::sort(names.begin(), names.end());
  const std::string prefix = below.empty() ? "" : below + "/";
  for (const std::string& name : names) {
    paths->push_back(prefix + name);
    if (S_ISDIR(LStat(root + "/" + prefix + name).st_mode)) directories.push_back(prefix + name);
  }
  for (const std::string& directory : directories) ReferencePaths(root, directory, paths);
}

}  // namespace uringsync

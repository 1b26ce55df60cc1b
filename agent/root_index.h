// RootIndex: keeps the digests of one root's directories up to date, by a full scan and a live watch since.
//
// A thread of its own builds it and reads the watch's events; a query first looks again at every directory that changed
// before it was asked. It answers only while nothing was lost: after an overflow of the events, a mount below the root,
// a directory that cannot be watched, a new hard link to a file that had none, or when it has become old, it is
// invalid, and the next session that asks makes it start anew. What a watch cannot see: docs/consistency.md, "Index".
//
// Thread rule: every method from any thread; Answer may take as long as listing what has changed.
// Use:  RootIndex index(options);  if (index.seed() != 0) reply = index.Answer(path, query);
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "agent/index_tree.h"
#include "engine/base/unique_fd.h"
#include "engine/fs/directory.h"
#include "engine/ring/driver.h"
#include "engine/tree/directory_lister.h"
#include "engine/watch/tree_watch.h"
#include "proto/messages.h"

namespace uringsync {

class Roots;

struct RootIndexOptions {
  std::string name;  // of the root, for the log
  DirectoryPtr directory;
  size_t max_memory_bytes = size_t{100} << 20;  // beyond it the index is off
  std::chrono::seconds max_age{24 * 3600};      // then everything is read again
  bool fanotify = true;
};

// The metadata that digests of an index cover: what sessions keep by default.
bool IndexCovers(const OpenSession& open);

class RootIndex {
 public:
  explicit RootIndex(RootIndexOptions options);
  ~RootIndex();
  RootIndex(const RootIndex&) = delete;
  RootIndex& operator=(const RootIndex&) = delete;

  // Of the digests, while the index is valid; else 0, and the building begins where it does not run already.
  uint64_t seed();
  // What is below `session_root`; not valid where the index is not, or does not know that directory.
  TreeReply Answer(const RelPath& session_root, const TreeQuery& query);
  // Builds everything anew with this seed.
  void Adopt(uint64_t seed);

  // For tests: waits until it is valid or off; true: valid.
  bool WaitReady(std::chrono::milliseconds limit);

 private:
  enum class State : uint8_t { kBuilding, kValid, kInvalid, kOff };
  void Run();
  void Build();
  void WaitForEvents();
  absl::Status StartWatch();
  absl::Status ListAll(std::vector<IndexTree::Id> pending);
  absl::Status ListOne(IndexTree::Id id, std::vector<IndexTree::Id>* added);
  absl::Status ReadListing(IndexTree::Id id, const Directory& directory, IndexListing* listing);
  void NoteEntry(IndexTree::Id id, const Entry& entry, ListingDigester* digester, IndexListing* listing);
  absl::Status Drain();
  absl::Status Refresh();
  absl::Status CheckMounts();
  void MarkDirty(IndexTree::Id id);
  void Fail(const absl::Status& why);
  TreeRow RowOf(IndexTree::Id id);
  size_t MemoryBytes() const;

  const RootIndexOptions options_;
  UniqueFd wake_;  // eventfd: something for the thread to do
  std::atomic<State> state_{State::kBuilding};
  std::atomic<uint64_t> seed_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> rebuild_{false};

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::unique_ptr<Driver> driver_;
  std::unique_ptr<DirectoryLister> lister_;
  std::unique_ptr<IndexTree> tree_;
  std::unique_ptr<TreeWatch> watch_;
  std::vector<IndexTree::Id> dirty_;
  std::vector<TreeWatch::Id> events_;
  std::unordered_set<uint64_t> linked_;  // inodes that had several names when they were listed
  bool building_ = false;
  bool unknown_link_ = false;
  uint64_t device_ = 0;
  std::string mounts_;
  std::chrono::steady_clock::time_point built_at_;
  std::thread thread_;
};

// One index for each root of an agent.
class RootIndexes {
 public:
  // `defaults` without name, path and directory.
  RootIndexes(const Roots& roots, const RootIndexOptions& defaults);
  // Null for a root that there is not.
  RootIndex* Find(const std::string& root) const;

 private:
  std::map<std::string, std::unique_ptr<RootIndex>> indexes_;
};

// What SessionOpened::index_seed has to say for this session; 0 without an index (`indexes` may be null).
uint64_t IndexSeedFor(const RootIndexes* indexes, const OpenSession& open);

}  // namespace uringsync

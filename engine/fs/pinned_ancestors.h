// PinnedAncestors: the directories above some roots, opened before their process lost the right to open them, so that
// a SubtreeLock can still be shared on them.
//
// Thread rule: any thread; outlives what Share returns. Use:
//   PinnedAncestors ancestors({"/srv/data"});  Confine(...);
//   US_ASSIGN_OR_RETURN(auto share, ancestors.Share(directory, &descriptor));
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/unique_fd.h"

namespace uringsync {

class PinnedAncestors {
 public:
  // What cannot be opened is left out.
  explicit PinnedAncestors(const std::vector<std::string>& roots);
  PinnedAncestors(const PinnedAncestors&) = delete;
  PinnedAncestors& operator=(const PinnedAncestors&) = delete;

  // flock(2), shared, for as long as the handle lives. NotFound: it is none of them. An error with EWOULDBLOCK:
  // somebody holds it alone; `*descriptor` is of the directory in any case.
  absl::StatusOr<std::shared_ptr<void>> Share(const struct statx& directory, int* descriptor);

 private:
  using Key = std::tuple<uint32_t, uint32_t, uint64_t>;  // device, inode
  struct Pinned {
    UniqueFd fd;
    size_t users = 0;
  };
  void Drop(const Key& key);

  std::mutex mutex_;
  std::map<Key, Pinned> pinned_;
};

}  // namespace uringsync

#include "engine/tree/content_digests.h"

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/fs/descriptor_budget.h"
#include "engine/fs/file.h"
#include "engine/tree/hasher.h"

namespace uringsync {
namespace {

// The directory whose entries are digested.
struct Place {
  int dirfd;
  const FollowBase* links;
};

absl::StatusOr<SourceFile> Open(Driver* driver, const Place& place, const std::string& name) {
  absl::StatusOr<SourceFile> file = OpenSourceFile(driver, place.dirfd, name.c_str());
  if (file.ok() || place.links == nullptr || !IsLinkInTheWay(file.status())) return file;
  return OpenFollowedFile(driver, {place.dirfd, name.c_str(), place.links->Below(name)});
}

Task<void> AddOne(Shard* shard, Place place, Entry* entry, CancelToken cancel) {
  absl::StatusOr<SourceFile> file = Open(shard->driver(), place, entry->name);
  for (int tries = 1; IsOutOfDescriptors(StatusErrno(file.status())) && tries <= kMaxDescriptorTries; ++tries) {
    if (cancel.cancelled()) co_return;
    co_await AwaitDescriptor(shard->driver());
    file = Open(shard->driver(), place, entry->name);
  }
  if (!file.ok()) co_return;
  if (CompareIdentity(IdentityOf(*entry), file->stat) != IdentityMatch::kSame) co_return;
  const absl::StatusOr<Digest128> digest = co_await HashFile(shard, file->fd.get(), entry->size_bytes, cancel);
  if (!digest.ok()) {
    if (StatusErrno(digest.status()) != 0) entry->error = StatusErrno(digest.status());
    co_return;
  }
  struct statx after;
  if (!StatDescriptor(shard->driver(), file->fd.get(), &after).ok()) co_return;
  if (CompareIdentity(IdentityOf(*entry), after) == IdentityMatch::kSame) entry->content_digest = *digest;
}

// Takes entries one by one off the shared cursor; all workers run on one shard.
Task<void> Worker(Shard* shard, Place place, std::vector<Entry>* entries, size_t* next, CancelToken cancel) {
  while (*next < entries->size() && !cancel.cancelled()) {
    Entry& entry = (*entries)[(*next)++];
    if (entry.type != FileType::kRegular || entry.error != 0) continue;
    co_await AddOne(shard, place, &entry, cancel);
  }
}

}  // namespace

Task<void> AddContentDigests(Shard* shard, int dirfd, std::vector<Entry>* entries, CancelToken cancel,
                             const FollowBase* links) {
  size_t next = 0;
  Scope scope;
  for (size_t i = 0; i < kHashFanOut; ++i) scope.Spawn(Worker(shard, Place{dirfd, links}, entries, &next, cancel));
  co_await scope.Join();
}

}  // namespace uringsync

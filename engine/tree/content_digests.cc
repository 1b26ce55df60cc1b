#include "engine/tree/content_digests.h"

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/fs/descriptor_budget.h"
#include "engine/fs/file.h"
#include "engine/tree/hasher.h"

namespace uringsync {
namespace {

Task<void> AddOne(Shard* shard, int dirfd, Entry* entry, CancelToken cancel) {
  absl::StatusOr<SourceFile> file = OpenSourceFile(shard->driver(), dirfd, entry->name.c_str());
  for (int tries = 1; IsOutOfDescriptors(StatusErrno(file.status())) && tries <= kMaxDescriptorTries; ++tries) {
    if (cancel.cancelled()) co_return;
    co_await AwaitDescriptor(shard->driver());
    file = OpenSourceFile(shard->driver(), dirfd, entry->name.c_str());
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
Task<void> Worker(Shard* shard, int dirfd, std::vector<Entry>* entries, size_t* next, CancelToken cancel) {
  while (*next < entries->size() && !cancel.cancelled()) {
    Entry& entry = (*entries)[(*next)++];
    if (entry.type != FileType::kRegular || entry.error != 0) continue;
    co_await AddOne(shard, dirfd, &entry, cancel);
  }
}

}  // namespace

Task<void> AddContentDigests(Shard* shard, int dirfd, std::vector<Entry>* entries, CancelToken cancel) {
  size_t next = 0;
  Scope scope;
  for (size_t i = 0; i < kHashFanOut; ++i) scope.Spawn(Worker(shard, dirfd, entries, &next, cancel));
  co_await scope.Join();
}

}  // namespace uringsync

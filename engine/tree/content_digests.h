// Content digests for the entries of one directory, several files at a time.
//
// Thread rule: a coroutine of `shard`.
#pragma once

#include <vector>

#include "engine/base/entry.h"
#include "engine/coro/cancel.h"
#include "engine/coro/task.h"
#include "engine/fs/link_follower.h"
#include "engine/ring/runtime.h"

namespace uringsync {

// Files of one directory that are hashed at once.
constexpr size_t kHashFanOut = 4;

// Sets content_digest of every regular file in `entries` whose contents can be read and are still those that the entry
// describes; a file that may not be read, vanished or changed stays without a digest, which equals nothing. A read
// error (EIO) is Entry::error. `dirfd` and `entries` must stay until the task has ended. `links`, where it is not null,
// is the directory's place: entries may then be of what links in it lead to.
Task<void> AddContentDigests(Shard* shard, int dirfd, std::vector<Entry>* entries, CancelToken cancel,
                             const FollowBase* links = nullptr);

}  // namespace uringsync

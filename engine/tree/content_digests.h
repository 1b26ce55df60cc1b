// Content digests for the entries of one directory, several files at a time.
//
// Thread rule: a coroutine of `shard`.
#pragma once

#include <optional>
#include <vector>

#include "engine/base/entry.h"
#include "engine/coro/cancel.h"
#include "engine/coro/task.h"
#include "engine/fs/directory.h"
#include "engine/fs/link_follower.h"
#include "engine/ring/runtime.h"

namespace uringsync {

// Files of one directory that are hashed at once.
constexpr size_t kHashFanOut = 4;

// Sets content_digest of every regular file in `entries` whose contents can be read and are still those that the entry
// describes; a file that may not be read, vanished or changed stays without a digest, which equals nothing. A read
// error (EIO) is Entry::error. `dirfd` and `entries` must stay until the task has ended. `links`, where it is not null,
// is the directory's place: entries may then be of what links in it lead to. `key` as in HashFile.
Task<void> AddContentDigests(Shard* shard, int dirfd, std::vector<Entry>* entries, std::optional<DigestKey> key,
                             CancelToken cancel, const FollowBase* links = nullptr);

// Sets `proof` of every entry: of what is read of it now, so that a file whose contents cannot be read, vanished or
// changed meanwhile has none of them. An error (EIO, EACCES, …) is Entry::error. `dirfd` and `entries` must stay until
// the task has ended.
Task<void> AddProofs(Shard* shard, int dirfd, std::vector<Entry>* entries, const MetadataSelection* selection,
                     CancelToken cancel);
// Of the directory itself.
void AddProof(Driver* driver, const Directory& directory, const MetadataSelection& selection, Entry* self);

}  // namespace uringsync

#include "engine/tree/content_digests.h"

#include <cerrno>
#include <memory>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/fs/descriptor_budget.h"
#include "engine/fs/file.h"
#include "engine/fs/xattrs.h"
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

absl::StatusOr<SourceFile> Unopened() {
  return MakeStatus(absl::StatusCode::kCancelled, "cancelled");
}

Task<absl::StatusOr<SourceFile>> OpenPatiently(Shard* shard, Place place, const Entry* entry, CancelToken cancel) {
  absl::StatusOr<SourceFile> file = Open(shard->driver(), place, entry->name);
  for (int tries = 1; IsOutOfDescriptors(StatusErrno(file.status())) && tries <= kMaxDescriptorTries; ++tries) {
    if (cancel.cancelled()) co_return Unopened();
    co_await AwaitDescriptor(shard->driver());
    file = Open(shard->driver(), place, entry->name);
  }
  co_return file;
}

bool IsStill(Driver* driver, const Entry& entry, int fd) {
  struct statx after;
  return StatDescriptor(driver, fd, &after).ok() && CompareIdentity(IdentityOf(entry), after) == IdentityMatch::kSame;
}

Task<void> AddOne(Shard* shard, Place place, Entry* entry, std::optional<DigestKey> key, CancelToken cancel) {
  const absl::StatusOr<SourceFile> file = co_await OpenPatiently(shard, place, entry, cancel);
  if (!file.ok()) co_return;
  if (CompareIdentity(IdentityOf(*entry), file->stat) != IdentityMatch::kSame) co_return;
  const absl::StatusOr<Digest128> digest = co_await HashFile(shard, file->fd.get(), entry->size_bytes, key, cancel);
  if (!digest.ok()) {
    if (StatusErrno(digest.status()) != 0) entry->error = StatusErrno(digest.status());
    co_return;
  }
  if (IsStill(shard->driver(), *entry, file->fd.get())) entry->content_digest = *digest;
}

// Takes entries one by one off the shared cursor; all workers run on one shard.
Task<void> Worker(Shard* shard, Place place, std::vector<Entry>* entries, size_t* next, std::optional<DigestKey> key,
                  CancelToken cancel) {
  while (*next < entries->size() && !cancel.cancelled()) {
    Entry& entry = (*entries)[(*next)++];
    if (entry.type != FileType::kRegular || entry.error != 0) continue;
    co_await AddOne(shard, place, &entry, key, cancel);
  }
}

// 0 or errno.
int ProveAttributes(XattrAccess* xattrs, ObjectHandle object, const MetadataSelection& selection, EntryProof* proof) {
  if (!SelectsXattrs(selection)) return 0;
  const absl::StatusOr<XattrList> list = xattrs->Read(object, selection);
  if (!list.ok()) return StatusErrno(list.status()) != 0 ? StatusErrno(list.status()) : EIO;
  if (!list->empty()) proof->attributes = Sha256::Of(CanonicalXattrs(*list));
  return 0;
}

Task<void> ProveOne(Shard* shard, int dirfd, Entry* entry, const MetadataSelection* selection, XattrAccess* xattrs,
                    CancelToken cancel) {
  auto proof = std::make_shared<EntryProof>();
  entry->error = ProveAttributes(xattrs, ObjectHandle::At(dirfd, entry->name.c_str()), *selection, proof.get());
  if (entry->error == 0 && entry->type == FileType::kRegular) {
    const absl::StatusOr<SourceFile> file = co_await OpenPatiently(shard, Place{dirfd, nullptr}, entry, cancel);
    if (!file.ok()) entry->error = StatusErrno(file.status());
    const bool same = file.ok() && CompareIdentity(IdentityOf(*entry), file->stat) == IdentityMatch::kSame;
    absl::StatusOr<Sha256Digest> digest = absl::UnknownError("it is another file by now");
    if (same) digest = co_await ProveFile(shard, file->fd.get(), entry->size_bytes, cancel);
    if (digest.ok() && IsStill(shard->driver(), *entry, file->fd.get())) proof->contents = *digest;
    if (!digest.ok() && entry->error == 0) entry->error = StatusErrno(digest.status());
  }
  entry->proof = std::move(proof);
}

Task<void> ProofWorker(Shard* shard, int dirfd, std::vector<Entry>* entries, size_t* next,
                       const MetadataSelection* selection, CancelToken cancel) {
  XattrAccess xattrs(shard->driver());
  while (*next < entries->size() && !cancel.cancelled()) {
    Entry& entry = (*entries)[(*next)++];
    if (entry.error == 0) co_await ProveOne(shard, dirfd, &entry, selection, &xattrs, cancel);
  }
}

}  // namespace

Task<void> AddContentDigests(Shard* shard, int dirfd, std::vector<Entry>* entries, std::optional<DigestKey> key,
                             CancelToken cancel, const FollowBase* links) {
  size_t next = 0;
  Scope scope;
  for (size_t i = 0; i < kHashFanOut; ++i) scope.Spawn(Worker(shard, Place{dirfd, links}, entries, &next, key, cancel));
  co_await scope.Join();
}

Task<void> AddProofs(Shard* shard, int dirfd, std::vector<Entry>* entries, const MetadataSelection* selection,
                     CancelToken cancel) {
  size_t next = 0;
  Scope scope;
  for (size_t i = 0; i < kHashFanOut; ++i) scope.Spawn(ProofWorker(shard, dirfd, entries, &next, selection, cancel));
  co_await scope.Join();
}

void AddProof(Driver* driver, const Directory& directory, const MetadataSelection& selection, Entry* self) {
  XattrAccess xattrs(driver);
  auto proof = std::make_shared<EntryProof>();
  const int fd = directory.fd();
  const ObjectHandle object = directory.readable() ? ObjectHandle::OfFd(fd) : ObjectHandle::At(fd, ".");
  self->error = ProveAttributes(&xattrs, object, selection, proof.get());
  self->proof = std::move(proof);
}

}  // namespace uringsync

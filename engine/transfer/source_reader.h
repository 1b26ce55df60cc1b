// SourceReader: answers FileRequests from the tree below one root.
//
// It opens beneath the root, checks that the object is the one asked for, reads data extents in pieces, hashes each,
// and looks again at the end whether the file moved meanwhile. Nothing is remembered between requests but open
// descriptors of a few big files, so that ranges of one file do not open it each time.
//
// Thread rule: one shard; several Serve at once.
// Use:  SourceReader reader(driver, shard->buffers(), root, {.digest_seed = seed});
//       absl::Status status = co_await reader.Serve(request, &sink);
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "absl/status/status.h"
#include "engine/base/entry.h"
#include "engine/base/leaf_digest.h"
#include "engine/coro/task.h"
#include "engine/fs/direct_io.h"
#include "engine/fs/directory.h"
#include "engine/fs/file.h"
#include "engine/fs/link_follower.h"
#include "engine/fs/page_cache.h"
#include "engine/fs/tree_view.h"
#include "engine/fs/xattrs.h"
#include "engine/ring/buffer_pool.h"
#include "engine/transfer/data_channel.h"
#include "engine/transfer/file_snapshots.h"
#include "engine/transfer/piece.h"
#include "engine/transfer/rest_check.h"
#include "engine/transfer/throttle.h"

namespace uringsync {

// A piece of a larger file: it is read, hashed, encrypted and sent, and at the other end decrypted, hashed and written,
// while it lies in a core's second-level cache. Measured (docs/performance.md); the protocol allows kMaxPieceBytes.
constexpr size_t kPieceBytes = size_t{256} << 10;

// Opens a directory of the reader's tree.
using OpenTreeDirectory = std::function<absl::StatusOr<DirectoryPtr>(const RelPath&)>;

struct SourceReaderOptions {
  uint64_t digest_seed = 0;
  LeafSecret leaf_secret{};
  MetadataSelection selection;                            // which xattrs a request that wants them gets
  size_t open_files = 8;                                  // descriptors of big files kept
  size_t directories = DirectoryCache::kDefaultCapacity;  // descriptors of directories kept
  // Limited sessions: pieces of larger files are no longer than this, and (where nothing behind the reader takes care
  // of it) each is taken from `throttle` before it is read. Borrowed.
  size_t piece_bytes = kPieceBytes;
  Throttle* throttle = nullptr;
  // Not null: ranges of larger files leave the page cache again, as far as they were not there before. Borrowed.
  PageCacheMemory* page_cache = nullptr;
  // Not null: decides which larger files are read past the page cache. Borrowed.
  DirectIo* direct_io = nullptr;
  // Not null: paths of requests are the view's; `root` is not asked.
  std::shared_ptr<const TreeView> view;
  // Requests may be about what a symlink leads to. Without a view: where the root is for that.
  std::optional<FollowBase> links;
  // Not null: an object of which this is true is answered as if it were not there. Errors as of an object that cannot
  // be opened.
  std::function<absl::StatusOr<bool>(Driver*, const RelPath& path, bool is_directory, const OpenTreeDirectory&)> hides;
  // What is known of the source's file systems. May be null.
  std::shared_ptr<FileSystems> systems;
  // Not null: regular files are read from clones of it. One that cannot be cloned is an error of the file, or, with
  // `without_snapshot`, is told there and read as it is. Borrowed.
  FileSnapshots* snapshots = nullptr;
  std::function<void(const absl::Status&)> without_snapshot;
  bool background = false;  // reads with the idle class of I/O
  bool generated = false;   // nothing is opened: contents are made up, to measure the way (generated_content.h)
};

// A piece up to this size is read into memory of its own size instead of a pool buffer: small files are many at once.
constexpr size_t kHeapPieceBytes = 64 << 10;

class SourceReader {
 public:
  SourceReader(Driver* driver, BufferPool* buffers, DirectoryPtr root, SourceReaderOptions options);

  // Gives `sink` the answer to `request`, the last item with `end`. What goes wrong with the object is an item
  // (kVanished, kChanged, kFailed), not a status; the status is the sink's own refusal, else OK.
  Task<absl::Status> Serve(FileRequest request, ReplySink* sink);
  // Makes the empty file `fd` a clone of the regular file that `request` is about, with the checks of Serve before and
  // after. True: done. False: `end` says why not, as the last item of Serve would. A status with errno: the file
  // systems refuse; `fd` may hold a part.
  Task<absl::StatusOr<bool>> Clone(FileRequest request, int fd, ReplyItem* end);

 private:
  // A larger file while it is read.
  struct OpenFile {
    SourceFile source;
    UniqueFd direct;                                    // the same file past the page cache; invalid: through it
    std::shared_ptr<const CachedRanges> cached_before;  // null: what is read may stay in the cache
    DirectoryPtr directory;                             // it lies there; null: nobody will ask
    FileSnapshotPtr snapshot;                           // not null: contents are read from there

    DataFile data() const { return {snapshot != nullptr ? snapshot->fd.get() : source.fd.get(), direct.get()}; }
  };
  struct Cached {
    std::string path;
    std::shared_ptr<OpenFile> file;
  };
  // One request while it is served.
  struct Work {
    const FileRequest* request;
    ReplySink* sink;
    std::shared_ptr<OpenFile> file;
    struct statx before {};  // the file when the request began to read
    RestCheck rest;
    ReplyItem next;  // the item to be sent next; starts with the xattrs
    bool ended = false;
  };
  // Where an object is: a directory and the name in it.
  struct Located {
    DirectoryPtr directory;
    std::string name;
    std::optional<FollowBase> links;  // of the object, where what it leads to may be asked for
    LinkPlace place() const { return {directory->fd(), name.c_str(), *links}; }
  };
  // In a view the place whose object is the one asked for, else the first one that is there.
  absl::StatusOr<Located> Locate(const FileRequest& request);
  absl::StatusOr<Located> LocateBelowRoot(const FileRequest& request);
  absl::StatusOr<Located> LocateInView(const FileRequest& request);
  absl::StatusOr<DirectoryPtr> ParentInView(const TreeView::Place& place, std::string* name);
  // OK where the request may be answered.
  absl::Status PassGate(const FileRequest& request);
  // Forgets directories that were renamed and made anew.
  void ForgetParent(const FileRequest& request);
  void CloseDirectories();
  // `step`, again while the process is out of descriptors.
  Task<bool> Patiently(Work* work, bool (SourceReader::*step)(Work*));
  // Fill work->file and ->before, or work->next with the item that ends the request; false then.
  bool OpenFor(Work* work);
  // OpenFor, and what else has to be so before the contents are read: the file's snapshot, where there are any.
  Task<bool> Prepare(Work* work);
  // Fills work->file->snapshot and ->before.
  Task<absl::Status> TakeSnapshot(Work* work);
  void KeepOpen(Work* work);
  Task<bool> BeginRest(Work* work);
  bool ReadAttributes(Work* work);
  // Fills work->before; a link that stands for what it leads to is pinned in `referent`.
  absl::Status LookAt(const Located& located, Work* work, UniqueFd* referent);
  absl::StatusOr<SourceFile> OpenLocated(const Located& located);
  // FailedPrecondition without errno: it is no device.
  absl::StatusOr<SourceFile> OpenLocatedDevice(const Located& located);
  // What `file` is now, as the manifest tells it.
  FileSystemFacts* SystemOf(const Work& work);
  absl::Status StatOpen(const SourceFile& file, const FileRequest& request, struct statx* stat);
  // What is read of it is now; of a snapshot, what it was then.
  absl::Status StatContents(const OpenFile& file, const FileRequest& request, struct statx* stat);
  bool CheckIdentity(Work* work);
  // Whether the file is to be read from a snapshot.
  bool WantsSnapshot(const struct statx& file) const;
  // Marks work->next as the last item; turns it into kChanged when the file moved since `before`, beyond what the
  // request accepts. True when all is well; `before` is what was found then.
  bool EndUnlessMoved(Work* work);
  // Of a request whose pieces have all been read: EndUnlessMoved, and the same contents once more where times prove
  // nothing.
  Task<bool> EndAtRest(Work* work);
  // What EndUnlessMoved found is not enough.
  bool IsDoubtful(Work* work) { return work->rest.IsDoubtful(driver_, work->file->source.fd.get()); }
  void EndMoved(Work* work, const struct statx& now, std::string operation);
  // Ends a request whose range holds less than the file's size says.
  void EndShort(Work* work);
  // Lets go of what a range of a larger file brought into the page cache.
  void DropBehind(const Work& work);
  // The data and holes of the range.
  Task<absl::Status> SendRange(Work* work);
  Task<absl::Status> SendHole(Work* work, uint64_t offset, uint64_t length);
  Task<absl::Status> SendData(Work* work, uint64_t offset, uint64_t length);
  // Answers with a signature of the range instead of its bytes.
  Task<absl::Status> SendSignature(Work* work);
  void Forget(const std::string& path);

  Driver* const driver_;
  BufferPool* const buffers_;
  DirectoryCache directories_;
  std::unordered_map<std::string, DirectoryPtr> view_directories_;  // of options_.view, bounded by options_.directories
  XattrAccess xattrs_;
  const SourceReaderOptions options_;
  std::list<Cached> open_files_;  // most recently used first
};

}  // namespace uringsync

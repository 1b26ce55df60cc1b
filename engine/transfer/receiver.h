// Receiver: fills a staged file with its contents and its metadata; one object per shard.
//
// A small file is one request and one write. A large file is cut into ranges that workers of all shards take: each
// shard works on its own files first and helps the others when it has none, so two writers meet on one inode only at
// the end, and there is no long tail.
//
// What can be repeated is repeated here, a bounded number of times: a file that changed is asked for again with its
// fresh identity, a piece with a wrong digest is fetched again, and so is what a broken connection left open (the
// source waits for a new connection).
//
// Thread rule: one shard, except where noted; the fd of a staged file is written by all shards while Fill runs.
// Use:  std::optional<TransferFailure> failure = co_await receiver.Fill(&staged, &file);
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine/coro/scope.h"
#include "engine/coro/semaphore.h"
#include "engine/coro/task.h"
#include "engine/fs/atomic_file.h"
#include "engine/fs/xattrs.h"
#include "engine/ring/runtime.h"
#include "engine/transfer/content_source.h"
#include "engine/transfer/delta_buffers.h"
#include "engine/transfer/delta_fill.h"
#include "engine/transfer/failure.h"
#include "engine/transfer/piece_writer.h"
#include "engine/transfer/receive_shared.h"
#include "engine/transfer/written_contents.h"

namespace uringsync {

// A file of more than one piece is large.
constexpr uint64_t kSmallFileBytes = kMaxPieceBytes;
// What a worker takes of a large file at once. Those of a shard that begin stay within kOutstandingBytesPerShard
// together; on a long way further ones follow (ContentSource::outstanding_bytes).
constexpr uint64_t kRangeBytes = uint64_t{4} << 20;
// Workers of one large file on one shard at first: one reads while others write.
constexpr size_t kRangeWorkersPerShard = 3;
// A file of at least this size that takes less room than that is asked where its data lies. Bytes.
constexpr uint64_t kMinHoleyBytes = uint64_t{32} << 20;
// Lists of extents of one file; what they do not reach is asked for as it is.
constexpr int kMaxExtentLists = 64;
// How often a file that keeps changing, or a range that keeps arriving damaged, is asked for.
constexpr int kMaxContentTries = 4;
// With ReceiveOptions::copy_unstable: how often a small file, and a large one, is asked for in the hope that it rests;
// after that it is taken as it is read.
constexpr int kRestingTries = 3;
constexpr int kRestingTriesLarge = 2;
// How often a request is repeated over new connections: each is one that came about and broke. For how long there may
// be none is for those who make them.
constexpr int kMaxConnectionTries = 100;

// What becomes of a staged file, for who writes down what is in it.
enum class StagedState : uint8_t {
  kSending,  // its contents, or what lies behind those that are there, begin to be sent
  kWhole,    // all are there; its metadata comes next
};

struct IncomingFile {
  RelPath path;
  // Its size and mtime, and which object it is, are updated when the source says that the file is another one by now.
  Entry wanted;
  bool want_xattrs = false;
  // Mode of the regular file that is replaced: a session that does not keep modes leaves it as it is.
  std::optional<uint32_t> replaced_mode;
  // The staged file is the old one, written over: its attributes are not those of a new file.
  bool in_place = false;
  // The file that is replaced, or another one, where a delta against it may be tried.
  std::shared_ptr<const DeltaBasis> basis;
  // So many bytes of the staged file are the beginning of the new contents already, as far as is known; less than there
  // will be.
  uint64_t present_bytes = 0;
  bool verify_present = false;  // they are compared with the source's, and made right
  bool in_order = false;        // at every moment what is there is the beginning of the new contents
  // A part that arrived is of use: large files come in smaller ranges.
  bool keeps_part = false;
  // Hears what the contents are that are written, for Readback; null: nobody asks.
  std::shared_ptr<WrittenContents> written;
  bool preallocate = false;  // room for it is made first
  // Called on the receiver's shard, with `wanted` as it is then; kSending not where it is put together from old
  // contents. May be empty.
  std::function<void(StagedState)> on_state;
  // After Fill: it kept changing, and is what was read of it meanwhile; its mtime is that of before.
  bool accept_moving = false;
  uint64_t part_bytes = 0;  // length of the part that an earlier run left
  // After Fill: it may get its name, but its owner was refused, and is a problem.
  std::optional<TransferFailure> unset;
  // After a failure: so many bytes from the beginning of the staged file are right.
  uint64_t arrived_bytes = 0;
  // Of a large file: given back when another one may be begun, which is before this one is complete.
  SemaphoreUnits turn;

  // For what it is now, without a range.
  FileRequest Request() const {
    FileRequest request = FileRequest::Of(path, wanted);
    request.accept_moving = accept_moving;
    return request;
  }
};

class Receiver {
 public:
  Receiver(Shard* shard, ReceiveShared* shared, ContentSource* source);
  ~Receiver();
  // The receivers of all shards, this one included; before the first Fill. They outlive every Fill.
  void SetPeers(std::vector<Receiver*> peers) { peers_ = std::move(peers); }

  // Contents, size, and metadata on the descriptor of `staged`. nullopt: all is in place; the file may be published.
  Task<std::optional<TransferFailure>> Fill(StagedObject* staged, IncomingFile* file);
  // The selected attributes of any object of the source, identity checked.
  Task<std::optional<TransferFailure>> FetchXattrs(RelPath path, Entry wanted, XattrList* xattrs);
  // How an object was made, for SetMetadata.
  struct Made {
    const Directory* parent = nullptr;      // in which it was made just now; null: the object was there before
    std::optional<uint32_t> replaced_mode;  // as in IncomingFile
    const Directory* target = nullptr;      // in which it gets its name; null: `parent`
    bool written = false;                   // contents were written just now: its times mean nothing
  };
  // Metadata of `wanted` onto `object`; counts what may not be set. `xattrs` null: those stay.
  std::optional<TransferFailure> SetMetadata(ObjectHandle object, const Entry& wanted, const XattrList* xattrs,
                                             const Made& made);

  ContentSource* source() { return source_; }
  Shard* shard() { return shard_; }

 private:
  struct LargeFile;
  struct Tries {
    int content = 0;
    int connection = 0;
  };
  // How one try to get a file's contents ended.
  struct FillResult {
    std::optional<TransferFailure> failure;
    std::optional<CurrentFile> current;  // with kChanged
    uint64_t data_end = 0;               // where the last data lies; the rest up to the size is a hole
    uint64_t arrived_bytes = 0;          // with `failure`: as IncomingFile's
    std::optional<XattrList> xattrs;
  };
  // True: the request that ended like this is worth repeating. False: `failure` says why not.
  bool MayRepeat(const absl::Status& fetched, const PieceWriter& writer, Tries* tries,
                 std::optional<TransferFailure>* failure);
  Task<FillResult> FillSmall(DataFile data, const IncomingFile& file);
  // What lies behind `start`, which is not the end.
  Task<FillResult> FillLarge(DataFile data, IncomingFile* file, uint64_t start = 0);
  // Room for all of the file. One that the file system refuses says so to those that wait behind it, once a shard.
  Task<absl::Status> SetRoomAside(int fd, const IncomingFile* file);
  // With what is there already, of which kind it may be; nullopt, with an empty file, when it has to be sent whole.
  Task<std::optional<FillResult>> FillReusing(DataFile data, IncomingFile* file);
  // From what came of the file in an earlier run and the rest; nullopt likewise.
  Task<std::optional<FillResult>> FillFromPart(DataFile data, IncomingFile* file);
  // Behind IncomingFile::present_bytes.
  Task<FillResult> FillBehind(DataFile data, IncomingFile* file);
  std::vector<DeltaLane> Lanes();
  // What becomes of a file whose delta ended so; nullopt: it is empty, and has to be sent whole.
  std::optional<FillResult> AfterDelta(DeltaResult delta, DataFile data, uint64_t data_end, uint64_t arrived_bytes);
  // Whether another try is worth it after `tries` that ended like this.
  bool MayTryAgain(const FillResult& filled, int tries) const;
  // From which try on a file is taken as it is read.
  bool AcceptsMoving(const Entry& wanted, int tries) const;
  // Makes the staged file ready for another try with what the source has now.
  absl::Status StartAgain(int fd, const CurrentFile& current, IncomingFile* file);
  // By sharing the extents of the source's file; nullopt, with an empty file, when it has to be copied.
  Task<std::optional<FillResult>> FillClone(int fd, IncomingFile* file);
  // From the old file and what differs; nullopt, with an empty file, when it has to be sent whole.
  Task<std::optional<FillResult>> FillDelta(DataFile data, IncomingFile* file);
  Task<void> RangeWorker(LargeFile* file);
  // A further worker where the way to the source holds more than the ranges that are under way.
  void MaybeAddWorker(LargeFile* file);
  // Asks where the data of `file` lies, so that long holes are not asked for piece by piece.
  Task<void> LearnHoles(LargeFile* file);
  Task<void> FillRange(LargeFile* file, uint64_t offset, uint64_t length);
  // Suspends a helper while this shard has large files of its own, or no connection, and `file` has ranges left.
  Task<void> WaitWhileBusy(LargeFile* file);
  void WakeHelpers();
  // On every shard, once, when no range of `file` is left to take.
  Task<void> OnDrained(LargeFile* file);

  Shard* const shard_;
  ReceiveShared* const shared_;
  ContentSource* const source_;
  XattrAccess xattrs_;
  Semaphore first_allocation_{1};
  bool allocated_ = false;  // the first one has ended
  std::vector<Receiver*> peers_;
  DeltaBuffers delta_buffers_;
  size_t own_files_with_ranges_ = 0;  // large files that were begun on this shard and have ranges left
  std::vector<std::coroutine_handle<>> helpers_;
  size_t waiting_helpers_ = 0;  // in WaitWhileBusy
  uint64_t ranges_filling_ = 0;
};

}  // namespace uringsync

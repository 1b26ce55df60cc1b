#include "engine/transfer/source_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/base/digest.h"
#include "engine/base/errno_status.h"
#include "engine/fs/clone.h"
#include "engine/fs/extents.h"
#include "engine/fs/metadata.h"
#include "engine/transfer/generated_content.h"
#include "engine/transfer/reply_end.h"
#include "engine/transfer/signature_reader.h"
#include "engine/transfer/signature_request.h"

namespace uringsync {
namespace {

// Whether the file may hold a hole: fewer blocks than bytes. Compressed files seem to; SEEK_HOLE tells.
bool MayHaveHoles(const struct statx& stat) {
  return stat.stx_blocks * 512 < stat.stx_size;
}

}  // namespace

SourceReader::SourceReader(Driver* driver, BufferPool* buffers, DirectoryPtr root, SourceReaderOptions options)
    : driver_(driver),
      buffers_(buffers),
      directories_(driver, std::move(root), nullptr, options.directories, options.links),
      xattrs_(driver),
      options_(std::move(options)) {}

void SourceReader::Forget(const std::string& path) {
  std::erase_if(open_files_, [&path](const Cached& cached) { return cached.path == path; });
}

bool SourceReader::EndUnlessMoved(Work* work) {
  struct statx now{};
  work->next.end = true;
  work->ended = true;
  absl::Status stated = StatContents(*work->file, *work->request, &now);
  if (!stated.ok()) {
    EndWithError(&work->next, stated, "stat");
    return false;
  }
  if (LooksUntouched(work->before, now) || IsEnough(*work->request, now)) {
    work->before = now;
    return true;
  }
  EndMoved(work, now, "stat");
  return false;
}

void SourceReader::EndMoved(Work* work, const struct statx& now, std::string operation) {
  EndChanged(&work->next, now, 0, std::move(operation));
  Forget(work->request->path.text());
}

Task<bool> SourceReader::EndAtRest(Work* work) {
  if (!EndUnlessMoved(work)) co_return false;
  if (!IsDoubtful(work)) co_return true;
  const absl::StatusOr<bool> same =
      co_await work->rest.ReadsTheSame(driver_, work->file->source.fd.get(), options_.digest_seed);
  if (!same.ok()) {
    EndWithError(&work->next, same.status(), "read");
    co_return false;
  }
  if (*same) co_return EndUnlessMoved(work);
  EndMoved(work, work->before, "read");
  co_return false;
}

// The size may also be one that nothing lies behind, as in sysfs: the last try tells that.
void SourceReader::EndShort(Work* work) {
  if (EndUnlessMoved(work)) EndChanged(&work->next, work->before, ENODATA, "read");
}

Task<absl::Status> SourceReader::SendHole(Work* work, uint64_t offset, uint64_t length) {
  work->next.offset = offset;
  work->next.hole_length = length;
  if (offset + length == work->request->offset + work->request->length) co_await EndAtRest(work);
  ReplyItem item = std::exchange(work->next, ReplyItem{.id = work->request->id});
  absl::Status sent = co_await work->sink->OnItem(std::move(item), Piece());
  co_return sent;
}

Task<absl::Status> SourceReader::SendData(Work* work, uint64_t offset, uint64_t length) {
  const uint64_t end = offset + length;
  while (offset < end && !work->ended) {
    size_t want = static_cast<size_t>(std::min<uint64_t>(end - offset, options_.piece_bytes));
    Piece piece;
    if (options_.throttle != nullptr) co_await options_.throttle->Take(driver_, want);
    if (want <= kHeapPieceBytes) {
      piece = Piece::OnHeap(want);
    } else {
      Buffer buffer = co_await buffers_->Get();
      want = std::min(want, buffer.size());
      piece = Piece::InBuffer(std::move(buffer), want);
    }
    absl::StatusOr<size_t> got = co_await ReadData(driver_, work->file->data(), piece.data(), want, offset,
                                                   piece.registered_index(), options_.background);
    if (!got.ok()) {
      EndWithError(&work->next, got.status(), "read");
      work->ended = true;
      piece = Piece();
    } else if (*got < want) {
      // Shorter than its size said: it shrank, and the look at the end tells the new size.
      EndShort(work);
      piece = Piece();
    } else {
      work->next.offset = offset;
      work->next.data_length = static_cast<uint32_t>(want);
      work->next.digest = Xxh128(piece.bytes(), options_.digest_seed);
      work->rest.Add(offset, want, work->next.digest);
      offset += want;
      const bool last = offset == work->request->offset + work->request->length;
      if (last && !co_await EndAtRest(work)) piece = Piece();
    }
    ReplyItem item = std::exchange(work->next, ReplyItem{.id = work->request->id});
    US_CO_RETURN_IF_ERROR(co_await work->sink->OnItem(std::move(item), std::move(piece)));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> SourceReader::SendSignature(Work* work) {
  const FileRequest& request = *work->request;
  SignatureReaderOptions options{.digest_seed = options_.digest_seed,
                                 .leaf_key = LeafKeyFor(options_.leaf_secret, request),
                                 .may_have_holes = MayHaveHoles(work->before),
                                 .system = SystemOf(*work)};
  SignatureReader reader(driver_, buffers_, work->file->data(), options);
  absl::StatusOr<SignatureBytes> signature = co_await reader.Read(request);
  Piece piece;
  work->next.offset = request.offset;
  if (!signature.ok() && absl::IsOutOfRange(signature.status())) {
    EndShort(work);
  } else if (!signature.ok()) {
    EndWithError(&work->next, signature.status(), "read");
  } else if (EndUnlessMoved(work) && IsDoubtful(work)) {
    const absl::StatusOr<SignatureBytes> again = co_await reader.Read(request);
    if (!again.ok() || *again != *signature) {
      EndMoved(work, work->before, "read");
    } else {
      EndUnlessMoved(work);
    }
  }
  if (signature.ok() && work->next.status == ReplyStatus::kOk) {
    piece = Piece::OnHeap(signature->size());
    std::copy(signature->begin(), signature->end(), piece.data());
    work->next.data_length = static_cast<uint32_t>(piece.size());
    work->next.digest = Xxh128(piece.bytes(), options_.digest_seed);
  }
  co_return co_await work->sink->OnItem(std::move(work->next), std::move(piece));
}

Task<absl::Status> SourceReader::Serve(FileRequest request, ReplySink* sink) {
  if (options_.generated) co_return co_await ServeGenerated(std::move(request), options_.digest_seed, buffers_, sink);
  Work work;
  work.request = &request;
  work.sink = sink;
  work.next.id = request.id;
  // Attributes alone need no file that can be read; an empty file is opened as any other, but for what may be a
  // character device.
  const bool whole_empty = request.size_bytes == 0 && !request.want_xattrs && !options_.selection.device_files &&
                           request.kind == RequestKind::kContents;
  const bool wants_contents = request.type == FileType::kRegular && (request.length > 0 || whole_empty);
  if (wants_contents && (request.length > request.size_bytes || request.offset > request.size_bytes - request.length)) {
    EndWith(&work.next, ReplyStatus::kFailed, EINVAL, "request");
    co_return co_await sink->OnItem(std::move(work.next), Piece());
  }
  if (absl::Status asked = CheckSignatureRequest(request); !asked.ok()) {
    EndWith(&work.next, ReplyStatus::kFailed, EINVAL, "request");
    co_return co_await sink->OnItem(std::move(work.next), Piece());
  }
  bool ready = true;
  if (wants_contents) ready = co_await Prepare(&work);
  if (ready && request.want_xattrs) ready = co_await Patiently(&work, &SourceReader::ReadAttributes);
  if (!ready || !wants_contents) {
    work.next.end = true;
    co_return co_await sink->OnItem(std::move(work.next), Piece());
  }
  if (request.kind != RequestKind::kContents) co_return co_await SendSignature(&work);
  absl::Status sent = co_await SendRange(&work);
  if (work.file->snapshot != nullptr) options_.snapshots->WasRead(request.file, request.length);
  DropBehind(work);
  co_return sent;
}

void SourceReader::DropBehind(const Work& work) {
  const FileRequest& request = *work.request;
  const CachedRanges* before = work.file->cached_before.get();
  if (before == nullptr || before->Overlaps(request.offset, request.length)) return;
  AdviseDontNeed(driver_, work.file->source.fd.get(), request.offset, request.length);
}

Task<absl::Status> SourceReader::SendRange(Work* work) {
  const FileRequest& request = *work->request;
  if (request.length == 0) {
    EndUnlessMoved(work);
    co_return co_await work->sink->OnItem(std::move(work->next), Piece());
  }
  if (!MayHaveHoles(work->before)) co_return co_await SendData(work, request.offset, request.length);
  ExtentIterator extents(driver_, work->file->data().fd, request.offset, request.offset + request.length,
                         request.size_bytes, SystemOf(*work));
  Extent extent;
  int more = 0;
  while (!work->ended && (more = extents.Next(&extent)) > 0) {
    absl::Status sent;
    if (extent.is_data) {
      sent = co_await SendData(work, extent.offset, extent.length);
    } else {
      sent = co_await SendHole(work, extent.offset, extent.length);
    }
    if (!sent.ok()) co_return sent;
  }
  if (more < 0) {
    EndWith(&work->next, ReplyStatus::kFailed, -more, "lseek");
    co_return co_await work->sink->OnItem(std::move(work->next), Piece());
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<bool>> SourceReader::Clone(FileRequest request, int fd, ReplyItem* end) {
  Work work;
  work.request = &request;
  work.next.id = request.id;
  const bool opened = co_await Prepare(&work);
  if (opened) {
    const int refused = CloneFile(driver_, fd, work.file->data().fd);
    if (work.file->snapshot != nullptr) options_.snapshots->WasRead(request.file, request.size_bytes);
    if (refused < 0) co_return ErrnoStatus(-refused, "clone");
    if (EndUnlessMoved(&work)) co_return true;
  }
  *end = std::move(work.next);
  co_return false;
}

}  // namespace uringsync

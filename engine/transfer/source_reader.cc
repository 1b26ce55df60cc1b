#include "engine/transfer/source_reader.h"

#include <sys/stat.h>

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/base/digest.h"
#include "engine/base/errno_status.h"
#include "engine/fs/device_file.h"
#include "engine/fs/clone.h"
#include "engine/fs/descriptor_budget.h"
#include "engine/fs/extents.h"
#include "engine/fs/metadata.h"
#include "engine/transfer/generated_content.h"
#include "engine/transfer/signature_reader.h"
#include "engine/transfer/signature_request.h"

namespace uringsync {
namespace {

// Ends the answer to `item`'s request with an error of the object.
void EndWith(ReplyItem* item, ReplyStatus status, int error, std::string operation) {
  item->status = status;
  item->error = error;
  item->operation = std::move(operation);
  item->data_length = 0;
  item->hole_length = 0;
  item->end = true;
}

void EndWithError(ReplyItem* item, const absl::Status& error, std::string operation) {
  int number = StatusErrno(error);
  bool gone = number == ENOENT || number == ENOTDIR;
  EndWith(item, gone ? ReplyStatus::kVanished : ReplyStatus::kFailed, number, std::move(operation));
}

void EndChanged(ReplyItem* item, const struct statx& found) {
  EndWith(item, ReplyStatus::kChanged, 0, "stat");
  Entry now;
  if (!EntryFromStatx(found, false, &now) || now.type != FileType::kRegular) return;
  item->current = CurrentFile{now.id, now.mode, now.uid, now.gid, now.size_bytes, now.mtime};
}

bool SameTime(const statx_timestamp& a, const statx_timestamp& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

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

absl::StatusOr<DirectoryPtr> SourceReader::OpenDirectory(const RelPath& path) {
  if (options_.view == nullptr) return directories_.Get(path);
  // As the view's scanner: the first directory that is shown there, or the one that what lies below comes from.
  const TreeView& view = *options_.view;
  for (const TreeView::Place& place : view.PlacesOf(path)) {
    // One that is in the view without what is in it is not read.
    if (view.members()[place.member].depth == ViewDepth::kObject) continue;
    absl::StatusOr<DirectoryPtr> opened = view.OpenPlace(driver_, place, DirectoryAccess::kPath);
    if (opened.ok() || IsOutOfDescriptors(StatusErrno(opened.status()))) return opened;
  }
  const TreeView::Member* const below = view.FirstWithin(path);
  return below != nullptr ? view.OpenBase(driver_, below->base) : ErrnoStatus(ENOENT, "open");
}

absl::Status SourceReader::PassGate(const FileRequest& request) {
  if (!options_.hides) return absl::OkStatus();
  US_ASSIGN_OR_RETURN(const bool hidden,
                      options_.hides(driver_, request.path, request.type == FileType::kDirectory, [this](const RelPath& path) { return OpenDirectory(path); }));
  return hidden ? ErrnoStatus(ENOENT, "open") : absl::OkStatus();
}

// What is not there is found out first: a gate takes the time of a path's components.
absl::StatusOr<SourceReader::Located> SourceReader::Locate(const FileRequest& request) {
  absl::StatusOr<Located> located = options_.view != nullptr ? LocateInView(request) : LocateBelowRoot(request);
  if (located.ok()) US_RETURN_IF_ERROR(PassGate(request));
  return located;
}

absl::StatusOr<SourceReader::Located> SourceReader::LocateBelowRoot(const FileRequest& request) {
  US_ASSIGN_OR_RETURN(DirectoryPtr parent, directories_.Get(request.path.Parent()));
  Located located{std::move(parent), std::string(request.path.name()), std::nullopt};
  if (options_.links) located.links = options_.links->Below(request.path.text());
  return located;
}

absl::StatusOr<DirectoryPtr> SourceReader::ParentInView(const TreeView::Place& place, std::string* name) {
  if (place.rest.is_root()) return options_.view->OpenParent(driver_, place, name);
  *name = place.rest.name();
  std::string key = std::to_string(place.member) + "/" + place.rest.Parent().text();
  if (const auto known = view_directories_.find(key); known != view_directories_.end()) return known->second;
  std::string same_name;
  US_ASSIGN_OR_RETURN(DirectoryPtr parent, options_.view->OpenParent(driver_, place, &same_name));
  if (view_directories_.size() >= options_.directories) view_directories_.clear();
  view_directories_.emplace(std::move(key), parent);
  return parent;
}

absl::StatusOr<SourceReader::Located> SourceReader::LocateInView(const FileRequest& request) {
  const std::vector<TreeView::Place> places = options_.view->PlacesOf(request.path);
  absl::StatusOr<Located> first = ErrnoStatus(ENOENT, "open");
  for (const TreeView::Place& place : places) {
    Located located;
    absl::StatusOr<DirectoryPtr> parent = ParentInView(place, &located.name);
    if (!parent.ok()) {
      if (!first.ok() && StatusErrno(parent.status()) != ENOENT) first = parent.status();
      continue;
    }
    located.directory = *std::move(parent);
    if (options_.view->follow().any()) {
      US_ASSIGN_OR_RETURN(located.links, options_.view->FollowBaseOf(driver_, place));
    }
    if (places.size() == 1) return located;
    struct statx stat {};
    Entry entry;
    const absl::Status looked = located.links ? StatThroughLink(driver_, located.place(), &stat)
                                              : StatAt(driver_, located.directory->fd(), located.name.c_str(), &stat);
    const bool there = looked.ok() && EntryFromStatx(stat, false, &entry);
    if (there && entry.id == request.file) return located;
    if (there && !first.ok()) first = std::move(located);
  }
  return first;
}

void SourceReader::ForgetParent(const FileRequest& request) {
  directories_.Invalidate(request.path.Parent());
  view_directories_.clear();
}

void SourceReader::CloseDirectories() {
  directories_.Clear();
  view_directories_.clear();
}

bool SourceReader::CheckIdentity(Work* work) {
  const FileRequest& request = *work->request;
  FileIdentity expected{request.type, request.file, request.size_bytes, request.mtime};
  if (CompareIdentity(expected, work->before) == IdentityMatch::kSame) return true;
  // The gate was asked about the type that the request claims: of an object of another type nothing is told.
  const std::optional<FileType> type = FileTypeFromMode(work->before.stx_mode);
  if (options_.hides && type != request.type) {
    EndWith(&work->next, ReplyStatus::kChanged, 0, "open");
  } else {
    EndChanged(&work->next, work->before);
  }
  return false;
}

absl::StatusOr<SourceFile> SourceReader::OpenLocatedDevice(const Located& located) {
  if (!located.links) return OpenDevice(driver_, located.directory->fd(), located.name.c_str());
  struct statx stat {};
  US_ASSIGN_OR_RETURN(UniqueFd pinned, PinFollowed(driver_, located.place(), &stat));
  return OpenPinnedDevice(driver_, std::move(pinned), stat);
}

absl::Status SourceReader::StatOpen(const SourceFile& file, const FileRequest& request, struct statx* stat) {
  US_RETURN_IF_ERROR(StatDescriptor(driver_, file.fd.get(), stat));
  if (!options_.selection.device_files || !IsDevice(*stat)) return absl::OkStatus();
  uint64_t bytes = 0;
  if (S_ISBLK(stat->stx_mode)) {
    US_ASSIGN_OR_RETURN(bytes, DeviceBytes(driver_, file.fd.get()));
  }
  ShowAsFile(bytes, stat);
  // When it was looked at is no property of the device.
  stat->stx_mtime = {.tv_sec = request.mtime.seconds, .tv_nsec = request.mtime.nanoseconds, .__reserved = 0};
  return absl::OkStatus();
}

absl::StatusOr<SourceFile> SourceReader::OpenLocated(const Located& located) {
  if (options_.selection.device_files) {
    absl::StatusOr<SourceFile> device = OpenLocatedDevice(located);
    if (device.ok() || StatusErrno(device.status()) != 0) return device;
  }
  absl::StatusOr<SourceFile> opened = OpenSourceFile(driver_, located.directory->fd(), located.name.c_str());
  if (opened.ok() || !located.links || StatusErrno(opened.status()) != ELOOP) return opened;
  return OpenFollowedFile(driver_, located.place());
}

bool SourceReader::OpenFor(Work* work) {
  const FileRequest& request = *work->request;
  const std::string& path = request.path.text();
  bool is_range = request.length < request.size_bytes;
  auto cached = std::find_if(open_files_.begin(), open_files_.end(),
                             [&path](const Cached& candidate) { return candidate.path == path; });
  if (is_range && cached != open_files_.end()) {
    absl::Status stated = StatOpen(cached->file->source, request, &work->before);
    if (stated.ok() && CheckIdentity(work)) {
      work->file = cached->file;
      open_files_.splice(open_files_.begin(), open_files_, cached);
      return true;
    }
    // Another object may have the name by now: look again.
    work->next = ReplyItem{.id = request.id};
    Forget(path);
  }
  absl::StatusOr<Located> located = Locate(request);
  absl::StatusOr<SourceFile> opened = located.ok() ? OpenLocated(*located) : located.status();
  if (!opened.ok()) {
    int error = StatusErrno(opened.status());
    // A directory that was renamed and made anew is found again by a fresh look.
    if (error == ENOENT && located.ok()) ForgetParent(request);
    if (error == 0 || error == ELOOP) {
      EndWith(&work->next, ReplyStatus::kChanged, 0, "open");
    } else {
      EndWithError(&work->next, opened.status(), "open");
    }
    return false;
  }
  work->before = opened->stat;
  if (options_.selection.device_files && !StatOpen(*opened, request, &work->before).ok()) work->before = opened->stat;
  if (!CheckIdentity(work)) return false;
  work->file = std::make_shared<OpenFile>(OpenFile{*std::move(opened), UniqueFd(), nullptr});
  if (is_range) {
    const int fd = work->file->source.fd.get();
    AdviseSequential(driver_, fd);
    if (options_.page_cache != nullptr)
      work->file->cached_before = options_.page_cache->Remember(driver_, fd, request.file, request.size_bytes);
    if (options_.direct_io != nullptr)
      work->file->direct = options_.direct_io->Open(driver_, fd, O_RDONLY);
    open_files_.push_front({path, work->file});
    if (open_files_.size() > options_.open_files) open_files_.pop_back();
  }
  return true;
}

Task<bool> SourceReader::Patiently(Work* work, bool (SourceReader::*step)(Work*)) {
  bool done = (this->*step)(work);
  for (int tries = 1; !done && IsOutOfDescriptors(work->next.error) && tries <= kMaxDescriptorTries; ++tries) {
    CloseDirectories();
    open_files_.clear();
    co_await AwaitDescriptor(driver_);
    work->next = ReplyItem{.id = work->request->id};
    done = (this->*step)(work);
  }
  co_return done;
}

absl::Status SourceReader::LookAt(const Located& located, Work* work, UniqueFd* referent) {
  US_RETURN_IF_ERROR(StatAt(driver_, located.directory->fd(), located.name.c_str(), &work->before));
  const bool follows = located.links && S_ISLNK(work->before.stx_mode) && work->request->type != FileType::kSymlink;
  if (!follows) return absl::OkStatus();
  US_ASSIGN_OR_RETURN(*referent, PinFollowed(driver_, located.place(), &work->before));
  return absl::OkStatus();
}

// The attributes of an object of any type, by name where it is no open file.
bool SourceReader::ReadAttributes(Work* work) {
  const FileRequest& request = *work->request;
  absl::StatusOr<XattrList> list;
  if (work->file != nullptr) {
    list = xattrs_.Read(ObjectHandle::OfFd(work->file->source.fd.get()), options_.selection);
  } else if (request.path.is_root() && options_.view == nullptr) {
    // The root has no parent of ours: "." in itself is the same object.
    list = xattrs_.Read(ObjectHandle::At(directories_.root()->fd(), "."), options_.selection);
  } else {
    absl::StatusOr<Located> located = Locate(request);
    UniqueFd referent;
    const absl::Status found = located.ok() ? LookAt(*located, work, &referent) : located.status();
    if (!found.ok()) {
      EndWithError(&work->next, found, "stat");
      return false;
    }
    if (!CheckIdentity(work)) return false;
    const ObjectHandle object = referent.valid() ? ObjectHandle::Pinned(referent.get())
                                                 : ObjectHandle::At(located->directory->fd(), located->name.c_str());
    list = xattrs_.Read(object, options_.selection);
  }
  if (!list.ok()) {
    EndWithError(&work->next, list.status(), "getxattr");
    return false;
  }
  work->next.xattrs = *std::move(list);
  return true;
}

bool SourceReader::EndUnlessMoved(Work* work) {
  struct statx now{};
  work->next.end = true;
  work->ended = true;
  absl::Status stated = StatOpen(work->file->source, *work->request, &now);
  if (!stated.ok()) {
    EndWithError(&work->next, stated, "stat");
    return false;
  }
  if (now.stx_size == work->before.stx_size && SameTime(now.stx_mtime, work->before.stx_mtime) &&
      SameTime(now.stx_ctime, work->before.stx_ctime)) {
    return true;
  }
  EndChanged(&work->next, now);
  Forget(work->request->path.text());
  return false;
}

Task<absl::Status> SourceReader::SendHole(Work* work, uint64_t offset, uint64_t length) {
  work->next.offset = offset;
  work->next.hole_length = length;
  if (offset + length == work->request->offset + work->request->length) EndUnlessMoved(work);
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
      if (EndUnlessMoved(work)) EndWith(&work->next, ReplyStatus::kChanged, 0, "read");
      piece = Piece();
    } else {
      work->next.offset = offset;
      work->next.data_length = static_cast<uint32_t>(want);
      work->next.digest = Xxh128(piece.bytes(), options_.digest_seed);
      offset += want;
      if (offset == work->request->offset + work->request->length && !EndUnlessMoved(work)) piece = Piece();
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
                                 .may_have_holes = MayHaveHoles(work->before)};
  SignatureReader reader(driver_, buffers_, work->file->data(), options);
  absl::StatusOr<SignatureBytes> signature = co_await reader.Read(request);
  Piece piece;
  work->next.offset = request.offset;
  if (!signature.ok() && absl::IsOutOfRange(signature.status())) {
    if (EndUnlessMoved(work)) EndWith(&work->next, ReplyStatus::kChanged, 0, "read");
  } else if (!signature.ok()) {
    EndWithError(&work->next, signature.status(), "read");
  } else if (EndUnlessMoved(work)) {
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
  const bool wants_contents = request.type == FileType::kRegular && request.length > 0;
  if (wants_contents && (request.length > request.size_bytes || request.offset > request.size_bytes - request.length)) {
    EndWith(&work.next, ReplyStatus::kFailed, EINVAL, "request");
    co_return co_await sink->OnItem(std::move(work.next), Piece());
  }
  if (absl::Status asked = CheckSignatureRequest(request); !asked.ok()) {
    EndWith(&work.next, ReplyStatus::kFailed, EINVAL, "request");
    co_return co_await sink->OnItem(std::move(work.next), Piece());
  }
  bool ready = true;
  if (wants_contents) ready = co_await Patiently(&work, &SourceReader::OpenFor);
  if (ready && request.want_xattrs) ready = co_await Patiently(&work, &SourceReader::ReadAttributes);
  if (!ready || !wants_contents) {
    work.next.end = true;
    co_return co_await sink->OnItem(std::move(work.next), Piece());
  }
  if (request.kind != RequestKind::kContents) co_return co_await SendSignature(&work);
  absl::Status sent = co_await SendRange(&work);
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
  if (!MayHaveHoles(work->before)) co_return co_await SendData(work, request.offset, request.length);
  ExtentIterator extents(driver_, work->file->source.fd.get(), request.offset, request.offset + request.length,
                         request.size_bytes);
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
  const bool opened = co_await Patiently(&work, &SourceReader::OpenFor);
  if (opened) {
    const int refused = CloneFile(driver_, fd, work.file->source.fd.get());
    if (refused < 0) co_return ErrnoStatus(-refused, "clone");
    if (EndUnlessMoved(&work)) co_return true;
  }
  *end = std::move(work.next);
  co_return false;
}

}  // namespace uringsync

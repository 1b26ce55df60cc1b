// SourceReader: finds and opens what a request is about, and reads its attributes.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/descriptor_budget.h"
#include "engine/fs/device_file.h"
#include "engine/fs/metadata.h"
#include "engine/transfer/reply_end.h"
#include "engine/transfer/source_reader.h"

namespace uringsync {

absl::Status SourceReader::PassGate(const FileRequest& request) {
  if (!options_.hides) return absl::OkStatus();
  US_ASSIGN_OR_RETURN(const bool hidden,
                      options_.hides(driver_, request.path, request.type == FileType::kDirectory,
                                     [this](const RelPath& path) { return directories_.Get(path); }));
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

bool SourceReader::WantsSnapshot(const struct statx& file) const {
  return options_.snapshots != nullptr && S_ISREG(file.stx_mode);
}

absl::Status SourceReader::StatContents(const OpenFile& file, const FileRequest& request, struct statx* stat) {
  if (file.snapshot == nullptr) return StatOpen(file.source, request, stat);
  *stat = file.snapshot->stat;
  return absl::OkStatus();
}

bool SourceReader::CheckIdentity(Work* work) {
  const FileRequest& request = *work->request;
  FileIdentity expected{request.type, request.file, request.size_bytes, request.mtime};
  if (IsEnough(request, work->before)) {
    const statx_timestamp& mtime = work->before.stx_mtime;
    expected.size_bytes = work->before.stx_size;
    expected.mtime = {mtime.tv_sec, mtime.tv_nsec};
  }
  if (CompareIdentity(expected, work->before) == IdentityMatch::kSame) return true;
  // The gate was asked about the type that the request claims: of an object of another type nothing is told.
  const std::optional<FileType> type = FileTypeFromMode(work->before.stx_mode);
  if (options_.hides && type != request.type) {
    EndWith(&work->next, ReplyStatus::kChanged, 0, "open");
  } else {
    EndChanged(&work->next, work->before, 0, "stat");
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

// Nobody expects a device to rest, nor a file that may be as it is; a snapshot always does.
Task<bool> SourceReader::BeginRest(Work* work) {
  const OpenFile& file = *work->file;
  if (work->request->accept_moving || !S_ISREG(file.source.stat.stx_mode) || file.snapshot != nullptr) co_return true;
  if (MayKeepItsTimes(work->before)) {
    // What is written after the read has to move the times, or no later run would look at the file.
    co_await AwaitTicks(driver_);
    const absl::Status stated = StatContents(file, *work->request, &work->before);
    if (!stated.ok()) EndWithError(&work->next, stated, "stat");
    if (!stated.ok() || !CheckIdentity(work)) co_return false;
  }
  work->rest.Begin(driver_, file.source.fd.get(), work->before, SystemOf(*work));
  co_return true;
}

FileSystemFacts* SourceReader::SystemOf(const Work& work) {
  if (options_.systems == nullptr) return nullptr;
  const struct statx& stat = work.file->source.stat;
  return &options_.systems->Of(driver_, work.file->source.fd.get(), ::makedev(stat.stx_dev_major, stat.stx_dev_minor));
}

bool SourceReader::OpenFor(Work* work) {
  const FileRequest& request = *work->request;
  const std::string& path = request.path.text();
  bool is_range = request.length < request.size_bytes;
  auto cached = std::find_if(open_files_.begin(), open_files_.end(),
                             [&path](const Cached& candidate) { return candidate.path == path; });
  if (is_range && cached != open_files_.end()) {
    absl::Status stated = StatContents(*cached->file, request, &work->before);
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
  // What of a file that has a snapshot is to be read is known later.
  const bool has_snapshot = WantsSnapshot(opened->stat);
  if (!has_snapshot && !CheckIdentity(work)) return false;
  work->file = std::make_shared<OpenFile>(OpenFile{*std::move(opened), UniqueFd(), nullptr, nullptr, nullptr});
  if (has_snapshot) {
    work->file->directory = located->directory;
    return true;
  }
  KeepOpen(work);
  return true;
}

// A larger file stays open for its other ranges.
void SourceReader::KeepOpen(Work* work) {
  const FileRequest& request = *work->request;
  if (request.length >= request.size_bytes) return;
  OpenFile* const file = work->file.get();
  const int fd = file->data().fd;
  AdviseSequential(driver_, fd);
  if (options_.page_cache != nullptr && file->snapshot == nullptr)
    file->cached_before = options_.page_cache->Remember(driver_, fd, request.file, request.size_bytes);
  if (options_.direct_io != nullptr) file->direct = options_.direct_io->Open(driver_, fd, O_RDONLY);
  open_files_.push_front({request.path.text(), work->file});
  if (open_files_.size() > options_.open_files) open_files_.pop_back();
}

// The clone may need a descriptor as well.
Task<absl::Status> SourceReader::TakeSnapshot(Work* work) {
  OpenFile* const file = work->file.get();
  const FileRequest& request = *work->request;
  const FileSnapshots::Wanted wanted{{request.type, request.file, request.size_bytes, request.mtime},
                                     request.length >= request.size_bytes};
  absl::Status last;
  for (int tries = 0; tries <= kMaxDescriptorTries; ++tries) {
    absl::StatusOr<FileSnapshotPtr> taken =
        co_await options_.snapshots->Get(driver_, file->source.fd.get(), file->directory, wanted);
    if (taken.ok()) {
      file->snapshot = *std::move(taken);
      work->before = file->snapshot->stat;
      co_return absl::OkStatus();
    }
    last = taken.status();
    if (!IsOutOfDescriptors(StatusErrno(last))) break;
    CloseDirectories();
    open_files_.clear();
    co_await AwaitDescriptor(driver_);
  }
  co_return last;
}

Task<bool> SourceReader::Prepare(Work* work) {
  if (!co_await Patiently(work, &SourceReader::OpenFor)) co_return false;
  OpenFile* const file = work->file.get();
  if (file->directory == nullptr || file->snapshot != nullptr) co_return co_await BeginRest(work);
  // The name may be another object's by now.
  const FileRequest& request = *work->request;
  const FileIdentity wanted{request.type, request.file, request.size_bytes, request.mtime};
  if (CompareIdentity(wanted, work->before) == IdentityMatch::kOther) co_return CheckIdentity(work);
  const absl::Status taken = co_await TakeSnapshot(work);
  if (!taken.ok() && !options_.without_snapshot) {
    EndWithError(&work->next, taken, "snapshot");
    co_return false;
  }
  if (!taken.ok()) {
    options_.without_snapshot(taken);
    file->directory = nullptr;
  }
  if (!CheckIdentity(work)) co_return false;
  KeepOpen(work);
  co_return co_await BeginRest(work);
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

}  // namespace uringsync

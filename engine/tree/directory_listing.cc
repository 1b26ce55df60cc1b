#include "engine/tree/directory_listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "engine/base/errno_status.h"
#include "engine/fs/device_file.h"
#include "engine/fs/metadata.h"
#include "engine/fs/state_name.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

// Of the sorter of one directory's names: a run of this size holds some 100,000 names.
constexpr size_t kSorterBytes = size_t{4} << 20;
constexpr size_t kFirstTargetBytes = 4096;
constexpr size_t kMaxTargetBytes = 65536;

// The kernel's clock for file times moves at least this often (100 times a second).
constexpr int64_t kTickNs = 10'000'000;
constexpr int64_t kCoarsestTickNs = 2'000'000'000;

FileTime ClockLess(int64_t nanoseconds) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const int64_t total = int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec - nanoseconds;
  return {total / 1'000'000'000, static_cast<uint32_t>(total % 1'000'000'000)};
}

uint64_t PrefixOf(std::string_view name) {
  uint64_t prefix = 0;
  std::memcpy(&prefix, name.data(), std::min<size_t>(name.size(), sizeof(prefix)));
  return __builtin_bswap64(prefix);
}

FileType TypeOfDirent(uint8_t type) {
  return FileTypeFromMode(static_cast<uint32_t>(DTTOIF(type))).value_or(FileType::kRegular);
}

}  // namespace

void NameList::Clear() {
  arena_.clear();
  items_.clear();
}

void NameList::Add(std::string_view name, uint8_t type) {
  items_.push_back({.prefix = PrefixOf(name),
                    .offset = static_cast<uint32_t>(arena_.size()),
                    .length = static_cast<uint8_t>(name.size()),
                    .type = type});
  arena_ += name;
  arena_ += '\0';
}

void NameList::Sort() {
  // Names hold no NUL, so the zero padding of a short prefix sorts before every longer name, as it should.
  const auto text = [this](const Item& item) { return std::string_view(arena_).substr(item.offset, item.length); };
  const auto less = [&](const Item& a, const Item& b) {
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    return text(a) < text(b);
  };
  if (!std::is_sorted(items_.begin(), items_.end(), less)) std::sort(items_.begin(), items_.end(), less);
  const auto same = [&](const Item& a, const Item& b) { return a.prefix == b.prefix && text(a) == text(b); };
  items_.erase(std::unique(items_.begin(), items_.end(), same), items_.end());
}

SortedNames::SortedNames(Driver* driver, std::string spool_directory, size_t names_in_memory)
    : driver_(driver), spool_directory_(std::move(spool_directory)), names_in_memory_(names_in_memory) {}

absl::Status SortedNames::Add(std::string_view name, uint8_t type) {
  ++count_;
  if (sorter_ == nullptr) {
    memory_.Add(name, type);
    return memory_.size() > names_in_memory_ ? MoveToSorter() : absl::OkStatus();
  }
  std::string record(name);
  record += '\0';  // below every byte of a name: records sort as names do
  record += static_cast<char>(type);
  return sorter_->Add(record);
}

absl::Status SortedNames::MoveToSorter() {
  sorter_ = std::make_unique<ExternalSorter>(
      driver_, [](std::string_view a, std::string_view b) { return a < b; },
      ExternalSorterOptions{.memory_bytes = kSorterBytes, .directory = spool_directory_});
  std::string record;
  for (size_t i = 0; i < memory_.size(); ++i) {
    record = memory_.name(i);
    record += '\0';
    record += static_cast<char>(memory_.type(i));
    US_RETURN_IF_ERROR(sorter_->Add(record));
  }
  memory_ = NameList();
  return absl::OkStatus();
}

absl::Status SortedNames::Finish() {
  if (sorter_ != nullptr) return sorter_->Finish();
  memory_.Sort();
  count_ = memory_.size();
  return absl::OkStatus();
}

absl::Status SortedNames::Take(size_t limit, NameList* chunk) {
  chunk->Clear();
  if (sorter_ == nullptr) {
    for (; next_ < memory_.size() && chunk->size() < limit; ++next_)
      chunk->Add(memory_.name(next_), memory_.type(next_));
    return absl::OkStatus();
  }
  std::string record;
  while (chunk->size() < limit) {
    US_ASSIGN_OR_RETURN(const bool more, sorter_->Next(&record));
    if (!more) break;
    const std::string_view name = std::string_view(record).substr(0, record.size() - 2);
    if (name == last_name_) continue;
    last_name_ = name;
    chunk->Add(name, static_cast<uint8_t>(record.back()));
  }
  return absl::OkStatus();
}

bool EntryReader::Read(int dirfd, const char* name, size_t name_length, uint8_t type, Entry* entry) {
  entry->name.assign(name, name_length);
  struct statx stat;
  const int result =
      sys::Statx(xattrs_.driver(), dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, kEntryStatxMask, &stat);
  if (result == -ENOENT) return false;
  if (IsStateName(entry->name)) {
    // Somebody else's object under a name of ours (StrayFate::kForeign): told, and never touched.
    entry->type = FileType::kRegular;
    entry->error = EUCLEAN;
    return true;
  }
  if (result < 0 || !EntryFromStatx(stat, selection_.atime, entry)) {
    entry->type = TypeOfDirent(type);
    entry->error = result < 0 ? -result : EINVAL;
    return true;
  }
  if (entry->type == FileType::kSymlink) {
    const int error = ReadTarget(dirfd, name, entry);
    if (error == ENOENT) return false;
    entry->error = error;
    if (links_ && error == 0 && Follow(dirfd, name, entry)) return true;
  }
  if (selection_.device_files && IsDevice(entry->type)) {
    UniqueFd pinned(sys::Openat(xattrs_.driver(), dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    entry->error = pinned.valid() ? EntryAsFile(xattrs_.driver(), std::move(pinned), ClockLess(0), entry) : ENOENT;
  } else if (!(entry->mtime < settled_before_)) {
    entry->unsettled = Unsettled(*entry);
  }
  if (file_system_has_xattrs_ || entry->id.device != device_) ReadAttributes(ObjectHandle::At(dirfd, name), entry);
  return entry->error != ENOENT;
}

bool EntryReader::Follows(const Entry& link) const {
  const LinkFollowing& which = links_->which;
  return which.all || (which.unsafe && IsUnsafeLink(link.symlink_target, links_->depth));
}

bool EntryReader::Follow(int dirfd, const char* name, Entry* entry) {
  const bool must = Follows(*entry);
  if (!must && !links_->which.directories) return false;
  struct statx stat;
  absl::StatusOr<UniqueFd> pinned = PinFollowed(xattrs_.driver(), {dirfd, name, links_->base.Below(name)}, &stat);
  Entry referent;
  const bool known = pinned.ok() && EntryFromStatx(stat, selection_.atime, &referent);
  if (links_->stay_links && StatusErrno(pinned.status()) == EXDEV) {
    // Whoever wants a directory here must hear that it is one, and that nothing is written out of the tree.
    LinkPlace anywhere{dirfd, name, links_->base};
    anywhere.whole.beneath = false;
    entry->directory_link = PinFollowed(xattrs_.driver(), anywhere, &stat).ok() && S_ISDIR(stat.stx_mode);
    if (entry->directory_link) entry->error = EXDEV;
    return entry->directory_link;
  }
  if (!must && (!known || referent.type != FileType::kDirectory)) return false;
  if (!known) {
    entry->error = pinned.ok() ? EINVAL : StatusErrno(pinned.status());
    return true;
  }
  if (links_->stay_links) {
    entry->directory_link = true;
    return false;
  }
  referent.name = std::move(entry->name);
  *entry = std::move(referent);
  ReadAttributes(ObjectHandle::Pinned(pinned->get()), entry);
  if (selection_.device_files && IsDevice(entry->type)) {
    entry->error = EntryAsFile(xattrs_.driver(), *std::move(pinned), ClockLess(0), entry);
  } else if (!(entry->mtime < settled_before_)) {
    entry->unsettled = Unsettled(*entry);
  }
  return true;
}

std::optional<bool> EntryReader::IsDirectory(int dirfd, const char* name, uint8_t type) {
  const bool may_be_followed = links_ && !links_->stay_links && (type == DT_LNK || type == DT_UNKNOWN);
  if (type != DT_UNKNOWN && !may_be_followed) return type == DT_DIR;
  struct statx found;
  if (sys::Statx(xattrs_.driver(), dirfd, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &found) != 0) return false;
  if (!S_ISLNK(found.stx_mode) || !may_be_followed) return S_ISDIR(found.stx_mode);
  Entry link;
  link.name = name;
  link.type = FileType::kSymlink;
  if (ReadTarget(dirfd, name, &link) != 0) return false;
  const bool must = Follows(link);
  if (!must && !links_->which.directories) return false;
  const absl::Status pinned = PinFollowed(xattrs_.driver(), {dirfd, name, links_->base.Below(name)}, &found).status();
  if (pinned.ok()) return S_ISDIR(found.stx_mode);
  return must ? std::nullopt : std::optional(false);
}

// A file system stamps times from a clock that moves in ticks, and some keep whole (FAT: even) seconds only.
bool EntryReader::Unsettled(const Entry& entry) const {
  if (entry.type != FileType::kRegular) return false;
  const FileTime now = ClockLess(-kTickNs);
  if (now < entry.mtime) return false;  // a time of the future is somebody's choice, not the clock's
  return entry.mtime.nanoseconds == 0 || !(entry.mtime < tick_before_);
}

int EntryReader::ReadTarget(int dirfd, const char* name, Entry* entry) {
  if (target_buffer_.empty()) target_buffer_.resize(kFirstTargetBytes);
  while (true) {
    const long bytes = sys::Readlinkat(xattrs_.driver(), dirfd, name, target_buffer_.data(), target_buffer_.size());
    if (bytes < 0) return static_cast<int>(-bytes);
    if (static_cast<size_t>(bytes) < target_buffer_.size()) {
      entry->symlink_target.assign(target_buffer_.data(), static_cast<size_t>(bytes));
      entry->size_bytes = entry->symlink_target.size();
      return 0;
    }
    if (target_buffer_.size() >= kMaxTargetBytes) return ENAMETOOLONG;
    target_buffer_.resize(kMaxTargetBytes);
  }
}

void EntryReader::ReadAttributes(ObjectHandle object, Entry* entry) {
  if (!reads_xattrs_) return;
  XattrDigests digests;
  const int error = xattrs_.Digest(object, selection_, &digests);
  if (error != 0 && entry->error == 0) entry->error = error;
  entry->xattr_digest = digests.ordinary;
  entry->capability_digest = digests.capability;
  entry->trusted_digest = digests.trusted;
}

void EntryReader::ReadDirectory(const Directory& directory, struct statx* stat, Entry* entry) {
  const int fd = directory.fd();
  entry->type = FileType::kDirectory;
  tick_before_ = ClockLess(kTickNs);
  settled_before_ = ClockLess(kCoarsestTickNs);
  const int result = sys::Statx(xattrs_.driver(), fd, "", AT_EMPTY_PATH, kEntryStatxMask, stat);
  if (result < 0) {
    entry->error = -result;
    return;
  }
  EntryFromStatx(*stat, selection_.atime, entry);
  device_ = entry->id.device;
  if (!reads_xattrs_) return;
  FileSystemFacts& system = directory.systems()->Of(xattrs_.driver(), fd, device_);
  file_system_has_xattrs_ = !system.Lacks(Lack::kAttributes);
  if (!file_system_has_xattrs_) return;
  // O_PATH descriptors refuse attribute calls; "." below one does not.
  const ObjectHandle self = directory.readable() ? ObjectHandle::OfFd(fd) : ObjectHandle::At(fd, ".");
  ReadAttributes(self, entry);
  file_system_has_xattrs_ = !xattrs_.unsupported();
  if (!file_system_has_xattrs_) NoteNoAttributes(&system, FileType::kDirectory);
}

bool IsMountRoot(Driver* driver, int fd, const struct statx& stat) {
  // Kernels before 5.8 do not tell: there the parent lies on another device, or is the directory itself ("/").
  if ((stat.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0)
    return (stat.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  struct statx above;
  if (sys::Statx(driver, fd, "..", AT_SYMLINK_NOFOLLOW, kEntryStatxMask, &above) < 0) return false;
  const bool same_device = above.stx_dev_major == stat.stx_dev_major && above.stx_dev_minor == stat.stx_dev_minor;
  return !same_device || above.stx_ino == stat.stx_ino;
}

}  // namespace uringsync

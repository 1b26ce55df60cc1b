#include "agent/resume_journal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "agent/loosened_modes.h"
#include "engine/base/errno_status.h"
#include "engine/base/kill_point.h"
#include "engine/fs/atomic_file.h"
#include "engine/fs/extents.h"
#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

constexpr size_t kDirectories = 16;
constexpr size_t kReadBytes = 64 << 10;
// Nobody is waited for, whatever has the name.
constexpr int kOpenFlags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

uint64_t DeviceOf(const struct statx& found) {
  return ::makedev(found.stx_dev_major, found.stx_dev_minor);
}

bool IsRegular(const struct statx& found) {
  return S_ISREG(found.stx_mode);
}

bool IsObject(const struct statx& found, const FileId& object) {
  return IsRegular(found) && found.stx_ino == object.inode && DeviceOf(found) == object.device;
}

// The directory of its temporary; null where that is not, or not any more, what `entry` says.
DirectoryPtr HolderOf(Driver* driver, DirectoryCache* directories, const ResumeEntry& entry, struct statx* found) {
  const absl::StatusOr<DirectoryPtr> directory = directories->Get(entry.path.Parent());
  if (!directory.ok() || !StatAt(driver, (*directory)->fd(), entry.temporary.c_str(), found).ok()) return nullptr;
  return IsObject(*found, entry.object) ? *directory : nullptr;
}

// Nobody but this user, or root, has written it.
bool IsOurs(const struct statx& found) {
  return IsRegular(found) && found.stx_nlink == 1 && found.stx_uid == ::geteuid() &&
         (found.stx_mode & (S_IWGRP | S_IWOTH)) == 0;
}

std::string ReadWhole(Driver* driver, int fd) {
  std::string text;
  std::string piece(kReadBytes, '\0');
  while (text.size() < kMaxResumeJournalBytes) {
    const int64_t got = sys::Pread(driver, fd, piece.data(), piece.size(), text.size());
    if (got <= 0) break;
    text.append(piece, 0, static_cast<size_t>(got));
  }
  return text;
}

bool WriteAll(Driver* driver, int fd, std::string_view text, uint64_t offset) {
  while (!text.empty()) {
    const int64_t put = sys::Pwrite(driver, fd, text.data(), text.size(), offset);
    if (put <= 0) return false;
    text.remove_prefix(static_cast<size_t>(put));
    offset += static_cast<uint64_t>(put);
  }
  return true;
}

uint64_t EndOfData(Driver* driver, int fd, uint64_t size_bytes) {
  ExtentIterator extents(driver, fd, 0, size_bytes, size_bytes);
  uint64_t end = 0;
  Extent extent;
  while (extents.Next(&extent) > 0) {
    if (extent.is_data) end = extent.offset + extent.length;
  }
  return end;
}

timespec TimeOf(const statx_timestamp& time) {
  return {.tv_sec = time.tv_sec, .tv_nsec = static_cast<long>(time.tv_nsec)};
}

bool AreEqual(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

ResumeJournal::ResumeJournal(DirectoryPtr root, uint64_t session_tag, Options options)
    : root_(std::move(root)),
      options_(std::move(options)),
      session_tag_(session_tag),
      namer_(session_tag, kFirstSerial) {}

std::optional<ResumeJournal::Dead> ResumeJournal::LockDead(Driver* driver, const std::string& name) {
  Dead dead;
  dead.name = name;
  dead.fd.Reset(sys::Openat(driver, root_->fd(), name.c_str(), O_RDWR | kOpenFlags));
  struct statx opened{};
  if (!dead.fd.valid() || !StatDescriptor(driver, dead.fd.get(), &opened).ok()) return std::nullopt;
  dead.ours = IsOurs(opened);
  const bool may_go = ::geteuid() == 0 && IsRegular(opened) && opened.stx_nlink == 1 && opened.stx_uid != 0;
  if (!dead.ours && !may_go) return std::nullopt;
  if (sys::Flock(driver, dead.fd.get(), LOCK_EX | LOCK_NB) < 0) return std::nullopt;
  // Its session, or one that took it over, may have removed it in between.
  struct statx named{};
  if (!StatAt(driver, root_->fd(), name.c_str(), &named).ok() || named.stx_ino != opened.stx_ino) return std::nullopt;
  dead.device = DeviceOf(opened);
  std::optional<ResumeContents> contents = DecodeResumeJournal(ReadWhole(driver, dead.fd.get()));
  if (!contents) return dead;
  for (ResumeEntry& entry : contents->entries) {
    if (entry.object.device == contents->header.device) entry.object.device = dead.device;
    dead.entries.push_back(std::move(entry));
  }
  return dead;
}

bool ResumeJournal::RemoveAs(Driver* driver, const ResumeEntry& entry) {
  DirectoryCache directories(driver, root_, nullptr, 1, options_.links);
  struct statx found{};
  const DirectoryPtr directory = HolderOf(driver, &directories, entry, &found);
  return directory != nullptr && sys::Unlinkat(driver, directory->fd(), entry.temporary.c_str(), 0) == 0;
}

int ResumeJournal::RemoveName(Driver* driver, const std::string& name) const {
  const int removed = options_.may_loosen_root ? UnlinkInReadOnly(driver, root_->fd(), name.c_str())
                                               : sys::Unlinkat(driver, root_->fd(), name.c_str(), 0);
  return removed == -ENOENT ? 0 : removed;
}

std::vector<ResumeEntry> ResumeJournal::Candidates(Driver* driver, DirectoryCache* directories,
                                                   const std::vector<Dead>& dead) {
  struct Best {
    ResumeEntry entry;
    uint64_t blocks = 0;
  };
  std::map<std::string, Best> best;  // by path
  std::set<FileId> seen;
  for (const Dead& journal : dead) {
    for (const ResumeEntry& entry : journal.entries) {
      struct statx found{};
      if (HolderOf(driver, directories, entry, &found) == nullptr) continue;
      // One with a second name is somebody else's as well.
      if (found.stx_nlink != 1 || !seen.insert(entry.object).second) continue;
      Best& other = best[entry.path.text()];
      const uint64_t blocks = found.stx_blocks;
      const bool better =
          other.entry.temporary.empty() || std::pair(entry.whole, blocks) > std::pair(other.entry.whole, other.blocks);
      const ResumeEntry worse = better ? std::exchange(other.entry, entry) : entry;
      if (better) other.blocks = blocks;
      if (!worse.temporary.empty()) removed_ += RemoveAs(driver, worse);
    }
  }
  std::vector<ResumeEntry> found;
  for (auto& [path, candidate] : best) found.push_back(std::move(candidate.entry));
  return found;
}

void ResumeJournal::TakeOver(Driver* driver, bool keep) {
  std::lock_guard lock(mutex_);
  std::vector<Dead> dead;
  DirectoryCache directories(driver, root_, nullptr, kDirectories, options_.links);
  const auto is_there = [&](const ResumeEntry& entry) {
    struct statx found{};
    return HolderOf(driver, &directories, entry, &found) != nullptr;
  };
  for (uint64_t slot = 0; slot < kSlots; ++slot) {
    std::optional<Dead> journal = LockDead(driver, JournalName(slot));
    if (!journal || (!journal->ours && std::ranges::any_of(journal->entries, is_there))) continue;
    dead.push_back(*std::move(journal));
  }
  failed_ = !keep;
  if (dead.empty()) return;
  PassKillPoint(KillPoint::kJournalTakeOver);
  const absl::StatusOr<timespec> time = RootTime(driver);
  const std::vector<ResumeEntry> found = Candidates(driver, &directories, dead);
  for (const ResumeEntry& entry : found) kept_[entry.temporary].entry = entry;
  if (keep && !found.empty()) Rename(driver, &directories, found);
  if (name_.empty()) {
    for (const ResumeEntry& entry : found) removed_ += RemoveAs(driver, entry);
    kept_.clear();
  }
  for (const Dead& journal : dead) {
    if (journal.name != name_) RemoveName(driver, journal.name);
  }
  if (time.ok()) SetRootTime(driver, *time).IgnoreError();
}

// The names that temporaries have and those that they are to have are written down before the first one is renamed:
// whenever this session ends, the next one finds all.
void ResumeJournal::Rename(Driver* driver, DirectoryCache* directories, const std::vector<ResumeEntry>& found) {
  std::vector<std::string> names;
  for (const ResumeEntry& entry : found) {
    names.push_back(namer_.Next());
    Kept& renamed = kept_[names.back()];
    renamed.entry = entry;
    renamed.entry.temporary = names.back();
    renamed.offered = true;
  }
  if (!Write(driver, std::string())) return;
  for (size_t i = 0; i < found.size(); ++i) {
    const absl::StatusOr<DirectoryPtr> directory = directories->Get(found[i].path.Parent());
    const bool renamed = directory.ok() && sys::Renameat2(driver, (*directory)->fd(), found[i].temporary.c_str(),
                                                          (*directory)->fd(), names[i].c_str(), 0) == 0;
    kept_.erase(found[i].temporary);
    PassKillPoint(KillPoint::kJournalRenamed);
    if (renamed) continue;
    kept_.erase(names[i]);
    removed_ += RemoveAs(driver, found[i]);
  }
}

std::optional<LeftTemporary> ResumeJournal::Take(Driver* driver, const RelPath& path, const Entry& wanted) {
  std::lock_guard lock(mutex_);
  const auto place = std::find_if(kept_.begin(), kept_.end(), [&](const auto& kept) {
    return kept.second.offered && kept.second.entry.path == path;
  });
  if (place == kept_.end()) return std::nullopt;
  const ResumeEntry& entry = place->second.entry;
  place->second.offered = false;
  LeftTemporary left;
  left.name = entry.temporary;
  left.whole = entry.whole;
  DirectoryCache directories(driver, root_, nullptr, 1, options_.links);
  absl::StatusOr<DirectoryPtr> directory = directories.Get(path.Parent());
  struct statx found{};
  bool usable = directory.ok() && entry.size_bytes == wanted.size_bytes && entry.mtime == wanted.mtime;
  if (usable) {
    left.directory = *std::move(directory);
    const int access = left.whole ? O_RDONLY : O_RDWR;
    left.fd.Reset(sys::Openat(driver, left.directory->fd(), left.name.c_str(), access | kOpenFlags));
    usable = left.fd.valid() && StatDescriptor(driver, left.fd.get(), &found).ok() && IsObject(found, entry.object) &&
             found.stx_size <= wanted.size_bytes && (!left.whole || found.stx_size == wanted.size_bytes);
  }
  if (usable) left.data_bytes = EndOfData(driver, left.fd.get(), found.stx_size);
  if (!usable || left.data_bytes == 0) {
    RemoveAs(driver, entry);
    kept_.erase(place);
    return std::nullopt;
  }
  left.allocated_bytes = found.stx_blocks * 512;
  return left;
}

bool ResumeJournal::Note(Driver* driver, ResumeEntry entry) {
  std::lock_guard lock(mutex_);
  if (failed_) return false;
  const auto known = kept_.find(entry.temporary);
  if (known != kept_.end() && known->second.entry == entry) return true;
  const std::string temporary = entry.temporary;
  kept_[temporary] = {.entry = std::move(entry)};
  const bool noted = name_.empty() ? Write(driver, std::string()) : Append(driver, kept_[temporary].entry);
  if (!noted) kept_.erase(temporary);
  return noted;
}

void ResumeJournal::NoteWhole(Driver* driver, const std::string& temporary) {
  std::lock_guard lock(mutex_);
  const auto place = kept_.find(temporary);
  if (place == kept_.end() || place->second.entry.whole) return;
  place->second.entry.whole = true;
  if (Append(driver, place->second.entry)) return;
  // What nobody would know to be whole must not be written into by a later session: it has attributes.
  kept_.erase(place);
  if (!failed_ && Write(driver, name_)) return;
  failed_ = true;
  Unlink(driver).IgnoreError();
}

bool ResumeJournal::Holds(const std::string& temporary) const {
  std::lock_guard lock(mutex_);
  return kept_.contains(temporary);
}

void ResumeJournal::Forget(const std::string& temporary) {
  std::lock_guard lock(mutex_);
  kept_.erase(temporary);
}

void ResumeJournal::Remove(Driver* driver, const LeftTemporary& left) {
  std::lock_guard lock(mutex_);
  const auto place = kept_.find(left.name);
  if (place == kept_.end()) return;
  RemoveAs(driver, place->second.entry);
  kept_.erase(place);
}

size_t ResumeJournal::DropIf(Driver* driver, const RelPath* directory) {
  std::lock_guard lock(mutex_);
  return std::erase_if(kept_, [&](const auto& kept) {
    const bool unasked = kept.second.offered && (directory == nullptr || kept.second.entry.path.Parent() == *directory);
    if (unasked) RemoveAs(driver, kept.second.entry);
    return unasked;
  });
}

size_t ResumeJournal::Drop(Driver* driver) {
  return DropIf(driver, nullptr);
}

size_t ResumeJournal::DropIn(Driver* driver, const RelPath& directory) {
  return DropIf(driver, &directory);
}

absl::Status ResumeJournal::Close(Driver* driver) {
  std::lock_guard lock(mutex_);
  failed_ = true;
  return kept_.empty() ? Unlink(driver) : absl::OkStatus();
}

absl::Status ResumeJournal::Unlink(Driver* driver) {
  if (name_.empty()) return absl::OkStatus();
  const absl::StatusOr<timespec> now = RootTime(driver);
  US_RETURN_IF_ERROR(sys::SysStatus(RemoveName(driver, name_), "unlink"));
  PassKillPoint(KillPoint::kJournalUnlinked);
  name_.clear();
  fd_.Reset();
  if (!now.ok()) return now.status();
  // Others may have changed the directory, or set its time.
  return SetRootTime(driver, AreEqual(*now, time_after_) ? time_before_ : *now);
}

bool ResumeJournal::Append(Driver* driver, const ResumeEntry& entry) {
  const std::string text = ResumeRecordText(header_, entry);
  // What is not written down any more goes.
  if (size_bytes_ + text.size() > kMaxResumeJournalBytes) return Write(driver, name_);
  if (WriteAll(driver, fd_.get(), text, size_bytes_)) {
    if (options_.start_writeback) sys::StartWriteback(driver, fd_.get(), size_bytes_, text.size());
    size_bytes_ += text.size();
    PassKillPoint(KillPoint::kJournalAppended);
    return true;
  }
  // Nothing may follow what was cut off.
  if (sys::Ftruncate(driver, fd_.get(), size_bytes_) < 0) failed_ = true;
  return false;
}

std::string ResumeJournal::TextOfAll() const {
  std::string text = header_.Text();
  for (const auto& [name, kept] : kept_) text += ResumeRecordText(header_, kept.entry);
  return text;
}

bool ResumeJournal::Write(Driver* driver, const std::string& name) {
  const absl::StatusOr<timespec> time = RootTime(driver);
  const bool written = time.ok() && (name.empty() ? WriteFirst(driver) : WriteInto(driver, name, /*replace=*/true));
  if (time.ok()) SetRootTime(driver, *time).IgnoreError();
  if (!name.empty()) return written;
  // Whatever refused the first one refuses the next.
  failed_ = !written;
  if (!written) return false;
  time_before_ = *time;
  time_after_ = RootTime(driver).value_or(*time);
  return true;
}

bool ResumeJournal::WriteFirst(Driver* driver) {
  struct statx root{};
  if (!StatDescriptor(driver, root_->fd(), &root).ok()) return false;
  header_ = {.session_tag = session_tag_, .device = DeviceOf(root)};
  for (uint64_t slot = 0; slot < kSlots && name_.empty(); ++slot) {
    const std::string name = JournalName(slot);
    struct statx taken{};
    if (StatAt(driver, root_->fd(), name.c_str(), &taken).ok()) continue;
    if (WriteInto(driver, name, /*replace=*/false)) name_ = name;
  }
  return !name_.empty();
}

bool ResumeJournal::WriteInto(Driver* driver, const std::string& name, bool replace) {
  const std::string text = TextOfAll();
  if (text.size() > kMaxResumeJournalBytes) return false;
  absl::StatusOr<StagedObject> staged = StagedObject::CreateFile(driver, root_, &namer_);
  // Locked before it has the name under which others look for it.
  if (!staged.ok() || sys::Flock(driver, staged->fd(), LOCK_EX | LOCK_NB) < 0) return false;
  if (!WriteAll(driver, staged->fd(), text, 0)) return false;
  UniqueFd fd(sys::Fcntl(driver, staged->fd(), F_DUPFD_CLOEXEC));
  if (!fd.valid()) return false;
  if (options_.start_writeback) sys::StartWriteback(driver, fd.get(), 0, text.size());
  PassKillPoint(KillPoint::kJournalStaged);
  const absl::Status named =
      replace ? staged->MoveTo(*root_, name.c_str()) : staged->Publish(name.c_str(), std::nullopt);
  if (!named.ok()) return false;
  PassKillPoint(KillPoint::kJournalNamed);
  fd_ = std::move(fd);
  size_bytes_ = text.size();
  return true;
}

absl::StatusOr<timespec> ResumeJournal::RootTime(Driver* driver) const {
  struct statx root{};
  US_RETURN_IF_ERROR(StatDescriptor(driver, root_->fd(), &root));
  return TimeOf(root.stx_mtime);
}

absl::Status ResumeJournal::SetRootTime(Driver* driver, const timespec& time) const {
  const std::string self = "/proc/self/fd/" + std::to_string(root_->fd());
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, time};
  const int set = sys::Utimensat(driver, AT_FDCWD, self.c_str(), times, 0);
  return set == -EPERM ? absl::OkStatus() : sys::SysStatus(set, "utimensat");
}

}  // namespace uringsync

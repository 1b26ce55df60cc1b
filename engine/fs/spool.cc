#include "engine/fs/spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

constexpr size_t kWindowBytes = size_t{64} << 10;
constexpr size_t kLengthBytes = sizeof(uint32_t);
constexpr int kMaxNameAttempts = 16;

uint32_t LoadLength(const char* at) {
  uint32_t length = 0;
  std::memcpy(&length, at, sizeof(length));
  return length;
}

void AppendLength(uint32_t length, std::string* out) {
  out->append(reinterpret_cast<const char*>(&length), sizeof(length));
}

}  // namespace

absl::StatusOr<UniqueFd> OpenScratchFile(Driver* driver, const std::string& directory) {
  std::string place = directory;
  if (place.empty()) {
    const char* from_environment = ::secure_getenv("TMPDIR");
    place = from_environment != nullptr && *from_environment != '\0' ? from_environment : "/tmp";
  }
  int fd = sys::Openat(driver, AT_FDCWD, place.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
  if (fd >= 0) return UniqueFd(fd);
  std::random_device random;
  for (int attempt = 0; attempt < kMaxNameAttempts; ++attempt) {
    const std::string path = place + "/.uringsync-spool-" + std::to_string(random()) + "-" + std::to_string(::getpid());
    fd = sys::Openat(driver, AT_FDCWD, path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd == -EEXIST) continue;
    if (fd < 0) break;
    UniqueFd file(fd);
    US_RETURN_IF_ERROR(sys::SysStatus(sys::Unlinkat(driver, AT_FDCWD, path.c_str(), 0), "spool file: unlink"));
    return file;
  }
  return ErrnoStatus(-fd, "spool file in " + EscapeName(place) + " (set TMPDIR to another directory)");
}

absl::Status ReadScratch(Driver* driver, int fd, char* buffer, size_t bytes, uint64_t offset) {
  for (size_t done = 0; done < bytes;) {
    const int64_t n = sys::Pread(driver, fd, buffer + done, bytes - done, offset + done);
    if (n < 0) return ErrnoStatus(static_cast<int>(-n), "spool file: read");
    if (n == 0) return MakeStatus(absl::StatusCode::kDataLoss, "spool file: unexpected end");
    done += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::Status WriteScratch(Driver* driver, int fd, std::string_view bytes, uint64_t offset) {
  for (size_t done = 0; done < bytes.size();) {
    const int64_t n = sys::Pwrite(driver, fd, bytes.data() + done, bytes.size() - done, offset + done);
    if (n < 0) return ErrnoStatus(static_cast<int>(-n), "spool file: write");
    if (n == 0) return ErrnoStatus(EIO, "spool file: write");
    done += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::Status Spool::Append(std::string_view record) {
  if (record.size() > kMaxRecordBytes)
    return MakeStatus(absl::StatusCode::kInvalidArgument, "spool record is longer than 16 MiB");
  const auto length = static_cast<uint32_t>(record.size());
  const size_t framed = record.size() + 2 * kLengthBytes;
  if (!memory_.empty() && memory_.size() + framed > options_.memory_bytes) US_RETURN_IF_ERROR(Spill());
  AppendLength(length, &memory_);
  memory_ += record;
  AppendLength(length, &memory_);
  ++records_;
  return absl::OkStatus();
}

absl::Status Spool::Spill() {
  if (!file_.valid()) {
    US_ASSIGN_OR_RETURN(file_, OpenScratchFile(driver_, options_.directory));
  }
  US_RETURN_IF_ERROR(WriteScratch(driver_, file_.get(), memory_, file_bytes_));
  file_bytes_ += memory_.size();
  memory_.clear();
  return absl::OkStatus();
}

Spool::Reader::Reader(const Spool* spool, bool backward)
    : spool_(spool), backward_(backward), position_(backward ? spool->total_bytes() : 0), end_(spool->total_bytes()) {}

absl::StatusOr<bool> Spool::Reader::Next(std::string* record) {
  return backward_ ? NextBackward(record) : NextForward(record);
}

absl::StatusOr<bool> Spool::Reader::NextForward(std::string* record) {
  if (position_ >= end_) return false;
  US_ASSIGN_OR_RETURN(const char* head, Window(position_, kLengthBytes));
  const uint32_t length = LoadLength(head);
  US_ASSIGN_OR_RETURN(const char* body, Window(position_ + kLengthBytes, length));
  record->assign(body, length);
  position_ += length + 2 * kLengthBytes;
  return true;
}

absl::StatusOr<bool> Spool::Reader::NextBackward(std::string* record) {
  if (position_ == 0) return false;
  US_ASSIGN_OR_RETURN(const char* tail, Window(position_ - kLengthBytes, kLengthBytes));
  const uint32_t length = LoadLength(tail);
  US_ASSIGN_OR_RETURN(const char* body, Window(position_ - kLengthBytes - length, length));
  record->assign(body, length);
  position_ -= length + 2 * kLengthBytes;
  return true;
}

absl::StatusOr<const char*> Spool::Reader::Window(uint64_t offset, size_t bytes) {
  // A record lies in the file or in memory, never across: memory is spilled whole. What was in memory when this reader
  // was made may have moved into the file since; the position in the sequence stays.
  if (offset >= spool_->file_bytes_) return spool_->memory_.data() + (offset - spool_->file_bytes_);
  if (offset >= window_offset_ && offset + bytes <= window_offset_ + window_.size())
    return window_.data() + (offset - window_offset_);
  // Read ahead in the direction of the walk.
  const uint64_t want = std::max<uint64_t>(bytes, kWindowBytes);
  uint64_t begin = offset;
  if (backward_) begin = offset + bytes > want ? offset + bytes - want : 0;
  const uint64_t end = std::min<uint64_t>(backward_ ? offset + bytes : offset + want, spool_->file_bytes_);
  window_.resize(end - begin);
  window_offset_ = begin;
  const absl::Status read = ReadScratch(spool_->driver_, spool_->file_.get(), window_.data(), window_.size(), begin);
  if (!read.ok()) {
    window_.clear();
    return read;
  }
  return window_.data() + (offset - begin);
}

}  // namespace uringsync

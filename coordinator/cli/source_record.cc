#include "coordinator/cli/source_record.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "engine/base/digest.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/base/unique_fd.h"

namespace uringsync {
namespace {

constexpr std::string_view kMagic = "uringsync source record 1";
// More than any record that Save writes.
constexpr size_t kMaxRecordBytes = 2 * kMaxMountBytes + kMaxMounts * 66 + (64 << 10);

std::string HexOf(std::string_view bytes) {
  return Xxh128(bytes).Hex();
}

absl::Status Failed(const std::string& path, const char* operation) {
  return WithContext(ErrnoStatus(errno, operation), EscapeName(path));
}

absl::Status Damaged(std::string_view how) {
  return absl::DataLossError("the record of the source's mounts is damaged (" + std::string(how) + ")");
}

// A file system that syncs no directories keeps the name in its own time.
absl::Status SyncDirectory(const std::string& path) {
  const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return ErrnoStatus(errno, "open of its directory");
  if (::fsync(directory.get()) != 0 && errno != EINVAL) return ErrnoStatus(errno, "fsync of its directory");
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoStatus(errno, "write");
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return absl::OkStatus();
}

}  // namespace

std::string EncodeSourceRecord(const SourceRecordKey& key, const std::vector<MountedPlace>& mounts) {
  std::string bytes(kMagic);
  const auto put = [&bytes](std::string_view field) {
    bytes += '\0';
    bytes += field;
  };
  put(key.source);
  put(key.destination);
  for (const MountedPlace& mount : mounts) {
    put(mount.point);
    put(mount.file_system);
  }
  put(HexOf(bytes));
  return bytes;
}

absl::StatusOr<std::vector<MountedPlace>> DecodeSourceRecord(const SourceRecordKey& key, std::string_view bytes) {
  const size_t last = bytes.rfind('\0');
  if (last == std::string_view::npos || HexOf(bytes.substr(0, last)) != bytes.substr(last + 1))
    return Damaged("its digest");
  bytes = bytes.substr(0, last);
  std::vector<std::string_view> fields;
  for (size_t begin = 0; begin <= bytes.size();) {
    const size_t end = std::min(bytes.find('\0', begin), bytes.size());
    fields.push_back(bytes.substr(begin, end - begin));
    begin = end + 1;
  }
  if (fields.size() < 3 || fields.size() % 2 == 0 || fields[0] != kMagic) return Damaged("its form");
  if (fields[1] != key.source || fields[2] != key.destination) return Damaged("another source");
  std::vector<MountedPlace> mounts;
  for (size_t i = 3; i < fields.size(); i += 2) mounts.push_back({std::string(fields[i]), std::string(fields[i + 1])});
  if (mounts.size() > kMaxMounts) return Damaged("too many mounts");
  return mounts;
}

SourceRecord::SourceRecord(const std::string& state_directory, SourceRecordKey key)
    : key_(std::move(key)),
      directory_(state_directory + "/sources"),
      path_(directory_ + "/" + HexOf(key_.source + '\0' + key_.destination)) {}

absl::StatusOr<std::optional<std::vector<MountedPlace>>> SourceRecord::Load() const {
  const UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.valid() && (errno == ENOENT || errno == ENOTDIR)) return std::optional<std::vector<MountedPlace>>();
  if (!file.valid()) return Failed(path_, "open");
  std::string bytes;
  bytes.resize(kMaxRecordBytes + 1);
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + filled, bytes.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed(path_, "read");
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  if (filled > kMaxRecordBytes) return WithContext(Damaged("its size"), EscapeName(path_));
  absl::StatusOr<std::vector<MountedPlace>> mounts =
      DecodeSourceRecord(key_, std::string_view(bytes).substr(0, filled));
  if (!mounts.ok()) return WithContext(mounts.status(), EscapeName(path_));
  return std::optional(*std::move(mounts));
}

absl::Status SourceRecord::Save(const std::vector<MountedPlace>& mounts) const {
  std::error_code error;
  const bool made = std::filesystem::create_directories(directory_, error);
  if (error) return WithContext(ErrnoStatus(error.value(), "mkdir"), EscapeName(directory_));
  std::string temporary = path_ + ".XXXXXX";
  const UniqueFd file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file.valid()) return Failed(path_, "create");
  absl::Status saved = WriteAll(file.get(), EncodeSourceRecord(key_, mounts));
  if (saved.ok() && ::fsync(file.get()) != 0) saved = ErrnoStatus(errno, "fsync");
  if (saved.ok() && ::rename(temporary.c_str(), path_.c_str()) != 0) saved = ErrnoStatus(errno, "rename");
  if (!saved.ok()) ::unlink(temporary.c_str());
  if (saved.ok()) saved = SyncDirectory(directory_);
  if (saved.ok() && made) saved = SyncDirectory(directory_ + "/..");
  return WithContext(saved, EscapeName(path_));
}

}  // namespace uringsync

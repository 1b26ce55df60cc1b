#include "coordinator/cli/replaced_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <random>
#include <utility>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/fs/state_name.h"

namespace uringsync {
namespace {

constexpr size_t kBufferBytes = size_t{256} << 10;

absl::Status Failed(const std::string& path, const char* what) {
  return NamedError(path, ErrnoStatus(errno, what));
}

// Nothing is written over but another one of its kind.
absl::Status CheckReplaceable(const std::string& path, DocumentKind kind) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return errno == ENOENT ? absl::OkStatus() : Failed(path, "stat");
  const absl::Status refused = LinkError(ErrorKind::kUsage, EscapeName(path) + " is there and is no " +
                                                                std::string(kind.noun) + "; it is not written over");
  if (!S_ISREG(found.st_mode)) return refused;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.valid()) return Failed(path, "open");
  std::string begin(kind.magic.size(), '\0');
  US_ASSIGN_OR_RETURN(const size_t got, ReadSome(file.get(), begin));
  return std::string_view(begin).substr(0, got) == kind.magic ? absl::OkStatus() : refused;
}

}  // namespace

std::string InDirectoryOf(const std::string& path, const std::string& name) {
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  return (parent.empty() ? std::filesystem::path(".") : parent) / name;
}

absl::Status NamedError(const std::string& path, const absl::Status& status) {
  const bool other =
      status.code() == absl::StatusCode::kUnimplemented || (absl::IsNotFound(status) && StatusErrno(status) == 0);
  return LinkError(other ? ErrorKind::kUsage : ErrorKind::kFileIo,
                   EscapeName(path) + ": " + std::string(ToStd(status.message())));
}

absl::StatusOr<size_t> ReadSome(int fd, std::span<char> buffer) {
  while (true) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return ErrnoStatus(errno, "read");
  }
}

absl::StatusOr<UniqueFd> OpenDocument(const std::string& path, DocumentKind kind) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return Failed(path, "open");
  struct stat found {};
  if (::fstat(file.get(), &found) != 0) return Failed(path, "stat");
  if (!S_ISREG(found.st_mode))
    return LinkError(ErrorKind::kUsage, EscapeName(path) + ": it is no " + std::string(kind.noun));
  return file;
}

absl::StatusOr<std::unique_ptr<ReplacedFile>> ReplacedFile::Create(std::string path, DocumentKind kind) {
  US_RETURN_IF_ERROR(CheckReplaceable(path, kind));
  std::unique_ptr<ReplacedFile> file(new ReplacedFile(std::move(path), kind));
  US_RETURN_IF_ERROR(file->Open());
  return file;
}

absl::Status ReplacedFile::Open() {
  std::random_device random;
  const uint64_t tag = uint64_t{random()} << 32 | random();
  // A name that no manifest shows, wherever the file is.
  temporary_ = InDirectoryOf(path_, StateNamer(tag).Next());
  file_.Reset(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file_.valid()) return absl::OkStatus();
  const int error = errno;
  temporary_.clear();
  return NamedError(path_, ErrnoStatus(error, "create"));
}

ReplacedFile::~ReplacedFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

absl::Status ReplacedFile::Write(std::string_view bytes) {
  buffer_ += bytes;
  return buffer_.size() < kBufferBytes ? absl::OkStatus() : Flush();
}

absl::Status ReplacedFile::Flush() {
  std::string_view left = buffer_;
  while (!left.empty()) {
    const ssize_t put = ::write(file_.get(), left.data(), left.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Failed(path_, "write");
    left.remove_prefix(static_cast<size_t>(put));
  }
  buffer_.clear();
  return absl::OkStatus();
}

absl::Status ReplacedFile::Commit() {
  US_RETURN_IF_ERROR(Flush());
  if (::fsync(file_.get()) != 0) return Failed(path_, "fsync");
  // Somebody may have put something there meanwhile.
  US_RETURN_IF_ERROR(CheckReplaceable(path_, kind_));
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return Failed(path_, "rename");
  temporary_.clear();
  const UniqueFd directory(::open(InDirectoryOf(path_, ".").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.valid() && ::fsync(directory.get()) != 0 && errno != EINVAL)
    return Failed(path_, "fsync of its directory");
  return absl::OkStatus();
}

}  // namespace uringsync

#include "coordinator/cli/plan_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <span>
#include <utility>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/fs/state_name.h"
#include "proto/wire_size.h"

namespace uringsync {
namespace {

constexpr size_t kActionsPerRecord = 256;

std::string InDirectoryOf(const std::string& path, const std::string& name) {
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  return (parent.empty() ? std::filesystem::path(".") : parent) / name;
}

// With the path in front, as a LinkError: what is no plan of ours is a mistake of the command line.
absl::Status Named(const std::string& path, const absl::Status& status) {
  const bool other =
      status.code() == absl::StatusCode::kUnimplemented || (absl::IsNotFound(status) && StatusErrno(status) == 0);
  return LinkError(other ? ErrorKind::kUsage : ErrorKind::kFileIo,
                   EscapeName(path) + ": " + std::string(ToStd(status.message())));
}

absl::Status Failed(const std::string& path, const char* what) {
  return Named(path, ErrnoStatus(errno, what));
}

// Reads on from the descriptor's position; 0 at the end.
absl::StatusOr<size_t> ReadSome(int fd, std::span<char> buffer) {
  while (true) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return ErrnoStatus(errno, "read");
  }
}

// Nothing is written over but another plan.
absl::Status CheckReplaceable(const std::string& path) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) return errno == ENOENT ? absl::OkStatus() : Failed(path, "stat");
  const absl::Status refused =
      LinkError(ErrorKind::kUsage, EscapeName(path) + " is there and is no plan; it is not written over");
  if (!S_ISREG(found.st_mode)) return refused;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.valid()) return Failed(path, "open");
  std::array<char, kPlanMagic.size()> begin{};
  US_ASSIGN_OR_RETURN(const size_t got, ReadSome(file.get(), begin));
  return std::string_view(begin.data(), got) == kPlanMagic ? absl::OkStatus() : refused;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PlanFileWriter>> PlanFileWriter::Create(std::string path, PlanHeader header,
                                                                       const std::vector<SourceOperand>& operands) {
  US_RETURN_IF_ERROR(CheckReplaceable(path));
  std::unique_ptr<PlanFileWriter> writer(new PlanFileWriter(std::move(path), std::move(header)));
  US_RETURN_IF_ERROR(writer->Open());
  std::span<const SourceOperand> left(operands);
  while (!left.empty()) {
    const size_t count = OperandsOfOneMessage(left);
    US_ASSIGN_OR_RETURN(const std::string record,
                        writer->encoder_.Operands({left.begin(), left.begin() + static_cast<std::ptrdiff_t>(count)}));
    US_RETURN_IF_ERROR(writer->Write(record));
    left = left.subspan(count);
  }
  return writer;
}

absl::Status PlanFileWriter::Open() {
  std::random_device random;
  const uint64_t tag = uint64_t{random()} << 32 | random();
  // A name that no manifest shows, wherever the file is.
  temporary_ = InDirectoryOf(path_, StateNamer(tag).Next());
  file_.Reset(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file_.valid()) {
    const int error = errno;
    temporary_.clear();
    return Named(path_, ErrnoStatus(error, "create"));
  }
  return Write(encoder_.Begin());
}

PlanFileWriter::~PlanFileWriter() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

absl::Status PlanFileWriter::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(file_.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Failed(path_, "write");
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return absl::OkStatus();
}

absl::Status PlanFileWriter::Add(const PlannedAction& planned) {
  const size_t bytes = WireBytesBound(planned.action);
  const bool full = pending_.size() >= kActionsPerRecord || pending_bytes_ + bytes > kTargetBatchBytes;
  if (!pending_.empty() && (full || pending_.front().phase != planned.phase)) US_RETURN_IF_ERROR(Flush());
  pending_bytes_ += bytes;
  pending_.push_back(planned);
  return absl::OkStatus();
}

absl::Status PlanFileWriter::Flush() {
  if (pending_.empty()) return absl::OkStatus();
  US_ASSIGN_OR_RETURN(const std::string record, encoder_.Actions(pending_.front().phase, pending_));
  pending_.clear();
  pending_bytes_ = 0;
  return Write(record);
}

absl::Status PlanFileWriter::Commit(const PlanCounters& counters) {
  US_RETURN_IF_ERROR(Flush());
  US_RETURN_IF_ERROR(Write(encoder_.End(counters)));
  if (::fsync(file_.get()) != 0) return Failed(path_, "fsync");
  // Somebody may have put something there meanwhile.
  US_RETURN_IF_ERROR(CheckReplaceable(path_));
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return Failed(path_, "rename");
  temporary_.clear();
  const UniqueFd directory(::open(InDirectoryOf(path_, ".").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.valid() && ::fsync(directory.get()) != 0 && errno != EINVAL)
    return Failed(path_, "fsync of its directory");
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<PlanFile>> PlanFile::Open(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return Failed(path, "open");
  struct stat found{};
  if (::fstat(file.get(), &found) != 0) return Failed(path, "stat");
  if (!S_ISREG(found.st_mode)) return LinkError(ErrorKind::kUsage, EscapeName(path) + ": it is no plan");
  std::unique_ptr<PlanFile> plan(new PlanFile(std::move(file)));
  struct stat above{};
  if (::stat(InDirectoryOf(path, ".").c_str(), &above) == 0) plan->directory_ = FileId{above.st_dev, above.st_ino};
  // All of it, before any of it is done.
  absl::StatusOr<std::unique_ptr<PlanDecoder>> decoder = plan->Read();
  if (!decoder.ok()) return Named(path, decoder.status());
  while (true) {
    const absl::StatusOr<std::optional<PlannedBatch>> batch = (*decoder)->Next();
    if (!batch.ok()) return Named(path, batch.status());
    if (!batch->has_value()) return plan;
  }
}

absl::StatusOr<std::unique_ptr<PlanDecoder>> PlanFile::Read() {
  if (::lseek(file_.get(), 0, SEEK_SET) != 0) return ErrnoStatus(errno, "seek");
  return PlanDecoder::Open([fd = file_.get()](std::span<char> buffer) { return ReadSome(fd, buffer); });
}

}  // namespace uringsync

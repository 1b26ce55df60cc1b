#include "coordinator/cli/plan_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <span>
#include <utility>

#include "engine/base/errno_status.h"
#include "proto/wire_size.h"

namespace uringsync {
namespace {

constexpr size_t kActionsPerRecord = 256;

constexpr DocumentKind kPlanKind{kPlanMagic, "plan"};

}  // namespace

absl::StatusOr<std::unique_ptr<PlanFileWriter>> PlanFileWriter::Create(const std::string& path, PlanHeader header,
                                                                       const std::vector<SourceOperand>& operands) {
  US_ASSIGN_OR_RETURN(std::unique_ptr<ReplacedFile> file, ReplacedFile::Create(path, kPlanKind));
  std::unique_ptr<PlanFileWriter> writer(new PlanFileWriter(std::move(file), std::move(header)));
  US_RETURN_IF_ERROR(writer->file_->Write(writer->encoder_.Begin()));
  std::span<const SourceOperand> left(operands);
  while (!left.empty()) {
    const size_t count = OperandsOfOneMessage(left);
    US_ASSIGN_OR_RETURN(const std::string record,
                        writer->encoder_.Operands({left.begin(), left.begin() + static_cast<std::ptrdiff_t>(count)}));
    US_RETURN_IF_ERROR(writer->file_->Write(record));
    left = left.subspan(count);
  }
  return writer;
}

absl::Status PlanFileWriter::SetMounts(const std::vector<MountedPlace>& mounts) {
  if (mounts.empty()) return absl::OkStatus();
  US_ASSIGN_OR_RETURN(const std::string record, encoder_.Mounts(mounts));
  return file_->Write(record);
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
  return file_->Write(record);
}

absl::Status PlanFileWriter::Commit(const PlanCounters& counters) {
  US_RETURN_IF_ERROR(Flush());
  US_RETURN_IF_ERROR(file_->Write(encoder_.End(counters)));
  return file_->Commit();
}

absl::StatusOr<std::unique_ptr<PlanFile>> PlanFile::Open(const std::string& path) {
  US_ASSIGN_OR_RETURN(UniqueFd file, OpenDocument(path, kPlanKind));
  std::unique_ptr<PlanFile> plan(new PlanFile(std::move(file)));
  struct stat above{};
  if (::stat(InDirectoryOf(path, ".").c_str(), &above) == 0) plan->directory_ = FileId{above.st_dev, above.st_ino};
  // All of it, before any of it is done.
  absl::StatusOr<std::unique_ptr<PlanDecoder>> decoder = plan->Read();
  if (!decoder.ok()) return NamedError(path, decoder.status());
  while (true) {
    const absl::StatusOr<std::optional<PlannedBatch>> batch = (*decoder)->Next();
    if (!batch.ok()) return NamedError(path, batch.status());
    if (!batch->has_value()) return plan;
  }
}

absl::StatusOr<std::unique_ptr<PlanDecoder>> PlanFile::Read() {
  if (::lseek(file_.get(), 0, SEEK_SET) != 0) return ErrnoStatus(errno, "seek");
  return PlanDecoder::Open([fd = file_.get()](std::span<char> buffer) { return ReadSome(fd, buffer); });
}

}  // namespace uringsync

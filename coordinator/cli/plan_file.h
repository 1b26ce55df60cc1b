// The file of a plan (coordinator/core/plan_document.h): written beside its place and put there when it is whole, read
// twice: once to see that it is whole, once to carry it out.
//
// Thread rule: one thread at a time. Use:
//   US_ASSIGN_OR_RETURN(std::unique_ptr<PlanFileWriter> writer, PlanFileWriter::Create(path, header, operands));
//   for each action:  US_RETURN_IF_ERROR(writer->Add(planned));
//   US_RETURN_IF_ERROR(writer->Commit(counters));
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/cli/replaced_file.h"
#include "coordinator/core/plan_document.h"
#include "engine/base/entry.h"
#include "engine/base/unique_fd.h"

namespace uringsync {

class PlanFileWriter {
 public:
  // LinkError(kUsage): something that is no plan is there; LinkError(kFileIo): the file system's errors.
  static absl::StatusOr<std::unique_ptr<PlanFileWriter>> Create(const std::string& path, PlanHeader header,
                                                                const std::vector<SourceOperand>& operands);
  // Before the first action: what the source is mounted from.
  absl::Status SetMounts(const std::vector<MountedPlace>& mounts);
  absl::Status Add(const PlannedAction& planned);
  // On disk under its name, readable by its owner alone. Errors as of Create.
  absl::Status Commit(const PlanCounters& counters);

 private:
  PlanFileWriter(std::unique_ptr<ReplacedFile> file, PlanHeader header)
      : file_(std::move(file)), encoder_(std::move(header)) {}
  absl::Status Flush();

  const std::unique_ptr<ReplacedFile> file_;
  PlanEncoder encoder_;
  std::vector<PlannedAction> pending_;  // of one phase
  size_t pending_bytes_ = 0;
};

class PlanFile {
 public:
  // Reads all of it. LinkError(kUsage): it is no plan, or of another format; LinkError(kFileIo): damaged, or it cannot
  // be read.
  static absl::StatusOr<std::unique_ptr<PlanFile>> Open(const std::string& path);
  // The directory that the file is in, whose time moved when it was put there; nullopt where it cannot be looked at.
  std::optional<FileId> directory() const { return directory_; }
  // From its beginning. The decoder must not outlive this object; one at a time.
  absl::StatusOr<std::unique_ptr<PlanDecoder>> Read();

 private:
  explicit PlanFile(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;
  std::optional<FileId> directory_;
};

}  // namespace uringsync

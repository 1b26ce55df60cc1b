#include "coordinator/link/destination_path.h"

#include <cerrno>
#include <cstring>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/fs/host_path.h"

namespace uringsync {
namespace {

std::string Shown(const DestinationQuestion& question, const std::string& path) {
  if (question.working_directory.empty() || path.starts_with('/')) return EscapeName(WithoutTrailingSlashes(path));
  const std::string& above = question.working_directory;
  return EscapeName(above + (above.ends_with('/') ? "" : "/") + std::string(WithoutTrailingSlashes(path)));
}

absl::Status Failed(ErrorKind kind, const char* what, const std::string& path, int error) {
  return LinkError(kind, std::string(what) + " \"" + path + "\" failed: " + std::strerror(error) + " (" +
                             std::to_string(error) + ")");
}

}  // namespace

absl::StatusOr<DestinationChoice> ChooseDestination(const DestinationQuestion& question) {
  const PathInfo& found = question.found;
  DestinationChoice choice;
  if (found.error != 0) return Failed(ErrorKind::kSelection, "stat", Shown(question, question.path), found.error);
  if (found.target == PathKind::kDirectory) {
    choice.directory = question.path;
    return choice;
  }
  const bool there = found.target != PathKind::kMissing;
  if (there && question.several)
    return LinkError(ErrorKind::kSelection, "ERROR: destination must be a directory when copying more than 1 file");
  if (there && !question.single_object)
    return LinkError(ErrorKind::kSelection, "ERROR: cannot overwrite non-directory with a directory");
  const bool wants_directory = !question.single_object || question.path.ends_with('/');
  const bool parent_missing = !found.has_parent && !question.make_path;
  choice.create = wants_directory || !found.has_parent;
  choice.make_path = choice.create && question.make_path;
  if (wants_directory) {
    choice.directory = question.path;
    if (found.kind != PathKind::kMissing)
      return Failed(ErrorKind::kFileIo, "mkdir", Shown(question, question.path), EEXIST);
    if (parent_missing) return Failed(ErrorKind::kFileIo, "mkdir", Shown(question, question.path), ENOENT);
    return choice;
  }
  choice.directory = ParentOfHostPath(question.path);
  choice.new_name = NameOfHostPath(question.path);
  if (parent_missing) return Failed(ErrorKind::kSelection, "change_dir#3", Shown(question, choice.directory), ENOENT);
  if (const absl::Status valid = ValidateName(choice.new_name); !valid.ok())
    return LinkError(ErrorKind::kSelection, ToStd(valid.message()));
  return choice;
}

}  // namespace uringsync

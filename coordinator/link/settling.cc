// Links: what is found out about paths of a side's host between the first words of its agent and the run.
#include <filesystem>
#include <utility>

#include "coordinator/core/basis_notice.h"
#include "coordinator/link/host_places.h"
#include "coordinator/link/link_error.h"
#include "coordinator/link/links.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {

absl::StatusOr<PathQuestions*> Links::QuestionsOf(Side side, const std::string& software) {
  Shell* const shell = ShellOf(side);
  if (shell == nullptr && TargetOf(side).endpoint.is_local()) {
    if (local_questions_ == nullptr) {
      US_ASSIGN_OR_RETURN(local_asked_, (side == Side::kSource ? channels_.front() : channels_.back())->OpenStream());
      US_ASSIGN_OR_RETURN(local_questions_, PathQuestions::Open(local_asked_.get(), software));
    }
    return local_questions_.get();
  }
  if (shell == nullptr) return LinkError(ErrorKind::kUsage, Name(side) + ": only over a remote shell");
  if (shell->questions == nullptr) {
    US_ASSIGN_OR_RETURN(shell->asked, OpenShellStream(shell, TargetOf(side).endpoint));
    US_ASSIGN_OR_RETURN(shell->questions, PathQuestions::Open(shell->asked.get(), software));
  }
  return shell->questions.get();
}

absl::StatusOr<PathReply> Links::Look(Side side, const PathQuery& query, const std::string& software) {
  if (TargetOf(side).endpoint.is_local() && !query.expand && query.list_file.empty()) {
    PathReply reply;
    for (const std::string& path : query.paths) reply.paths.push_back(LookAtPath(path));
    std::error_code unknown;
    reply.directory = std::filesystem::current_path(unknown).string();
    return reply;
  }
  absl::StatusOr<PathQuestions*> questions = QuestionsOf(side, software);
  if (!questions.ok()) return AsLinkError(questions.status(), Name(side));
  absl::StatusOr<PathReply> reply = (*questions)->Ask(query);
  if (!reply.ok()) return AsLinkError(reply.status(), Name(side));
  return reply;
}

absl::StatusOr<std::string> Links::ReadList(Side side, const std::string& file, const std::string& software) {
  US_ASSIGN_OR_RETURN(PathQuestions* const questions, QuestionsOf(side, software));
  return questions->ReadList(file);
}

void Links::SetHostPath(Side side, std::string path) {
  LinkTarget& target = TargetOf(side);
  target.host_path = std::move(path);
  target.settled = true;
}

absl::Status Links::ExpandHomes(const std::string& software) {
  for (const Side side : {Side::kSource, Side::kDestination}) {
    const LinkTarget& target = TargetOf(side);
    if (!target.endpoint.is_shell() || target.settled || !target.host_path.starts_with('~')) continue;
    PathQuery query;
    query.paths = {AsPattern(target.host_path)};
    query.expand = true;
    US_ASSIGN_OR_RETURN(PathReply reply, Look(side, query, software));
    if (reply.names.size() != 1) return LinkError(ErrorKind::kProtocol, Name(side) + ": one path was asked for");
    SetHostPath(side, std::move(reply.names.front()));
  }
  return absl::OkStatus();
}

absl::Status Links::PlaceBesideDestination(const std::string& software) {
  if (bases_.empty() && !backup_) return absl::OkStatus();
  const std::string& destination = targets_.destination.host_path;
  US_ASSIGN_OR_RETURN(const PathReply reply, Look(Side::kDestination, {.root = "", .paths = {destination}}, software));
  const bool is_there = reply.paths.front().target != PathKind::kMissing;
  PathQuery query;
  for (Basis& basis : bases_) {
    basis.place = {"", RelPath(), PathBeside(destination, is_there, basis.shown)};
    query.paths.push_back(basis.place.host_path);
  }
  if (!bases_.empty()) {
    US_ASSIGN_OR_RETURN(const PathReply found, Look(Side::kDestination, query, software));
    KeepDirectories(found);
  }
  return backup_ ? PlaceBackup(is_there, reply.directory, software) : absl::OkStatus();
}

void Links::KeepDirectories(const PathReply& found) {
  std::vector<Basis> kept;
  for (size_t i = 0; i < bases_.size(); ++i) {
    const PathInfo& there = found.paths[i];
    if (there.error == 0 && (there.target == PathKind::kDirectory || there.target == PathKind::kMissing)) {
      kept.push_back(std::move(bases_[i]));
    } else if (on_notice_) {
      on_notice_(EscapeName(UnusableBasis(basis_use_, bases_[i].shown, false)));
    }
  }
  bases_ = std::move(kept);
}

absl::Status Links::PlaceBackup(bool is_there, const std::string& working_directory, const std::string& software) {
  const std::string& destination = targets_.destination.host_path;
  US_ASSIGN_OR_RETURN(backup_inside_, PlaceWithin(destination, backup_->shown, working_directory));
  if (is_there && backup_inside_) {
    // Whoever may write to the destination must not lead backups out of it by a link there.
    backup_->place = {"", *backup_inside_, destination.empty() ? "." : destination};
    return absl::OkStatus();
  }
  const std::string path = PathBeside(destination, is_there, backup_->shown);
  const std::vector<std::string> way = WayTo(path);
  US_ASSIGN_OR_RETURN(const PathReply reply, Look(Side::kDestination, {.root = "", .paths = way}, software));
  size_t known = way.size();
  while (known > 1 && reply.paths[known - 1].target != PathKind::kDirectory) --known;
  backup_->place = {"", RelPath(), way[known - 1]};
  US_ASSIGN_OR_RETURN(backup_->place.path, RestOfWay(path, known));
  return absl::OkStatus();
}

absl::Status Links::OpenShellStreams() {
  for (const Side side : {Side::kSource, Side::kDestination}) {
    std::unique_ptr<ClientStream>& stream = side == Side::kSource ? source_ : destination_;
    Shell* const shell = ShellOf(side);
    if (shell == nullptr || stream != nullptr) continue;
    US_ASSIGN_OR_RETURN(stream, OpenShellStream(shell, TargetOf(side).endpoint));
  }
  return absl::OkStatus();
}

}  // namespace uringsync

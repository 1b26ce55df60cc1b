#include "coordinator/link/private_agent.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

constexpr char kProgramName[] = "uringsync-agent";

bool IsProgram(const std::string& path) {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

absl::StatusOr<std::string> FindAgentProgram(std::string_view override_path, std::string_view self,
                                             std::string_view search_path) {
  if (!override_path.empty()) {
    std::string path(override_path);
    if (IsProgram(path)) return path;
    return LinkError(ErrorKind::kUsage,
                     "URINGSYNC_AGENT names " + EscapeName(path) + ", which is not an executable file");
  }
  std::string beside;
  if (const size_t slash = self.rfind('/'); slash != std::string_view::npos) {
    beside = std::string(self.substr(0, slash + 1)) + kProgramName;
    if (IsProgram(beside)) return beside;
  }
  while (!search_path.empty()) {
    const size_t colon = search_path.find(':');
    const std::string_view directory = search_path.substr(0, colon);
    search_path = colon == std::string_view::npos ? std::string_view() : search_path.substr(colon + 1);
    if (directory.empty() || directory.front() != '/') continue;  // never the working directory
    std::string path = std::string(directory) + "/" + kProgramName;
    if (IsProgram(path)) return path;
  }
  return LinkError(ErrorKind::kUsage, std::string("cannot find ") + kProgramName + ", which local paths need: not at " +
                                          (beside.empty() ? "the directory of this program" : EscapeName(beside)) +
                                          " and not on PATH; install it there or name it in URINGSYNC_AGENT");
}

absl::StatusOr<std::unique_ptr<PrivateAgent>> PrivateAgent::Start(PrivateAgentOptions options) {
  const std::string context = "start private agent " + EscapeName(options.program);
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return AsLinkError(ErrnoStatus(errno, "socketpair"), context);
  }
  std::unique_ptr<PrivateAgent> agent(new PrivateAgent());
  agent->socket_.Reset(pair[0]);
  const UniqueFd theirs = AboveChildDescriptors(UniqueFd(pair[1]));
  ChildOptions child;
  child.program = std::move(options.program);
  child.arguments = {kProgramName, "--private-fd", std::to_string(kPrivateFd)};
  for (std::string& argument : options.arguments) child.arguments.push_back(std::move(argument));
  child.descriptors = std::move(options.descriptors);
  child.descriptors.emplace_back(kPrivateFd, theirs.get());
  child.on_line = std::move(options.on_warning);
  absl::StatusOr<std::unique_ptr<ChildProcess>> process = ChildProcess::Start(std::move(child), context);
  if (!process.ok()) {
    const int err = StatusErrno(process.status());
    const char* way_out =
        err == EAGAIN || err == ENOMEM
            ? "; raise the limit of processes or of memory (ulimit -u, ulimit -v, the container's pids limit)"
            : "";
    return LinkError(ErrorKind::kFileIo, std::string(process.status().message()) + way_out);
  }
  agent->process_ = *std::move(process);
  return agent;
}

void PrivateAgent::Stop(std::chrono::milliseconds grace) {
  socket_.Reset();
  process_->Stop(grace);
}

}  // namespace uringsync

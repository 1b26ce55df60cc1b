#include "coordinator/cli/rsync/messages.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "coordinator/cli/rsync/numbers.h"

namespace uringsync {
namespace {

constexpr char kDone[] = "done";
// Of what --remove-source-files was to remove.
constexpr char kRemoveOperation[] = "remove";

// rsync(1), EXIT VALUES.
constexpr std::pair<int, const char*> kReasons[] = {
    {1, "syntax or usage error"},
    {2, "protocol incompatibility"},
    {3, "errors selecting input/output files, dirs"},
    {4, "requested action not supported"},
    {5, "error starting client-server protocol"},
    {10, "error in socket IO"},
    {11, "error in file IO"},
    {12, "error in rsync protocol data stream"},
    {13, "errors with program diagnostics"},
    {14, "error in IPC code"},
    {20, "received SIGINT, SIGTERM, or SIGHUP"},
    {23, "some files/attrs were not transferred (see previous errors)"},
    {24, "some files vanished before they could be transferred"},
    {25, "the --max-delete limit stopped deletions"},
    {30, "timeout in data send/receive"},
    {35, "timeout waiting for daemon connection"},
    {126, "remote command could not be run"},
    {127, "remote command not found"},
};

// What rsync calls an operation that failed at a file.
std::string OperationText(const Problem& problem) {
  const std::string& operation = problem.operation;
  if (problem.side == Side::kSource && (operation == "open" || operation == "openat" || operation == "openat2")) {
    return "send_files failed to open";
  }
  if (operation == "list" || operation == "opendir" || operation == "getdents64" || operation == "getdents")
    return "opendir";
  if (operation == "stat" || operation == "statx" || operation == "fstatat") return "link_stat";
  if (operation == "readlink" || operation == "readlinkat") return "readlink_stat";
  return operation.empty() ? "copy" : operation;
}

}  // namespace

std::string ProblemText(const Problem& problem, std::string_view path) {
  if (problem.kind == ProblemKind::kVanished) return "file has vanished: \"" + std::string(path) + "\"";
  if (problem.operation == kFollowOperation && problem.error == ENOENT)
    return "symlink has no referent: \"" + std::string(path) + "\"";
  if (problem.kind == ProblemKind::kUnstable)
    return "ursync: \"" + std::string(path) + "\" kept changing while it was read; copied as it was";
  const char* who = problem.side == Side::kSource        ? "[sender] "
                    : problem.side == Side::kDestination ? "[Receiver] "
                                                         : "";
  std::string operation = OperationText(problem);
  const bool sentence = operation.find(" failed") != std::string::npos;
  std::string line =
      std::string("ursync: ") + who + operation + " \"" + std::string(path) + "\"" + (sentence ? "" : " failed") + ": ";
  if (problem.error != 0) {
    line += std::string(std::strerror(problem.error)) + " (" + std::to_string(problem.error) + ")";
    if (!problem.detail.empty()) line += ": " + problem.detail;
    return line;
  }
  switch (problem.kind) {
    case ProblemKind::kChanged:
      return line + (problem.operation == kRemoveOperation
                         ? "it was written to while or after it was copied; it stays, and the "
                           "next run copies it again"
                         : "the file kept changing; it was not copied");
    case ProblemKind::kIntegrity: return line + "contents arrived damaged again and again";
    default: return line + (problem.detail.empty() ? "it was changed by somebody else meanwhile" : problem.detail);
  }
}

ListLine ListLineOf(const std::string& text, bool source_is_local, bool counts, std::optional<uint64_t> count) {
  const std::string shown = source_is_local ? text : "receiving" + text.substr(text.find(' '));
  const size_t done = shown.find(kDone);
  if (done == std::string::npos) return {shown, ""};
  const std::string found = !counts ? kDone : count ? HumanNumber(*count, 0) + " files to consider" : "";
  return {shown.substr(0, done) + found, found};
}

std::string ExitReason(int code) {
  if (code == 0) return {};
  const char* reason = "unexplained error";
  for (const auto& [number, text] : kReasons) {
    if (number == code) reason = text;
  }
  return std::string(reason) + " (code " + std::to_string(code) + ")";
}

std::string ExitLine(std::string_view program, int code, std::string_view reason) {
  if (code == 0) return {};
  const bool vanished = code == static_cast<int>(ExitCode::kVanished);
  const std::string why =
      reason.empty() ? ExitReason(code) : std::string(reason) + " (code " + std::to_string(code) + ")";
  return std::string(program) + (vanished ? " warning: " : " error: ") + why;
}

}  // namespace uringsync

#include "coordinator/link/shell_command.h"

#include <optional>
#include <utility>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

constexpr char kAgentProgram[] = "uringsync-agent";

std::string_view Basename(std::string_view word) {
  return word.substr(word.rfind('/') + 1);  // npos + 1 is 0
}

}  // namespace

absl::StatusOr<std::vector<std::string>> SplitShellCommand(std::string_view text) {
  std::vector<std::string> words;
  std::optional<std::string> word;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c != quote) {
        word->push_back(c);
      } else if (i + 1 < text.size() && text[i + 1] == quote) {
        word->push_back(c);
        ++i;
      } else {
        quote = 0;
      }
      continue;
    }
    if (c == ' ') {
      if (word) words.push_back(*std::exchange(word, std::nullopt));
      continue;
    }
    if (!word) word.emplace();
    if (c == '\'' || c == '"') {
      quote = c;
    } else {
      word->push_back(c);
    }
  }
  if (quote != 0) {
    return LinkError(ErrorKind::kUsage, std::string("the remote-shell command has a ") + quote + " without its end");
  }
  if (word) words.push_back(*std::move(word));
  if (words.empty()) return LinkError(ErrorKind::kUsage, "the remote-shell command is empty");
  return words;
}

std::string FarProgram(std::string_view path) {
  if (path.empty()) return kAgentProgram;
  size_t end = path.size();
  while (end > 0) {
    const size_t last = path.find_last_not_of(" \t", end - 1);
    if (last == std::string_view::npos) break;
    const size_t before = path.find_last_of(" \t", last);
    const size_t begin = before == std::string_view::npos ? 0 : before + 1;
    if (Basename(path.substr(begin, last + 1 - begin)) == "rsync") {
      return std::string(path.substr(0, begin)) + kAgentProgram + std::string(path.substr(last + 1));
    }
    end = begin;
  }
  return std::string(path);
}

absl::StatusOr<std::vector<std::string>> ShellCommand(const ShellOptions& options, const ShellEndpoint& endpoint) {
  US_ASSIGN_OR_RETURN(std::vector<std::string> words,
                      SplitShellCommand(options.command.empty() ? "ssh" : options.command));
  const bool is_ssh = Basename(words.front()) == "ssh";
  if (!endpoint.user.empty()) words.insert(words.end(), {"-l", endpoint.user});
  if (is_ssh && options.family == AddressFamily::kIpv4) words.push_back("-4");
  if (is_ssh && options.family == AddressFamily::kIpv6) words.push_back("-6");
  words.push_back(endpoint.host);
  words.push_back(FarProgram(options.far_program));
  words.push_back("--stdio");
  words.insert(words.end(), options.far_arguments.begin(), options.far_arguments.end());
  return words;
}

}  // namespace uringsync

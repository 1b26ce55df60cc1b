#include "coordinator/cli/rsync/file_list.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "coordinator/link/link_error.h"
#include "engine/base/escape.h"
#include "proto/messages.h"

namespace uringsync {
namespace {

absl::Status Failed(const char* what, const std::string& file) {
  return LinkError(ErrorKind::kUsage, std::string(what) + " " + EscapeName(file) + ": " + std::strerror(errno));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadFileList(const std::string& file, bool nul_separated) {
  const size_t colon = file.find(':');
  if (colon != std::string::npos && colon < file.find('/')) {
    return LinkError(ErrorKind::kUsage, "--files-from=" + EscapeName(file) + " is not supported: the list is a file of this host");
  }
  const auto close = [](FILE* opened) { return opened == nullptr ? 0 : std::fclose(opened); };
  const std::unique_ptr<FILE, int (*)(FILE*)> opened(file == "-" ? nullptr : std::fopen(file.c_str(), "re"), +close);
  FILE* input = file == "-" ? stdin : opened.get();
  if (input == nullptr) return Failed("failed to open files-from file", file);
  std::vector<std::string> names;
  std::string name;
  size_t bytes = 0;
  const auto add = [&] {
    const bool comment = !nul_separated && !name.empty() && (name.front() == '#' || name.front() == ';');
    if (!name.empty() && !comment) names.push_back(std::move(name));
    name.clear();
  };
  for (int c = 0; (c = std::getc(input)) != EOF;) {
    const bool ends = nul_separated ? c == 0 : c == '\n' || c == '\r' || c == 0;
    if (ends) {
      add();
      if (names.size() > kMaxOperands) return LinkError(ErrorKind::kUsage, EscapeName(file) + ": more than 4194304 names");
    } else {
      name += static_cast<char>(c);
      if (++bytes > kMaxOperandBytes) return LinkError(ErrorKind::kUsage, EscapeName(file) + ": more than 512 MiB of names");
    }
  }
  if (std::ferror(input) != 0) return Failed("failed to read files-from file", file);
  add();
  return names;
}

}  // namespace uringsync

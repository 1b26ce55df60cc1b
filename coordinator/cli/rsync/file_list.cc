#include "coordinator/cli/rsync/file_list.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "proto/messages.h"

namespace uringsync {
namespace {

absl::Status Failed(const char* what, const std::string& file) {
  return LinkError(ErrorKind::kUsage, std::string(what) + " " + EscapeName(file) + ": " + std::strerror(errno));
}

// Names as they come, byte by byte.
class NameCollector {
 public:
  NameCollector(const std::string& file, FileListFormat format) : file_(file), format_(format) {}
  absl::Status Add(char c) {
    const bool ends = format_.nul_separated ? c == 0 : c == '\n' || c == '\r' || c == 0;
    if (ends) return EndName();
    name_ += c;
    if (++bytes_ > kMaxOperandBytes)
      return LinkError(ErrorKind::kUsage, EscapeName(file_) + ": more than 512 MiB of names");
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<std::string>> End() {
    US_RETURN_IF_ERROR(EndName());
    return std::move(names_);
  }

 private:
  absl::Status EndName() {
    const bool comment = format_.comments && !name_.empty() && (name_.front() == '#' || name_.front() == ';');
    if (!name_.empty() && !comment) names_.push_back(std::move(name_));
    name_.clear();
    if (names_.size() > kMaxOperands)
      return LinkError(ErrorKind::kUsage, EscapeName(file_) + ": more than 4194304 names");
    return absl::OkStatus();
  }

  const std::string& file_;
  const FileListFormat format_;
  std::vector<std::string> names_;
  std::string name_;
  size_t bytes_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<std::string>> SplitFileList(std::string_view list, const std::string& file,
                                                       FileListFormat format) {
  NameCollector names(file, format);
  for (const char c : list) US_RETURN_IF_ERROR(names.Add(c));
  return names.End();
}

absl::StatusOr<std::vector<std::string>> ReadFileList(const std::string& file, FileListFormat format) {
  const auto close = [](FILE* opened) { return opened == nullptr ? 0 : std::fclose(opened); };
  const std::unique_ptr<FILE, int (*)(FILE*)> opened(file == "-" ? nullptr : std::fopen(file.c_str(), "re"), +close);
  FILE* input = file == "-" ? stdin : opened.get();
  if (input == nullptr) return Failed("failed to open files-from file", file);
  NameCollector names(file, format);
  for (int c = 0; (c = std::getc(input)) != EOF;) US_RETURN_IF_ERROR(names.Add(static_cast<char>(c)));
  if (std::ferror(input) != 0) return Failed("failed to read files-from file", file);
  return names.End();
}

}  // namespace uringsync

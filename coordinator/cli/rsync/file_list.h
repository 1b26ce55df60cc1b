// The names of --files-from.
//
// Thread rule: functions; they read with plain calls.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace uringsync {

struct FileListFormat {
  bool nul_separated = false;  // names stand between NUL bytes, else on lines
  // What begins with '#' or ';' is no name. As with rsync that is so for a list that the source's end reads by itself,
  // NUL bytes or not, and not for one that is handed to it from the other end.
  bool comments = true;
};

// The names in `list`, the contents of `file`: as ReadFileList.
absl::StatusOr<std::vector<std::string>> SplitFileList(std::string_view list, const std::string& file,
                                                       FileListFormat format);

// The names in `file` ("-": standard input), in order, empty ones left out. LinkError(kUsage) for a file that cannot be
// read or is too large.
absl::StatusOr<std::vector<std::string>> ReadFileList(const std::string& file, FileListFormat format);

}  // namespace uringsync

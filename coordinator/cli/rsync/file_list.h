// The names of --files-from.
//
// Thread rule: functions; they read with plain calls.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace uringsync {

// The names in `list`, the contents of `file`: as ReadFileList.
absl::StatusOr<std::vector<std::string>> SplitFileList(std::string_view list, const std::string& file, bool nul_separated);

// The names in `file` ("-": standard input), in order: a line each, empty ones and comments ('#' or ';' in front) left out; with
// `nul_separated` whatever stands between NUL bytes. LinkError(kUsage) for a file that cannot be read or is too large.
absl::StatusOr<std::vector<std::string>> ReadFileList(const std::string& file, bool nul_separated);

}  // namespace uringsync

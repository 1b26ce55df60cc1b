// InfoLevels: what a run tells, by rsync's names of --info.
//
// Thread rule: values.
// Use:  InfoLevels levels = InfoLevels::OfVerbosity(1);  levels.Apply("progress2,name0");  if (levels.of(Info::kName) >
// 0) ...
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace uringsync {

enum class Info : uint8_t {
  kBackup,
  kCopy,
  kDelete,
  kFileList,
  kMisc,
  kMount,
  kName,
  kNonRegular,
  kProgress,
  kRemove,
  kSkip,
  kStats,
  kSymlinkSafety,
};
constexpr size_t kInfoNames = 13;

class InfoLevels {
 public:
  // What rsync tells with so many -v.
  static InfoLevels OfVerbosity(int verbose);
  // "name1,progress2,..." over what is set. InvalidArgument: an unknown name, or a level that tells nothing here.
  absl::Status Apply(std::string_view flags);
  int of(Info info) const { return levels_[static_cast<size_t>(info)]; }
  void Set(Info info, int level) { levels_[static_cast<size_t>(info)] = level; }
  void Silence() { levels_.fill(0); }
  // The names and what they tell: --info=help.
  static std::string Help();

 private:
  absl::Status ApplyOne(std::string_view flag);
  std::array<int, kInfoNames> levels_{};
};

}  // namespace uringsync

#include "coordinator/cli/rsync/info_levels.h"

#include <algorithm>
#include <cstdlib>

#include "engine/base/escape.h"

namespace uringsync {
namespace {

struct Row {
  Info info;
  const char* name;
  int most;             // the highest level that tells something; 0: nothing is told
  int rsyncs;           // the highest level that rsync has
  int from_verbose[2];  // level that -v and -vv set
  const char* help;
};

constexpr Row kRows[] = {
    {Info::kBackup, "BACKUP", 1, 1, {0, 1}, "What is kept as a backup"},
    {Info::kCopy, "COPY", 1, 1, {1, 1}, "Files of DST that others are made from (--detect-renames)"},
    {Info::kDelete, "DEL", 1, 1, {1, 1}, "Deleted objects"},
    {Info::kFileList, "FLIST", 1, 2, {1, 1}, "That lists are made"},
    {Info::kMisc, "MISC", 1, 2, {1, 2}, "What the run as a whole meets with"},
    {Info::kMount, "MOUNT", 0, 1, {0, 1}, nullptr},
    {Info::kName, "NAME", 2, 2, {1, 2}, "1) names of what changes, 2) of what needs nothing, too"},
    {Info::kNonRegular, "NONREG", 1, 1, {1, 1}, "Kinds of objects that are left out (default 1, 0 disables)"},
    {Info::kProgress, "PROGRESS", 2, 2, {0, 0}, "1) progress by file, 2) of the whole"},
    {Info::kRemove, "REMOVE", 1, 1, {0, 1}, "What is removed at the source (--remove-source-files)"},
    {Info::kSkip, "SKIP", 1, 2, {0, 1}, "What stays as it is by an option"},
    {Info::kStats, "STATS", 2, 3, {1, 1}, "Counts at the end (levels 1-2)"},
    {Info::kSymlinkSafety, "SYMSAFE", 1, 1, {1, 1}, "Symlinks that are not safe"},
};

std::string Upper(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

}  // namespace

InfoLevels InfoLevels::OfVerbosity(int verbose) {
  InfoLevels levels;
  levels.Set(Info::kNonRegular, 1);
  if (verbose == 0) return levels;
  for (const Row& row : kRows) levels.Set(row.info, std::min(row.from_verbose[verbose > 1 ? 1 : 0], row.most));
  return levels;
}

absl::Status InfoLevels::Apply(std::string_view flags) {
  while (!flags.empty()) {
    const size_t end = flags.find(',');
    if (const std::string_view flag = flags.substr(0, end); !flag.empty()) {
      if (absl::Status status = ApplyOne(flag); !status.ok()) return status;
    }
    flags = end == std::string_view::npos ? std::string_view() : flags.substr(end + 1);
  }
  return absl::OkStatus();
}

absl::Status InfoLevels::ApplyOne(std::string_view flag) {
  size_t digits = flag.size();
  while (digits > 0 && flag[digits - 1] >= '0' && flag[digits - 1] <= '9') --digits;
  const std::string name = Upper(flag.substr(0, digits));
  const int level = digits == flag.size() ? 1 : std::min(9, std::atoi(std::string(flag.substr(digits)).c_str()));
  if (name == "ALL" || name == "NONE") {
    for (const Row& row : kRows) Set(row.info, name == "NONE" ? 0 : std::min(level, row.most));
    return absl::OkStatus();
  }
  for (const Row& row : kRows) {
    if (row.name != name) continue;
    const int asked = std::min(level, row.rsyncs);
    if (asked > row.most) {
      return absl::UnimplementedError("nothing is told about " + EscapeName(flag) + "; --info=help lists what is");
    }
    Set(row.info, asked);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("unknown --info item: \"" + EscapeName(flag.substr(0, digits)) + "\"");
}

std::string InfoLevels::Help() {
  std::string text = "NAME or NAME1: level 1, NAME2: level 2, NAME0: nothing. Several after commas.\n\n";
  for (const Row& row : kRows) {
    if (row.help == nullptr) continue;
    std::string name = row.name;
    name.resize(11, ' ');
    text += name + row.help + "\n";
  }
  return text + "\nALL        Everything at that level\nNONE       Nothing\nHELP       This text\n";
}

}  // namespace uringsync

// RuleFinder: which filter rule decides of a path on one side of a run, and where it stands: on the command line, in a
// file that it names, or in a per-directory file of the tree.
//
// Per-directory files are read where the side's paths are paths of a host that answers for them: this one, or that of a
// remote shell. Of a running agent they are not known: then a finding says that there may be such a rule.
//
// One thread. Use:
//   RuleFinder finder(*filter, run.placed_filters, ReadLocalRuleFile, "src/", true);
//   std::optional<DecidingRule> rule = finder.FindExcluding(FilterSide::kSender, path, is_directory);
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/core/explanation.h"
#include "engine/tree/filter_text.h"
#include "engine/tree/path_filter.h"

namespace uringsync {

// The text of a file of the host by its path; nullopt: there is none that can be read.
using HostFileReader = std::function<std::optional<std::string>(const std::string& path)>;

class RuleFinder final : private MergeFiles {
 public:
  // `rules`: what `filter` was compiled from. `read` null: per-directory files are not known. `root`: the side's
  // directory as the user wrote it, `local` where that is a path of this host. Both references outlive this object.
  RuleFinder(const PathFilter& filter, const std::vector<ExpandedRule>& rules, HostFileReader read, std::string root,
             bool local);

  // The rule that excludes `path`, or the first of the directories above it; nullopt where none does.
  std::optional<DecidingRule> FindExcluding(FilterSide side, const RelPath& path, bool is_directory);

 private:
  absl::StatusOr<std::optional<std::string>> Read(std::string_view directory, const std::string& name) override;
  // How a file of the tree, or above it, is told: below the root as the user wrote that.
  std::string Shown(const std::string& file) const;
  DecidingRule Deciding(const PathFilter::Finding& found, const RelPath& of) const;

  const PathFilter& filter_;
  const std::vector<ExpandedRule>& rules_;
  const HostFileReader read_;
  const std::string root_;
  const std::string above_;  // absolute, without slashes at its ends; empty: not known
  bool is_above_ = false;    // files above the root are being read: their names are absolute
  std::map<std::string, std::optional<std::string>> texts_;  // of what was read, by absolute path
};

// Reads a regular file of this host, at most kMaxMergeFileBytes.
std::optional<std::string> ReadLocalRuleFile(const std::string& path);

}  // namespace uringsync

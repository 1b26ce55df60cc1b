#include "coordinator/cli/explain_rules.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

std::string Joined(const std::string& directory, std::string_view name) {
  if (directory.empty() || name.empty()) return directory + std::string(name);
  return directory + (directory.back() == '/' ? "" : "/") + std::string(name);
}

// Where the directory lies, without slashes at its ends; empty: nobody knows, or "/".
std::string AbsoluteOf(const std::string& root, bool local) {
  std::string path = root;
  if (local) {
    std::error_code error;
    path = std::filesystem::weakly_canonical(root.empty() ? "." : root, error).string();
    if (error) path.clear();
  }
  if (!path.starts_with('/')) return {};
  while (path.ends_with('/')) path.pop_back();
  path.erase(0, path.find_first_not_of('/'));
  return path;
}

}  // namespace

RuleFinder::RuleFinder(const PathFilter& filter, const std::vector<ExpandedRule>& rules, HostFileReader read,
                       std::string root, bool local)
    : filter_(filter),
      rules_(rules),
      read_(std::move(read)),
      root_(std::move(root)),
      above_(AbsoluteOf(root_, local)) {}

absl::StatusOr<std::optional<std::string>> RuleFinder::Read(std::string_view directory, const std::string& name) {
  const std::string below = Joined(std::string(directory), name);
  const std::string file = is_above_ ? below : Joined(above_, below);
  const auto known = texts_.find(file);
  if (known != texts_.end()) return known->second;
  std::optional<std::string> text = read_(is_above_ ? "/" + below : Joined(root_.empty() ? "." : root_, below));
  texts_.emplace(file, text);
  return text;
}

std::string RuleFinder::Shown(const std::string& file) const {
  if (above_.empty()) return Joined(root_, file);
  if (file.starts_with(above_ + "/")) return Joined(root_, file.substr(above_.size() + 1));
  return "/" + file;
}

DecidingRule RuleFinder::Deciding(const PathFilter::Finding& found, const RelPath& of) const {
  DecidingRule rule{.of = of};
  if (!found.file.empty()) {
    rule.rule = found.written;
    rule.file = Shown(found.file);
    rule.line = found.rule;
  } else if (found.rule < rules_.size()) {
    rule.rule = rules_[found.rule].written;
    rule.file = rules_[found.rule].file;
    rule.line = rules_[found.rule].line;
  }
  rule.may_be_before = found.merge_before && read_ == nullptr;
  return rule;
}

std::optional<DecidingRule> RuleFinder::FindExcluding(FilterSide side, const RelPath& path, bool is_directory) {
  std::vector<RelPath> ways;
  for (RelPath way = path; !way.is_root(); way = way.Parent()) ways.push_back(way);
  FilterScopePtr scope = PathFilter::Below(filter_.base(), above_);
  // A file that is wrong would have ended the plan: from there on the run's own rules are all that is known.
  const auto enter = [&](absl::StatusOr<FilterScopePtr> entered) {
    if (entered.ok()) scope = *std::move(entered);
  };
  if (read_ != nullptr && !above_.empty()) {
    is_above_ = true;
    enter(filter_.Above(*this, above_, ""));
    is_above_ = false;
  }
  for (size_t i = ways.size(); i-- > 0;) {
    if (read_ != nullptr) enter(filter_.Enter(scope, ways[i].Parent().text(), *this));
    const PathFilter::Finding found = filter_.FindRule(*scope, side, ways[i].text(), i > 0 || is_directory);
    if (found.verdict == FilterVerdict::kExclude) return Deciding(found, ways[i]);
  }
  return std::nullopt;
}

std::optional<std::string> ReadLocalRuleFile(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(path, error))) return std::nullopt;
  if (std::filesystem::file_size(path, error) > kMaxMergeFileBytes || error) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

}  // namespace uringsync

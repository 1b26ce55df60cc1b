#include "coordinator/cli/rsync/option_table.h"

#include <algorithm>
#include <array>

namespace uringsync {

bool OptionRow::IsForProof() const {
  constexpr std::string_view kOfVerify[] = {
      "perms", "owner", "group",      "times", "acls",      "xattrs",   "selinux",    "xattr", "rsh", "one-file-system",
      "ipv4",  "ipv6",  "rsync-path", "jobs",  "cert",      "insecure", "io-backend", "key",   "ca",  "timeout",
      "quiet", "json",  "contimeout", "help",  "background"};
  // Which trees are compared by, and not verified with.
  constexpr std::string_view kOfPlan[] = {"filter", "exclude", "include", "exclude-from", "include-from", "from0"};
  const auto is_one_of = [this](std::span<const std::string_view> names) {
    return name != nullptr && std::find(names.begin(), names.end(), std::string_view(name)) != names.end();
  };
  return (programs & kForProve) != 0 || ((programs & kForVerify) != 0 && is_one_of(kOfVerify)) ||
         ((programs & kForPlan) != 0 && refused == nullptr && is_one_of(kOfPlan));
}

std::string OptionRow::Name() const {
  return name != nullptr ? "--" + std::string(name) : std::string("-") + letter;
}

std::vector<std::string> OptionRow::Aliases() const {
  std::vector<std::string> names;
  std::string_view rest = aliases == nullptr ? "" : aliases;
  while (!rest.empty()) {
    const size_t end = rest.find(' ');
    names.emplace_back(rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return names;
}

std::span<const OptionGroup> OptionTable() {
  static const std::array<OptionGroup, 5> table = {{{"What is looked at", SelectionOptions()},
                                                    {"What is kept of each object", MetadataOptions()},
                                                    {"What is written and deleted", WritingOptions()},
                                                    {"How it runs", RunningOptions()},
                                                    {"What is told", TellingOptions()}}};
  return table;
}

}  // namespace uringsync

#include "coordinator/cli/rsync/option_table.h"

#include <array>

namespace uringsync {

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

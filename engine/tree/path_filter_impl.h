// What PathFilter is made of. Private to path_filter*.cc.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/tree/path_filter.h"

namespace uringsync {

// Rules in order, of the run or of one merge file.
struct PathFilter::List {
  List() = default;
  List(List&&) = default;
  // Frees a chain of inherited lists in a loop: that of a very deep tree would overflow the stack.
  ~List();

  struct Item {
    std::optional<FilterPattern> pattern;  // none: the place of a dir-merge rule
    size_t merge = 0;
    size_t rule = 0;  // of the run's list: the place of the rule that it comes from
    uint8_t sides = 3;
    bool include = false;
    bool absolute = false;
    bool negated = false;
    bool perishable = false;
  };
  std::vector<Item> items;
  std::shared_ptr<const List> inherited;
  // Where anchored patterns of a merge file begin: below the root at path offset `skip`, or above it, `lead` and a slash before the path.
  size_t skip = 0;
  std::string lead;
};

class FilterScope {
 public:
  struct Merge {
    std::shared_ptr<const FilterRule> rule;  // its text is the file's name, without a directory
    std::string top;                         // absolute directory where the looking begins
    bool looks_above = false;
    std::shared_ptr<const PathFilter::List> list;
  };
  std::vector<Merge> merges;
};

// Compiles one list, reading what it merges.
struct PathFilter::Compiler {
  const PathFilterOptions& options;
  std::vector<FilterScope::Merge>* merges;  // dir-merge rules are added here
  MergeFiles* files;                        // null: the list of the run
  std::string directory;                    // of `files`
  List list;
  size_t rule = 0;  // that is being compiled, of the run's list

  absl::Status AddText(std::string_view text, const FilterStyle& style, int depth);
  absl::Status Add(std::string_view line, const FilterStyle& style, int depth);

 private:
  absl::Status AddItem(List::Item item);
  absl::Status AddPattern(const FilterRule& rule, std::string_view pattern);
  absl::Status AddMerge(FilterRule rule, int depth);
  absl::Status AddDirMerge(FilterRule rule);
};

}  // namespace uringsync

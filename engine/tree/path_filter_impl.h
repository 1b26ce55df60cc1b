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
    size_t rule = 0;  // of the run's list: the place of the rule that it comes from; of a merge file: its line, from 1
    std::string written;  // of a merge file: the rule as it stands there
    uint8_t sides = 3;
    bool include = false;
    bool absolute = false;
    bool negated = false;
    bool perishable = false;
  };
  std::vector<Item> items;
  std::shared_ptr<const List> inherited;
  // Of a merge file, whose anchored patterns begin at its directory. Paths that see the root of the transfer where
  // `above` says begin with `skip` bytes of that directory, or lie as deep below it as `lead` says; others are compared
  // by absolute paths.
  std::shared_ptr<const std::string> above;
  size_t skip = 0;
  std::string lead;
  std::string directory;  // absolute, without slashes at its ends
  std::string name;       // of the file
};

class FilterScope {
 public:
  struct Merge {
    std::shared_ptr<const FilterRule> rule;  // its text is the file's name, without a directory
    std::string top;                         // the directory that it was given with, where the looking begins
    bool looks_above = false;
    std::shared_ptr<const PathFilter::List> list;
  };
  std::vector<Merge> merges;
  std::shared_ptr<const std::string> above = std::make_shared<const std::string>();  // of the root of the transfer
};

// Compiles one list, reading what it merges.
struct PathFilter::Compiler {
  const PathFilterOptions& options;
  std::vector<FilterScope::Merge>* merges;  // dir-merge rules are added here
  MergeFiles* files;                        // null: the list of the run
  std::string directory;                    // of `files`
  List list;
  bool absolute = false;  // some rule is about absolute paths
  size_t rule = 0;        // that is being compiled, as List::Item has it
  std::string_view written = {};

  absl::Status AddText(std::string_view text, const FilterStyle& style, int depth);
  absl::Status Add(std::string_view line, const FilterStyle& style, int depth);

 private:
  absl::Status AddItem(List::Item item);
  absl::Status AddPattern(const FilterRule& rule, std::string_view pattern);
  absl::Status AddMerge(FilterRule rule, int depth);
  absl::Status AddDirMerge(FilterRule rule);
};

}  // namespace uringsync

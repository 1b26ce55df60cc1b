// FilterExpander: the filter options of a command line, in order, as the list of rules that both agents get.
//
// Merge files of the client are read here, and -C's lists; dir-merge rules stay in the list. A rule that clears the
// list clears it here. Reads nothing itself: files come from a FilterFiles.
//
// Thread rule: one thread. Use:
//   FilterExpander expander(&files, {.nul_separated = from0});
//   US_RETURN_IF_ERROR(expander.AddExclude("*.o"));  ...
//   request.filters = expander.Take();
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/tree/filter_rule.h"

namespace uringsync {

// Files that a command line names, by the names that stand there ("-" is the standard input).
class FilterFiles {
 public:
  virtual ~FilterFiles() = default;
  // The whole text. The error's message says what is wrong with which file.
  virtual absl::StatusOr<std::string> Read(const std::string& name) = 0;
};

// One rule of a run and where it stands.
struct ExpandedRule {
  std::string rule;          // in the full syntax
  std::string file;          // as it was named; empty: the command line, or a list that is built in
  size_t line = 0;           // in the file, from 1
  std::string written = {};  // as the user wrote it, where that was in the full syntax; else as `rule`
  friend bool operator==(const ExpandedRule&, const ExpandedRule&) = default;
};

struct FilterExpanderOptions {
  bool nul_separated = false;  // --from0
  std::string home_cvsignore;  // text of ~/.cvsignore, for -C
  std::string cvsignore;       // $CVSIGNORE
};

class FilterExpander {
 public:
  // `files` outlives the expander.
  FilterExpander(FilterFiles* files, FilterExpanderOptions options) : files_(files), options_(std::move(options)) {}

  // Each: InvalidArgument for a rule that is wrong, Unimplemented for one that only rsync knows, the reader's error for
  // a file that cannot be read.
  absl::Status AddFilter(std::string_view rule);      // --filter
  absl::Status AddExclude(std::string_view pattern);  // --exclude
  absl::Status AddInclude(std::string_view pattern);  // --include
  absl::Status AddExcludeFrom(const std::string& name);
  absl::Status AddIncludeFrom(const std::string& name);
  absl::Status
  AddPerDirectory();      // -F: the first time the per-directory rule, the second time the exclusion of its file
  absl::Status AddCvs();  // -C: belongs at the end, after all others

  // The rules, each for itself in the full syntax.
  std::vector<std::string> Take();
  // The same, each with the place where it stands.
  std::vector<ExpandedRule> TakeWithPlaces() { return std::move(rules_); }

 private:
  // Where a rule stands: the file, and the line.
  struct Place {
    std::string_view file;
    size_t line = 0;
  };
  absl::Status Add(std::string_view text, const FilterStyle& style, int depth, Place place,
                   std::vector<ExpandedRule>* rules);
  absl::Status AddText(std::string_view text, const FilterStyle& style, int depth, std::string_view file,
                       std::vector<ExpandedRule>* rules);
  absl::Status AddMerge(FilterRule rule, int depth, Place place, std::vector<ExpandedRule>* rules);
  absl::Status AddCvsLists(const FilterRule& rule, std::vector<ExpandedRule>* rules);

  FilterFiles* const files_;
  const FilterExpanderOptions options_;
  std::vector<ExpandedRule> rules_;
  int per_directory_ = 0;
};

}  // namespace uringsync

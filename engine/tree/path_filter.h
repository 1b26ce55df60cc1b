// PathFilter: the filter rules of a run, compiled, and what they say of a path.
//
// Rules stand in one list; the first that matches decides. A dir-merge rule is a place in that list: there stand the
// rules of the files of that name, those of the directory in question first, then what it inherits from the directories
// above. A FilterScope is the state of these places for the entries of one directory; it is immutable, and directories
// without such files share their parent's.
//
// Which side a rule is for: sender rules hide names from the transfer, receiver rules protect them from deletion.
//
// Thread rule: PathFilter and FilterScope are immutable, any thread.
// Use:  US_ASSIGN_OR_RETURN(PathFilterPtr filter, PathFilter::Compile(rules, options));
//       US_ASSIGN_OR_RETURN(FilterScopePtr base, filter->Above(reader, "srv/tree", ""));
//       US_ASSIGN_OR_RETURN(FilterScopePtr root, filter->Enter(base, "", reader));
//       if (filter->Judge(*root, FilterSide::kSender, "a.o", false) == FilterVerdict::kExclude) ...
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/tree/filter_pattern.h"
#include "engine/tree/filter_rule.h"

namespace uringsync {

constexpr size_t kMaxFilterBytes = size_t{2} << 20;  // of the rules of a run
constexpr size_t kMaxMergeFileBytes = size_t{1} << 20;
constexpr size_t kMaxMergeNames = 64;  // dir-merge rules in force in one directory
constexpr int kMaxMergeDepth = 16;     // merge files that merge others

enum class FilterSide : uint8_t { kSender = 1, kReceiver = 2 };
enum class FilterVerdict : uint8_t { kNone = 0, kInclude, kExclude };

// Where merge files come from.
class MergeFiles {
 public:
  virtual ~MergeFiles() = default;
  // The text of the file `name` (one component) in `directory`; nullopt: there is none. Errors end the entering of that
  // directory.
  virtual absl::StatusOr<std::optional<std::string>> Read(std::string_view directory, const std::string& name) = 0;
};

struct PathFilterOptions {
  bool delete_excluded = false;  // rules that name no side are for the sender alone
  bool nul_separated = false;    // rules of merge files end with NUL (--from0)
};

class PathFilter;
class FilterScope;
using PathFilterPtr = std::shared_ptr<const PathFilter>;
using FilterScopePtr = std::shared_ptr<const FilterScope>;

class PathFilter {
 public:
  // InvalidArgument names the rule that is wrong. Merge rules ('.') are expanded before (filter_text.h) and refused
  // here.
  static absl::StatusOr<PathFilterPtr> Compile(const std::vector<std::string>& rules, PathFilterOptions options);

  // No directory is entered yet.
  const FilterScopePtr& base() const { return base_; }
  // True where a rule asks for files of directories above the transfer (dir-merge with a path, as "/.rsync-filter").
  bool looks_above() const { return looks_above_; }
  // True where it matters to a verdict where the transfer's root lies: see Below.
  bool knows_places() const { return absolute_ || NeedsEntering(*base_); }
  // The base where the root of the transfer is at `above`, an absolute path without slashes at its ends (empty: "/"),
  // for the directory `first` of the transfer: what looks_above() is about is read from the top down to the directory
  // above it. `files` is asked with absolute paths without leading slash.
  absl::StatusOr<FilterScopePtr> Above(MergeFiles& files, const std::string& above, std::string_view first) const;
  // `scope` for entries that lie elsewhere: the root of the transfer as they see it is at `above`.
  static FilterScopePtr Below(const FilterScopePtr& scope, const std::string& above);
  // The scope of the entries of `directory` (path below the root, empty for the root itself), whose parent's is
  // `parent`.
  absl::StatusOr<FilterScopePtr> Enter(const FilterScopePtr& parent, std::string_view directory,
                                       MergeFiles& files) const;
  // A directory has to be entered only where this is true; otherwise its scope is its parent's.
  static bool NeedsEntering(const FilterScope& parent);

  // What the rules say of `path` (below the root, not empty), an entry of the directory whose scope is given.
  // `deleting`: the directory is being deleted, perishable rules do not count.
  FilterVerdict Judge(const FilterScope& scope, FilterSide side, std::string_view path, bool is_directory,
                      bool deleting = false) const;
  // Which rule decides of `path`. With base() as scope as far as the run's own rules go: those of merge files are not
  // known then.
  struct Finding {
    FilterVerdict verdict = FilterVerdict::kNone;
    size_t rule = 0;            // place among the rules that Compile got; without a verdict none
    bool merge_before = false;  // a dir-merge rule stands before it, whose files may decide first
    std::string file;           // not empty: it stands there, and `rule` is its line, from 1; absolute, without the '/'
    std::string written;        // then: the rule as it stands there; a line may have several (split into words)
  };
  Finding FindRule(const FilterScope& scope, FilterSide side, std::string_view path, bool is_directory) const;
  // True where a sender with these rules leaves `path` out whatever it is there and whatever its own merge files say.
  bool SurelyHidden(std::string_view path) const { return SurelyHidden(path, false) && SurelyHidden(path, true); }
  // The same of an object that is, or is not, a directory.
  bool SurelyHidden(std::string_view path, bool is_directory) const;

  struct List;

 private:
  struct Compiler;
  explicit PathFilter(PathFilterOptions options) : options_(std::move(options)) {}
  // Reads the file of the dir-merge rule at place `merge` in `directory`, which lies above the transfer.
  absl::Status AddFileAbove(MergeFiles& files, const std::string& directory, size_t merge, FilterScope* scope) const;
  FilterVerdict JudgeList(const List* list, const FilterScope& scope, FilterSide side, std::string_view path,
                          bool is_directory, bool deleting) const;

  bool FindInList(const List* list, const FilterScope& scope, FilterSide side, std::string_view path, bool is_directory,
                  Finding* finding) const;

  const PathFilterOptions options_;
  std::shared_ptr<const List> rules_;
  FilterScopePtr base_;
  bool looks_above_ = false;
  bool absolute_ = false;  // a rule of the run's own is about absolute paths
};

}  // namespace uringsync

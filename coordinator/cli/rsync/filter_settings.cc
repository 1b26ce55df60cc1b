#include "coordinator/cli/rsync/filter_settings.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/tree/filter_text.h"

namespace uringsync {
namespace {

// More than any list of rules; a wrong name may be that of a disk image.
constexpr size_t kMaxFileBytes = size_t{256} << 20;

class CommandFiles final : public FilterFiles {
 public:
  absl::StatusOr<std::string> Read(const std::string& name) override {
    const std::unique_ptr<FILE, int (*)(FILE*)> opened(name == "-" ? nullptr : std::fopen(name.c_str(), "re"), &Close);
    FILE* file = name == "-" ? stdin : opened.get();
    if (file == nullptr) return Failed("failed to open exclude file", name);
    std::string text;
    char buffer[1 << 16];
    size_t n = 0;
    while ((n = std::fread(buffer, 1, sizeof(buffer), file)) > 0) {
      text.append(buffer, n);
      if (text.size() > kMaxFileBytes)
        return LinkError(ErrorKind::kFileIo, EscapeName(name) + ": no list of rules is so long");
    }
    if (std::ferror(file) != 0) return Failed("failed to read exclude file", name);
    return text;
  }

 private:
  static int Close(FILE* file) { return file == nullptr ? 0 : std::fclose(file); }
  static absl::Status Failed(const char* what, const std::string& name) {
    return LinkError(ErrorKind::kFileIo, std::string(what) + " " + EscapeName(name) + ": " + std::strerror(errno) +
                                             " (" + std::to_string(errno) + ")");
  }
};

absl::Status Add(const FilterOption& option, FilterExpander* expander) {
  switch (option.kind) {
    case FilterOption::Kind::kRule: return expander->AddFilter(option.value);
    case FilterOption::Kind::kExclude: return expander->AddExclude(option.value);
    case FilterOption::Kind::kInclude: return expander->AddInclude(option.value);
    case FilterOption::Kind::kExcludeFrom: return expander->AddExcludeFrom(option.value);
    case FilterOption::Kind::kIncludeFrom: return expander->AddIncludeFrom(option.value);
    case FilterOption::Kind::kPerDirectory: return expander->AddPerDirectory();
  }
  return absl::OkStatus();
}

// An error of the expander's own is about a rule; one that only rsync knows stays Unimplemented.
absl::Status AsUsage(const absl::Status& status) {
  if (status.ok() || status.code() != absl::StatusCode::kInvalidArgument) return status;
  return LinkError(ErrorKind::kUsage, ToStd(status.message()));
}

std::string HomeCvsignore(CommandFiles* files) {
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == 0) return {};
  absl::StatusOr<std::string> text = files->Read(std::string(home) + "/.cvsignore");
  return text.ok() ? *std::move(text) : std::string();
}

}  // namespace

absl::Status CheckFilters(const Settings& settings) {
  // A file may be one that can be read but once.
  class NoFiles final : public FilterFiles {
   public:
    absl::StatusOr<std::string> Read(const std::string&) override { return std::string(); }
  } files;
  FilterExpander expander(&files, {.nul_separated = settings.from0});
  for (const FilterOption& option : settings.filters) US_RETURN_IF_ERROR(AsUsage(Add(option, &expander)));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ExpandedRule>> ReadFiltersWithPlaces(const Settings& settings) {
  CommandFiles files;
  FilterExpanderOptions options{.nul_separated = settings.from0};
  options.home_cvsignore = HomeCvsignore(&files);
  if (const char* ignored = std::getenv("CVSIGNORE"); ignored != nullptr) options.cvsignore = ignored;
  FilterExpander expander(&files, std::move(options));
  for (const FilterOption& option : settings.filters) US_RETURN_IF_ERROR(AsUsage(Add(option, &expander)));
  if (settings.cvs_exclude) US_RETURN_IF_ERROR(AsUsage(expander.AddCvs()));
  return expander.TakeWithPlaces();
}

absl::StatusOr<std::vector<std::string>> ReadFilters(const Settings& settings) {
  US_ASSIGN_OR_RETURN(std::vector<ExpandedRule> placed, ReadFiltersWithPlaces(settings));
  std::vector<std::string> rules;
  rules.reserve(placed.size());
  for (ExpandedRule& rule : placed) rules.push_back(std::move(rule.rule));
  return rules;
}

}  // namespace uringsync

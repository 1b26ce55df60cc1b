// The text of a merge file, in a style that the first byte chooses: what parses must survive being formatted, and a
// run's rules must compile or be refused.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/tree/filter_text.h"
#include "engine/tree/path_filter.h"

namespace uringsync {
namespace {

class NoFiles final : public FilterFiles {
  absl::StatusOr<std::string> Read(const std::string&) override { return absl::NotFoundError("none"); }
};

// Every merge file has the same text: it may name itself.
class SameFiles final : public MergeFiles {
 public:
  explicit SameFiles(std::string text) : text_(std::move(text)) {}
  absl::StatusOr<std::optional<std::string>> Read(std::string_view, const std::string&) override {
    if (++reads_ > 100) return std::nullopt;
    return text_;
  }

 private:
  const std::string text_;
  int reads_ = 0;
};

void CheckLine(std::string_view line, const FilterStyle& style) {
  const absl::StatusOr<std::optional<FilterRule>> rule = ParseFilterRule(line, style);
  if (!rule.ok() || !rule->has_value()) return;
  const absl::StatusOr<std::optional<FilterRule>> again = ParseFilterRule(FormatFilterRule(**rule), {});
  // A rule of the greatest length has no room for a longer prefix.
  if (!again.ok() && line.size() + 16 > kMaxFilterRuleBytes) return;
  if (!again.ok() || **again != **rule) std::abort();
}

}  // namespace
}  // namespace uringsync

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace uringsync;
  if (size == 0 || size > 4096) return 0;
  FilterStyle style;
  style.prefix = static_cast<FilterStyle::Prefix>(data[0] % 5);
  style.split_words = (data[0] & 0x20) != 0;
  style.cvs = (data[0] & 0x40) != 0 && style.prefix == FilterStyle::Prefix::kNoneExclude;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::vector<std::string_view> lines = SplitFilterText(text, style, (data[0] & 0x80) != 0);
  NoFiles none;
  FilterExpander expander(&none, {});
  for (const std::string_view line : lines) {
    CheckLine(line, style);
    if (!expander.AddFilter(line).ok()) continue;
  }
  const absl::StatusOr<PathFilterPtr> filter = PathFilter::Compile(expander.Take(), {});
  if (!filter.ok()) return 0;
  SameFiles files{std::string(text)};
  absl::StatusOr<FilterScopePtr> scope = (*filter)->Above(files, "srv/tree", "");
  if (scope.ok()) scope = (*filter)->Enter(*scope, "", files);
  if (scope.ok()) scope = (*filter)->Enter(*scope, "a", files);
  if (!scope.ok()) return 0;
  for (const char* path : {"a/b", "a/foo.o"}) {
    const FilterVerdict verdict = (*filter)->Judge(**scope, FilterSide::kSender, path, false);
    if ((*filter)->SurelyHidden(path) && verdict != FilterVerdict::kExclude) std::abort();
  }
  return 0;
}

#include "engine/base/link_rules.h"

namespace uringsync {

bool IsUnsafeLink(std::string_view target, size_t depth) {
  if (target.empty() || target.front() == '/') return true;
  std::string_view rest = target;
  auto margin = static_cast<int64_t>(depth);
  while (rest.starts_with("../")) {
    --margin;
    rest.remove_prefix(3);
    while (rest.starts_with('/')) rest.remove_prefix(1);
  }
  if (target == "..") --margin;
  // "x/..", and "../.." as well.
  const bool climbs_later = rest.find("/../") != std::string_view::npos || target.ends_with("/..");
  return climbs_later || margin < 0;
}

}  // namespace uringsync

// Names as RsyncReporter puts them together.
//
// Pure functions, any thread.  Use: Joined(WithoutSlashes("/srv/data/"), "a/b")  // "/srv/data/a/b"
#pragma once

#include <string>
#include <string_view>

namespace uringsync {

// `path` without '/' at its end; "/" stays.
inline std::string WithoutSlashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return std::string(path);
}

// Both, with a '/' between them; "" and "." in front are left out.
inline std::string Joined(std::string above, const std::string& below) {
  if (above.empty() || above == ".") return below;
  if (below.empty()) return above;
  if (above.back() != '/') above += '/';
  return above + below;
}

}  // namespace uringsync

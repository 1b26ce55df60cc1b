#include "engine/fs/host_path.h"

#include <fcntl.h>

#include <cerrno>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/fs/syscalls.h"

namespace uringsync {

std::string_view WithoutTrailingSlashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

std::string ParentOfHostPath(std::string_view path) {
  path = WithoutTrailingSlashes(path);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  const std::string_view above = WithoutTrailingSlashes(path.substr(0, slash));
  return above.empty() ? "/" : std::string(above);
}

std::string NameOfHostPath(std::string_view path) {
  path = WithoutTrailingSlashes(path);
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::vector<std::string_view> PathComponents(std::string_view path) {
  std::vector<std::string_view> components;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    if (!component.empty() && component != ".") components.push_back(component);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return components;
}

absl::Status MakeHostDirectory(Driver* driver, const std::string& path, bool parents) {
  // From the bottom up to what is there, then down again.
  std::vector<std::string> missing = {std::string(WithoutTrailingSlashes(path))};
  while (true) {
    const int made = sys::Mkdirat(driver, AT_FDCWD, missing.back().c_str(), 0777);
    if (made >= 0 || made == -EEXIST) break;
    std::string above = ParentOfHostPath(missing.back());
    if (made != -ENOENT || !parents || above == missing.back())
      return ErrnoStatus(-made, "mkdir \"" + EscapeName(missing.back()) + "\"");
    missing.push_back(std::move(above));
  }
  for (missing.pop_back(); !missing.empty(); missing.pop_back()) {
    const int made = sys::Mkdirat(driver, AT_FDCWD, missing.back().c_str(), 0777);
    if (made < 0 && made != -EEXIST) return ErrnoStatus(-made, "mkdir \"" + EscapeName(missing.back()) + "\"");
  }
  return absl::OkStatus();
}

}  // namespace uringsync

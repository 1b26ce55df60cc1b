#include "agent/path_expansion.h"

#include <fcntl.h>
#include <fnmatch.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "agent/account_names.h"
#include "engine/base/errno_status.h"
#include "engine/fs/directory.h"
#include "engine/fs/metadata.h"
#include "engine/fs/syscalls.h"
#include "proto/messages.h"

namespace uringsync {
namespace {

bool IsWildcard(char c) {
  return c == '*' || c == '?' || c == '[';
}

bool HasWildcard(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      ++i;
    } else if (IsWildcard(text[i])) {
      return true;
    }
  }
  return false;
}

// Without the backslashes that are there for a wildcard's sake; every other one is a byte of a name.
std::string Literal(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() &&
        (IsWildcard(text[i + 1]) || text[i + 1] == ']' || text[i + 1] == '\\'))
      ++i;
    out += text[i];
  }
  return out;
}

bool Exists(Driver* driver, const std::string& path) {
  struct statx stat{};
  return sys::Statx(driver, AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, kEntryStatxMask, &stat) >= 0;
}

class Expansion {
 public:
  Expansion(Driver* driver, std::vector<std::string>* paths) : driver_(driver), paths_(paths) {
    for (const std::string& path : *paths) bytes_ += path.size();
  }
  // Everything that `rest` stands for below `above`, which ends with '/' or is empty. `seen`: a wildcard was before.
  absl::Status Expand(const std::string& above, std::string_view rest, bool seen);
  absl::Status Add(std::string path);

 private:
  absl::Status ExpandNames(const std::string& above, const std::string& pattern, std::string_view rest);

  Driver* const driver_;
  std::vector<std::string>* const paths_;
  size_t bytes_ = 0;
};

absl::Status Expansion::Add(std::string path) {
  bytes_ += path.size();
  if (paths_->size() >= kMaxPathReply || bytes_ > kMaxPathReplyBytes) {
    return absl::ResourceExhaustedError("the patterns stand for more than " + std::to_string(kMaxPathReply) +
                                        " paths; name the directory that holds them, or give a list with --files-from");
  }
  paths_->push_back(std::move(path));
  return absl::OkStatus();
}

absl::Status Expansion::Expand(const std::string& above, std::string_view rest, bool seen) {
  // Whatever has no wildcard is taken as it is.
  std::string fixed = above;
  while (!rest.empty()) {
    const size_t slash = rest.find('/');
    const std::string_view component = rest.substr(0, slash);
    if (HasWildcard(component)) {
      return ExpandNames(fixed, std::string(component),
                         slash == std::string_view::npos ? std::string_view() : rest.substr(slash));
    }
    fixed += Literal(component);
    if (slash == std::string_view::npos) break;
    fixed += '/';
    rest.remove_prefix(slash + 1);
  }
  if (fixed.size() > kMaxHostPathBytes || (seen && !Exists(driver_, fixed))) return absl::OkStatus();
  return Add(std::move(fixed));
}

absl::Status Expansion::ExpandNames(const std::string& above, const std::string& pattern, std::string_view rest) {
  const absl::StatusOr<DirectoryPtr> directory = OpenRoot(driver_, above.empty() ? "." : above, DirectoryAccess::kRead);
  if (!directory.ok()) return absl::OkStatus();
  std::vector<std::string> names;
  DirectoryReader reader(driver_, (*directory)->fd());
  DirectoryItem item;
  while (reader.Next(&item) > 0) {
    if (::fnmatch(pattern.c_str(), item.name.data(), FNM_PERIOD) == 0) names.emplace_back(item.name);
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (rest.empty()) {
      US_RETURN_IF_ERROR(Add(above + name));
    } else {
      US_RETURN_IF_ERROR(Expand(above + name + "/", rest.substr(1), /*seen=*/true));
    }
  }
  return absl::OkStatus();
}

}  // namespace

void ExpandTilde(std::string* path) {
  if (path->empty() || path->front() != '~') return;
  const std::string user =
      path->substr(1, path->find('/') == std::string::npos ? std::string::npos : path->find('/') - 1);
  const char* const home = std::getenv("HOME");
  std::string directory;
  if (user.empty() && home != nullptr && *home != '\0') {
    directory = home;
  } else {
    directory = HomeDirectory(user);
  }
  if (directory.empty()) return;
  path->replace(0, user.size() + 1, directory);
}

absl::Status ExpandWildcards(Driver* driver, const std::string& pattern, std::vector<std::string>* paths) {
  Expansion expansion(driver, paths);
  const size_t before = paths->size();
  if (HasWildcard(pattern)) US_RETURN_IF_ERROR(expansion.Expand("", pattern, /*seen=*/false));
  return paths->size() > before ? absl::OkStatus() : expansion.Add(Literal(pattern));
}

}  // namespace uringsync

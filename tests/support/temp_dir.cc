#include "tests/support/temp_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace uringsync {
namespace {

[[noreturn]] void Fail(const char* what, const std::string& path) {
  std::fprintf(stderr, "test support: %s %s: %s\n", what, path.c_str(), std::strerror(errno));
  std::abort();
}

std::string DefaultParent() {
  const char* parent = std::getenv("TMPDIR");
  return parent != nullptr && *parent != '\0' ? parent : "/tmp";
}

std::vector<std::string> Names(int dir_fd) {
  std::vector<std::string> names;
  DIR* dir = ::fdopendir(::openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (dir == nullptr) return names;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(dir);
  return names;
}

}  // namespace

TempDir::TempDir() : TempDir(DefaultParent()) {}

TempDir::TempDir(std::string_view parent) : path_(std::string(parent) + "/uringsync_test.XXXXXX") {
  if (::mkdtemp(path_.data()) == nullptr) Fail("mkdtemp", path_);
  fd_.Reset(::open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd_.valid()) Fail("open", path_);
}

TempDir::~TempDir() {
  fd_.Reset();
  RemoveTree(AT_FDCWD, path_);
}

void MakeDirectories(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    ::mkdir(path.substr(0, slash).c_str(), 0755);
  if (::mkdir(path.c_str(), 0755) < 0 && errno != EEXIST) Fail("mkdir", path);
}

void WriteFile(const std::string& path, std::string_view content, int mode) {
  const size_t slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) MakeDirectories(path.substr(0, slash));
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) Fail("open", path);
  while (!content.empty()) {
    const ssize_t n = ::write(fd.get(), content.data(), content.size());
    if (n < 0) Fail("write", path);
    content.remove_prefix(static_cast<size_t>(n));
  }
  if (::fchmod(fd.get(), static_cast<mode_t>(mode)) < 0) Fail("fchmod", path);
}

std::string ReadFile(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) Fail("open", path);
  std::string content;
  char chunk[65536];
  while (true) {
    const ssize_t n = ::read(fd.get(), chunk, sizeof(chunk));
    if (n < 0) Fail("read", path);
    if (n == 0) return content;
    content.append(chunk, static_cast<size_t>(n));
  }
}

// Iterative, with one descriptor whatever the depth: goes down into the first directory that is not empty, and up again
// by "..".
void RemoveTree(int dir_fd, const std::string& name) {
  if (::unlinkat(dir_fd, name.c_str(), 0) == 0 || errno == ENOENT) return;
  ::fchmodat(dir_fd, name.c_str(), 0700, 0);
  if (::unlinkat(dir_fd, name.c_str(), AT_REMOVEDIR) == 0) return;
  UniqueFd current(::openat(dir_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!current.valid()) return;
  std::vector<std::string> trail;
  while (true) {
    bool entered = false;
    for (const std::string& child : Names(current.get())) {
      if (::unlinkat(current.get(), child.c_str(), 0) == 0) continue;
      if (::unlinkat(current.get(), child.c_str(), AT_REMOVEDIR) == 0) continue;
      ::fchmodat(current.get(), child.c_str(), 0700, 0);
      UniqueFd below(::openat(current.get(), child.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!below.valid()) continue;
      current = std::move(below);
      trail.push_back(child);
      entered = true;
      break;
    }
    if (entered) continue;
    if (trail.empty()) break;
    UniqueFd parent(::openat(current.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    current = std::move(parent);
    if (!current.valid() || ::unlinkat(current.get(), trail.back().c_str(), AT_REMOVEDIR) < 0) return;
    trail.pop_back();
  }
  current.Reset();
  ::unlinkat(dir_fd, name.c_str(), AT_REMOVEDIR);
}

}  // namespace uringsync

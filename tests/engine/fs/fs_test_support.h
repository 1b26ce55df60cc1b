// What the tests of engine/fs and engine/tree share: a driver on the test's thread, raw looks at objects, and a child
// without privileges.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

#include "engine/base/errno_status.h"
#include "engine/fs/directory.h"
#include "engine/ring/driver.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {

constexpr uid_t kNobody = 65534;

// A driver for inline calls, owned by the calling thread.
inline std::unique_ptr<Driver> MakeTestDriver(KernelLevel level = KernelLevel::kNative) {
  DriverOptions options;
  options.backend = IoBackend::kThreads;
  options.level = level;
  absl::StatusOr<DriverChoice> choice = MakeDriver(options);
  if (!choice.ok()) std::abort();
  return std::move(choice->driver);
}

inline DirectoryPtr MustOpenRoot(Driver* driver, const std::string& path) {
  absl::StatusOr<DirectoryPtr> root = OpenRoot(driver, path);
  if (!root.ok()) {
    std::fprintf(stderr, "%s\n", std::string(root.status().ToString()).c_str());
    std::abort();
  }
  return *root;
}

inline RelPath Rel(std::string_view text) {
  absl::StatusOr<RelPath> path = RelPath::Parse(text);
  if (!path.ok()) std::abort();
  return *path;
}

inline struct stat LStat(const std::string& path) {
  struct stat st = {};
  if (::lstat(path.c_str(), &st) != 0) std::perror(path.c_str());
  return st;
}

inline bool Exists(const std::string& path) {
  struct stat st;
  return ::lstat(path.c_str(), &st) == 0;
}

// Value of an attribute, "<none>" where there is none.
inline std::string GetXattr(const std::string& path, const char* name) {
  char value[65536];
  const ssize_t n = ::lgetxattr(path.c_str(), name, value, sizeof(value));
  return n < 0 ? "<none>" : std::string(value, static_cast<size_t>(n));
}

// Whether this test may act as root (chown, mknod, trusted.*).
inline bool IsRoot() {
  return ::geteuid() == 0;
}

// Runs `body` in a child as user and group `kNobody`, without capabilities; true when it returned true.
// No runtime may be alive in the calling process (its threads do not survive a fork).
inline bool AsNobody(const std::function<bool()>& body) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    const gid_t group = kNobody;
    if (::setgroups(1, &group) != 0 || ::setgid(group) != 0 || ::setuid(kNobody) != 0) ::_exit(3);
    const bool good = body();
    std::fflush(nullptr);
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// POSIX ACL in the kernel's form: owner rw, one named user with `permissions`, group r, mask `mask`, other none.
inline std::string NamedUserAcl(uint32_t uid, uint16_t permissions, uint16_t mask = 7) {
  std::string acl;
  const auto put32 = [&acl](uint32_t v) { acl.append(reinterpret_cast<const char*>(&v), 4); };
  const auto put16 = [&acl](uint16_t v) { acl.append(reinterpret_cast<const char*>(&v), 2); };
  const auto entry = [&](uint16_t tag, uint16_t perm, uint32_t id) { put16(tag), put16(perm), put32(id); };
  put32(2);
  entry(0x01, 6, ~0U);
  entry(0x02, permissions, uid);
  entry(0x04, 4, ~0U);
  entry(0x10, mask, ~0U);
  entry(0x20, 0, ~0U);
  return acl;
}

#define SKIP_UNLESS_ROOT() \
  if (!IsRoot()) GTEST_SKIP() << "needs root: owners, devices and trusted attributes of others"

}  // namespace uringsync

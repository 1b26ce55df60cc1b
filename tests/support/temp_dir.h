// TempDir: a directory of a test's own in $TMPDIR (or /tmp), removed with everything in it when it dies, read-only
// directories and trees deeper than PATH_MAX included.
//
// Use:  TempDir dir;  WriteFile(dir / "a/b", "text");  EXPECT_EQ(ReadFile(dir / "a/b"), "text");
#pragma once

#include <string>
#include <string_view>

#include "engine/base/unique_fd.h"

namespace uringsync {

class TempDir {
 public:
  // Aborts the test program when no directory can be made.
  TempDir();
  // In `parent`, for tests that need a certain file system.
  explicit TempDir(std::string_view parent);
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view relative) const { return path_ + "/" + std::string(relative); }
  // O_PATH descriptor of the directory.
  int fd() const { return fd_.get(); }

 private:
  std::string path_;
  UniqueFd fd_;
};

// Creates or replaces the file, and the directories on the way to it. Aborts on failure, naming the path.
void WriteFile(const std::string& path, std::string_view content, int mode = 0644);
// Whole content. Aborts on failure.
std::string ReadFile(const std::string& path);
// mkdir -p. Aborts on failure.
void MakeDirectories(const std::string& path);
// Removes `name` below `dir_fd` with everything in it. Missing is fine.
void RemoveTree(int dir_fd, const std::string& name);

}  // namespace uringsync

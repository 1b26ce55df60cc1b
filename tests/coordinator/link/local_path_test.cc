#include "coordinator/link/local_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "coordinator/link/link_error.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

// TempDir may itself lie behind a link.
std::string Canonical(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  std::string out = resolved == nullptr ? "" : resolved;
  ::free(resolved);
  return out;
}

template <typename T>
std::string Refusal(const absl::StatusOr<T>& result) {
  EXPECT_FALSE(result.ok());
  if (result.ok()) return {};
  EXPECT_EQ(LinkErrorKind(result.status()), ErrorKind::kSelection);
  return std::string(result.status().message());
}

TEST(LocalPathTest, SourceFollowsTheUsersLinksToTheCanonicalDirectory) {
  TempDir dir;
  MakeDirectories(dir / "real/tree");
  ASSERT_EQ(::symlink("real", (dir / "link").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(ResolvedPath source, ResolveSource(dir / "link/./tree/"));
  EXPECT_EQ(source.root, Canonical(dir / "real/tree"));
  EXPECT_TRUE(source.path.is_root());
  EXPECT_FALSE(source.create_root);
}

TEST(LocalPathTest, MissingSourceIsNamed) {
  TempDir dir;
  EXPECT_THAT(Refusal(ResolveSource(dir / "no\nthing")), HasSubstr("no\\012thing: No such file or directory"));
}

TEST(LocalPathTest, SourceThatIsAFileIsRefused) {
  TempDir dir;
  WriteFile(dir / "file", "x");
  EXPECT_THAT(Refusal(ResolveSource(dir / "file")), HasSubstr("is a file, not a directory"));
}

TEST(LocalPathTest, ExistingDestinationIsARootOfItsOwn) {
  TempDir dir;
  MakeDirectories(dir / "out");
  ASSERT_OK_AND_ASSIGN(ResolvedPath destination, ResolveDestination(dir / "out/"));
  EXPECT_EQ(destination.root, Canonical(dir / "out"));
  EXPECT_TRUE(destination.path.is_root());
  EXPECT_FALSE(destination.create_root);
}

TEST(LocalPathTest, MissingDestinationIsItsParentAndOneName) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(ResolvedPath destination, ResolveDestination(dir / "out//"));
  EXPECT_EQ(destination.root, Canonical(dir.path()));
  EXPECT_EQ(destination.path.text(), "out");
  EXPECT_TRUE(destination.create_root);
  EXPECT_EQ(destination.Canonical(), Canonical(dir.path()) + "/out");
}

TEST(LocalPathTest, MissingParentIsNamedWithTheCommandThatMakesIt) {
  TempDir dir;
  EXPECT_THAT(Refusal(ResolveDestination(dir / "a/b/c")), HasSubstr("mkdir -p " + (dir / "a/b")));
}

TEST(LocalPathTest, DestinationThatIsNoDirectoryIsRefused) {
  TempDir dir;
  WriteFile(dir / "file", "x");
  EXPECT_THAT(Refusal(ResolveDestination(dir / "file")), HasSubstr("is a file, not a directory"));
  EXPECT_THAT(Refusal(ResolveDestination(dir / "file/below")), HasSubstr("Not a directory"));
}

TEST(LocalPathTest, DanglingLinkIsNoDestination) {
  TempDir dir;
  ASSERT_EQ(::symlink("nowhere", (dir / "link").c_str()), 0);
  EXPECT_THAT(Refusal(ResolveDestination(dir / "link")), HasSubstr("symbolic link"));
}

TEST(LocalPathTest, DotDotOfAMissingDirectoryIsRefused) {
  TempDir dir;
  Refusal(ResolveDestination(dir / "missing/.."));
}

TEST(LocalPathTest, OverlapIsSeenThroughLinks) {
  TempDir dir;
  MakeDirectories(dir / "a/b/c");
  MakeDirectories(dir / "ab");
  ASSERT_EQ(::symlink("a", (dir / "link").c_str()), 0);
  const auto overlap = [&](const char* source, const char* destination) {
    return FindOverlap(*ResolveSource(dir / source), *ResolveDestination(dir / destination));
  };
  EXPECT_EQ(overlap("a", "ab"), Overlap::kNone);
  EXPECT_EQ(overlap("a", "a"), Overlap::kSame);
  EXPECT_EQ(overlap("a", "link"), Overlap::kSame);
  EXPECT_EQ(overlap("a", "link/b"), Overlap::kDestinationInsideSource);
  EXPECT_EQ(overlap("a", "a/new"), Overlap::kDestinationInsideSource);
  EXPECT_EQ(overlap("a", "a/b/new"), Overlap::kDestinationInsideSource);
  EXPECT_EQ(overlap("link/b/c", "a"), Overlap::kSourceInsideDestination);
  EXPECT_EQ(overlap("a/b", "a/new"), Overlap::kNone);
  EXPECT_EQ(overlap("a", "new"), Overlap::kNone);
}

TEST(LocalPathTest, SlashIsAnAncestorOfEverything) {
  TempDir dir;
  EXPECT_EQ(FindOverlap(*ResolveSource("/"), *ResolveDestination(dir.path())), Overlap::kDestinationInsideSource);
  EXPECT_EQ(FindOverlap(*ResolveSource(dir.path()), *ResolveDestination("/")), Overlap::kSourceInsideDestination);
  EXPECT_EQ(FindOverlap(*ResolveSource("/"), *ResolveDestination("/")), Overlap::kSame);
}

TEST(LookAtPathTest, TellsWhatIsThereAndWhatItIsInTheEnd) {
  TempDir dir;
  WriteFile(dir / "file", "x");
  ASSERT_EQ(::symlink("file", (dir / "link").c_str()), 0);
  ASSERT_EQ(::symlink("nowhere", (dir / "dangling").c_str()), 0);
  EXPECT_EQ(LookAtPath(dir.path()).target, PathKind::kDirectory);
  EXPECT_EQ(LookAtPath(dir / "file").kind, PathKind::kFile);
  EXPECT_EQ(LookAtPath(dir / "link").kind, PathKind::kSymlink);
  EXPECT_EQ(LookAtPath(dir / "link").id, LookAtPath(dir / "file").id);
  EXPECT_EQ(LookAtPath(dir / "dangling").target, PathKind::kMissing);
  EXPECT_TRUE(LookAtPath(dir / "new/").has_parent);
  EXPECT_FALSE(LookAtPath(dir / "new/er").has_parent);
  EXPECT_EQ(LookAtPath(dir / "file/").error, ENOTDIR);
}

}  // namespace
}  // namespace uringsync

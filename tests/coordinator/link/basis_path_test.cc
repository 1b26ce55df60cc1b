#include "coordinator/link/basis_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include "coordinator/link/link_error.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

RelPath Path(std::string_view text) {
  return RelPath::Parse(text).value();
}

std::string Canonical(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  std::string out = resolved == nullptr ? "" : resolved;
  ::free(resolved);
  return out;
}

TEST(BasisPathTest, OfAnAgentIsSeenFromTheDestinationAndStaysBelowTheRoot) {
  EXPECT_EQ(ResolveAgentBasis(Path("host/today"), "../yesterday//")->text(), "host/yesterday");
  EXPECT_EQ(ResolveAgentBasis(Path("host/today"), "./x/../y")->text(), "host/today/y");
  EXPECT_TRUE(ResolveAgentBasis(Path("host/today"), "../..")->is_root());
  for (const char* bad : {"../../..", "/backup/yesterday"}) {
    const absl::StatusOr<RelPath> refused = ResolveAgentBasis(Path("host/today"), bad);
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_EQ(LinkErrorKind(refused.status()), ErrorKind::kUsage);
  }
}

TEST(BasisPathTest, LocalOnesAreFoundBesideADestinationThatIsYetToBeMade) {
  TempDir dir;
  MakeDirectories(dir / "prev");
  MakeDirectories(dir / "real/deep");
  ASSERT_EQ(::symlink("real/deep", (dir / "link").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(ResolvedPath destination, ResolveDestination(dir / "today"));
  ASSERT_OK_AND_ASSIGN(LocalBasis basis, ResolveLocalBasis(destination, "../prev"));
  EXPECT_EQ(basis.root, Canonical(dir / "prev"));
  EXPECT_TRUE(basis.path.is_root());
  // Below the start the file system decides what ".." is.
  ASSERT_OK_AND_ASSIGN(basis, ResolveLocalBasis(destination, "../link/.."));
  EXPECT_EQ(basis.root, Canonical(dir / "real"));
  ASSERT_OK_AND_ASSIGN(basis, ResolveLocalBasis(destination, Canonical(dir / "prev")));
  EXPECT_EQ(basis.root, Canonical(dir / "prev"));
}

TEST(BasisPathTest, AMissingLocalOneIsAMissingNameInWhatExists) {
  TempDir dir;
  MakeDirectories(dir / "today");
  ASSERT_OK_AND_ASSIGN(ResolvedPath destination, ResolveDestination(dir / "today"));
  ASSERT_OK_AND_ASSIGN(LocalBasis basis, ResolveLocalBasis(destination, "../none/of/it"));
  EXPECT_EQ(basis.root, Canonical(dir.path()));
  EXPECT_EQ(basis.path.text(), "none/of/it");
  ASSERT_OK_AND_ASSIGN(destination, ResolveDestination(dir / "tomorrow"));
  ASSERT_OK_AND_ASSIGN(basis, ResolveLocalBasis(destination, "bak/x"));
  EXPECT_EQ(basis.root, Canonical(dir.path()));
  EXPECT_EQ(basis.path.text(), "tomorrow/bak/x");
  WriteFile(dir / "file", "x");
  const absl::StatusOr<LocalBasis> refused = ResolveLocalBasis(destination, "../file/x");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(LinkErrorKind(refused.status()), ErrorKind::kSelection);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("Not a directory"));
}

TEST(BasisPathTest, WhatIsNoDirectoryIsToldFromWhatIsMissing) {
  TempDir dir;
  MakeDirectories(dir / "there");
  WriteFile(dir / "file", "x");
  ASSERT_EQ(::symlink("nowhere", (dir / "dangling").c_str()), 0);
  EXPECT_TRUE(MayBeDirectory({dir / "there", RelPath()}));
  EXPECT_TRUE(MayBeDirectory({dir.path(), Path("missing/further")}));
  EXPECT_FALSE(MayBeDirectory({dir / "file", RelPath()}));
  EXPECT_FALSE(MayBeDirectory({dir.path(), Path("dangling")}));
  EXPECT_FALSE(MayBeDirectory({dir / "gone", RelPath()}));
}

}  // namespace
}  // namespace uringsync

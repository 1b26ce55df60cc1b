#include "agent/roots.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

TEST(RootSpecTest, ParsesNamePathAndMode) {
  ASSERT_OK_AND_ASSIGN(RootSpec spec, ParseRootSpec("data=/srv/data"));
  EXPECT_EQ(spec.name, "data");
  EXPECT_EQ(spec.path, "/srv/data");
  EXPECT_FALSE(spec.read_only);
  ASSERT_OK_AND_ASSIGN(spec, ParseRootSpec("a-b.c_1=/x=y:ro"));
  EXPECT_EQ(spec.path, "/x=y");
  EXPECT_TRUE(spec.read_only);
  ASSERT_OK_AND_ASSIGN(spec, ParseRootSpec("a=/x:ro:rw"));
  EXPECT_EQ(spec.path, "/x:ro");
  EXPECT_FALSE(spec.read_only);
}

TEST(RootSpecTest, RefusesWhatIsNoRootAndShowsTheForm) {
  for (const char* text : {"", "data", "=/x", "a b=/x", ".a=/x", "-a=/x", "a/b=/x", "a=", "a=relative", "a=:ro"}) {
    EXPECT_THAT(ParseRootSpec(text), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("write NAME=PATH")))
        << text;
  }
  EXPECT_THAT(ParseRootSpec(std::string(65, 'a') + "=/x"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(RootsTest, AnUnknownNameListsThoseThatExist) {
  TempDir directory;
  ASSERT_OK_AND_ASSIGN(const Roots roots, Roots::Open({{"b", directory.path(), false}, {"a", directory.path(), true}}));
  EXPECT_THAT(roots.Find("c\n"),
              StatusIs(absl::StatusCode::kNotFound, "no root 'c\\012' here; this agent serves: a, b"));
}

TEST(RootsTest, AReadOnlyRootServesSourcesAndRefusesDestinations) {
  TempDir directory;
  ASSERT_OK_AND_ASSIGN(const Roots roots, Roots::Open({{"data", directory.path(), true}}));
  EXPECT_OK(roots.FindForRole("data", Role::kSource));
  EXPECT_THAT(roots.FindForRole("data", Role::kDestination),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       HasSubstr("root 'data' is read-only; start the agent with --root data=" + directory.path() +
                                 " without :ro")));
}

TEST(RootsTest, BadRootsAreNamed) {
  TempDir directory;
  WriteFile(directory / "file", "");
  EXPECT_THAT(Roots::Open({{"a", directory / "none", false}}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("root a (")));
  EXPECT_THAT(Roots::Open({{"a", directory / "file", false}}), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Roots::Open({{"a", directory.path(), false}, {"a", directory.path(), false}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("root a is given twice")));
}

TEST(RootsTest, ARootStaysTheDirectoryThatItWasWhenThePathIsGivenToAnother) {
  TempDir directory;
  MakeDirectories(directory / "root");
  WriteFile(directory / "root/inside", "");
  ASSERT_OK_AND_ASSIGN(const Roots roots, Roots::Open({{"a", directory / "root", false}}));
  ASSERT_EQ(::rename((directory / "root").c_str(), (directory / "moved").c_str()), 0);
  MakeDirectories(directory / "root");
  ASSERT_OK_AND_ASSIGN(const Root* root, roots.Find("a"));
  EXPECT_EQ(::faccessat(root->directory->fd(), "inside", F_OK, 0), 0);
}

}  // namespace
}  // namespace uringsync

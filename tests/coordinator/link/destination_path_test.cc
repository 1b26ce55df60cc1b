#include "coordinator/link/destination_path.h"

#include <gtest/gtest.h>

#include "coordinator/link/link_error.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

constexpr PathInfo kDirectory{.kind = PathKind::kDirectory, .target = PathKind::kDirectory, .has_parent = true};
constexpr PathInfo kFile{.kind = PathKind::kFile, .target = PathKind::kFile, .has_parent = true};
constexpr PathInfo kMissing{.has_parent = true};
constexpr PathInfo kFarAway{};

void ExpectRefused(const DestinationQuestion& question, ErrorKind kind, const std::string& text) {
  const absl::StatusOr<DestinationChoice> choice = ChooseDestination(question);
  ASSERT_FALSE(choice.ok());
  EXPECT_EQ(LinkErrorKind(choice.status()), kind);
  EXPECT_THAT(std::string(choice.status().message()), HasSubstr(text));
}

TEST(DestinationPathTest, IntoADirectoryThatIsThere) {
  for (const bool several : {false, true}) {
    const absl::StatusOr<DestinationChoice> choice =
        ChooseDestination({.path = "dst", .found = kDirectory, .several = several, .single_object = !several});
    ASSERT_OK(choice);
    EXPECT_EQ(choice->directory, "dst");
    EXPECT_EQ(choice->new_name, "");
    EXPECT_FALSE(choice->create);
  }
}

TEST(DestinationPathTest, OneFileGetsTheNameWhereThereIsNoDirectory) {
  for (const PathInfo& found : {kFile, kMissing}) {
    const absl::StatusOr<DestinationChoice> choice =
        ChooseDestination({.path = "a/new", .found = found, .single_object = true});
    ASSERT_OK(choice);
    EXPECT_EQ(choice->directory, "a");
    EXPECT_EQ(choice->new_name, "new");
    EXPECT_FALSE(choice->create);
  }
  const PathInfo dangling{.kind = PathKind::kSymlink, .target = PathKind::kMissing, .has_parent = true};
  EXPECT_EQ(ChooseDestination({.path = "link", .found = dangling, .single_object = true})->directory, ".");
}

TEST(DestinationPathTest, ADirectoryIsMadeForSeveralOrForASlash) {
  for (const DestinationQuestion& question :
       {DestinationQuestion{.path = "new/", .found = kMissing, .single_object = true},
        DestinationQuestion{.path = "new/", .found = kMissing, .several = true},
        DestinationQuestion{.path = "new/", .found = kMissing}}) {
    const absl::StatusOr<DestinationChoice> choice = ChooseDestination(question);
    ASSERT_OK(choice);
    EXPECT_EQ(choice->directory, "new/");
    EXPECT_TRUE(choice->create);
    EXPECT_FALSE(choice->make_path);
  }
}

TEST(DestinationPathTest, WhereTheDirectoryAboveIsMissing) {
  ExpectRefused({.path = "no/er", .found = kFarAway, .several = true, .working_directory = "/w"}, ErrorKind::kFileIo,
                "mkdir \"/w/no/er\" failed: No such file or directory (2)");
  ExpectRefused({.path = "no/er", .found = kFarAway, .single_object = true, .working_directory = "/w"},
                ErrorKind::kSelection, "change_dir#3 \"/w/no\" failed: No such file or directory (2)");
  const absl::StatusOr<DestinationChoice> renamed =
      ChooseDestination({.path = "no/er/x", .found = kFarAway, .single_object = true, .make_path = true});
  ASSERT_OK(renamed);
  EXPECT_EQ(renamed->directory, "no/er");
  EXPECT_EQ(renamed->new_name, "x");
  EXPECT_TRUE(renamed->create && renamed->make_path);
  EXPECT_TRUE(ChooseDestination({.path = "no/er/", .found = kFarAway, .make_path = true})->make_path);
}

TEST(DestinationPathTest, WhatIsNoDirectoryCannotTakeSeveralThings) {
  ExpectRefused({.path = "f", .found = kFile, .several = true}, ErrorKind::kSelection, "when copying more than 1 file");
  ExpectRefused({.path = "f", .found = kFile}, ErrorKind::kSelection,
                "cannot overwrite non-directory with a directory");
  ExpectRefused({.path = "f/", .found = {.error = ENOTDIR}}, ErrorKind::kSelection, "Not a directory (20)");
}

}  // namespace
}  // namespace uringsync

#include "coordinator/link/host_places.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/link/link_error.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::ElementsAre;

TEST(HostPlacesTest, DirectoriesAreSeenFromTheDestination) {
  EXPECT_EQ(PathBeside("dst", true, "../prev"), "dst/../prev");
  EXPECT_EQ(PathBeside("/a/dst/", true, "in"), "/a/dst/in");
  EXPECT_EQ(PathBeside(".", true, "in"), "in");
  EXPECT_EQ(PathBeside("dst", true, "/abs/olute"), "/abs/olute");
  EXPECT_EQ(PathBeside("dst", true, ""), "dst/.");
}

TEST(HostPlacesTest, ADestinationThatIsYetToBeMadeIsClimbedAsText) {
  EXPECT_EQ(PathBeside("/a/new", false, "../prev"), "/a/prev");
  EXPECT_EQ(PathBeside("/a/new/", false, "../../prev"), "/prev");
  EXPECT_EQ(PathBeside("new", false, "../prev"), "prev");
  EXPECT_EQ(PathBeside("new", false, "in"), "new/in");
  EXPECT_EQ(PathBeside("/a/new", false, ".."), "/a/.");
}

TEST(HostPlacesTest, TheWayToAPathHasEveryDirectoryAndTheRestItsNames) {
  EXPECT_THAT(WayTo("/a//b/."), ElementsAre("/", "/a", "/a/b"));
  EXPECT_THAT(WayTo("x/../y"), ElementsAre(".", "x", "x/..", "x/../y"));
  ASSERT_OK_AND_ASSIGN(const RelPath rest, RestOfWay("/a//b/c", 2));
  EXPECT_EQ(rest.text(), "b/c");
  ASSERT_OK_AND_ASSIGN(const RelPath nothing, RestOfWay("/a", 2));
  EXPECT_TRUE(nothing.is_root());
  EXPECT_EQ(LinkErrorKind(RestOfWay("no/../way", 2).status()), ErrorKind::kUsage);
}

TEST(HostPlacesTest, WhatLiesWithinTheDestinationIsToldByItsPath) {
  const auto within = [](const std::string& destination, const std::string& directory) {
    const absl::StatusOr<std::optional<RelPath>> place = PlaceWithin(destination, directory, "/home/u");
    return !place.ok() ? "refused" : *place ? std::string((*place)->text()) : "outside";
  };
  EXPECT_EQ(within("dst", "bk/old"), "bk/old");
  EXPECT_EQ(within("dst", "./bk/"), "bk");
  EXPECT_EQ(within("dst", "../dst/bk"), "bk");
  EXPECT_EQ(within("dst", "/home/u/dst/bk"), "bk");
  EXPECT_EQ(within("dst", "../bk"), "outside");
  EXPECT_EQ(within("dst", "/home/u/dst2"), "outside");
  EXPECT_EQ(within("/", "bk"), "bk");
  EXPECT_EQ(within("dst", "."), "refused");
  EXPECT_EQ(within("", "/home/u/"), "refused");
}

}  // namespace
}  // namespace uringsync

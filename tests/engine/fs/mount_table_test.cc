#include "engine/fs/mount_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace uringsync {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;

constexpr std::string_view kTable =
    "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "40 21 8:17 / /srv/my\\040disk\\134\\012 rw - xfs /dev/sdb1 rw\n"
    "41 21 0:30 / /srv/my\\04 rw - tmpfs tmpfs rw\n";

TEST(MountTableTest, PointsAreReadAsBytes) {
  EXPECT_THAT(ParseMountTable(kTable), ElementsAre(Field(&Mount::point, "/"), Field(&Mount::point, "/srv/my disk\\\n"),
                                                   Field(&Mount::point, "/srv/my\\04")));
  EXPECT_EQ(ParseMountTable(kTable)[1].line, "40 21 8:17 / /srv/my\\040disk\\134\\012 rw - xfs /dev/sdb1 rw");
}

TEST(MountTableTest, WhatIsNoTableGivesNothing) {
  EXPECT_THAT(ParseMountTable(""), IsEmpty());
  EXPECT_THAT(ParseMountTable("\n\n 1 2\nno mount table\n1 2 3 4 relative rw\n"), IsEmpty());
}

TEST(MountTableTest, ThisProcessHasARoot) {
  EXPECT_THAT(ReadMountTable(), Contains(Field(&Mount::point, "/")));
}

TEST(MountTableTest, WithinEndsAtANamesEnd) {
  EXPECT_TRUE(LiesWithin("/a/b", "/a/b"));
  EXPECT_TRUE(LiesWithin("/a/b/c", "/a/b"));
  EXPECT_TRUE(LiesWithin("/a", "/"));
  EXPECT_FALSE(LiesWithin("/a/bc", "/a/b"));
  EXPECT_FALSE(LiesWithin("/a", "/a/b"));
}

}  // namespace
}  // namespace uringsync

#include "coordinator/core/overlap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace uringsync {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

SessionOpened Opened(FileId root, std::vector<FileId> ancestors) {
  SessionOpened opened;
  opened.exists = true;
  opened.host_id = "boot";
  opened.root.id = root;
  opened.ancestors = std::move(ancestors);
  return opened;
}

TEST(DescribeOverlap, OneDirectoryUnderTwoNamesIsRefused) {
  const SessionOpened here = Opened({1, 5}, {{1, 2}});
  EXPECT_THAT(DescribeOverlap(here, here, {}), Optional(HasSubstr("same directory")));
}

TEST(DescribeOverlap, DestinationInsideSourceIsRefused) {
  EXPECT_THAT(DescribeOverlap(Opened({1, 5}, {{1, 2}}), Opened({1, 9}, {{1, 7}, {1, 5}, {1, 2}}), {}),
              Optional(HasSubstr("inside the source")));
}

TEST(DescribeOverlap, DestinationInsideSourceIsFineWhereItIsNotInTheTransfer) {
  const SessionOpened outer = Opened({1, 5}, {{1, 2}});
  const SessionOpened inner = Opened({1, 9}, {{1, 7}, {1, 5}, {1, 2}});
  EXPECT_EQ(DescribeOverlap(outer, inner, {.hidden = true}), std::nullopt);
  EXPECT_THAT(DescribeOverlap(outer, outer, {.hidden = true}), Optional(HasSubstr("same directory")));
}

TEST(DescribeOverlap, SourceInsideDestinationIsRefusedOnlyWithDelete) {
  const SessionOpened outer = Opened({1, 5}, {{1, 2}});
  const SessionOpened inner = Opened({1, 9}, {{1, 5}, {1, 2}});
  EXPECT_THAT(DescribeOverlap(inner, outer, {.deletes = true}), Optional(HasSubstr("--delete")));
  EXPECT_EQ(DescribeOverlap(inner, outer, {}), std::nullopt);
}

TEST(DescribeOverlap, EqualNumbersOnAnotherKernelMeanNothing) {
  const SessionOpened here = Opened({1, 5}, {{1, 2}});
  SessionOpened there = here;
  there.host_id = "other";
  EXPECT_EQ(DescribeOverlap(here, there, {.deletes = true}), std::nullopt);
  there.host_id.clear();
  EXPECT_EQ(DescribeOverlap(there, there, {.deletes = true}), std::nullopt);
}

}  // namespace
}  // namespace uringsync

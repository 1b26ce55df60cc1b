#include "coordinator/core/second_look.h"

#include <gtest/gtest.h>

namespace uringsync {
namespace {

Entry File(uint64_t inode, int64_t changed, uint64_t contents) {
  Entry entry;
  entry.name = "f";
  entry.id = {1, inode};
  entry.size_bytes = 5;
  entry.mtime = entry.ctime = {changed, 0};
  if (contents != 0) entry.content_digest = Digest128{contents, contents};
  return entry;
}

class SecondLookTest : public testing::Test {
 protected:
  // First `source` and `destination`, then what is found.
  SecondLook Judge(std::optional<Entry> source, std::optional<Entry> destination, std::optional<Entry> source_now,
                   std::optional<Entry> destination_now) {
    PlannedAction planned;
    planned.action.path = *RelPath::Parse("f");
    planned.action.kind = source ? ActionKind::kPutFile : ActionKind::kDelete;
    planned.action.wanted = source ? *source : *destination;
    if (source) planned.action.existing = destination;
    ComparePolicy policy;
    policy.checksum = true;
    policy.selection.mtime = false;
    return JudgeAgain(planned, {std::move(source_now), 0}, {std::move(destination_now), 0}, policy);
  }
};

TEST_F(SecondLookTest, WhatDiffersAndDidNotMoveDiffers) {
  EXPECT_EQ(Judge(File(1, 10, 1), File(2, 10, 2), File(1, 10, 1), File(2, 10, 2)), SecondLook::kDiffers);
  EXPECT_EQ(Judge(File(1, 10, 1), std::nullopt, File(1, 10, 1), std::nullopt), SecondLook::kDiffers);
  EXPECT_EQ(Judge(std::nullopt, File(2, 10, 2), std::nullopt, File(2, 10, 2)), SecondLook::kDiffers);
}

TEST_F(SecondLookTest, WhatMovedIsChanging) {
  EXPECT_EQ(Judge(File(1, 10, 1), File(2, 10, 2), File(1, 11, 3), File(2, 10, 2)), SecondLook::kChanging);
  EXPECT_EQ(Judge(File(1, 10, 1), File(2, 10, 2), File(1, 10, 1), File(2, 12, 2)), SecondLook::kChanging);
  EXPECT_EQ(Judge(File(1, 10, 1), File(2, 10, 2), File(7, 10, 1), File(2, 10, 2)), SecondLook::kChanging);
  EXPECT_EQ(Judge(File(1, 10, 1), File(2, 10, 2), std::nullopt, File(2, 10, 2)), SecondLook::kChanging);
  EXPECT_EQ(Judge(std::nullopt, File(2, 10, 2), File(1, 10, 1), File(2, 10, 2)), SecondLook::kChanging);
  // A store through a mapping moves no time.
  EXPECT_EQ(Judge(File(1, 10, 1), File(2, 10, 2), File(1, 10, 5), File(2, 10, 2)), SecondLook::kChanging);
  // It changed while it was read the first time.
  EXPECT_EQ(Judge(File(1, 10, 0), File(2, 10, 2), File(1, 10, 1), File(2, 10, 2)), SecondLook::kChanging);
}

TEST_F(SecondLookTest, WhatIsEqualByNowIsSettled) {
  EXPECT_EQ(Judge(File(1, 10, 1), File(2, 10, 2), File(1, 11, 2), File(2, 10, 2)), SecondLook::kSettled);
  EXPECT_EQ(Judge(File(1, 10, 1), std::nullopt, std::nullopt, std::nullopt), SecondLook::kSettled);
}

TEST_F(SecondLookTest, AFileThatMayNotBeReadIsNoChange) {
  EXPECT_EQ(Judge(File(1, 10, 0), File(2, 10, 2), File(1, 10, 0), File(2, 10, 2)), SecondLook::kDiffers);
}

}  // namespace
}  // namespace uringsync

#include "engine/fs/descriptor_budget.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>

namespace uringsync {
namespace {

TEST(DescriptorBudgetTest, WhatIsSharedOutFitsIntoTheLimit) {
  for (const uint64_t limit : {64, 128, 256, 1024, 4096}) {
    for (const size_t shards : {1, 2, 4}) {
      const DescriptorBudget budget = DescriptorBudget::For(limit, shards);
      const size_t open =
          shards * (2 * budget.cached_directories + 2 * budget.files + budget.staged + budget.kept_files);
      EXPECT_LE(open + 24, limit) << limit << " for " << shards;
    }
  }
}

TEST(DescriptorBudgetTest, AHighLimitLeavesTheOtherBoundsInForce) {
  for (const uint64_t limit : {uint64_t{20000}, uint64_t{1} << 20, static_cast<uint64_t>(RLIM_INFINITY)}) {
    const DescriptorBudget budget = DescriptorBudget::For(limit, 8);
    EXPECT_EQ(budget.cached_directories, 64u);
    EXPECT_GE(budget.files, 192u);
    EXPECT_EQ(budget.kept_files, 8u);
  }
}

TEST(DescriptorBudgetTest, NothingGoesWithoutADescriptor) {
  const DescriptorBudget budget = DescriptorBudget::For(0, 64);
  EXPECT_EQ(budget.cached_directories, 1u);
  EXPECT_EQ(budget.files, 1u);
  EXPECT_EQ(budget.staged, 1u);
  EXPECT_EQ(budget.kept_files, 1u);
  EXPECT_EQ(budget.scan_directories, 1u);
}

TEST(DescriptorBudgetTest, OnlyTheTwoLimitsAreWorthAnotherTry) {
  EXPECT_TRUE(IsOutOfDescriptors(EMFILE) && IsOutOfDescriptors(ENFILE));
  EXPECT_FALSE(IsOutOfDescriptors(ENOMEM) || IsOutOfDescriptors(0));
}

}  // namespace
}  // namespace uringsync

// Backups in the plan: what is never deleted because it is one, or holds one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/core/plan_fixture.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

PlanOptions Deleting() {
  PlanOptions options = AllAbilities();
  options.delete_extraneous = true;
  return options;
}

TEST(BackupPlanTest, BackupsBesideAndDirectoriesThatHoldOneStay) {
  PlanOptions options = Deleting();
  options.backup_suffix = "~";
  const PlanResult result =
      PlanTrees(options, {Batch("", {File("f", 2)}, 1)},
                {Batch("", {Dir("empty", 10), File("f", 11), Dir("full", 13), File("f~", 12), Dir("old", 14)}, 1),
                 Batch("empty", {}, 10), Batch("full", {Dir("sub", 15)}, 13), Batch("full/sub", {File("x", 16)}, 15),
                 Batch("old", {File("y~", 17)}, 14)});
  ASSERT_OK(result.status);
  EXPECT_THAT(result.sink.Lines(), ElementsAre("delete full/sub/x", "delete empty", "metadata ."));
  EXPECT_THAT(result.sink.problems, IsEmpty());
}

TEST(BackupPlanTest, ABackupDirectoryInTheDestinationStaysWithAllAboveIt) {
  PlanOptions options = Deleting();
  options.backup_directory = PathOf("keep/bak");
  const PlanResult result =
      PlanTrees(options, {Batch("", {}, 1)},
                {Batch("", {File("f~", 10), Dir("keep", 11)}, 1),
                 Batch("keep", {Dir("bak", 12), File("other", 13)}, 11), Batch("keep/bak", {File("x", 14)}, 12)});
  ASSERT_OK(result.status);
  EXPECT_THAT(result.sink.Lines(), ElementsAre("delete keep/other", "delete f~", "metadata ."));
  // Also one that this run will make.
  options.backup_directory = PathOf("keep/bak/today");
  const PlanResult empty =
      PlanTrees(options, {Batch("", {}, 1)}, {Batch("", {Dir("keep", 11)}, 1), Batch("keep", {}, 11)});
  EXPECT_THAT(empty.sink.Lines(), ElementsAre("metadata ."));
}

TEST(BackupPlanTest, ADirectoryThatWillHoldBackupsDoesNotMakeWay) {
  PlanOptions options = Deleting();
  options.backup_suffix = "~";
  const PlanResult full = PlanTrees(options, {Batch("", {File("d", 2)}, 1)},
                                    {Batch("", {Dir("d", 10)}, 1), Batch("d", {File("x", 11)}, 10)});
  EXPECT_THAT(full.sink.Lines(), ElementsAre("delete d/x", "metadata ."));
  ASSERT_EQ(full.sink.problems.size(), 1u);
  EXPECT_EQ(full.sink.problems[0].kind, ProblemKind::kConflict);
  const PlanResult empty =
      PlanTrees(options, {Batch("", {File("d", 2)}, 1)},
                {Batch("", {Dir("d", 10)}, 1), Batch("d", {Dir("e", 11)}, 10), Batch("d/e", {}, 11)});
  EXPECT_THAT(empty.sink.Lines(), ElementsAre("delete d/e", "delete d", "put d", "metadata ."));
}

}  // namespace
}  // namespace uringsync

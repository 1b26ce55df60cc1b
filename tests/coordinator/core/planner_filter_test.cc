// What filter rules at the destination mean for deletes.
#include <gmock/gmock.h>

#include "tests/coordinator/core/plan_fixture.h"

namespace uringsync {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

PlanOptions Deleting() {
  PlanOptions options = AllAbilities();
  options.delete_extraneous = true;
  return options;
}
Entry Protected(Entry entry, Protection protection = Protection::kAlways) {
  entry.protection = protection;
  return entry;
}
Entry Soft(Entry entry) {
  return Protected(std::move(entry), Protection::kUnlessParentGoes);
}
DirectoryBatch Holding(DirectoryBatch batch) {
  batch.holds_excluded = true;
  return batch;
}

TEST(PlannerFilterTest, WhatIsProtectedStaysAndTheRestGoes) {
  const PlanResult plan =
      PlanTrees(Deleting(), {Batch("", {})}, {Batch("", {File("a", 2), Protected(File("b", 3)), Soft(File("c", 4))})});
  ASSERT_TRUE(plan.status.ok()) << plan.status;
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("delete a", "metadata ."));
  EXPECT_THAT(plan.sink.skipped, IsEmpty());
  EXPECT_THAT(plan.sink.problems, IsEmpty());
}

TEST(PlannerFilterTest, NothingToDeleteTouchesNothing) {
  const PlanResult plan =
      PlanTrees(Deleting(), {Batch("", {})},
                {Batch("", {Protected(File("b", 3)), Protected(Dir("d", 4))}), Batch("d", {File("x", 5)})});
  ASSERT_TRUE(plan.status.ok()) << plan.status;
  EXPECT_THAT(plan.sink.Lines(), IsEmpty());
}

TEST(PlannerFilterTest, TheDirectoriesAboveWhatIsProtectedStayAndAreTold) {
  const PlanResult plan =
      PlanTrees(Deleting(), {Batch("", {})},
                {Batch("", {Dir("a", 2), Dir("b", 3)}), Batch("a", {Dir("c", 4), Dir("d", 5), File("x", 6)}),
                 Batch("a/c", {File("y", 7), Protected(File("z", 8))}), Batch("a/d", {File("w", 9)}),
                 Batch("b", {File("v", 10)})});
  ASSERT_TRUE(plan.status.ok()) << plan.status;
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("delete b/v", "delete b", "delete a/d/w", "delete a/d", "delete a/c/y",
                                             "delete a/x", "metadata ."));
  EXPECT_THAT(plan.sink.skipped, ElementsAre(Pair(SkipReason::kNotEmpty, "a/c"), Pair(SkipReason::kNotEmpty, "a")));
  EXPECT_THAT(plan.sink.problems, IsEmpty());
}

TEST(PlannerFilterTest, AProtectedDirectoryStaysWithAllThatIsInIt) {
  const PlanResult plan = PlanTrees(
      Deleting(), {Batch("", {})},
      {Batch("", {Protected(Dir("a", 2))}), Batch("a", {Dir("c", 4), File("x", 6)}), Batch("a/c", {File("y", 7)})});
  ASSERT_TRUE(plan.status.ok()) << plan.status;
  EXPECT_THAT(plan.sink.Lines(), IsEmpty());
}

TEST(PlannerFilterTest, PerishableRulesKeepNothingInADirectoryThatGoes) {
  const PlanResult plan = PlanTrees(
      Deleting(), {Batch("", {Dir("stays", 2)}), Batch("stays", {})},
      {Batch("", {Dir("goes", 12), Dir("stays", 13)}), Batch("goes", {Soft(Dir("CVS", 14)), Soft(File("x.o", 15))}),
       Batch("goes/CVS", {File("Root", 16)}), Batch("stays", {Soft(File("y.o", 17))})});
  ASSERT_TRUE(plan.status.ok()) << plan.status;
  EXPECT_THAT(plan.sink.Lines(),
              ElementsAre("delete goes/CVS/Root", "delete goes/CVS", "delete goes/x.o", "delete goes", "metadata ."));
}

TEST(PlannerFilterTest, ADirectoryThatHoldsWhatIsNotToldStays) {
  const PlanResult plan =
      PlanTrees(Deleting(), {Batch("", {})},
                {Batch("", {Dir("a", 2)}), Batch("a", {Dir("b", 3)}), Holding(Batch("a/b", {File("x", 4)}))});
  ASSERT_TRUE(plan.status.ok()) << plan.status;
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("delete a/b/x", "metadata ."));
  EXPECT_THAT(plan.sink.skipped, ElementsAre(Pair(SkipReason::kNotEmpty, "a/b"), Pair(SkipReason::kNotEmpty, "a")));
}

TEST(PlannerFilterTest, HoldingMayBeToldByAnyPieceOfADirectory) {
  DirectoryBatch first = Holding(Batch("a", {File("x", 4)}));
  first.last = false;
  const PlanResult plan =
      PlanTrees(Deleting(), {Batch("", {})}, {Batch("", {Dir("a", 2)}), first, Batch("a", {File("y", 5)})});
  ASSERT_TRUE(plan.status.ok()) << plan.status;
  EXPECT_THAT(plan.sink.skipped, ElementsAre(Pair(SkipReason::kNotEmpty, "a")));
}

TEST(PlannerFilterTest, ADirectoryThatCannotMakeWayIsAProblem) {
  for (const bool hidden : {false, true}) {
    DirectoryBatch inside = Batch("a", {File("x", 4)});
    inside.holds_excluded = hidden;
    if (!hidden) inside.entries.push_back(Protected(File("y", 5)));
    const PlanResult plan =
        PlanTrees(Deleting(), {Batch("", {File("a", 9)})}, {Batch("", {Protected(Dir("a", 2))}), inside});
    ASSERT_TRUE(plan.status.ok()) << plan.status;
    EXPECT_THAT(plan.sink.Lines(), ElementsAre("delete a/x", "metadata ."));
    ASSERT_EQ(plan.sink.problems.size(), 1u);
    EXPECT_THAT(plan.sink.problems[0].detail, HasSubstr("could not make way for a file"));
    EXPECT_EQ(plan.sink.problems[0].path.text(), "a");
  }
}

TEST(PlannerFilterTest, ProtectionIsNoMatterWhereTheSourceHasTheName) {
  const PlanResult plan =
      PlanTrees(Deleting(), {Batch("", {File("a", 9), File("d", 10)})},
                {Batch("", {Protected(File("a", 2)), Protected(Dir("d", 3))}), Batch("d", {File("x", 4)})});
  ASSERT_TRUE(plan.status.ok()) << plan.status;
  EXPECT_THAT(plan.sink.problems, IsEmpty());
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("delete d/x", "delete d", "put d", "metadata ."));
}

// What was met last is all that is remembered of it.
TEST(PlannerFilterTest, MoreKeptDirectoriesThanAnyTableHolds) {
  std::vector<DirectoryBatch> destination = {Batch("", {})};
  for (int i = 0; i < 6000; ++i) {
    const std::string name = "d" + std::to_string(10000 + i);
    destination.front().entries.push_back(Dir(name, static_cast<uint64_t>(10 + 3 * i)));
    destination.push_back(Batch(name, {Dir("k", static_cast<uint64_t>(11 + 3 * i))}));
    destination.push_back(Holding(Batch(name + "/k", {})));
  }
  const PlanResult plan = PlanTrees(Deleting(), {Batch("", {})}, destination);
  ASSERT_TRUE(plan.status.ok()) << plan.status;
  EXPECT_EQ(plan.counters.deletes, 0u);
  EXPECT_EQ(plan.sink.skipped.size(), 12000u);
}

}  // namespace
}  // namespace uringsync

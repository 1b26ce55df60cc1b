// What the planner makes of manifests that hold only parts of a tree: single sources and lists of names.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/coordinator/core/plan_fixture.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

DirectoryBatch Partial(DirectoryBatch batch, bool implied) {
  batch.partial = true;
  batch.self.implied = implied;
  return batch;
}
Entry Implied(std::string name, uint64_t inode) {
  Entry entry = Dir(std::move(name), inode);
  entry.implied = true;
  return entry;
}
Entry Unseen(std::string name, int error) {
  Entry entry;
  entry.name = std::move(name);
  entry.error = error;
  return entry;
}
PlanOptions Deleting() {
  PlanOptions options = AllAbilities();
  options.delete_extraneous = true;
  return options;
}

TEST(OperandsPlanTest, NothingIsDeletedWhereTheListingIsNotWhole) {
  const PlanResult result = PlanTrees(Deleting(), {Partial(Batch("", {Dir("a", 2)}, 1), true), Batch("a", {}, 2)},
                                      {Batch("", {Dir("a", 12), Dir("b", 13), File("c", 14)}, 11),
                                       Batch("a", {File("x", 15)}, 12), Batch("b", {File("y", 16)}, 13)});
  ASSERT_OK(result.status);
  EXPECT_THAT(result.sink.Lines(), ElementsAre("delete a/x", "metadata a"));
}

TEST(OperandsPlanTest, ADirectoryThatOnlyLeadsToOthersKeepsItsMetadata) {
  DirectoryBatch top = Partial(Batch("", {Implied("a", 2)}, 1), true);
  top.self.mode = 0700;
  DirectoryBatch below = Partial(Batch("a", {File("new", 3)}, 2), true);
  const PlanResult result =
      PlanTrees(AllAbilities(), {top, below}, {Batch("", {Dir("a", 12)}, 11), Batch("a", {}, 12)});
  ASSERT_OK(result.status);
  EXPECT_THAT(result.sink.Lines(), ElementsAre("put a/new"));
}

TEST(OperandsPlanTest, AMissingDirectoryThatLeadsToOthersIsMadeAndNoMore) {
  const PlanResult result = PlanTrees(
      AllAbilities(), {Partial(Batch("", {Implied("a", 2)}, 1), true), Partial(Batch("a", {File("new", 3)}, 2), true)},
      {Partial(Batch("", {}, 11), false)});
  ASSERT_OK(result.status);
  EXPECT_THAT(result.sink.Lines(), ElementsAre("mkdir a", "put a/new"));
  EXPECT_TRUE(result.sink.actions[0].action.wanted.implied);
}

TEST(OperandsPlanTest, AnOperandThatCannotBeLookedAtStopsEveryDeleteAndOneThatIsMissingNone) {
  for (const int error : {ENOENT, EACCES}) {
    const PlanResult result = PlanTrees(
        Deleting(), {Partial(Batch("", {Dir("a", 2), Unseen("gone", error)}, 1), true), Batch("a", {File("n", 3)}, 2)},
        {Batch("", {Dir("a", 12), File("gone", 14)}, 11), Batch("a", {File("x", 15)}, 12)});
    ASSERT_OK(result.status);
    if (error == ENOENT) {
      EXPECT_THAT(result.sink.Lines(), ElementsAre("put a/n", "delete a/x", "metadata a"));
    } else {
      EXPECT_THAT(result.sink.Lines(), ElementsAre("put a/n", "metadata a"));
    }
    ASSERT_EQ(result.sink.problems.size(), 1u);
    EXPECT_EQ(result.sink.problems[0].kind, ProblemKind::kFailed);
    EXPECT_EQ(result.sink.problems[0].operation, "link_stat");
    EXPECT_EQ(result.sink.problems[0].path, PathOf("gone"));
    EXPECT_EQ(result.counters.missing_operands, 1u);
  }
}

TEST(OperandsPlanTest, ContentsOfADirectoryThatIsNotThereStopEveryDelete) {
  DirectoryBatch top = Batch("", {Dir("a", 2)}, 1);
  top.error = ENOENT;
  const PlanResult result = PlanTrees(Deleting(), {top, Batch("a", {}, 2)},
                                      {Batch("", {Dir("a", 12), File("x", 14)}, 11), Batch("a", {File("y", 15)}, 12)});
  ASSERT_OK(result.status);
  for (const std::string& line : result.sink.Lines()) EXPECT_FALSE(line.starts_with("delete")) << line;
  EXPECT_EQ(result.sink.problems[0].operation, "change_dir");
  EXPECT_EQ(result.sink.problems[0].kind, ProblemKind::kFailed);
}

TEST(OperandsPlanTest, WhatVanishesInsideADirectoryIsNoMissingOperand) {
  const PlanResult result =
      PlanTrees(Deleting(), {Batch("", {Unseen("gone", ENOENT)}, 1)}, {Batch("", {File("x", 15)}, 11)});
  ASSERT_OK(result.status);
  EXPECT_THAT(result.sink.Lines(), ElementsAre("delete x", "metadata ."));
  EXPECT_EQ(result.sink.problems[0].kind, ProblemKind::kVanished);
}

TEST(OperandsPlanTest, ATopThatIsNoDirectoryOfTheSourceIsNotMadeInItsImage) {
  PlanOptions options = AllAbilities();
  options.destination_exists = false;
  const PlanResult result = PlanTrees(options, {Partial(Batch("", {File("f", 3)}, 1), true)}, {});
  ASSERT_OK(result.status);
  EXPECT_THAT(result.sink.Lines(), ElementsAre("put f"));
}

TEST(OperandsPlanTest, EqualPartsNeedNothing) {
  const PlanResult result = PlanTrees(Deleting(), {Partial(Batch("", {File("f", 3)}, 1), true)},
                                      {Partial(Batch("", {File("f", 13)}, 11), false)});
  ASSERT_OK(result.status);
  EXPECT_THAT(result.sink.Lines(), IsEmpty());
}

}  // namespace
}  // namespace uringsync

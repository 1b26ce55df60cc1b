// Symlinks of a destination to directories (--keep-dirlinks), and operands that the source does not have
// (--delete-missing-args).
#include <gmock/gmock.h>

#include <cerrno>

#include "tests/coordinator/core/plan_fixture.h"

namespace uringsync {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

using Lines = std::vector<std::string>;

PlanOptions Options(bool keep, bool deletes = false) {
  PlanOptions options = AllAbilities();
  options.keep_directory_links = keep;
  options.delete_extraneous = deletes;
  options.policy.selection.directory_times = false;
  return options;
}
Entry Symlink(std::string name, std::string target) {
  Entry entry = MakeEntry(std::move(name), FileType::kSymlink, 60);
  entry.symlink_target = std::move(target);
  entry.size_bytes = entry.symlink_target.size();
  return entry;
}
Entry LinkToDirectory(std::string name, int error = 0) {
  Entry entry = Symlink(std::move(name), "elsewhere");
  entry.directory_link = true;
  entry.error = error;
  return entry;
}
Lines Without(Lines lines, const std::string& left_out) {
  std::erase(lines, left_out);
  return lines;
}
Lines Plan(const PlanOptions& options, const std::vector<DirectoryBatch>& source,
           const std::vector<DirectoryBatch>& destination, PlanResult* result = nullptr) {
  PlanResult plan = PlanTrees(options, source, destination);
  EXPECT_TRUE(plan.status.ok()) << plan.status;
  Lines lines = Without(plan.sink.Lines(), "metadata .");
  if (result != nullptr) *result = std::move(plan);
  return lines;
}

TEST(DirectoryLinksTest, ALinkStaysWhereTheSourceHasADirectoryAndWhatItLeadsToIsMerged) {
  const std::vector<DirectoryBatch> source = {Batch("", {Dir("d", 40)}), Batch("d", {File("new", 1), File("same", 2)})};
  const std::vector<DirectoryBatch> destination = {Batch("", {LinkToDirectory("d")}),
                                                   Batch("d", {File("old", 1), File("same", 2)}, 501)};
  EXPECT_THAT(Without(Plan(Options(true), source, destination), "metadata d"), ElementsAre("put d/new"));
  EXPECT_THAT(Without(Plan(Options(true, true), source, destination), "metadata d"),
              ElementsAre("put d/new", "delete d/old"));
}

TEST(DirectoryLinksTest, OfALinkThatTheSourceDoesNotHaveNothingButTheLinkIsDeleted) {
  const std::vector<DirectoryBatch> destination = {Batch("", {LinkToDirectory("d"), File("f", 1)}),
                                                   Batch("d", {File("old", 1), Dir("sub", 40)}),
                                                   Batch("d/sub", {File("x", 3)})};
  EXPECT_THAT(Plan(Options(true, true), {Batch("", {File("f", 1)})}, destination), ElementsAre("delete d"));
  EXPECT_THAT(Plan(Options(true), {Batch("", {File("f", 1)})}, destination), IsEmpty());
}

TEST(DirectoryLinksTest, WhatALinkLedToDoesNotGoByItsOwnName) {
  const std::vector<DirectoryBatch> source = {Batch("", {Dir("d", 40)}), Batch("d", {Dir("sub", 41)}),
                                              Batch("d/sub", {File("x", 3)})};
  const std::vector<DirectoryBatch> destination = {Batch("", {Dir("above", 50), LinkToDirectory("d")}),
                                                   Batch("above", {File("other", 6), Dir("real", 51)}, 510),
                                                   Batch("above/real", {File("old", 9), Dir("sub", 52)}, 511),
                                                   Batch("above/real/sub", {File("x", 3)}, 512),
                                                   Batch("d", {File("old", 9), Dir("sub", 52)}, 511),
                                                   Batch("d/sub", {File("x", 3)}, 512)};
  PlanResult plan;
  EXPECT_THAT(Without(Plan(Options(true, true), source, destination, &plan), "metadata d"),
              testing::UnorderedElementsAre("delete above/other", "delete d/old"));
  EXPECT_THAT(plan.sink.problems, IsEmpty());
  EXPECT_THAT(plan.sink.skipped,
              ElementsAre(Pair(SkipReason::kNotEmpty, "above/real"), Pair(SkipReason::kNotEmpty, "above")));
}

TEST(DirectoryLinksTest, WhatTwoNamesOfTheSourceLeadToLosesNothing) {
  const std::vector<DirectoryBatch> source = {Batch("", {Dir("d", 40), Dir("e", 41), Dir("other", 42)}),
                                              Batch("d", {File("x", 3)}), Batch("e", {File("y", 4)}),
                                              Batch("other", {})};
  for (const bool link : {false, true}) {
    std::vector<DirectoryBatch> destination = {
        Batch("", {LinkToDirectory("d"), link ? LinkToDirectory("e") : Dir("e", 41), Dir("other", 42)}),
        Batch("d", {File("x", 3), File("y", 4)}, 511), Batch("e", {File("x", 3), File("y", 4)}, 511),
        Batch("other", {File("z", 5)}, 512)};
    const Lines lines = Plan(Options(true, true), source, destination);
    EXPECT_THAT(lines, testing::Contains("delete other/z"));
    EXPECT_THAT(lines, testing::Not(testing::Contains("delete d/y")));
    EXPECT_THAT(lines, testing::Not(testing::Contains("delete e/x")));
  }
}

TEST(DirectoryLinksTest, AnythingButADirectoryTakesTheLinksPlace) {
  const std::vector<DirectoryBatch> destination = {Batch("", {LinkToDirectory("d")}), Batch("d", {File("old", 1)})};
  EXPECT_THAT(Plan(Options(true, true), {Batch("", {File("d", 1)})}, destination), ElementsAre("put d"));
  EXPECT_THAT(Plan(Options(true, true), {Batch("", {Symlink("d", "elsewhere")})}, destination), IsEmpty());
}

TEST(DirectoryLinksTest, WithoutTheOptionOnlyWaysToOperandsKeepLinks) {
  const std::vector<DirectoryBatch> destination = {Batch("", {LinkToDirectory("d")}), Batch("d", {})};
  Entry way = Dir("d", 40);
  EXPECT_THAT(Plan(Options(false), {Batch("", {way}), Batch("d", {File("f", 1)})}, destination),
              ElementsAre("mkdir d", "put d/f", "metadata d"));
  way.implied = true;
  DirectoryBatch below = Batch("d", {File("f", 1)});
  below.self.implied = below.partial = true;
  EXPECT_THAT(Plan(Options(false), {Batch("", {way}), below}, destination), ElementsAre("put d/f"));
}

TEST(DirectoryLinksTest, ALinkOutOfTheTreeIsAProblemOnlyForADirectory) {
  const std::vector<DirectoryBatch> destination = {Batch("", {LinkToDirectory("d", EXDEV)})};
  PlanResult plan;
  EXPECT_THAT(Plan(Options(true, true), {Batch("", {Dir("d", 40)}), Batch("d", {File("f", 1)})}, destination, &plan),
              IsEmpty());
  ASSERT_THAT(plan.sink.problems, SizeIs(1));
  EXPECT_EQ(plan.sink.problems[0].error, EXDEV);
  EXPECT_THAT(Plan(Options(true, true), {Batch("", {})}, destination, &plan), ElementsAre("delete d"));
  EXPECT_THAT(plan.sink.problems, IsEmpty());
}

class MissingOperandsTest : public testing::Test {
 protected:
  static Entry Missing(std::string name) {
    Entry entry;
    entry.name = std::move(name);
    entry.error = ENOENT;
    return entry;
  }
  static DirectoryBatch Partial(std::vector<Entry> entries) {
    DirectoryBatch batch = Batch("", std::move(entries));
    batch.partial = batch.self.implied = true;
    return batch;
  }
  PlanResult Plan(MissingOperands missing, bool force = false) {
    PlanOptions options = AllAbilities();
    options.rules.missing_operands = missing;
    options.force_delete = force;
    DirectoryBatch top = Partial({Dir("empty", 40), File("f", 1), Dir("full", 40), File("other", 1)});
    PlanResult plan =
        PlanTrees(options, {Partial({Missing("empty"), Missing("f"), Missing("full"), Missing("nowhere")})},
                  {top, Batch("empty", {}), Batch("full", {File("x", 1)})});
    EXPECT_TRUE(plan.status.ok()) << plan.status;
    return plan;
  }
};

TEST_F(MissingOperandsTest, AreProblemsUnlessTheyAreIgnored) {
  EXPECT_THAT(Plan(MissingOperands::kTell).sink.problems, SizeIs(4));
  const PlanResult ignored = Plan(MissingOperands::kIgnore);
  EXPECT_THAT(ignored.sink.problems, IsEmpty());
  EXPECT_THAT(ignored.sink.Lines(), IsEmpty());
}

TEST_F(MissingOperandsTest, AreDeletedAndAFullDirectoryOnlyWhereItMay) {
  const PlanResult plan = Plan(MissingOperands::kDelete);
  EXPECT_THAT(plan.sink.problems, IsEmpty());
  EXPECT_THAT(plan.sink.Lines(), testing::UnorderedElementsAre("delete empty", "delete f"));
  EXPECT_THAT(plan.sink.skipped, ElementsAre(Pair(SkipReason::kNotEmpty, "full")));
  const PlanResult forced = Plan(MissingOperands::kDelete, /*force=*/true);
  EXPECT_THAT(forced.sink.Lines(),
              testing::UnorderedElementsAre("delete empty", "delete f", "delete full/x", "delete full"));
  EXPECT_THAT(forced.sink.skipped, IsEmpty());
}

}  // namespace
}  // namespace uringsync

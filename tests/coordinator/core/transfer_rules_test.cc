// TransferRules as rsync 3.5 reads them: which objects are acted upon, how far deletions go, and in what order.
#include <gmock/gmock.h>

#include <cerrno>

#include "tests/coordinator/core/plan_fixture.h"

namespace uringsync {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

using Skips = std::vector<std::pair<SkipReason, std::string>>;

Entry FileAt(std::string name, FileTime mtime, uint64_t size = 10) {
  Entry entry = File(std::move(name), 1);
  entry.mtime = mtime;
  entry.size_bytes = size;
  return entry;
}
Entry Other(Entry entry) {
  entry.size_bytes += 1;
  return entry;
}
PlanOptions Ruled(TransferRules rules, bool delete_extraneous = false) {
  PlanOptions options = AllAbilities();
  options.rules = rules;
  options.delete_extraneous = delete_extraneous;
  // Directory times move with everything; they are not what is looked at here.
  options.policy.selection.directory_times = false;
  return options;
}
// What happens to one object of each side, directories' metadata left out.
std::vector<std::string> PlanPair(const PlanOptions& options, const Entry& source, const Entry& destination,
                                  Skips* skipped = nullptr) {
  std::vector<DirectoryBatch> left = {Batch("", {source})};
  std::vector<DirectoryBatch> right = {Batch("", {destination})};
  if (source.type == FileType::kDirectory) left.push_back(Batch(source.name, {}));
  if (destination.type == FileType::kDirectory) right.push_back(Batch(destination.name, {}));
  const PlanResult plan = PlanTrees(options, left, right);
  EXPECT_TRUE(plan.status.ok()) << plan.status;
  if (skipped != nullptr) *skipped = plan.sink.skipped;
  std::vector<std::string> lines = plan.sink.Lines();
  std::erase_if(lines, [](const std::string& line) { return line == "metadata ."; });
  return lines;
}

TEST(UpdateRuleTest, AFileThatIsNewerAtTheDestinationStaysWithItsMetadata) {
  Entry destination = Other(FileAt("f", {101, 0}));
  destination.mode = 0600;
  Skips skipped;
  EXPECT_THAT(PlanPair(Ruled({.update = true}), FileAt("f", {100, 0}), destination, &skipped), IsEmpty());
  EXPECT_THAT(skipped, ElementsAre(Pair(SkipReason::kNewer, "f")));
}

TEST(AppendRuleTest, OnlyWhatIsShorterAtTheDestinationIsWritten) {
  const PlanOptions options = Ruled({.append = true});
  const Entry source = FileAt("f", {100, 0}, 10);
  Skips skipped;
  EXPECT_THAT(PlanPair(options, source, FileAt("f", {99, 0}, 9)), ElementsAre("put f"));
  EXPECT_THAT(PlanPair(options, source, FileAt("f", {99, 0}, 10), &skipped), IsEmpty());
  EXPECT_THAT(skipped, ElementsAre(Pair(SkipReason::kNotShorter, "f")));
  EXPECT_THAT(PlanPair(options, source, FileAt("f", {99, 0}, 11), &skipped), IsEmpty());
  EXPECT_THAT(skipped, ElementsAre(Pair(SkipReason::kNotShorter, "f")));
}

TEST(AppendRuleTest, MetadataOfAFileThatIsEqualFollows) {
  Entry destination = FileAt("f", {100, 0}, 10);
  destination.mode = 0600;
  EXPECT_THAT(PlanPair(Ruled({.append = true}), FileAt("f", {100, 0}, 10), destination), ElementsAre("metadata f"));
}

TEST(UpdateRuleTest, AFileOfTheSameTimeIsComparedAsEver) {
  EXPECT_THAT(PlanPair(Ruled({.update = true}), FileAt("f", {100, 0}), Other(FileAt("f", {100, 0}))),
              ElementsAre("put f"));
  EXPECT_THAT(PlanPair(Ruled({.update = true}), FileAt("f", {100, 0}), Other(FileAt("f", {99, 0}))),
              ElementsAre("put f"));
}

TEST(UpdateRuleTest, NewerByANanosecondCountsOnlyWhereTimesAreExact) {
  PlanOptions options = Ruled({.update = true});
  const Entry source = FileAt("f", {100, 200});
  const Entry destination = Other(FileAt("f", {100, 500}));
  EXPECT_THAT(PlanPair(options, source, destination), IsEmpty());
  options.policy.selection.modify_window_s = 0;
  EXPECT_THAT(PlanPair(options, source, destination), ElementsAre("put f"));
}

TEST(UpdateRuleTest, WithinAWindowWhatIsNotOlderByAllOfItStays) {
  PlanOptions options = Ruled({.update = true});
  options.policy.selection.modify_window_s = 2;
  const auto plan = [&](int64_t destination_s) {
    return PlanPair(options, FileAt("f", {103, 0}), Other(FileAt("f", {destination_s, 500})));
  };
  EXPECT_THAT(plan(101), ElementsAre("put f"));
  EXPECT_THAT(plan(102), IsEmpty());
  EXPECT_THAT(plan(105), IsEmpty());
}

TEST(UpdateRuleTest, OnlyRegularFilesOnBothSidesAreJudgedByTheirTimes) {
  const PlanOptions options = Ruled({.update = true});
  Entry link = MakeEntry("x", FileType::kSymlink, 9);
  link.mtime = {500, 0};
  EXPECT_THAT(PlanPair(options, FileAt("x", {100, 0}), link), ElementsAre("put x"));
  Entry old_link = link;
  old_link.mtime = {100, 0};
  old_link.symlink_target = "elsewhere";
  EXPECT_THAT(PlanPair(options, old_link, link), ElementsAre("symlink x"));
  Entry directory = Dir("x", 9);
  directory.mtime = {500, 0};
  EXPECT_THAT(PlanPair(options, FileAt("x", {100, 0}), directory), ElementsAre("delete x", "put x"));
}

TEST(ExistingRuleTest, NothingNewIsMadeAndNothingBelowIsLookedFor) {
  const PlanResult plan = PlanTrees(Ruled({.existing_only = true}),
                                    {Batch("", {Dir("new", 2), File("new_file", 3), File("old", 4)}),
                                     Batch("new", {Dir("sub", 5), File("x", 6)}), Batch("new/sub", {File("y", 7)})},
                                    {Batch("", {Other(File("old", 4))})});
  ASSERT_TRUE(plan.status.ok()) << plan.status;
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("put old", "metadata ."));
  EXPECT_THAT(plan.sink.skipped,
              ElementsAre(Pair(SkipReason::kNotExisting, "new"), Pair(SkipReason::kNotExisting, "new_file")));
  EXPECT_EQ(plan.counters.skipped_by_rule, 2u);
  EXPECT_EQ(plan.counters.problems, 0u);
}

TEST(ExistingRuleTest, WhatIsThereMayBecomeAnotherType) {
  EXPECT_THAT(PlanPair(Ruled({.existing_only = true}), Dir("x", 2), File("x", 3)),
              ElementsAre("mkdir x", "metadata x"));
  EXPECT_THAT(PlanPair(Ruled({.existing_only = true}), File("x", 2), Dir("x", 3)), ElementsAre("delete x", "put x"));
}

TEST(IgnoreExistingRuleTest, WhatIsThereStaysWhateverItIs) {
  const PlanOptions options = Ruled({.ignore_existing = true});
  Skips skipped;
  EXPECT_THAT(PlanPair(options, File("x", 2), Other(File("x", 3)), &skipped), IsEmpty());
  EXPECT_THAT(skipped, ElementsAre(Pair(SkipReason::kExists, "x")));
  EXPECT_THAT(PlanPair(options, File("x", 2), Dir("x", 3)), IsEmpty());
  EXPECT_THAT(PlanPair(options, Dir("x", 2), File("x", 3)), IsEmpty());
  EXPECT_THAT(PlanPair(options, File("x", 2), MakeEntry("x", FileType::kSymlink, 3)), IsEmpty());
}

TEST(IgnoreExistingRuleTest, DirectoriesAreGoneThroughAndKeepTheirMetadataInStep) {
  Entry directory = Dir("d", 3);
  directory.mode = 0700;
  DirectoryBatch listing = Batch("d", {});
  listing.self = directory;
  const PlanResult plan =
      PlanTrees(Ruled({.ignore_existing = true}), {Batch("", {Dir("d", 2)}), Batch("d", {File("new", 4)})},
                {Batch("", {directory}), listing});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("put d/new", "metadata d"));
}

TEST(IgnoreExistingRuleTest, WhatCannotBeMadeBelowAFileThatStaysIsOneProblem) {
  const PlanResult plan =
      PlanTrees(Ruled({.ignore_existing = true}),
                {Batch("", {Dir("d", 2)}), Batch("d", {Dir("sub", 3), File("x", 4)}), Batch("d/sub", {})},
                {Batch("", {File("d", 9)})});
  ASSERT_TRUE(plan.status.ok()) << plan.status;
  EXPECT_THAT(plan.sink.Lines(), IsEmpty());
  ASSERT_EQ(plan.sink.problems.size(), 1u);
  EXPECT_EQ(plan.sink.problems[0].error, ENOTDIR);
  EXPECT_EQ(plan.sink.problems[0].path.text(), "d");
  EXPECT_EQ(plan.counters.skipped_below_problem, 2u);
}

TEST(IgnoreExistingRuleTest, TogetherWithExistingOnlyDeletesRemain) {
  const PlanResult plan = PlanTrees(Ruled({.existing_only = true, .ignore_existing = true}, true),
                                    {Batch("", {File("both", 2), File("new", 3)})},
                                    {Batch("", {Other(File("both", 4)), File("extra", 5)})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("delete extra", "metadata ."));
}

TEST(SizeRuleTest, FilesOutsideTheBoundsStayAsTheyAreAndProtectTheirNames) {
  const PlanOptions options = Ruled({.max_size = 10, .min_size = 5}, true);
  const auto sized = [](const char* name, uint64_t size) { return FileAt(name, {100, 0}, size); };
  const PlanResult plan = PlanTrees(
      options, {Batch("", {sized("a4", 4), sized("b5", 5), sized("c10", 10), sized("d11", 11), sized("e0", 0)})},
      {Batch("", {sized("a4", 3), Dir("e0", 7)}), Batch("e0", {File("in", 8)})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("put b5", "put c10", "metadata ."));
  EXPECT_THAT(plan.sink.skipped, ElementsAre(Pair(SkipReason::kTooSmall, "a4"), Pair(SkipReason::kTooLarge, "d11"),
                                             Pair(SkipReason::kTooSmall, "e0")));
}

TEST(SizeRuleTest, OnlyRegularFilesHaveASize) {
  const PlanOptions options = Ruled({.max_size = 0});
  Entry link = MakeEntry("l", FileType::kSymlink, 2);
  link.size_bytes = 6;
  EXPECT_THAT(PlanTrees(options, {Batch("", {Dir("d", 3), link}), Batch("d", {})}, {Batch("", {})}).sink.Lines(),
              ElementsAre("mkdir d", "symlink l", "metadata d", "metadata ."));
}

TEST(SafeLinksRuleTest, ALinkThatMayLeadOutStaysAsItIsAtTheDestination) {
  const auto link = [](const char* name, const char* target) {
    Entry entry = MakeEntry(name, FileType::kSymlink, 2);
    entry.symlink_target = target;
    return entry;
  };
  const PlanResult plan = PlanTrees(
      Ruled({.safe_links = true}, true),
      {Batch("", {Dir("d", 3), link("out", "../x")}), Batch("d", {link("in", "../x"), link("up", "../../x")})},
      {Batch("", {File("out", 4)})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("mkdir d", "symlink d/in", "metadata d", "metadata ."));
  EXPECT_THAT(plan.sink.skipped,
              ElementsAre(Pair(SkipReason::kUnsafeLink, "out"), Pair(SkipReason::kUnsafeLink, "d/up")));
}

// Two directories that go, one in the other, and files beside them.
PlanResult PlanDeletes(std::optional<uint64_t> max_delete) {
  return PlanTrees(Ruled({.max_delete = max_delete}, true), {Batch("", {})},
                   {Batch("", {Dir("dd", 2), File("x1", 3), File("x2", 4)}), Batch("dd", {Dir("sub", 5), File("y", 6)}),
                    Batch("dd/sub", {File("q", 7)})});
}

TEST(MaxDeleteTest, TheRestIsToldAndADirectoryThatHoldsSomethingStays) {
  PlanResult plan = PlanDeletes(std::nullopt);
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("delete dd/sub/q", "delete dd/sub", "delete dd/y", "delete dd",
                                             "delete x2", "delete x1", "metadata ."));
  plan = PlanDeletes(3);
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("delete dd/sub/q", "delete dd/sub", "delete dd/y", "metadata ."));
  EXPECT_THAT(plan.sink.skipped, ElementsAre(Pair(SkipReason::kDeleteLimit, "dd"), Pair(SkipReason::kDeleteLimit, "x2"),
                                             Pair(SkipReason::kDeleteLimit, "x1")));
  EXPECT_EQ(plan.counters.skipped_deletes, 3u);
}

TEST(MaxDeleteTest, CountsADirectoryThatIsNotEmptyOnlyInsideAnotherOneAsRsyncDoes) {
  const PlanResult plan = PlanDeletes(0);
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("metadata ."));
  // q, sub, y, x1 and x2; dd only as a directory that is not empty.
  EXPECT_EQ(plan.counters.skipped_deletes, 5u);
  EXPECT_THAT(plan.sink.skipped,
              ElementsAre(Pair(SkipReason::kDeleteLimit, "dd/sub/q"), Pair(SkipReason::kNotEmpty, "dd/sub"),
                          Pair(SkipReason::kDeleteLimit, "dd/sub"), Pair(SkipReason::kDeleteLimit, "dd/y"),
                          Pair(SkipReason::kNotEmpty, "dd"), Pair(SkipReason::kDeleteLimit, "x2"),
                          Pair(SkipReason::kDeleteLimit, "x1")));
}

TEST(MaxDeleteTest, ADirectoryThatMakesWayCountsForWhatIsInItOnly) {
  const PlanResult plan = PlanTrees(Ruled({.max_delete = 1}, true), {Batch("", {File("x", 2)})},
                                    {Batch("", {Dir("x", 3)}), Batch("x", {File("in", 4)})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("delete x/in", "delete x", "put x", "metadata ."));
  EXPECT_EQ(plan.counters.skipped_deletes, 0u);
}

TEST(DeleteTimingTest, BeforeMeansBeforeAnythingIsMade) {
  const auto plan = [](DeleteTiming timing) {
    Entry leader = File("a", 2);
    Entry second = File("b", 2);
    leader.nlink = second.nlink = 2;
    return PlanTrees(Ruled({.delete_timing = timing}, true),
                     {Batch("", {leader, second, Dir("d", 3), File("way", 4)}), Batch("d", {File("new", 5)})},
                     {Batch("", {File("extra", 6), Dir("way", 7)}), Batch("way", {File("in", 8)})})
        .sink.Lines();
  };
  EXPECT_THAT(plan(DeleteTiming::kBefore),
              ElementsAre("delete way/in", "delete way", "delete extra", "mkdir d", "put d/new", "put a", "link b=a",
                          "put way", "metadata d", "metadata ."));
  EXPECT_THAT(plan(DeleteTiming::kAfter),
              ElementsAre("mkdir d", "put d/new", "put a", "link b=a", "delete way/in", "delete way", "delete extra",
                          "put way", "metadata d", "metadata ."));
}

TEST(IgnoreErrorsTest, DeletesInADirectoryThatWasNotListedWhole) {
  const auto plan = [](bool ignore_errors) {
    DirectoryBatch broken = Batch("a", {});
    broken.error = EACCES;
    return PlanTrees(Ruled({.ignore_errors = ignore_errors}, true), {Batch("", {Dir("a", 2)}), broken},
                     {Batch("", {Dir("a", 3)}), Batch("a", {Dir("d", 6), File("x", 4)}), Batch("a/d", {File("y", 7)})});
  };
  EXPECT_THAT(plan(false).sink.Lines(), IsEmpty());
  const PlanResult ignoring = plan(true);
  EXPECT_THAT(ignoring.sink.Lines(), ElementsAre("delete a/d/y", "delete a/d", "delete a/x", "metadata a"));
  EXPECT_EQ(ignoring.sink.problems.size(), 1u);
}

TEST(DirsWithoutRecursionTest, ADirectoryThatIsListedAndNotEnteredLosesNothing) {
  Entry listed = Dir("a", 2);
  listed.not_entered = true;
  listed.mode = 0711;
  Entry made = Dir("n", 3);
  made.not_entered = true;
  const PlanResult plan = PlanTrees(Ruled({}, true), {Batch("", {listed, made})},
                                    {Batch("", {Dir("a", 4), Dir("gone", 5)}), Batch("a", {File("keep", 6)}),
                                     Batch("gone", {Dir("x", 7), File("y", 8)}), Batch("gone/x", {})});
  ASSERT_TRUE(plan.status.ok()) << plan.status;
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("mkdir n", "delete gone/x", "delete gone/y", "delete gone", "metadata n",
                                             "metadata a", "metadata ."));
}

}  // namespace
}  // namespace uringsync

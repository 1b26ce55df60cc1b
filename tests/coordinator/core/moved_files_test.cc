// Which files count as moved (--detect-renames): what a put gets as its origin.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/core/plan_fixture.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Fate = ActionOrigin::Fate;

PlanOptions Detecting(bool deletes = true) {
  PlanOptions options = AllAbilities();
  options.delete_extraneous = deletes;
  options.detect_renames = true;
  return options;
}

Entry Sized(std::string name, uint64_t inode, uint64_t bytes, int64_t time = 100) {
  Entry file = File(std::move(name), inode);
  file.size_bytes = bytes;
  file.mtime = {time, 0};
  return file;
}

// "new<-old" for each put with an origin; '!' behind it where that one goes, '=' where it is replaced.
std::vector<std::string> Moves(const PlanResult& result) {
  std::vector<std::string> moves;
  for (const PlannedAction& planned : result.sink.actions) {
    const Boxed<ActionOrigin>& origin = planned.action.origin;
    if (!origin) continue;
    std::string text = planned.action.path.text() + "<-" + origin->path.text();
    if (origin->fate == Fate::kGoes) text += "!";
    if (origin->fate == Fate::kReplaced) text += "=";
    moves.push_back(std::move(text));
  }
  return moves;
}

TEST(MovedFilesTest, AFileThatGoesIsTheOriginOfTheOneThatComesAndIsDeletedBehindIt) {
  const PlanResult result =
      PlanTrees(Detecting(), {Batch("", {Sized("new", 2, 7)}, 1)}, {Batch("", {Sized("old", 12, 7)}, 11)});
  ASSERT_OK(result.status);
  EXPECT_THAT(result.sink.Lines(), ElementsAre("put new", "delete old", "metadata ."));
  EXPECT_THAT(Moves(result), ElementsAre("new<-old!"));
  EXPECT_EQ(result.counters.renames, 1u);
  EXPECT_EQ(result.counters.rename_bytes, 7u);
  EXPECT_EQ(result.sink.actions[0].action.origin->object.id.inode, 12u);
}

TEST(MovedFilesTest, WithoutTheOptionNothingIsLookedFor) {
  PlanOptions options = Detecting();
  options.detect_renames = false;
  const PlanResult result =
      PlanTrees(options, {Batch("", {Sized("new", 2, 7)}, 1)}, {Batch("", {Sized("old", 12, 7)}, 11)});
  EXPECT_THAT(Moves(result), IsEmpty());
}

TEST(MovedFilesTest, WhatStaysIsCopiedFrom) {
  const PlanResult result =
      PlanTrees(Detecting(false), {Batch("", {Sized("new", 2, 7)}, 1)}, {Batch("", {Sized("old", 12, 7)}, 11)});
  EXPECT_THAT(Moves(result), ElementsAre("new<-old"));
  EXPECT_THAT(result.sink.Lines(), ElementsAre("put new", "metadata ."));
}

TEST(MovedFilesTest, EmptyFilesAndFilesOfAnotherLengthAreNotFound) {
  const PlanResult result = PlanTrees(Detecting(), {Batch("", {Sized("a", 2, 0), Sized("b", 3, 8)}, 1)},
                                      {Batch("", {Sized("x", 12, 0), Sized("y", 13, 7)}, 11)});
  EXPECT_THAT(Moves(result), IsEmpty());
}

TEST(MovedFilesTest, OfSeveralTheOneOfTheSameNameIsTaken) {
  const PlanResult result =
      PlanTrees(Detecting(),
                {Batch("", {Dir("to", 2)}, 1), Batch("to", {Sized("a", 3, 7), Sized("b", 4, 7), Sized("c", 5, 7)}, 2)},
                {Batch("", {Sized("b", 13, 7), Sized("c", 14, 7), Sized("z", 12, 7)}, 11)});
  EXPECT_THAT(Moves(result), ElementsAre("to/a<-z!", "to/b<-b!", "to/c<-c!"));
}

TEST(MovedFilesTest, FilesThatLookAlikeAreToldByTheirDirectories) {
  std::vector<DirectoryBatch> source = {Batch("", {Dir("new", 2)}, 1), Batch("new", {Dir("a", 3), Dir("b", 4)}, 2),
                                        Batch("new/a", {Sized("f", 5, 7)}, 3), Batch("new/b", {Sized("f", 6, 7)}, 4)};
  std::vector<DirectoryBatch> destination = {
      Batch("", {Dir("old", 12)}, 11), Batch("old", {Dir("a", 13), Dir("b", 14)}, 12),
      Batch("old/a", {Sized("f", 15, 7)}, 13), Batch("old/b", {Sized("f", 16, 7)}, 14)};
  EXPECT_THAT(Moves(PlanTrees(Detecting(), source, destination)),
              ElementsAre("new/a/f<-old/a/f!", "new/b/f<-old/b/f!"));
  // The other way round in the order of names.
  source[0].entries[0].name = "aaa";
  for (size_t i = 1; i < source.size(); ++i) {
    source[i].directory = PathOf("aaa" + source[i].directory.text().substr(3));
    source[i].self.name = source[i].directory.name();
  }
  EXPECT_THAT(Moves(PlanTrees(Detecting(), source, destination)),
              ElementsAre("aaa/a/f<-old/a/f!", "aaa/b/f<-old/b/f!"));
}

TEST(MovedFilesTest, TheTimeCountsMoreThanTheNameAndTheNameIsEnough) {
  const PlanResult result = PlanTrees(
      Detecting(), {Batch("", {Dir("to", 2)}, 1), Batch("to", {Sized("a", 3, 7, 500), Sized("touched", 4, 9, 900)}, 2)},
      {Batch("", {Sized("a", 12, 7, 100), Sized("b", 13, 7, 500), Sized("touched", 14, 9, 100)}, 11)});
  EXPECT_THAT(Moves(result), ElementsAre("to/a<-b!", "to/touched<-touched!"));
}

TEST(MovedFilesTest, OneFileThatBecameSeveralIsRenamedOnceAndCopiedOtherwise) {
  const PlanResult result = PlanTrees(
      Detecting(),
      {Batch("", {Dir("p", 2), Dir("q", 3)}, 1), Batch("p", {Sized("f", 4, 7)}, 2), Batch("q", {Sized("f", 5, 7)}, 3)},
      {Batch("", {Sized("f", 12, 7)}, 11)});
  EXPECT_THAT(Moves(result), UnorderedElementsAre("p/f<-f!", "q/f<-f"));
}

TEST(MovedFilesTest, FilesThatChangePlacesAreEachOthersOrigin) {
  const PlanResult result = PlanTrees(Detecting(), {Batch("", {Sized("x", 2, 7, 1), Sized("y", 3, 8, 2)}, 1)},
                                      {Batch("", {Sized("x", 12, 8, 2), Sized("y", 13, 7, 1)}, 11)});
  EXPECT_THAT(Moves(result), ElementsAre("x<-y=", "y<-x="));
}

TEST(MovedFilesTest, AChainOfRenamesIsFound) {
  const PlanResult result =
      PlanTrees(Detecting(), {Batch("", {Sized("log", 2, 3, 9), Sized("log.1", 3, 7, 8), Sized("log.2", 4, 6, 7)}, 1)},
                {Batch("", {Sized("log", 12, 7, 8), Sized("log.1", 13, 6, 7)}, 11)});
  EXPECT_THAT(Moves(result), ElementsAre("log.1<-log=", "log.2<-log.1="));
}

TEST(MovedFilesTest, WhatIsWrittenOverInPlaceIsNoOrigin) {
  PlanOptions options = Detecting();
  options.in_place = true;
  const PlanResult result =
      PlanTrees(options, {Batch("", {Sized("log", 2, 3, 9), Sized("log.1", 3, 7, 8), Sized("n", 4, 5)}, 1)},
                {Batch("", {Sized("log", 12, 7, 8), Sized("o", 13, 5)}, 11)});
  EXPECT_THAT(Moves(result), ElementsAre("n<-o!"));
}

TEST(MovedFilesTest, AFileIsNeverItsOwnOrigin) {
  PlanOptions options = Detecting();
  options.policy.ignore_times = true;
  const PlanResult result =
      PlanTrees(options, {Batch("", {Sized("f", 2, 7)}, 1)}, {Batch("", {Sized("f", 12, 7)}, 11)});
  EXPECT_THAT(result.sink.Lines(), Contains("put f"));
  EXPECT_THAT(Moves(result), IsEmpty());
}

TEST(MovedFilesTest, WhatTheLimitOfDeletesSparesIsCopiedFrom) {
  PlanOptions options = Detecting();
  options.rules.max_delete = 0;
  const PlanResult result =
      PlanTrees(options, {Batch("", {Sized("new", 2, 7)}, 1)}, {Batch("", {Sized("old", 12, 7)}, 11)});
  EXPECT_THAT(Moves(result), ElementsAre("new<-old"));
  EXPECT_EQ(result.counters.skipped_deletes, 1u);
  EXPECT_EQ(result.counters.deletes, 0u);
}

TEST(MovedFilesTest, TheFirstNameOfAGroupOfLinksIsLookedFor) {
  Entry a = Sized("a", 2, 7);
  Entry b = Sized("b", 2, 7);
  a.nlink = b.nlink = 2;
  const PlanResult result = PlanTrees(Detecting(), {Batch("", {a, b}, 1)}, {Batch("", {Sized("old", 12, 7)}, 11)});
  EXPECT_THAT(result.sink.Lines(), ElementsAre("put a", "link b=a", "delete old", "metadata ."));
  EXPECT_THAT(Moves(result), ElementsAre("a<-old!"));
}

TEST(MovedFilesTest, AHundredThousandMovedFilesAreFoundOneByOne) {
  constexpr size_t kFiles = 100000;
  std::vector<Entry> now;
  std::vector<Entry> before;
  for (size_t i = 0; i < kFiles; ++i) {
    std::string name = "f" + std::to_string(1000000 + i);
    now.push_back(Sized(name, 10 + i, 4096));
    before.push_back(Sized(name, 1000000 + i, 4096));
  }
  const PlanResult result = PlanTrees(Detecting(), {Batch("", {Dir("new", 2)}, 1), Batch("new", std::move(now), 2)},
                                      {Batch("", {Dir("old", 3)}, 1), Batch("old", std::move(before), 3)});
  ASSERT_OK(result.status);
  EXPECT_EQ(result.counters.renames, kFiles);
  for (const PlannedAction& planned : result.sink.actions) {
    if (planned.action.origin) ASSERT_EQ(planned.action.origin->path.name(), planned.action.path.name());
  }
}

}  // namespace
}  // namespace uringsync

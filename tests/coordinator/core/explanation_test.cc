// Why an object is copied, left out, kept or deleted, in words.
#include "coordinator/core/explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "coordinator/core/plan_emitter.h"
#include "tests/coordinator/core/plan_fixture.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

class ExplanationTest : public testing::Test {
 protected:
  ExplanationTest() { seen_.path = PathOf("d/f"); }
  void BothHave() {
    seen_.source.entry = File("f", 1);
    seen_.destination.entry = File("f", 2);
  }
  static Differences Of(std::vector<Attribute> attributes) {
    Differences differences;
    for (const Attribute attribute : attributes) differences.Add(attribute);
    return differences;
  }
  void ExpectDecision(const char* decision, const char* text) {
    const Explanation why = Explain(seen_);
    EXPECT_EQ(why.decision, decision);
    EXPECT_THAT(why.reason, HasSubstr(text));
  }

  SeenOfPath seen_;
};

TEST_F(ExplanationTest, WhatDiffersIsToldWithBothValues) {
  BothHave();
  Entry wanted = File("f", 1);
  wanted.mode = 0600;
  wanted.mtime = {1000000000, 5};
  seen_.actions.push_back(
      PlanEmitter::Put(seen_.path, wanted, seen_.destination.entry, Of({Attribute::kMtime, Attribute::kMode})));
  const Explanation why = Explain(seen_);
  EXPECT_EQ(why.decision, "update");
  ASSERT_EQ(why.changes.size(), 2u);
  EXPECT_EQ(why.changes[0].field, "mtime");
  EXPECT_EQ(why.changes[0].from, "1970-01-01 00:01:40.000000000");
  EXPECT_EQ(why.changes[0].to, "2001-09-09 01:46:40.000000005");
  EXPECT_EQ(why.changes[1].from, "0644");
  EXPECT_EQ(why.changes[1].to, "0600");
}

TEST_F(ExplanationTest, ANewObjectHasNoChanges) {
  seen_.source.entry = File("f", 1);
  seen_.actions.push_back(PlanEmitter::Put(seen_.path, *seen_.source.entry, std::nullopt, Of({Attribute::kExistence})));
  ExpectDecision("copy", "DST does not have it");
  EXPECT_TRUE(Explain(seen_).changes.empty());
}

TEST_F(ExplanationTest, LinksMetadataAndDeletionsSayWhy) {
  seen_.actions = {
      PlanEmitter::Link(seen_.path, File("f", 1), std::nullopt, PathOf("first"), Of({Attribute::kHardLink}))};
  ExpectDecision("link", "hard link of first");
  seen_.actions = {PlanEmitter::SetMetadata(seen_.path, File("f", 1), File("f", 2), Of({Attribute::kOwner}))};
  ExpectDecision("metadata", "contents are equal");
  seen_.actions = {PlanEmitter::Delete(seen_.path, File("f", 2))};
  ExpectDecision("delete", "SRC does not have it");
}

TEST_F(ExplanationTest, ABasisDirectoryIsNamedWithWhatComesFromIt) {
  seen_.source.entry = File("f", 1);
  seen_.bases = {"../older", "../old\n"};
  PlannedAction action = PlanEmitter::Link(seen_.path, File("f", 1), std::nullopt, RelPath(), Of({}));
  action.action.basis = ActionBasis{0, File("f", 7)};
  seen_.actions = {action};
  ExpectDecision("link", "the basis directory ../older has the same object");
  action = PlanEmitter::Put(seen_.path, File("f", 1), std::nullopt, Of({Attribute::kMtime}));
  action.action.basis = ActionBasis{1, File("f", 7)};
  seen_.actions = {action};
  ExpectDecision("copy", "its contents are copied from the basis directory ../old\\012");
  EXPECT_TRUE(Explain(seen_).changes.empty()) << "DST has none";
  seen_.actions.clear();
  seen_.in_basis = 0;
  ExpectDecision("skip", "the basis directory ../older has the same object");
  seen_.destination.entry = File("f", 2);
  ExpectDecision("delete", "what DST has of it goes");
}

TEST_F(ExplanationTest, TheLastTouchOfADirectoryIsNoChange) {
  BothHave();
  seen_.source.entry = Dir("f", 1);
  seen_.actions = {PlanEmitter::SetMetadata(seen_.path, Dir("f", 1), Dir("f", 2), {})};
  ExpectDecision("nothing", "equal");
}

TEST_F(ExplanationTest, ARuleIsNamedWithItsPlace) {
  seen_.source.entry = File("f", 1);
  seen_.hidden = DecidingRule{"- *.o", "rules.txt", 3, seen_.path};
  ExpectDecision("exclude", "the rule \"- *.o\" (rules.txt, line 3) hides it at SRC");
  seen_.hidden = DecidingRule{"- d", "", 0, PathOf("d"), true};
  ExpectDecision("exclude",
                 "the rule \"- d\" (command line), which is about d/ hides it at SRC, unless a per-directory file");
}

TEST_F(ExplanationTest, WhatPerDirectoryFilesHideIsKnownAsThat) {
  seen_.source.entry = File("f", 1);
  seen_.per_directory_rules = true;
  ExpectDecision("exclude", "per-directory file");
  seen_.destination.entry = File("f", 2);
  ExpectDecision("exclude", "per-directory file");
  seen_.unchanged = true;
  ExpectDecision("nothing", "equal");
}

TEST_F(ExplanationTest, WhatOnlyTheDestinationHasStaysForAReason) {
  seen_.destination.entry = File("f", 2);
  ExpectDecision("nothing", "without --delete");
  seen_.deletes = true;
  seen_.protected_ = DecidingRule{"P *", "", 0, seen_.path};
  ExpectDecision("protect", "keeps it at DST");
}

TEST_F(ExplanationTest, SkippedObjectsProblemsAndNothingAtAll) {
  ExpectDecision("missing", "neither");
  BothHave();
  seen_.skipped = SkipReason::kNewer;
  ExpectDecision("skip", "--update");
  seen_.skipped.reset();
  seen_.skipped_above = PathOf("d");
  ExpectDecision("skip", "directory d/ above");
  seen_.problem = Problem{.path = seen_.path, .operation = "open", .error = EACCES};
  ExpectDecision("problem", "Permission denied");
}

}  // namespace
}  // namespace uringsync

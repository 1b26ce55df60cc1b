// Basis directories in the plan: --compare-dest, --copy-dest, --link-dest. What rsync 3.5 does decides.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/core/basis_trees.h"
#include "tests/coordinator/core/plan_fixture.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kBelowRoot = [](std::vector<Entry> entries) {
  return std::vector<DirectoryBatch>{Batch("", std::move(entries), 1)};
};

PlanResult PlanWith(BasisUse use, std::vector<DirectoryBatch> source, std::vector<DirectoryBatch> destination,
                    std::vector<std::vector<DirectoryBatch>> bases, PlanOptions options = AllAbilities()) {
  PlanResult result;
  const std::unique_ptr<Driver> driver = MakePlanDriver();
  VectorManifest source_manifest(std::move(source));
  VectorManifest destination_manifest(std::move(destination));
  std::vector<std::unique_ptr<VectorManifest>> manifests;
  std::vector<ManifestStream*> streams;
  for (std::vector<DirectoryBatch>& basis : bases) {
    manifests.push_back(std::make_unique<VectorManifest>(std::move(basis)));
    streams.push_back(manifests.back().get());
  }
  BasisTrees trees(use, streams);
  Planner planner(options, driver.get(), "");
  planner.SetBasis(&trees);
  result.status = planner.Run(source_manifest, destination_manifest, result.sink);
  result.counters = planner.counters();
  return result;
}

// What each action takes from a basis directory: "0:17" is inode 17 of the first one, "-" nothing.
std::vector<std::string> Bases(const PlanResult& result) {
  std::vector<std::string> lines;
  for (const PlannedAction& planned : result.sink.actions) {
    const Boxed<ActionBasis>& basis = planned.action.basis;
    lines.push_back(basis ? std::to_string(basis->directory) + ":" + std::to_string(basis->object.id.inode) : "-");
  }
  return lines;
}

Entry WithMode(Entry entry, uint32_t mode) {
  entry.mode = mode;
  return entry;
}
Entry WithTime(Entry entry, int64_t seconds) {
  entry.mtime.seconds = seconds;
  return entry;
}

TEST(BasisPlanTest, AnEqualFileBecomesALinkACopyOrNothing) {
  const auto plan = [](BasisUse use) {
    return PlanWith(use, kBelowRoot({File("f", 2)}), kBelowRoot({}), {kBelowRoot({File("f", 12)})});
  };
  const PlanResult linked = plan(BasisUse::kLink);
  ASSERT_OK(linked.status);
  EXPECT_THAT(linked.sink.Lines(), ElementsAre("link f=", "metadata ."));
  EXPECT_THAT(Bases(linked), ElementsAre("0:12", "-"));
  EXPECT_TRUE(linked.sink.actions[0].differences.empty());
  const PlanResult copied = plan(BasisUse::kCopy);
  EXPECT_THAT(copied.sink.Lines(), ElementsAre("put f", "metadata ."));
  EXPECT_THAT(Bases(copied), ElementsAre("0:12", "-"));
  EXPECT_EQ(copied.counters.transfer_files, 0u);
  EXPECT_EQ(copied.counters.from_basis, 1u);
  const PlanResult compared = plan(BasisUse::kCompare);
  EXPECT_THAT(compared.sink.Lines(), IsEmpty());
  EXPECT_EQ(compared.counters.unchanged, 2u);
}

TEST(BasisPlanTest, AFileWithOtherAttributesIsCopiedAndOneWithOtherContentsIsFetched) {
  for (const BasisUse use : {BasisUse::kLink, BasisUse::kCopy, BasisUse::kCompare}) {
    const PlanResult result =
        PlanWith(use, kBelowRoot({File("contents", 2), File("mode", 3)}), kBelowRoot({}),
                 {kBelowRoot({WithTime(File("contents", 12), 7), WithMode(File("mode", 13), 0600)})});
    ASSERT_OK(result.status);
    EXPECT_THAT(result.sink.Lines(), ElementsAre("put contents", "put mode", "metadata ."));
    EXPECT_THAT(Bases(result), ElementsAre("-", "0:13", "-"));
    // Told as rsync does: by how they differ from the basis.
    EXPECT_TRUE(result.sink.actions[0].differences.Has(Attribute::kMtime));
    EXPECT_FALSE(result.sink.actions[0].differences.Has(Attribute::kExistence));
    EXPECT_TRUE(result.sink.actions[1].differences.Has(Attribute::kMode));
    EXPECT_EQ(result.counters.creates, 2u);
    EXPECT_EQ(result.counters.transfer_files, 1u);
  }
}

TEST(BasisPlanTest, AnExactMatchInALaterDirectoryWinsOverEqualContentsInAnEarlierOne) {
  const PlanResult result = PlanWith(
      BasisUse::kLink, kBelowRoot({File("f", 2), File("g", 3)}), kBelowRoot({}),
      {kBelowRoot({WithMode(File("f", 12), 0600), File("g", 13)}), kBelowRoot({File("f", 22), File("g", 23)})});
  ASSERT_OK(result.status);
  EXPECT_THAT(Bases(result), ElementsAre("1:22", "0:13", "-"));
}

TEST(BasisPlanTest, AFileThatIsThereIsReplacedByALinkOrRemovedButNotCopiedAnew) {
  const auto plan = [](BasisUse use, Entry there) {
    return PlanWith(use, kBelowRoot({File("f", 2)}), kBelowRoot({std::move(there)}), {kBelowRoot({File("f", 12)})});
  };
  for (const Entry& there : {File("f", 32), WithTime(File("f", 32), 7), WithMode(File("f", 32), 0600)}) {
    EXPECT_THAT(plan(BasisUse::kLink, there).sink.Lines(), ElementsAre("link f=", "metadata ."));
    EXPECT_THAT(plan(BasisUse::kCompare, there).sink.Lines(), ElementsAre("delete f", "metadata ."));
  }
  EXPECT_THAT(plan(BasisUse::kCopy, File("f", 32)).sink.Lines(), IsEmpty());
  const PlanResult fetched = plan(BasisUse::kCopy, WithTime(File("f", 32), 7));
  EXPECT_THAT(fetched.sink.Lines(), ElementsAre("put f", "metadata ."));
  EXPECT_THAT(Bases(fetched), ElementsAre("-", "-"));
  // The very object of the basis directory.
  EXPECT_THAT(plan(BasisUse::kLink, File("f", 12)).sink.Lines(), IsEmpty());
}

TEST(BasisPlanTest, WhatIsNoMatchLeavesTheOrdinaryPlan) {
  const PlanResult result =
      PlanWith(BasisUse::kLink, kBelowRoot({File("f", 2), File("g", 3)}), kBelowRoot({WithMode(File("f", 32), 0600)}),
               {kBelowRoot({WithTime(File("f", 12), 7), Dir("g", 13)})});
  EXPECT_THAT(result.sink.Lines(), ElementsAre("metadata f", "put g", "metadata ."));
  EXPECT_TRUE(result.sink.actions[1].differences.Has(Attribute::kExistence));
}

TEST(BasisPlanTest, SymlinksAndDevicesAreLinkedWhereNothingHasTheirName) {
  const Entry link = MakeEntry("l", FileType::kSymlink, 2);
  const auto plan = [&](BasisUse use, std::vector<Entry> there) {
    return PlanWith(use, kBelowRoot({link}), kBelowRoot(std::move(there)),
                    {kBelowRoot({MakeEntry("l", FileType::kSymlink, 12)})});
  };
  EXPECT_THAT(plan(BasisUse::kLink, {}).sink.Lines(), ElementsAre("link l=", "metadata ."));
  EXPECT_THAT(plan(BasisUse::kCompare, {}).sink.Lines(), IsEmpty());
  const PlanResult copied = plan(BasisUse::kCopy, {});
  EXPECT_THAT(copied.sink.Lines(), ElementsAre("symlink l", "metadata ."));
  EXPECT_THAT(Bases(copied), ElementsAre("-", "-"));
  EXPECT_THAT(plan(BasisUse::kLink, {File("l", 32)}).sink.Lines(), ElementsAre("symlink l", "metadata ."));
  EXPECT_THAT(plan(BasisUse::kLink, {MakeEntry("l", FileType::kSymlink, 32)}).sink.Lines(), IsEmpty());
}

TEST(BasisPlanTest, NewDirectoriesAreToldByHowTheyDifferFromTheBasis) {
  const std::vector<DirectoryBatch> tree = {Batch("", {Dir("d", 2), Dir("e", 3)}, 1), Batch("d", {File("x", 4)}, 2),
                                            Batch("e", {}, 3)};
  const std::vector<DirectoryBatch> basis = {Batch("", {Dir("a", 10), WithMode(Dir("d", 12), 0700)}, 11),
                                             Batch("a", {File("y", 15)}, 10), Batch("d", {File("x", 14)}, 12)};
  const PlanResult result = PlanWith(BasisUse::kLink, tree, kBelowRoot({}), {basis});
  ASSERT_OK(result.status);
  EXPECT_THAT(result.sink.Lines(),
              ElementsAre("mkdir d", "mkdir e", "link d/x=", "metadata e", "metadata d", "metadata ."));
  EXPECT_TRUE(result.sink.actions[0].differences.Has(Attribute::kMode));
  EXPECT_FALSE(result.sink.actions[0].differences.Has(Attribute::kExistence));
  EXPECT_TRUE(result.sink.actions[1].differences.Has(Attribute::kExistence));
  EXPECT_EQ(result.counters.creates, 2u);
  EXPECT_EQ(result.counters.links, 1u);
}

TEST(BasisPlanTest, TheFirstNameOfALinkGroupComesFromTheBasisAndTheOthersAreLinksOfIt) {
  Entry first = File("a", 2);
  Entry second = File("b", 2);
  first.nlink = second.nlink = 2;
  const PlanResult linked = PlanWith(BasisUse::kLink, kBelowRoot({first, second}), kBelowRoot({}),
                                     {kBelowRoot({File("a", 12), File("b", 13)})});
  ASSERT_OK(linked.status);
  EXPECT_THAT(linked.sink.Lines(), ElementsAre("link a=", "link b=a", "metadata ."));
  EXPECT_THAT(Bases(linked), ElementsAre("0:12", "-", "-"));
  const PlanResult copied =
      PlanWith(BasisUse::kCopy, kBelowRoot({first, second}), kBelowRoot({}), {kBelowRoot({File("a", 12)})});
  EXPECT_THAT(copied.sink.Lines(), ElementsAre("put a", "link b=a", "metadata ."));
  EXPECT_THAT(Bases(copied), ElementsAre("0:12", "-", "-"));
  const PlanResult compared = PlanWith(BasisUse::kCompare, kBelowRoot({first, second}), kBelowRoot({}),
                                       {kBelowRoot({File("a", 12), File("b", 13)})});
  EXPECT_THAT(compared.sink.Lines(), IsEmpty());
}

TEST(BasisPlanTest, HugeDirectoriesOfABasisComeInSeveralBatches) {
  DirectoryBatch head = Batch("", {File("a", 12)}, 11);
  head.last = false;
  const DirectoryBatch tail = Batch("", {File("f", 13)}, 11);
  const PlanResult result = PlanWith(BasisUse::kLink, kBelowRoot({File("f", 2)}), kBelowRoot({}), {{head, tail}});
  ASSERT_OK(result.status);
  EXPECT_THAT(Bases(result), ElementsAre("0:13", "-"));
}

TEST(BasisPlanTest, AManifestOutOfOrderIsAProtocolError) {
  const std::vector<DirectoryBatch> source = {Batch("", {Dir("d", 2), File("f", 5)}, 1), Batch("d", {File("x", 4)}, 2)};
  for (const std::vector<DirectoryBatch>& basis :
       {std::vector<DirectoryBatch>{Batch("", {File("f", 12), File("a", 13)}, 11)},
        std::vector<DirectoryBatch>{Batch("", {Dir("b", 12)}, 11), Batch("b", {}, 12), Batch("a", {}, 13)}}) {
    const PlanResult result = PlanWith(BasisUse::kLink, source, kBelowRoot({}), {basis});
    EXPECT_THAT(result.status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("basis directory")));
  }
}

}  // namespace
}  // namespace uringsync

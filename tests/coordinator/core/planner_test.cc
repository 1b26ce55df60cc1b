#include "coordinator/core/planner.h"

#include <gmock/gmock.h>

#include <cerrno>

#include "tests/coordinator/core/plan_fixture.h"

namespace uringsync {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

Entry Linked(std::string name, uint64_t inode, uint64_t links = 2) {
  Entry entry = File(std::move(name), inode);
  entry.nlink = links;
  return entry;
}
PlanOptions Deleting() {
  PlanOptions options = AllAbilities();
  options.delete_extraneous = true;
  return options;
}

TEST(PlannerTest, EqualTreesNeedNothing) {
  const auto tree = [](uint64_t base) {
    return std::vector<DirectoryBatch>{Batch("", {Dir("a", base), File("b", base + 1)}, base + 9),
                                       Batch("a", {File("x", base + 2)}, base)};
  };
  const PlanResult plan = PlanTrees(Deleting(), tree(10), tree(50));
  ASSERT_TRUE(plan.status.ok()) << plan.status;
  EXPECT_THAT(plan.sink.Lines(), IsEmpty());
  EXPECT_EQ(plan.counters.unchanged, 4u);
  EXPECT_EQ(plan.counters.source_entries, 4u);
}

TEST(PlannerTest, NewTreeIsMadeFromTheTopAndGivenMetadataFromTheBottom) {
  const PlanResult plan =
      PlanTrees(AllAbilities(),
                {Batch("", {Dir("a", 2), File("a.b", 3)}), Batch("a", {Dir("b", 4)}), Batch("a/b", {File("x", 5)})},
                {Batch("", {})});
  EXPECT_THAT(plan.sink.Lines(),
              ElementsAre("mkdir a", "put a.b", "mkdir a/b", "put a/b/x", "metadata a/b", "metadata a", "metadata ."));
  EXPECT_EQ(plan.counters.creates, 4u);
  EXPECT_EQ(plan.counters.metadata_only, 0u);
  EXPECT_EQ(plan.counters.transfer_bytes, 20u);
}

TEST(PlannerTest, MissingRootIsMadeToo) {
  PlanOptions options = AllAbilities();
  options.destination_exists = false;
  const PlanResult plan = PlanTrees(options, {Batch("", {File("f", 2)})}, {});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("mkdir .", "put f", "metadata ."));
}

TEST(PlannerTest, HugeDirectoryMayComeInDifferentPiecesOnBothSides) {
  std::vector<DirectoryBatch> source;
  std::vector<DirectoryBatch> destination;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "f" + std::to_string(1000 + i);
    if (i % 7 == 0) source.push_back(Batch("", {}));
    if (i % 11 == 0) destination.push_back(Batch("", {}));
    if (i != 50) source.back().entries.push_back(File(name, 1000u + static_cast<uint64_t>(i)));
    if (i != 60) destination.back().entries.push_back(File(name, 5000u + static_cast<uint64_t>(i)));
    source.back().last = destination.back().last = false;
  }
  source.push_back(Batch("", {}));
  destination.back().last = true;
  const PlanResult plan = PlanTrees(Deleting(), source, destination);
  ASSERT_TRUE(plan.status.ok()) << plan.status;
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("put f1060", "delete f1050", "metadata ."));
}

TEST(PlannerTest, ExtraneousObjectsStayWithoutDeleteAndGoChildrenFirstWithIt) {
  const std::vector<DirectoryBatch> source = {Batch("", {})};
  const std::vector<DirectoryBatch> destination = {
      Batch("", {Dir("a", 2), File("b", 3)}), Batch("a", {Dir("c", 4), File("d", 5)}), Batch("a/c", {File("e", 6)})};
  EXPECT_THAT(PlanTrees(AllAbilities(), source, destination).sink.Lines(), IsEmpty());
  const PlanResult plan = PlanTrees(Deleting(), source, destination);
  EXPECT_THAT(plan.sink.Lines(),
              ElementsAre("delete a/c/e", "delete a/c", "delete a/d", "delete a", "delete b", "metadata ."));
  EXPECT_EQ(plan.counters.deletes, 5u);
}

TEST(PlannerTest, UnreadableSourceDirectoryProtectsEverythingOfThatName) {
  DirectoryBatch broken = Batch("a", {File("seen", 5)});
  broken.error = EACCES;
  const PlanResult plan = PlanTrees(Deleting(), {Batch("", {Dir("a", 2)}), broken},
                                    {Batch("", {Dir("a", 2), File("gone", 3)}), Batch("a", {Dir("d", 6), File("x", 4)}),
                                     Batch("a/d", {File("y", 7)})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("put a/seen", "delete gone", "metadata a", "metadata ."));
  ASSERT_EQ(plan.sink.problems.size(), 1u);
  EXPECT_EQ(plan.sink.problems[0].path.text(), "a");
  EXPECT_EQ(plan.sink.problems[0].side, Side::kSource);
  EXPECT_EQ(plan.sink.problems[0].error, EACCES);
}

TEST(PlannerTest, ErrorInTheLastPieceTakesBackTheDeletesOfTheFirst) {
  DirectoryBatch first = Batch("", {File("m", 2)});
  first.last = false;
  DirectoryBatch second = Batch("", {});
  second.error = EIO;
  const PlanResult plan = PlanTrees(Deleting(), {first, second},
                                    {Batch("", {File("a", 3), Dir("b", 4), File("m", 5)}), Batch("b", {File("x", 6)})});
  ASSERT_TRUE(plan.status.ok());
  EXPECT_THAT(plan.sink.Lines(), IsEmpty());
  EXPECT_EQ(plan.sink.problems.size(), 1u);
}

TEST(PlannerTest, UnreadableSourceRootDeletesNothing) {
  DirectoryBatch root = Batch("", {});
  root.error = EACCES;
  const PlanResult plan = PlanTrees(Deleting(), {root}, {Batch("", {File("a", 3)})});
  EXPECT_THAT(plan.sink.Lines(), IsEmpty());
  EXPECT_EQ(plan.sink.problems.size(), 1u);
}

TEST(PlannerTest, UnreadableSourceObjectProtectsItsNameAndBelow) {
  Entry bad = Dir("a", 2);
  bad.error = EIO;
  Entry gone = File("g", 3);
  gone.error = ENOENT;
  const PlanResult plan = PlanTrees(Deleting(), {Batch("", {bad, gone})},
                                    {Batch("", {Dir("a", 2), File("g", 9)}), Batch("a", {File("x", 4)})});
  EXPECT_THAT(plan.sink.Lines(), IsEmpty());
  ASSERT_EQ(plan.sink.problems.size(), 2u);
  EXPECT_EQ(plan.sink.problems[0].kind, ProblemKind::kFailed);
  EXPECT_EQ(plan.sink.problems[1].kind, ProblemKind::kVanished);
}

TEST(PlannerTest, TooManyAttributesAreNamedWithTheirBoundAndTheObjectIsLeftAlone) {
  Entry heavy = File("heavy", 2);
  heavy.error = E2BIG;
  DirectoryBatch directory = Batch("dir", {}, 3);
  directory.error = E2BIG;
  const PlanResult result = PlanTrees(AllAbilities(), {Batch("", {Dir("dir", 3), heavy}), directory}, {Batch("", {})});
  ASSERT_TRUE(result.status.ok()) << result.status;
  ASSERT_EQ(result.sink.problems.size(), 2u);
  for (const Problem& problem : result.sink.problems) {
    EXPECT_EQ(problem.operation, "listxattr");
    EXPECT_EQ(problem.error, E2BIG);
    EXPECT_NE(problem.detail.find("1 MiB"), std::string::npos);
    EXPECT_NE(problem.detail.find("left out"), std::string::npos);
  }
}

TEST(PlannerTest, NothingIsTriedInADestinationDirectoryThatCannotBeRead) {
  DirectoryBatch closed = Batch("a", {});
  closed.error = EACCES;
  closed.self.mode = 0;
  const PlanResult plan =
      PlanTrees(Deleting(), {Batch("", {Dir("a", 2)}), Batch("a", {Dir("d", 5), File("x", 3)}), Batch("a/d", {})},
                {Batch("", {Dir("a", 4)}), closed});
  // Its metadata is what may open it for the next run.
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("metadata a"));
  EXPECT_EQ(plan.sink.problems.size(), 1u);
  EXPECT_THAT(plan.sink.skipped,
              ElementsAre(Pair(SkipReason::kBelowProblem, "a/d"), Pair(SkipReason::kBelowProblem, "a/x")));
}

TEST(PlannerTest, ExtraneousDirectoryWithAnUnreadablePartStaysUpToTheTop) {
  DirectoryBatch closed = Batch("a/b", {});
  closed.error = EACCES;
  const PlanResult plan = PlanTrees(
      Deleting(), {Batch("", {})},
      {Batch("", {Dir("a", 2)}), Batch("a", {Dir("b", 3), Dir("c", 4), File("x", 5)}), closed, Batch("a/c", {})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("delete a/c", "delete a/x", "metadata ."));
  EXPECT_EQ(plan.sink.problems.size(), 1u);
}

TEST(PlannerTest, MountPointsAreNeitherFilledNorDeleted) {
  Entry mount = Dir("m", 2);
  mount.not_entered = true;
  // At the source: an empty directory; what lies below it at the destination is not ours to judge.
  PlanResult plan = PlanTrees(Deleting(), {Batch("", {mount})}, {Batch("", {Dir("m", 3)}), Batch("m", {File("x", 4)})});
  EXPECT_THAT(plan.sink.Lines(), IsEmpty());
  plan = PlanTrees(Deleting(), {Batch("", {mount})}, {Batch("", {})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("mkdir m", "metadata m", "metadata ."));
  // Only at the destination.
  plan = PlanTrees(Deleting(), {Batch("", {})}, {Batch("", {mount})});
  EXPECT_THAT(plan.sink.Lines(), IsEmpty());
  EXPECT_THAT(plan.sink.skipped, ElementsAre(Pair(SkipReason::kMountPoint, "m")));
  // A directory at the source, a mount point that is not entered at the destination.
  plan = PlanTrees(Deleting(), {Batch("", {Dir("m", 5)}), Batch("m", {File("x", 6)})}, {Batch("", {mount})});
  EXPECT_THAT(plan.sink.Lines(), IsEmpty());
  EXPECT_EQ(plan.sink.problems.size(), 1u);
}

TEST(PlannerTest, MetadataAloneMovesNoData) {
  Entry changed = File("f", 3);
  changed.xattr_digest = Digest128{1, 1};
  const PlanResult plan = PlanTrees(AllAbilities(), {Batch("", {changed})}, {Batch("", {File("f", 4)})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("metadata f"));
  EXPECT_TRUE(plan.sink.actions[0].action.xattrs_differ);
  EXPECT_EQ(plan.sink.actions[0].action.existing->id.inode, 4u);
  EXPECT_EQ(plan.counters.transfer_files, 0u);
}

TEST(PlannerTest, FileBecomesDirectoryInPlace) {
  const PlanResult plan =
      PlanTrees(AllAbilities(), {Batch("", {Dir("a", 2)}), Batch("a", {File("x", 3)})}, {Batch("", {File("a", 4)})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("mkdir a", "put a/x", "metadata a", "metadata ."));
  EXPECT_EQ(plan.sink.actions[0].action.existing->id.inode, 4u);
}

TEST(PlannerTest, DirectoryMakesWayAfterItsContentsAreDeleted) {
  const std::vector<DirectoryBatch> source = {Batch("", {File("a", 2)})};
  const std::vector<DirectoryBatch> full = {Batch("", {Dir("a", 4)}), Batch("a", {File("x", 5)})};
  const std::vector<DirectoryBatch> empty = {Batch("", {Dir("a", 4)}), Batch("a", {})};
  PlanOptions forcing = AllAbilities();
  forcing.force_delete = true;
  for (const PlanOptions& options : {Deleting(), forcing}) {
    const PlanResult plan = PlanTrees(options, source, full);
    EXPECT_THAT(plan.sink.Lines(), ElementsAre("delete a/x", "delete a", "put a", "metadata ."));
    EXPECT_FALSE(plan.sink.actions[2].action.existing);
  }
  EXPECT_THAT(PlanTrees(AllAbilities(), source, empty).sink.Lines(), ElementsAre("delete a", "put a", "metadata ."));
  const PlanResult refused = PlanTrees(AllAbilities(), source, full);
  EXPECT_THAT(refused.sink.Lines(), IsEmpty());
  ASSERT_EQ(refused.sink.problems.size(), 1u);
  EXPECT_EQ(refused.sink.problems[0].kind, ProblemKind::kConflict);
  EXPECT_THAT(refused.sink.problems[0].detail, HasSubstr("--delete"));
}

TEST(PlannerTest, OtherTypesAreReplacedInOneStep) {
  const PlanResult plan =
      PlanTrees(AllAbilities(), {Batch("", {MakeEntry("a", FileType::kSymlink, 2)})}, {Batch("", {File("a", 3)})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("symlink a", "metadata ."));
  EXPECT_EQ(plan.sink.actions[0].action.existing->type, FileType::kRegular);
}

TEST(PlannerTest, NewGroupHasOneLeaderAndLinks) {
  const PlanResult plan = PlanTrees(
      AllAbilities(), {Batch("", {Linked("a", 7, 3), Dir("d", 2), Linked("z", 7, 3)}), Batch("d", {Linked("b", 7, 3)})},
      {Batch("", {})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("mkdir d", "put a", "link z=a", "link d/b=a", "metadata d", "metadata ."));
  EXPECT_EQ(plan.counters.transfer_files, 1u);
}

TEST(PlannerTest, LeaderIsTheFirstNameThatIsThereAlready) {
  const PlanResult plan =
      PlanTrees(AllAbilities(), {Batch("", {Linked("a", 7), Linked("b", 7)})}, {Batch("", {File("b", 3)})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("link a=b", "metadata ."));
}

TEST(PlannerTest, CompleteGroupNeedsNothingAndSeparateCopiesAreJoined) {
  const std::vector<DirectoryBatch> source = {Batch("", {Linked("a", 7), Linked("b", 7)})};
  EXPECT_THAT(PlanTrees(AllAbilities(), source, {Batch("", {Linked("a", 3), Linked("b", 3)})}).sink.Lines(), IsEmpty());
  EXPECT_THAT(PlanTrees(AllAbilities(), source, {Batch("", {File("a", 3), File("b", 4)})}).sink.Lines(),
              ElementsAre("link b=a", "metadata ."));
}

TEST(PlannerTest, GroupPartlyOutsideOfTheTreeIsAPlainFile) {
  EXPECT_THAT(PlanTrees(AllAbilities(), {Batch("", {Linked("a", 7, 5)})}, {Batch("", {})}).sink.Lines(),
              ElementsAre("put a", "metadata ."));
  EXPECT_THAT(PlanTrees(AllAbilities(), {Batch("", {Linked("a", 7, 5)})}, {Batch("", {File("a", 1)})}).sink.Lines(),
              IsEmpty());
}

TEST(PlannerTest, SharedInodeThatTheSourceDoesNotShareIsBrokenUp) {
  const PlanResult plan = PlanTrees(AllAbilities(), {Batch("", {File("a", 1), File("b", 2)})},
                                    {Batch("", {Linked("a", 9), Linked("b", 9)})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("put b", "metadata ."));
  EXPECT_TRUE(plan.sink.actions[0].differences.Has(Attribute::kHardLink));
}

TEST(PlannerTest, MetadataOfASharedInodeIsSetOnceBeforeTheLinks) {
  Entry a = Linked("a", 7, 3);
  Entry b = Linked("b", 7, 3);
  Entry c = Linked("c", 7, 3);
  a.mode = b.mode = c.mode = 0600;
  const PlanResult plan =
      PlanTrees(AllAbilities(), {Batch("", {a, b, c})}, {Batch("", {Linked("a", 3), Linked("b", 3)})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("metadata a", "link c=a", "metadata ."));
}

TEST(PlannerTest, TimeOfASharedInodeIsNotChangedInPlace) {
  Entry a = MakeEntry("a", FileType::kSymlink, 7);
  Entry b = MakeEntry("b", FileType::kSymlink, 8);
  Entry a_there = MakeEntry("a", FileType::kSymlink, 3);
  Entry b_there = MakeEntry("b", FileType::kSymlink, 3);
  a_there.nlink = b_there.nlink = 2;
  a.mtime.seconds = 55;
  const PlanResult plan = PlanTrees(AllAbilities(), {Batch("", {a, b})}, {Batch("", {a_there, b_there})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("symlink a", "metadata ."));
}

TEST(PlannerTest, WithoutHardLinksEveryNameIsAFileOfItsOwn) {
  PlanOptions options = AllAbilities();
  options.preserve_hard_links = false;
  EXPECT_THAT(PlanTrees(options, {Batch("", {Linked("a", 7), Linked("b", 7)})}, {Batch("", {})}).sink.Lines(),
              ElementsAre("put a", "put b", "metadata ."));
  // Metadata is not changed through an inode that another name shares.
  Entry changed = File("a", 7);
  changed.mode = 0600;
  EXPECT_THAT(PlanTrees(options, {Batch("", {changed})}, {Batch("", {Linked("a", 3)})}).sink.Lines(),
              ElementsAre("put a", "metadata ."));
}

TEST(PlannerTest, SymlinksAndSpecialsAreLinkedToo) {
  for (const FileType type : {FileType::kSymlink, FileType::kFifo, FileType::kSocket, FileType::kBlockDevice}) {
    Entry a = MakeEntry("a", type, 7);
    Entry b = MakeEntry("b", type, 7);
    a.nlink = b.nlink = 2;
    const PlanResult plan = PlanTrees(AllAbilities(), {Batch("", {a, b})}, {Batch("", {})});
    EXPECT_THAT(plan.sink.Lines(),
                ElementsAre(type == FileType::kSymlink ? "symlink a" : "special a", "link b=a", "metadata ."));
  }
}

TEST(PlannerTest, LinkWaitsForADirectoryInItsPlace) {
  const PlanResult plan =
      PlanTrees(Deleting(), {Batch("", {Linked("a", 7), Linked("b", 7)})},
                {Batch("", {Dir("a", 3), Dir("b", 5)}), Batch("a", {File("x", 4)}), Batch("b", {})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("delete b", "delete a/x", "delete a", "put a", "link b=a", "metadata ."));
}

TEST(PlannerTest, KindsThatAreSwitchedOffAreSkippedAndTheirNamesProtected) {
  PlanOptions options = Deleting();
  options.symlinks = options.devices = options.specials = false;
  const std::vector<DirectoryBatch> source = {
      Batch("", {MakeEntry("d", FileType::kCharDevice, 2), MakeEntry("f", FileType::kFifo, 3),
                 MakeEntry("l", FileType::kSymlink, 4), MakeEntry("m", FileType::kSymlink, 5)})};
  const PlanResult plan =
      PlanTrees(options, source, {Batch("", {Dir("l", 7), File("m", 8)}), Batch("l", {File("inside", 9)})});
  EXPECT_THAT(plan.sink.Lines(), IsEmpty());
  EXPECT_EQ(plan.counters.skipped_options, 4u);
}

TEST(PlannerTest, DevicesWithoutTheRightToMakeThemAreNoPartOfTheAskedState) {
  PlanOptions options = Deleting();
  options.can_mknod = false;
  const std::vector<DirectoryBatch> source = {
      Batch("", {MakeEntry("d", FileType::kCharDevice, 2), MakeEntry("f", FileType::kFifo, 3),
                 MakeEntry("s", FileType::kSocket, 4)})};
  PlanResult plan = PlanTrees(options, source, {Batch("", {})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("special f", "special s", "metadata ."));
  EXPECT_EQ(plan.counters.skipped_devices, 1u);
  // One that is there keeps being looked after.
  Entry there = MakeEntry("d", FileType::kCharDevice, 9);
  there.mode = 0600;
  plan = PlanTrees(options, source,
                   {Batch("", {there, MakeEntry("f", FileType::kFifo, 10), MakeEntry("s", FileType::kSocket, 11)})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("metadata d"));
  options.explicit_devices = true;
  plan = PlanTrees(options, source, {Batch("", {})});
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("special f", "special s", "metadata ."));
  // Named by an option, it is a problem that it cannot be made.
  ASSERT_EQ(plan.sink.problems.size(), 1u);
  EXPECT_EQ(plan.sink.problems[0].operation, "mknod");
  EXPECT_EQ(plan.sink.problems[0].error, EPERM);
}

TEST(PlannerTest, RootMetadataCanBeLeftAlone) {
  PlanOptions options = AllAbilities();
  std::vector<DirectoryBatch> source = {Batch("", {File("f", 2)})};
  source[0].self.mode = 0700;
  EXPECT_THAT(PlanTrees(options, source, {Batch("", {File("f", 3)})}).sink.Lines(), ElementsAre("metadata ."));
  options.omit_root_metadata = true;
  EXPECT_THAT(PlanTrees(options, source, {Batch("", {})}).sink.Lines(), ElementsAre("put f"));
}

TEST(PlannerTest, UnprivilegedRunTwoIsQuietAndCountsWhatItLeavesOut) {
  PlanOptions options;
  options.policy.uid = 5;
  options.policy.groups = {5};
  Entry source = File("f", 2);
  source.uid = source.gid = 0;
  source.mode = 06755;
  source.capability_digest = Digest128{1, 1};
  Entry made = File("f", 3);
  made.uid = made.gid = 5;
  made.mode = 0755;
  DirectoryBatch root = Batch("", {made});
  const PlanResult plan = PlanTrees(options, {Batch("", {source})}, {root});
  EXPECT_THAT(plan.sink.Lines(), IsEmpty());
  EXPECT_EQ(plan.counters.skipped_owner, 1u);
  EXPECT_EQ(plan.counters.skipped_xattrs, 1u);
}

// ---- manifests that lie

void ExpectBroken(std::vector<DirectoryBatch> source, const char* text) {
  const PlanResult plan = PlanTrees(Deleting(), std::move(source), {Batch("", {File("z", 99)})});
  EXPECT_EQ(plan.status.code(), absl::StatusCode::kInvalidArgument) << plan.status;
  EXPECT_THAT(std::string(plan.status.message()), HasSubstr(text));
  EXPECT_EQ(plan.counters.deletes, 0u);
}

TEST(PlannerHostileTest, EveryLieOfAManifestIsAProtocolErrorAndDeletesNothing) {
  ExpectBroken({}, "the batch of the root is missing");
  ExpectBroken({Batch("a", {})}, "the batch of the root is missing");
  ExpectBroken({Batch("", {File("b", 1), File("a", 2)})}, "not in order at \"a\"");
  ExpectBroken({Batch("", {File("a", 1), File("a", 2)})}, "not in order");
  ExpectBroken({Batch("", {Dir("a", 1)})}, "the batch of \"a\" is missing");
  ExpectBroken({Batch("", {}), Batch("a", {})}, "never listed");
  ExpectBroken({Batch("", {File("a", 1)}), Batch("a", {})}, "never listed");
  ExpectBroken({Batch("", {}), Batch("", {})}, "comes out of order, twice");
  ExpectBroken({Batch("", {Dir("a", 1), Dir("b", 2)}), Batch("b", {}), Batch("a", {})},
               "\"a\" is missing or out of order");
  ExpectBroken({Batch("", {Dir("a", 1)}), Batch("a", {}), Batch("a", {})}, "comes out of order, twice");
  Entry mount = Dir("a", 1);
  mount.not_entered = true;
  ExpectBroken({Batch("", {mount}), Batch("a", {})}, "never listed");
}

TEST(PlannerHostileTest, DirectoryWhoseOwnEntryIsNoneIsAProtocolError) {
  DirectoryBatch batch = Batch("", {});
  batch.self.type = FileType::kRegular;
  ExpectBroken({batch}, "called a file");
}

TEST(PlannerHostileTest, PiecesOfOneDirectoryMustFollowEachOther) {
  DirectoryBatch first = Batch("", {File("m", 1)});
  first.last = false;
  ExpectBroken({first}, "ends before its last batch");
  ExpectBroken({first, Batch("a", {})}, "ends before its last batch");
  ExpectBroken({first, Batch("", {File("m", 2)})}, "not in order");
  ExpectBroken({first, Batch("", {File("a", 2)})}, "not in order");
  DirectoryBatch empty = Batch("", {});
  empty.last = false;
  ExpectBroken({first, empty, Batch("", {File("a", 2)})}, "not in order");
}

TEST(PlannerHostileTest, StreamThatBreaksOffDeletesNothing) {
  VectorManifest source({Batch("", {})});
  source.EndWith(absl::UnavailableError("gone"));
  VectorManifest destination({Batch("", {File("a", 1)})});
  const PlanResult plan = PlanTrees(Deleting(), source, destination);
  EXPECT_EQ(plan.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(plan.sink.Lines(), IsEmpty());
}

TEST(PlannerHostileTest, LiesOfTheDestinationAreFoundToo) {
  const PlanResult plan = PlanTrees(Deleting(), {Batch("", {})}, {Batch("", {Dir("a", 1)})});
  EXPECT_EQ(plan.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(plan.status.message()), HasSubstr("manifest of the destination"));
}

}  // namespace
}  // namespace uringsync

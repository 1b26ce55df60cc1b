#include "coordinator/core/compare.h"

#include <gmock/gmock.h>

#include "tests/coordinator/core/plan_fixture.h"

namespace uringsync {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ComparePolicy Privileged() {
  return AllAbilities().policy;
}
ComparePolicy Unprivileged() {
  ComparePolicy policy;
  policy.uid = 1000;
  policy.groups = {1000, 1001};
  return policy;
}
std::vector<std::string> Names(const Entry& source, const Entry& destination, const ComparePolicy& policy) {
  return DifferenceNames(Compare(source, destination, policy));
}

TEST(CompareTest, EqualObjectsHaveNoDifferenceWhateverTheirInodes) {
  for (const FileType type : {FileType::kRegular, FileType::kDirectory, FileType::kSymlink, FileType::kFifo,
                              FileType::kSocket, FileType::kBlockDevice, FileType::kCharDevice}) {
    const Entry source = MakeEntry("x", type, 1);
    const Entry destination = MakeEntry("x", type, 2);
    EXPECT_TRUE(Compare(source, destination, Privileged()).empty()) << FileTypeName(type);
  }
}

TEST(CompareTest, SizeAndTimeOfAFileMeanNewContents) {
  const Entry source = File("x", 1);
  Entry destination = File("x", 2);
  destination.size_bytes = 11;
  EXPECT_THAT(Names(source, destination, Privileged()), ElementsAre("size"));
  EXPECT_TRUE(Compare(source, destination, Privileged()).NeedsObject());
  destination = File("x", 2);
  destination.mtime.nanoseconds = 1;
  EXPECT_THAT(Names(source, destination, Privileged()), ElementsAre("mtime"));
  EXPECT_TRUE(Compare(source, destination, Privileged()).NeedsObject());
}

TEST(CompareTest, TimeOfAFileMeansNewContentsEvenWhenTimesAreNotKept) {
  ComparePolicy policy = Privileged();
  policy.selection.mtime = false;
  Entry destination = File("x", 2);
  destination.mtime.seconds = 1;
  EXPECT_TRUE(Compare(File("x", 1), destination, policy).NeedsObject());
}

TEST(CompareTest, ChecksumDecidesByDigestAndLeavesTimesToMetadata) {
  ComparePolicy policy = Privileged();
  policy.checksum = true;
  Entry source = File("x", 1);
  Entry destination = File("x", 2);
  source.content_digest = Digest128{1, 2};
  destination.content_digest = Digest128{1, 2};
  destination.mtime.seconds = 5;
  Differences differences = Compare(source, destination, policy);
  EXPECT_THAT(DifferenceNames(differences), ElementsAre("mtime"));
  EXPECT_FALSE(differences.NeedsObject());
  destination.content_digest = Digest128{1, 3};
  destination.mtime = source.mtime;
  differences = Compare(source, destination, policy);
  EXPECT_THAT(DifferenceNames(differences), ElementsAre("content"));
  EXPECT_TRUE(differences.NeedsObject());
}

TEST(CompareTest, FileWithoutADigestIsNotBelieved) {
  ComparePolicy policy = Privileged();
  policy.checksum = true;
  Entry source = File("x", 1);
  source.content_digest = Digest128{1, 2};
  EXPECT_TRUE(Compare(source, File("x", 2), policy).Has(Attribute::kContent));
}

TEST(CompareTest, TimesAreCutToTheGranularityOfTheDestination) {
  EXPECT_FALSE(SameTime({5, 1}, {5, 2}, 1));
  EXPECT_TRUE(SameTime({5, 1}, {5, 2}, 100));
  EXPECT_FALSE(SameTime({5, 99}, {5, 100}, 100));
  EXPECT_TRUE(SameTime({5, 999'999'999}, {5, 0}, 1'000'000'000));
  EXPECT_FALSE(SameTime({5, 0}, {6, 0}, 1'000'000'000));
  EXPECT_TRUE(SameTime({4, 0}, {5, 7}, 2'000'000'000));
  EXPECT_FALSE(SameTime({-1, 0}, {0, 0}, 2'000'000'000));
  EXPECT_TRUE(SameTime({-2, 0}, {-1, 5}, 2'000'000'000));
}

TEST(CompareTest, ATimeThatTheDestinationCannotHoldIsEqualToItsLimit) {
  ComparePolicy policy = Privileged();
  policy.time_range = {-2147483648, 16299260424};
  Entry source = File("x", 1);
  Entry destination = source;
  source.mtime = {16725225600, 5};  // 2500
  destination.mtime = {16299260424, 0};
  EXPECT_THAT(Names(source, destination, policy), IsEmpty());
  destination.mtime.seconds -= 1;
  EXPECT_FALSE(Compare(source, destination, policy).empty());
  source.mtime = {-3000000000, 0};
  destination.mtime = {-2147483648, 0};
  EXPECT_TRUE(policy.SameKeptTime(source.mtime, destination.mtime));
  policy.time_range = {};
  EXPECT_FALSE(policy.SameKeptTime(source.mtime, destination.mtime));
}

TEST(CompareTest, SymlinksDifferInTargetTimeAndOwnerButNotMode) {
  const Entry source = MakeEntry("l", FileType::kSymlink, 1);
  Entry destination = MakeEntry("l", FileType::kSymlink, 2);
  destination.mode = 0755;
  EXPECT_THAT(Names(source, destination, Privileged()), IsEmpty());
  destination.mtime.seconds = 1;
  destination.uid = 1;
  EXPECT_THAT(Names(source, destination, Privileged()), ElementsAre("mtime", "owner"));
  destination.symlink_target = "elsewhere";
  EXPECT_TRUE(Compare(source, destination, Privileged()).NeedsObject());
}

TEST(CompareTest, DevicesDifferInTheirNumbers) {
  Entry source = MakeEntry("d", FileType::kBlockDevice, 1);
  const Entry destination = MakeEntry("d", FileType::kBlockDevice, 2);
  source.rdev_minor = 3;
  EXPECT_THAT(Names(source, destination, Privileged()), ElementsAre("device"));
}

TEST(CompareTest, AnotherTypeIsTheOnlyDifference) {
  Entry destination = Dir("x", 2);
  destination.uid = 7;
  EXPECT_THAT(Names(File("x", 1), destination, Privileged()), ElementsAre("type"));
}

TEST(CompareTest, SwitchedOffAttributesAreNotCompared) {
  ComparePolicy policy = Privileged();
  policy.selection = {.mode = false, .owner = false, .group = false, .mtime = false, .xattrs = false, .acls = false};
  Entry destination = Dir("x", 2);
  destination.mode = 0700;
  destination.uid = destination.gid = 7;
  destination.mtime = {1, 1};
  destination.xattr_digest = destination.trusted_digest = destination.capability_digest = Digest128{1, 1};
  EXPECT_THAT(Names(Dir("x", 1), destination, policy), IsEmpty());
}

TEST(CompareTest, AccessTimeIsComparedOnlyOnRequest) {
  Entry source = File("x", 1);
  Entry destination = File("x", 2);
  source.atime = FileTime{1, 0};
  destination.atime = FileTime{2, 0};
  ComparePolicy policy = Privileged();
  EXPECT_THAT(Names(source, destination, policy), IsEmpty());
  policy.selection.atime = true;
  EXPECT_THAT(Names(source, destination, policy), ElementsAre("atime"));
}

TEST(CompareTest, XattrsOfEachClassAreToldApart) {
  Entry source = File("x", 1);
  source.xattr_digest = source.capability_digest = source.trusted_digest = Digest128{1, 1};
  EXPECT_THAT(Names(source, File("x", 2), Privileged()), ElementsAre("xattrs", "trusted", "capabilities"));
  EXPECT_TRUE(Compare(source, File("x", 2), Privileged()).NeedsXattrs());
}

TEST(CompareTest, WhatTheProcessMayNotSetIsLeftOutAndCounted) {
  Entry source = File("x", 1);
  source.uid = 0;
  source.capability_digest = Digest128{1, 1};
  const Differences differences = Compare(source, File("x", 2), Unprivileged());
  EXPECT_TRUE(differences.empty());
  EXPECT_TRUE(differences.skipped_owner);
  EXPECT_TRUE(differences.skipped_xattrs);
}

TEST(CompareTest, WhatAnOptionNamedIsAskedForWhateverThePrivilege) {
  ComparePolicy policy = Unprivileged();
  policy.selection.explicit_owner = true;
  policy.selection.explicit_privileged_xattrs = true;
  Entry source = File("x", 1);
  source.uid = source.gid = 0;
  source.capability_digest = source.trusted_digest = Digest128{1, 1};
  EXPECT_THAT(Names(source, File("x", 2), policy), ElementsAre("owner", "group", "trusted", "capabilities"));
}

TEST(CompareTest, AGroupOfTheProcessIsComparedOnItsOwnFilesOnly) {
  Entry source = File("x", 1);
  source.gid = 1001;
  EXPECT_THAT(Names(source, File("x", 2), Unprivileged()), ElementsAre("group"));
  Entry others = File("x", 2);
  others.uid = source.uid = 5;
  EXPECT_THAT(Names(source, others, Unprivileged()), IsEmpty());
  others.size_bytes = source.size_bytes + 1;  // the new one will be its own
  EXPECT_THAT(Names(source, others, Unprivileged()), ElementsAre("size", "group"));
  source = File("x", 1);
  source.gid = 2000;
  EXPECT_THAT(Names(source, File("x", 2), Unprivileged()), IsEmpty());
}

TEST(CompareTest, SetuidAndSetgidAreAskedForOnlyUnderTheSourcesOwnership) {
  Entry source = File("x", 1);
  source.mode = 06755;
  Entry destination = File("x", 2);
  destination.mode = 0755;
  EXPECT_THAT(Names(source, destination, Unprivileged()), ElementsAre("mode"));
  source.uid = 0;
  source.gid = 0;
  Differences differences = Compare(source, destination, Unprivileged());
  EXPECT_TRUE(differences.empty());
  EXPECT_TRUE(differences.skipped_owner);
  EXPECT_THAT(Names(source, destination, Privileged()), ElementsAre("mode", "owner", "group"));
  // Owners that are not kept: the bit stays away, run after run.
  ComparePolicy no_owner = Privileged();
  no_owner.selection.owner = no_owner.selection.group = false;
  EXPECT_THAT(Names(source, destination, no_owner), IsEmpty());
}

TEST(CompareTest, DirectoriesKeepSetgidWhereTheKernelDoes) {
  Entry source = Dir("x", 1);
  source.mode = 02755;
  source.gid = 50;
  Entry destination = Dir("x", 2);
  EXPECT_THAT(Names(source, destination, Unprivileged()), ElementsAre("mode"));
  destination.gid = 50;
  EXPECT_THAT(Names(source, destination, Unprivileged()), IsEmpty());
}

TEST(CompareTest, NewObjectsCountWhatTheyWillNotGet) {
  Entry source = File("x", 1);
  EXPECT_FALSE(CompareMissing(source, Unprivileged()).skipped_owner);
  source.uid = 0;
  source.trusted_digest = Digest128{1, 0};
  const Differences differences = CompareMissing(source, Unprivileged());
  EXPECT_THAT(DifferenceNames(differences), ElementsAre("new"));
  EXPECT_TRUE(differences.skipped_owner);
  EXPECT_TRUE(differences.skipped_xattrs);
  EXPECT_FALSE(CompareMissing(source, Privileged()).skipped_owner);
}

TEST(CompareTest, AWindowComparesWholeSeconds) {
  ComparePolicy policy = Privileged();
  const auto same = [&](FileTime a, FileTime b) { return policy.SameKeptTime(a, b) && policy.SameKeptTime(b, a); };
  EXPECT_FALSE(same({1, 500}, {1, 200}));
  policy.selection.modify_window_s = 0;
  EXPECT_TRUE(same({1, 999'999'999}, {1, 0}));
  EXPECT_FALSE(same({1, 999'999'999}, {2, 0}));
  policy.selection.modify_window_s = 2;
  EXPECT_TRUE(same({1, 0}, {3, 999'999'999}));
  EXPECT_FALSE(same({1, 900'000'000}, {4, 100'000'000}));
  EXPECT_FALSE(same({INT64_MIN, 0}, {INT64_MAX, 0}));
}

TEST(CompareTest, SizeOnlyLeavesContentsOfEqualSizeAlone) {
  ComparePolicy policy = Privileged();
  policy.size_only = true;
  policy.ignore_times = true;  // size_only wins, as with rsync
  Entry destination = File("x", 2);
  destination.mtime = {5, 0};
  const Differences differences = Compare(File("x", 1), destination, policy);
  EXPECT_THAT(DifferenceNames(differences), ElementsAre("mtime"));
  EXPECT_FALSE(differences.NeedsObject());
  policy.selection.mtime = false;
  EXPECT_TRUE(Compare(File("x", 1), destination, policy).empty());
  destination.size_bytes = 11;
  EXPECT_THAT(Names(File("x", 1), destination, policy), ElementsAre("size"));
}

TEST(CompareTest, IgnoreTimesTakesEveryFileAsChangedUnlessItsDigestSaysOtherwise) {
  ComparePolicy policy = Privileged();
  policy.ignore_times = true;
  const Differences differences = Compare(File("x", 1), File("x", 2), policy);
  EXPECT_THAT(DifferenceNames(differences), ElementsAre("unchecked"));
  EXPECT_TRUE(differences.NeedsObject());
  EXPECT_FALSE(differences.Has(Attribute::kMtime));
  EXPECT_TRUE(Compare(Dir("d", 1), Dir("d", 2), policy).empty());
  EXPECT_TRUE(Compare(MakeEntry("l", FileType::kSymlink, 1), MakeEntry("l", FileType::kSymlink, 2), policy).empty());
  policy.checksum = true;
  Entry source = File("x", 1);
  source.content_digest = Digest128{1, 2};
  EXPECT_TRUE(Compare(source, source, policy).empty());
}

TEST(CompareTest, TimesOfDirectoriesAndLinksCanBeLeftOut) {
  ComparePolicy policy = Privileged();
  for (const FileType type : {FileType::kDirectory, FileType::kSymlink, FileType::kFifo}) {
    Entry destination = MakeEntry("x", type, 2);
    destination.mtime = {1, 0};
    policy.selection.directory_times = policy.selection.link_times = true;
    EXPECT_THAT(Names(MakeEntry("x", type, 1), destination, policy), ElementsAre("mtime")) << FileTypeName(type);
    policy.selection.directory_times = type != FileType::kDirectory;
    policy.selection.link_times = type != FileType::kSymlink;
    EXPECT_EQ(Compare(MakeEntry("x", type, 1), destination, policy).empty(), type != FileType::kFifo);
  }
}

TEST(CompareTest, ExecutabilityAsksForSomeExecutePermissionOrNone) {
  ComparePolicy policy = Privileged();
  policy.selection.mode = false;
  const auto differs = [&](uint32_t source_mode, uint32_t destination_mode) {
    Entry source = File("x", 1);
    Entry destination = File("x", 2);
    source.mode = source_mode;
    destination.mode = destination_mode;
    return Compare(source, destination, policy).Has(Attribute::kMode);
  };
  EXPECT_FALSE(differs(0755, 0644));
  policy.selection.executability = true;
  EXPECT_TRUE(differs(0755, 0644));
  EXPECT_TRUE(differs(0644, 0611));
  EXPECT_FALSE(differs(0755, 0601));
  EXPECT_FALSE(differs(0600, 0644));
  EXPECT_TRUE(Compare(Dir("d", 1), Dir("d", 2), policy).empty());
}

TEST(CompareTest, PolicyTakesAbilitiesFromTheDestinationsAnswer) {
  SessionOpened opened;
  opened.can_chown = true;
  opened.groups = {9, 3};
  opened.time_granularity_ns = 0;
  const ComparePolicy policy = ComparePolicy::For({}, true, opened);
  EXPECT_TRUE(policy.can_chown);
  EXPECT_TRUE(policy.checksum);
  EXPECT_THAT(policy.groups, ElementsAre(3, 9));
  EXPECT_EQ(policy.time_granularity_ns, 1u);
}

}  // namespace
}  // namespace uringsync

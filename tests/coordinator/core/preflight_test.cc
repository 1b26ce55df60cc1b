// What of a run cannot go well, said before it begins.
#include "coordinator/core/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/core/plan_emitter.h"
#include "coordinator/core/run.h"
#include "tests/coordinator/core/plan_fixture.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

class PreflightTest : public testing::Test {
 protected:
  PreflightTest() {
    destination_.exists = source_.exists = true;
    destination_.can_chown = true;
    destination_.file_system = "ext4";
    destination_.volume = VolumeFacts{
        .bytes_total = 1 << 30, .bytes_free = 100 << 20, .files_total = 1000, .files_free = 10, .name_bytes_max = 255};
  }
  PreflightReport Check() { return CheckBeforeRun(request_, source_, destination_); }
  static Entry Sized(uint64_t bytes) {
    Entry entry = File("f", 1);
    entry.size_bytes = entry.allocated_bytes = bytes;
    return entry;
  }
  PlanNeeds& needs() {
    if (!request_.needs) request_.needs.emplace();
    return *request_.needs;
  }

  SyncRequest request_;
  SessionOpened source_;
  SessionOpened destination_;
};

TEST_F(PreflightTest, AnOrdinaryFileSystemIsNothingToTalkAbout) {
  const PreflightReport report = Check();
  EXPECT_FALSE(report.refusal);
  EXPECT_TRUE(report.notices.empty());
}

TEST_F(PreflightTest, AReadOnlyFileSystemIsToldAndEndsNoRun) {
  destination_.volume->read_only = true;
  EXPECT_FALSE(Check().refusal);
  EXPECT_THAT(Check().notices, testing::ElementsAre(HasSubstr("read-only")));
  request_.preflight = PreflightMode::kOff;
  EXPECT_TRUE(Check().notices.empty());
}

TEST_F(PreflightTest, WhatIsNotKeptIsToldOnlyWhereItIsToBeKept) {
  destination_.volume->lacks_xattrs = destination_.volume->lacks_acls = true;
  EXPECT_THAT(Check().notices, testing::ElementsAre(HasSubstr("--no-xattrs")));
  request_.selection.xattrs = request_.selection.acls = false;
  EXPECT_TRUE(Check().notices.empty());
}

TEST_F(PreflightTest, NamesThatAreTreatedInAnotherWayAreToldOfInAnyCase) {
  destination_.volume->ignores_case = destination_.volume->normalises_names = true;
  EXPECT_TRUE(Check().notices.empty());
  EXPECT_THAT(Check().shortfalls, testing::ElementsAre(HasSubstr("case"), HasSubstr("Unicode")));
}

TEST_F(PreflightTest, OwnersThatWereAskedForAndMayNotBeSetAreToldOf) {
  destination_.can_chown = false;
  EXPECT_TRUE(Check().notices.empty());
  request_.selection.explicit_owner = true;
  EXPECT_THAT(Check().notices, testing::ElementsAre(HasSubstr("CAP_CHOWN")));
}

TEST_F(PreflightTest, RoomIsCountedOnDiskAndLessWhatIsReplaced) {
  Entry old = Sized(60 << 20);
  needs().Add(PlanEmitter::Put(PathOf("a"), Sized(150 << 20), old, {}));
  EXPECT_FALSE(Check().refusal);
  Entry holes = Sized(uint64_t{1} << 40);
  holes.allocated_bytes = 4096;
  needs().Add(PlanEmitter::Put(PathOf("holes"), holes, std::nullopt, {}));
  EXPECT_FALSE(Check().refusal);
  needs().Add(PlanEmitter::Put(PathOf("b"), Sized(20 << 20), std::nullopt, {}));
  EXPECT_THAT(Check().refusal.value_or(""), HasSubstr("no room for 111 MiB"));
}

TEST_F(PreflightTest, HolesTakeRoomWhereTheyAreWritten) {
  Entry holes = Sized(uint64_t{1} << 40);
  holes.allocated_bytes = 4096;
  needs().holes = false;
  needs().Add(PlanEmitter::Put(PathOf("holes"), holes, std::nullopt, {}));
  EXPECT_THAT(Check().refusal.value_or(""), HasSubstr("no room"));
}

TEST_F(PreflightTest, DeletionsMakeRoomWhereTheyComeFirst) {
  needs().Add(PlanEmitter::Put(PathOf("a"), Sized(150 << 20), std::nullopt, {}));
  needs().Add(PlanEmitter::Delete(PathOf("z"), Sized(60 << 20)));
  EXPECT_THAT(Check().refusal.value_or(""), HasSubstr("--delete-before"));
  request_.rules.delete_timing = DeleteTiming::kBefore;
  EXPECT_FALSE(Check().refusal);
}

TEST_F(PreflightTest, ClonesNeedNoRoom) {
  needs().Add(PlanEmitter::Put(PathOf("a"), Sized(150 << 20), std::nullopt, {}));
  source_.host_id = destination_.host_id = "one";
  destination_.file_system = "btrfs";
  EXPECT_FALSE(Check().refusal);
  request_.reflink = ReflinkMode::kNever;
  EXPECT_TRUE(Check().refusal);
}

TEST_F(PreflightTest, InodesAreCountedUnlessThereIsNoNumber) {
  for (int i = 0; i < 11; ++i)
    needs().Add(PlanEmitter::MakeDirectory(PathOf("d" + std::to_string(i)), Dir("d", 1), std::nullopt, {}));
  needs().Add(PlanEmitter::Link(PathOf("l"), File("l", 1), std::nullopt, PathOf("a"), {}));
  EXPECT_THAT(Check().refusal.value_or(""), HasSubstr("no inodes for 11 new objects"));
  destination_.volume->files_total = 0;
  EXPECT_FALSE(Check().refusal);
}

TEST_F(PreflightTest, NamesAndFilesThatDoNotFitAreNamed) {
  destination_.volume->name_bytes_max = 10;
  needs().Add(PlanEmitter::Put(PathOf("d/a long name\n"), Sized(1), std::nullopt, {}));
  EXPECT_THAT(Check().refusal.value_or(""), HasSubstr("d/a long name\\012"));
  destination_.volume->name_bytes_max = 0;
  destination_.volume->file_bytes_max = (uint64_t{1} << 32) - 1;
  Entry large = Sized(uint64_t{1} << 32);
  large.allocated_bytes = 0;
  needs().Add(PlanEmitter::Put(PathOf("large"), large, std::nullopt, {}));
  EXPECT_THAT(Check().refusal.value_or(""), HasSubstr("large; --max-size"));
}

TEST_F(PreflightTest, AnAgentThatTellsNothingPasses) {
  needs().Add(PlanEmitter::Put(PathOf("a"), Sized(uint64_t{1} << 50), std::nullopt, {}));
  destination_.volume.reset();
  EXPECT_FALSE(Check().refusal);
}

}  // namespace
}  // namespace uringsync

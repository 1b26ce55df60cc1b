// Files of the source where the destination has devices (--write-devices).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/core/plan_fixture.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Entry Disk(std::string name, FileType type = FileType::kBlockDevice) {
  Entry disk = MakeEntry(std::move(name), type, 12);
  disk.mode = 0644;
  disk.rdev_major = 7;
  return disk;
}

PlanResult PlanFileOnto(Entry device, bool writes, uint64_t bytes = 10) {
  PlanOptions options = AllAbilities();
  options.write_devices = writes;
  Entry file = File("f", 2);
  file.size_bytes = bytes;
  return PlanTrees(options, {Batch("", {file}, 1)}, {Batch("", {std::move(device)}, 11)});
}

TEST(DevicePlanTest, ADeviceGetsTheContentsAndIsNotReplaced) {
  for (const FileType type : {FileType::kBlockDevice, FileType::kCharDevice}) {
    const PlanResult result = PlanFileOnto(Disk("f", type), true);
    ASSERT_OK(result.status);
    EXPECT_THAT(result.sink.Lines(), ElementsAre("put f"));
    EXPECT_THAT(DifferenceNames(result.sink.actions[0].differences), ElementsAre("size"));
    EXPECT_EQ(result.sink.actions[0].action.existing->type, type);
    EXPECT_EQ(result.counters.updates, 1u);
  }
}

TEST(DevicePlanTest, WithoutTheOptionItIsReplaced) {
  const PlanResult result = PlanFileOnto(Disk("f"), false);
  EXPECT_THAT(result.sink.Lines(), ElementsAre("put f", "metadata ."));
  EXPECT_THAT(DifferenceNames(result.sink.actions[0].differences), ElementsAre("type"));
}

TEST(DevicePlanTest, AnEmptyFileAsksForNothingButMetadata) {
  EXPECT_THAT(PlanFileOnto(Disk("f"), true, 0).sink.Lines(), IsEmpty());
  Entry other = Disk("f");
  other.mode = 0600;
  EXPECT_THAT(PlanFileOnto(std::move(other), true, 0).sink.Lines(), ElementsAre("metadata f"));
}

TEST(DevicePlanTest, OtherObjectsStillTakeItsPlace) {
  PlanOptions options = AllAbilities();
  options.write_devices = true;
  const PlanResult result =
      PlanTrees(options, {Batch("", {MakeEntry("f", FileType::kSymlink, 2)}, 1)}, {Batch("", {Disk("f")}, 11)});
  EXPECT_THAT(result.sink.Lines(), ElementsAre("symlink f", "metadata ."));
}

}  // namespace
}  // namespace uringsync

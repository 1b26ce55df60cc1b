#include "engine/fs/volume.h"

#include <sys/statvfs.h>

#include "engine/fs/file_system.h"
#include "tests/engine/fs/fs_test_support.h"

namespace uringsync {
namespace {

TEST(VolumeTest, ADirectoryTellsWhatItsFileSystemHasRoomFor) {
  const TempDir dir;
  const std::unique_ptr<Driver> driver = MakeTestDriver();
  const DirectoryPtr root = MustOpenRoot(driver.get(), dir.path());
  const absl::StatusOr<std::string> type = FileSystemTypeName(driver.get(), root->fd());
  ASSERT_OK(type);
  const VolumeFacts facts = LookAtVolume(driver.get(), *root, *type);
  struct statvfs stat{};
  ASSERT_EQ(::statvfs(dir.path().c_str(), &stat), 0);
  EXPECT_EQ(facts.bytes_total, uint64_t{stat.f_blocks} * stat.f_frsize);
  EXPECT_LE(facts.bytes_free, facts.bytes_total);
  EXPECT_EQ(facts.files_total, stat.f_files);
  EXPECT_EQ(facts.name_bytes_max, stat.f_namemax);
  EXPECT_FALSE(facts.read_only);
}

TEST(VolumeTest, WhatItsNameSaysOfAFileSystemIsTold) {
  const TempDir dir;
  const std::unique_ptr<Driver> driver = MakeTestDriver();
  const DirectoryPtr root = MustOpenRoot(driver.get(), dir.path());
  const VolumeFacts fat = LookAtVolume(driver.get(), *root, "vfat");
  EXPECT_TRUE(fat.ignores_case);
  EXPECT_EQ(fat.file_bytes_max, (uint64_t{1} << 32) - 1);
  EXPECT_TRUE(LookAtVolume(driver.get(), *root, "hfsplus").normalises_names);
}

TEST(VolumeTest, AnAttributeThatIsNotThereIsNoLack) {
  const TempDir dir;
  const std::unique_ptr<Driver> driver = MakeTestDriver();
  const DirectoryPtr root = MustOpenRoot(driver.get(), dir.path());
  const bool keeps = ::setxattr(dir.path().c_str(), "user.probe", "1", 1, 0) == 0;
  EXPECT_EQ(LookAtVolume(driver.get(), *root, "ext4").lacks_xattrs, !keeps);
}

}  // namespace
}  // namespace uringsync

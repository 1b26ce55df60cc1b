#include "engine/fs/atomic_file.h"

#include <cerrno>

#include "engine/fs/file.h"
#include "engine/fs/metadata.h"
#include "engine/fs/syscalls.h"
#include "tests/engine/fs/fs_test_support.h"

namespace uringsync {
namespace {

TEST(StateNameTest, OnlyTheExactPatternIsOurs) {
  StateNamer namer(0x0123456789abcdef);
  const std::string name = namer.Next();
  EXPECT_EQ(name, ".~uringsync~0123456789abcdef.1.tmp");
  EXPECT_TRUE(IsStateName(name));
  EXPECT_EQ(StateNameSession(name), 0x0123456789abcdefu);
  EXPECT_NE(namer.Next(), name);
  for (const char* other :
       {"", ".", ".~uringsync~", ".~uringsync~0123456789abcdef.tmp", ".~uringsync~0123456789abcdef..tmp",
        ".~uringsync~0123456789ABCDEF.1.tmp", ".~uringsync~0123456789abcdef.1x.tmp",
        "x.~uringsync~0123456789abcdef.1.tmp", ".~uringsync~0123456789abcde.1.tmp",
        ".~uringsync~0123456789abcdef.1.tmp~", ".~uringsync~0123456789abcdef.123456789012345678901.tmp"})
    EXPECT_FALSE(IsStateName(other)) << other;
}

TEST(StateNameTest, TheTagIsTheFirstEightBytesOfTheSession) {
  const uint8_t id[16] = {0xde, 0xad, 0, 0, 0, 0, 0, 1, 9};
  EXPECT_EQ(SessionTag(id), 0xdead000000000001u);
}

class StagedObjectTest : public testing::Test {
 protected:
  StagedObject Stage(std::string_view content) {
    absl::StatusOr<StagedObject> staged = StagedObject::CreateFile(driver_.get(), root_, &namer_);
    EXPECT_OK(staged);
    EXPECT_EQ(sys::Pwrite(driver_.get(), staged->fd(), content.data(), content.size(), 0),
              static_cast<int64_t>(content.size()));
    return *std::move(staged);
  }
  Entry Look(const char* name) {
    struct statx stat = {};
    EXPECT_OK(StatAt(driver_.get(), root_->fd(), name, &stat));
    Entry entry;
    EntryFromStatx(stat, false, &entry);
    entry.name = name;
    return entry;
  }
  // Temporaries left in the directory.
  size_t Strays() {
    DirectoryReader reader(driver_.get(), root_->fd());
    reader.SeekToStart();
    DirectoryItem item;
    size_t strays = 0;
    while (reader.Next(&item) > 0) strays += IsStateName(item.name) ? 1 : 0;
    return strays;
  }

  TempDir dir_;
  std::unique_ptr<Driver> driver_ = MakeTestDriver();
  DirectoryPtr root_ = MustOpenRoot(driver_.get(), dir_.path());
  StateNamer namer_{42};
};

TEST_F(StagedObjectTest, AFileAppearsWholeUnderItsName) {
  StagedObject staged = Stage("content");
  EXPECT_FALSE(Exists(dir_ / "f"));
  EXPECT_EQ(LStat(dir_ / staged.temporary_name()).st_mode & 07777, 0600u);
  ASSERT_OK(staged.Publish("f", std::nullopt));
  EXPECT_FALSE(staged.valid());
  EXPECT_EQ(ReadFile(dir_ / "f"), "content");
  EXPECT_EQ(Strays(), 0u);
}

TEST_F(StagedObjectTest, AFileMayGetItsNameInAnotherDirectory) {
  ASSERT_EQ(::mkdir((dir_ / "d").c_str(), 0700), 0);
  absl::StatusOr<DirectoryPtr> directory = OpenChild(driver_.get(), *root_, "d");
  ASSERT_OK(directory);
  StagedObject fresh = Stage("new");
  fresh.SetTarget(*directory);
  ASSERT_OK(fresh.Publish("f", std::nullopt));
  EXPECT_EQ(ReadFile(dir_ / "d/f"), "new");
  struct statx stat = {};
  Entry existing;
  EXPECT_OK(StatAt(driver_.get(), (*directory)->fd(), "f", &stat));
  EntryFromStatx(stat, false, &existing);
  StagedObject newer = Stage("newer");
  newer.SetTarget(*directory);
  ASSERT_OK(newer.Publish("f", existing));
  EXPECT_EQ(ReadFile(dir_ / "d/f"), "newer");
  EXPECT_EQ(Strays(), 0u);
}

TEST_F(StagedObjectTest, AFileMayTakeThePlaceOfWhateverHasAName) {
  WriteFile(dir_ / "part", "older part");
  StagedObject staged = Stage("part");
  ASSERT_OK(staged.MoveTo(*root_, "part"));
  EXPECT_FALSE(staged.valid());
  EXPECT_EQ(ReadFile(dir_ / "part"), "part");
  StagedObject again = StagedObject::Of(driver_.get(), root_, "part");
  ASSERT_OK(again.Publish("whole", std::nullopt));
  EXPECT_EQ(ReadFile(dir_ / "whole"), "part");
  EXPECT_FALSE(Exists(dir_ / "part"));
}

TEST_F(StagedObjectTest, WhatAppearedMeanwhileIsNotOverwritten) {
  StagedObject staged = Stage("ours");
  WriteFile(dir_ / "f", "theirs");
  EXPECT_TRUE(IsConflict(staged.Publish("f", std::nullopt)));
  EXPECT_EQ(ReadFile(dir_ / "f"), "theirs");
  EXPECT_EQ(Strays(), 0u);
}

TEST_F(StagedObjectTest, TheFilePlannedAgainstIsReplaced) {
  WriteFile(dir_ / "f", "old");
  const Entry existing = Look("f");
  StagedObject staged = Stage("new");
  ASSERT_OK(staged.Publish("f", existing));
  EXPECT_EQ(ReadFile(dir_ / "f"), "new");
  EXPECT_EQ(Strays(), 0u);
}

TEST_F(StagedObjectTest, AModifiedOrReplacedFileIsAConflict) {
  WriteFile(dir_ / "f", "old");
  const Entry existing = Look("f");
  WriteFile(dir_ / "f", "modified meanwhile");
  EXPECT_TRUE(IsConflict(Stage("new").Publish("f", existing)));
  EXPECT_EQ(ReadFile(dir_ / "f"), "modified meanwhile");
  ::unlink((dir_ / "f").c_str());
  MakeDirectories(dir_ / "f");
  EXPECT_TRUE(IsConflict(Stage("new").Publish("f", existing)));
  EXPECT_EQ(Strays(), 0u);
}

TEST_F(StagedObjectTest, AFileThatWasRemovedMeanwhileIsSimplyMade) {
  WriteFile(dir_ / "f", "old");
  const Entry existing = Look("f");
  ::unlink((dir_ / "f").c_str());
  ASSERT_OK(Stage("new").Publish("f", existing));
  EXPECT_EQ(ReadFile(dir_ / "f"), "new");
}

TEST_F(StagedObjectTest, AnAbandonedTemporaryIsRemoved) {
  {
    StagedObject first = Stage("x");
    StagedObject moved = std::move(first);
    EXPECT_FALSE(first.valid());
    EXPECT_EQ(Strays(), 1u);
  }
  EXPECT_EQ(Strays(), 0u);
  StagedObject a = Stage("a");
  a = Stage("b");
  EXPECT_EQ(Strays(), 1u);
}

TEST_F(StagedObjectTest, LinksSymlinksAndFifosArePublishedTheSameWay) {
  ASSERT_OK_AND_ASSIGN(StagedObject link,
                       StagedObject::CreateSymlink(driver_.get(), root_, &namer_, std::string(4000, 't')));
  EXPECT_EQ(link.fd(), -1);
  ASSERT_OK(link.Publish("link", std::nullopt));
  EXPECT_EQ(LStat(dir_ / "link").st_size, 4000);
  Entry fifo;
  fifo.type = FileType::kFifo;
  ASSERT_OK_AND_ASSIGN(StagedObject pipe, StagedObject::CreateSpecial(driver_.get(), root_, &namer_, fifo));
  ASSERT_OK(pipe.Publish("link", Look("link")));  // one type replaces another
  EXPECT_TRUE(S_ISFIFO(LStat(dir_ / "link").st_mode));
  WriteFile(dir_ / "leader", "x");
  ASSERT_OK_AND_ASSIGN(StagedObject hard, StagedObject::CreateLink(driver_.get(), root_, &namer_, *root_, "leader"));
  ASSERT_OK(hard.Publish("follower", std::nullopt));
  EXPECT_EQ(LStat(dir_ / "follower").st_ino, LStat(dir_ / "leader").st_ino);
}

TEST_F(StagedObjectTest, AHardLinkOverALinkOfTheSameFileLeavesNoStray) {
  WriteFile(dir_ / "a", "x");
  ASSERT_EQ(::link((dir_ / "a").c_str(), (dir_ / "b").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(StagedObject again, StagedObject::CreateLink(driver_.get(), root_, &namer_, *root_, "a"));
  ASSERT_OK(again.Publish("b", Look("b")));
  EXPECT_EQ(Strays(), 0u);
  EXPECT_EQ(LStat(dir_ / "a").st_nlink, 2u);
}

TEST_F(StagedObjectTest, AnEmptyDirectoryMakesWayAndAFullOneDoesNot) {
  MakeDirectories(dir_ / "d");
  ASSERT_OK(Stage("file").Publish("d", Look("d")));
  EXPECT_EQ(ReadFile(dir_ / "d"), "file");
  MakeDirectories(dir_ / "e/full");
  const absl::Status refused = Stage("file").Publish("e", Look("e"));
  EXPECT_EQ(StatusErrno(refused), ENOTEMPTY);
  EXPECT_TRUE(Exists(dir_ / "e/full"));
  EXPECT_EQ(Strays(), 0u);
}

TEST_F(StagedObjectTest, OnlyTheObjectPlannedAgainstIsRemoved) {
  WriteFile(dir_ / "f", "x");
  const Entry f = Look("f");
  WriteFile(dir_ / "g", "y");
  EXPECT_TRUE(IsConflict(RemoveObject(driver_.get(), root_->fd(), "g", f)));
  EXPECT_TRUE(Exists(dir_ / "g"));
  EXPECT_OK(RemoveObject(driver_.get(), root_->fd(), "f", f));
  EXPECT_FALSE(Exists(dir_ / "f"));
  EXPECT_OK(RemoveObject(driver_.get(), root_->fd(), "f", f));  // gone already
  MakeDirectories(dir_ / "d");
  const Entry d = Look("d");
  MakeDirectories(dir_ / "d/sub");  // entries move a directory's mtime: no conflict, but not empty
  EXPECT_EQ(StatusErrno(RemoveObject(driver_.get(), root_->fd(), "d", d)), ENOTEMPTY);
}

TEST_F(StagedObjectTest, ADeviceNeedsItsCapability) {
  SKIP_UNLESS_ROOT();
  ::chmod(dir_.path().c_str(), 0777);
  const std::string path = dir_.path();
  EXPECT_TRUE(AsNobody([&] {
    const std::unique_ptr<Driver> driver = MakeTestDriver();
    StateNamer namer(1);
    Entry device;
    device.type = FileType::kCharDevice;
    device.rdev_major = 1;
    device.rdev_minor = 3;
    return StatusErrno(
               StagedObject::CreateSpecial(driver.get(), MustOpenRoot(driver.get(), path), &namer, device).status()) ==
           EPERM;
  }));
}

}  // namespace
}  // namespace uringsync

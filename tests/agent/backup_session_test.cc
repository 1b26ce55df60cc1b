// A destination session that keeps what it replaces and deletes.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/fs/state_name.h"
#include "tests/agent/session_copy_fixture.h"

namespace uringsync {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

class BackupSessionTest : public SessionTest {
 protected:
  void OpenWithBackup(BackupSettings backup) {
    OpenBoth();
    OpenSession open = DestinationAtDst();
    open.backup = std::move(backup);
    OpenDestination(std::move(open));
  }
  Entry SourceEntry(const std::string& name) {
    if (manifest_.empty()) manifest_ = ReadManifest(source_.get());
    for (const DirectoryBatch& batch : manifest_)
      for (const Entry& entry : batch.entries)
        if (batch.directory.Child(entry.name).text() == name) return entry;
    ADD_FAILURE() << "no " << name;
    return {};
  }
  Action Replace(ActionKind kind, const std::string& path) {
    Action action = Add(kind, path, SourceEntry(path));
    const RelPath parsed = *RelPath::Parse(path);
    action.existing = DestinationEntry(parsed.Parent().text(), std::string(parsed.name()));
    return action;
  }
  Action Delete(const std::string& path) {
    const RelPath parsed = *RelPath::Parse(path);
    return Add(ActionKind::kDelete, path, DestinationEntry(parsed.Parent().text(), std::string(parsed.name())));
  }
  struct stat Stat(const std::string& name) {
    struct stat found{};
    EXPECT_EQ(::lstat((dir_ / name).c_str(), &found), 0) << name;
    return found;
  }
  BackupSettings Beside() { return {"~", std::nullopt}; }
  BackupSettings Into(const std::string& path) { return {"", TreePlace{"data", *RelPath::Parse(path)}}; }

  std::vector<DirectoryBatch> manifest_;
};

TEST_F(BackupSessionTest, WhatIsReplacedOrDeletedStaysBesideWithItsAttributes) {
  WriteFile(dir_ / "src/f", "new");
  ASSERT_EQ(::symlink("new", (dir_ / "src/l").c_str()), 0);
  MakeDirectories(dir_ / "src/d");
  WriteFile(dir_ / "dst/f", "old contents", 0640);
  ASSERT_EQ(::symlink("old", (dir_ / "dst/l").c_str()), 0);
  WriteFile(dir_ / "dst/d", "a file where a directory is to be");
  WriteFile(dir_ / "dst/extra", "deleted");
  WriteFile(dir_ / "dst/f~", "an older backup");
  const ino_t old_inode = Stat("dst/f").st_ino;
  OpenWithBackup(Beside());
  Submit(Phase::kCreate, {Replace(ActionKind::kPutFile, "f"), Replace(ActionKind::kPutSymlink, "l"),
                          Replace(ActionKind::kMakeDirectory, "d")});
  Submit(Phase::kDelete, {Delete("extra")});
  Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_THAT(ReadDestinationNames(), UnorderedElementsAre("f", "f~", "l", "l~", "d", "d~", "extra~"));
  EXPECT_EQ(ReadFile(dir_ / "dst/f"), "new");
  EXPECT_EQ(ReadFile(dir_ / "dst/f~"), "old contents");
  EXPECT_EQ(Stat("dst/f~").st_ino, old_inode);
  EXPECT_EQ(Stat("dst/f~").st_nlink, 1u);
  EXPECT_EQ(Stat("dst/f~").st_mode & 07777, 0640u);
  EXPECT_TRUE(S_ISLNK(Stat("dst/l~").st_mode));
  EXPECT_EQ(ReadFile(dir_ / "dst/d~"), "a file where a directory is to be");
  EXPECT_EQ(ReadFile(dir_ / "dst/extra~"), "deleted");
}

TEST_F(BackupSessionTest, TheBackupDirectoryIsMadeAsTheDestinationIs) {
  WriteFile(dir_ / "src/a/b/f", "new");
  WriteFile(dir_ / "dst/a/b/f", "old");
  WriteFile(dir_ / "dst/a/gone/x", "deleted");
  ASSERT_EQ(::chmod((dir_ / "dst/a").c_str(), 0750), 0);
  OpenWithBackup(Into("kept/today"));
  Submit(Phase::kCreate, {Replace(ActionKind::kPutFile, "a/b/f")});
  Submit(Phase::kDelete, {Delete("a/gone/x"), Delete("a/gone")});
  Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(ReadFile(dir_ / "dst/a/b/f"), "new");
  EXPECT_EQ(ReadFile(dir_ / "kept/today/a/b/f"), "old");
  EXPECT_EQ(ReadFile(dir_ / "kept/today/a/gone/x"), "deleted");
  EXPECT_FALSE(Exists("dst/a/gone"));
  EXPECT_EQ(Stat("kept/today/a").st_mode & 07777, 0750u);
}

TEST_F(BackupSessionTest, NothingIsMadeWhereNothingIsReplaced) {
  WriteFile(dir_ / "src/f", "new");
  OpenWithBackup(Into("kept"));
  CopyAll();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_FALSE(Exists("kept"));
}

TEST_F(BackupSessionTest, AnotherObjectThanThePlannedOneIsNeitherReplacedNorMoved) {
  WriteFile(dir_ / "src/f", "new");
  WriteFile(dir_ / "dst/f", "old");
  WriteFile(dir_ / "dst/x", "doomed");
  OpenWithBackup(Beside());
  const Action put = Replace(ActionKind::kPutFile, "f");
  const Action remove = Delete("x");
  WriteFile(dir_ / "dst/f", "changed meanwhile");
  WriteFile(dir_ / "dst/x", "changed meanwhile");
  Submit(Phase::kCreate, {put});
  Submit(Phase::kDelete, {remove});
  Finish();
  ASSERT_EQ(destination_->problems.size(), 2u);
  for (const Problem& problem : destination_->problems) EXPECT_EQ(problem.kind, ProblemKind::kConflict);
  EXPECT_THAT(ReadDestinationNames(), UnorderedElementsAre("f", "x"));
  EXPECT_EQ(ReadFile(dir_ / "dst/f"), "changed meanwhile");
}

TEST_F(BackupSessionTest, WithoutHardLinksTheOldFileIsRenamed) {
  WriteFile(dir_ / "src/f", "new");
  WriteFile(dir_ / "dst/f", "old");
  OpenWithBackup(Beside());
  const Action put = Replace(ActionKind::kPutFile, "f");
  plan_->FailFrom(CallCode::kLinkat, 1, EPERM);
  Submit(Phase::kCreate, {put});
  Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(ReadFile(dir_ / "dst/f"), "new");
  EXPECT_EQ(ReadFile(dir_ / "dst/f~"), "old");
}

TEST_F(BackupSessionTest, AnEmptyDirectoryMakesWayForABackupAndAFullOneDoesNot) {
  WriteFile(dir_ / "src/f", "new");
  WriteFile(dir_ / "src/g", "new");
  WriteFile(dir_ / "dst/f", "old");
  WriteFile(dir_ / "dst/g", "old");
  MakeDirectories(dir_ / "dst/f~");
  WriteFile(dir_ / "dst/g~/inside", "x");
  OpenWithBackup(Beside());
  Submit(Phase::kCreate, {Replace(ActionKind::kPutFile, "f"), Replace(ActionKind::kPutFile, "g")});
  Finish();
  EXPECT_EQ(ReadFile(dir_ / "dst/f~"), "old");
  ASSERT_EQ(destination_->problems.size(), 1u);
  EXPECT_EQ(destination_->problems[0].operation, "backup");
  EXPECT_EQ(ReadFile(dir_ / "dst/g"), "old");
}

}  // namespace
}  // namespace uringsync

// What a destination session makes durable, when, and what it says of that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/agent/session_copy_fixture.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

class DurabilitySessionTest : public SessionTest {
 protected:
  void Open(Durability durability) {
    OpenBoth(durability);
    if (opened_.file_system == "tmpfs") GTEST_SKIP() << "tmpfs is never synced";
    plan_->FilterOps([this](const Op& op) {
      if (op.code != OpCode::kFsync) return 0;
      struct stat found{};
      ::fstat(op.fd, &found);
      std::lock_guard lock(mutex_);
      ++fsyncs_[found.st_ino];
      return S_ISDIR(found.st_mode) ? fail_directories_ : 0;
    });
    plan_->FilterCalls([this](CallCode code, const long(&)[6]) {
      std::lock_guard lock(mutex_);
      file_systems_ += code == CallCode::kSyncfs;
      return 0;
    });
  }
  int FsyncsOf(const std::string& name) {
    const ino_t inode = Stat(name).st_ino;
    std::lock_guard lock(mutex_);
    return fsyncs_[inode];
  }
  Action ChangeOf(const std::string& name) {
    Action action = Add(ActionKind::kSetMetadata, name, DestinationEntry("", name));
    action.existing = action.wanted;
    return action;
  }

  std::mutex mutex_;
  std::map<ino_t, int> fsyncs_;
  int file_systems_ = 0;
  int fail_directories_ = 0;
};

// An fsync of its directory writes no attribute of a file.
TEST_F(DurabilitySessionTest, AttributesThatAreSetInPlaceAreSyncedThroughTheFile) {
  WriteFile(dir_ / "dst/file", "stays");
  Open(Durability::kBatch);
  Action change = ChangeOf("file");
  change.wanted.mode = (change.wanted.mode & ~07777U) | 0600;
  Submit(Phase::kCreate, {change});
  EXPECT_EQ(Finish().durability, Durability::kBatch);
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(Stat("dst/file").st_mode & 07777, 0600U);
  EXPECT_EQ(FsyncsOf("dst/file"), 1);
  EXPECT_EQ(FsyncsOf("dst"), 0);
  EXPECT_EQ(destination_->durable, 1U);
}

TEST_F(DurabilitySessionTest, WhatCannotBeOpenedIsSyncedWithItsFileSystem) {
  ASSERT_EQ(::symlink("target", (dir_ / "dst/link").c_str()), 0);
  ASSERT_EQ(::symlink("target", (dir_ / "dst/other").c_str()), 0);
  Open(Durability::kBatch);
  std::vector<Action> changes = {ChangeOf("link"), ChangeOf("other")};
  for (Action& change : changes) change.wanted.mtime.seconds = 1000000000;
  Submit(Phase::kCreate, changes);
  EXPECT_EQ(Finish().durability, Durability::kBatch);
  EXPECT_TRUE(destination_->problems.empty());
  // Each shard has one for all.
  EXPECT_GE(file_systems_, 1);
  EXPECT_LE(file_systems_, static_cast<int>(2 * agent_->context().runtime->size()));
}

TEST_F(DurabilitySessionTest, FileLevelEndsActionsOnDiskAndSharesTheDirectorysFsync) {
  constexpr int kFiles = 100;
  for (int f = 0; f < kFiles; ++f) WriteFile(dir_ / ("src/f" + std::to_string(f)), "content");
  Open(Durability::kFile);
  const ApplyDone done = CopyAll();
  EXPECT_EQ(done.durability, Durability::kFile);
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(destination_->durable, last_sequence_);
  for (int f = 0; f < kFiles; ++f) EXPECT_EQ(FsyncsOf("dst/f" + std::to_string(f)), 1);
  EXPECT_GE(FsyncsOf("dst"), 1);
  EXPECT_LT(FsyncsOf("dst"), kFiles / 2);
}

TEST_F(DurabilitySessionTest, FileLevelFailsByNameWhatItCannotMakeDurable) {
  WriteFile(dir_ / "src/one", "1");
  WriteFile(dir_ / "src/sub/two", "2");
  Open(Durability::kFile);
  fail_directories_ = EIO;
  const ApplyDone done = CopyAll();
  EXPECT_EQ(done.durability, Durability::kNone);
  std::vector<std::string> failed;
  for (const Problem& problem : destination_->problems) {
    EXPECT_EQ(problem.operation, "fsync");
    EXPECT_EQ(problem.error, EIO);
    EXPECT_NE(problem.action, 0U);
    failed.push_back(problem.path.text());
  }
  // The directory twice: when it was made, and when it got its attributes.
  EXPECT_THAT(failed, testing::UnorderedElementsAre("one", "sub", "sub", "sub/two"));
  EXPECT_EQ(ReadFile(dir_ / "dst/one"), "1");
}

TEST_F(DurabilitySessionTest, AfterADirectoryThatCouldNotBeSyncedNothingIsToldToBeDurable) {
  WriteFile(dir_ / "src/one", "1");
  WriteFile(dir_ / "src/sub/two", "2");
  Open(Durability::kBatch);
  fail_directories_ = EIO;
  const ApplyDone done = CopyAll();
  EXPECT_EQ(done.durability, Durability::kNone);
  EXPECT_EQ(destination_->durable, 0U);
  ASSERT_FALSE(destination_->problems.empty());
  EXPECT_EQ(destination_->problems[0].operation, "fsync");
  EXPECT_EQ(destination_->problems[0].error, EIO);
  EXPECT_THAT(destination_->problems[0].detail, HasSubstr("may not be on disk"));
}

TEST_F(DurabilitySessionTest, ANewRootIsSyncedIntoTheDirectoryAboveIt) {
  StartAgent();
  OpenSession open = DestinationAtDst();
  open.path = *RelPath::Parse("dst/new");
  open.create_root = true;
  int above = 0;
  const ino_t inode = Stat("dst").st_ino;
  plan_->FilterOps([&](const Op& op) {
    struct stat found{};
    if (op.code == OpCode::kFsync && ::fstat(op.fd, &found) == 0 && found.st_ino == inode) ++above;
    return 0;
  });
  source_ = std::make_unique<TestSession>(agent_.get());
  ASSERT_OK(source_->Handshake());
  source_->Send(OpenFor(Role::kSource, 1, "src"));
  source_->Expect<SessionOpened>();
  OpenDestination(std::move(open));
  if (opened_.file_system == "tmpfs") GTEST_SKIP() << "tmpfs is never synced";
  EXPECT_TRUE(opened_.created);
  EXPECT_EQ(above, 1);
  destination_->Send(FinishApply{});
  destination_->Expect<ApplyDone>();
}

}  // namespace
}  // namespace uringsync

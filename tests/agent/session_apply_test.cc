// What a destination session does with actions.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "tests/agent/session_copy_fixture.h"

namespace uringsync {
namespace {

class SessionApplyTest : public SessionTest {};

TEST_F(SessionApplyTest, TreeIsCopiedWithinOneAgent) {
  for (int d = 0; d < 5; ++d) {
    for (int f = 0; f < 40; ++f)
      WriteFile(dir_ / ("src/d" + std::to_string(d) + "/f" + std::to_string(f)), std::string(f * 100, 'a' + d), 0640);
  }
  WriteFile(dir_ / "src/big", std::string(20 << 20, 'B'));
  ASSERT_EQ(::symlink("d1/f3", (dir_ / "src/link").c_str()), 0);
  ASSERT_EQ(::mkfifo((dir_ / "src/pipe").c_str(), 0604), 0);
  ASSERT_EQ(::chmod((dir_ / "src/d2").c_str(), 0750), 0);
  OpenBoth();
  ASSERT_TRUE(opened_.exists);
  ApplyDone done = CopyAll();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(done.durability, Durability::kBatch);
  EXPECT_EQ(done.counters.files_published, 201u);
  EXPECT_EQ(done.counters.actions_done, last_action_);
  EXPECT_EQ(done.counters.bytes_received, done.counters.bytes_written);
  EXPECT_EQ(destination_->completed, last_sequence_);
  for (int f = 0; f < 40; ++f) EXPECT_EQ(ReadFile(dir_ / ("dst/d3/f" + std::to_string(f))), std::string(f * 100, 'd'));
  EXPECT_EQ(ReadFile(dir_ / "dst/big"), std::string(20 << 20, 'B'));
  struct stat found{};
  ASSERT_EQ(::lstat((dir_ / "dst/pipe").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode, static_cast<mode_t>(S_IFIFO | 0604));
  ASSERT_EQ(::stat((dir_ / "dst/d2").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0750u);
  destination_->Send(CloseSession{});
  source_->Send(CloseSession{});
  EXPECT_OK(destination_->End());
  EXPECT_OK(source_->End());
}

TEST_F(SessionApplyTest, HardLinksDeletesAndMetadataAreApplied) {
  WriteFile(dir_ / "src/a", "content");
  WriteFile(dir_ / "dst/old/x", "x");
  OpenBoth();
  std::vector<DirectoryBatch> manifest = ReadManifest(source_.get());
  Entry wanted = manifest[0].entries[0];
  Submit(Phase::kCreate, {Add(ActionKind::kPutFile, "a", wanted)});
  Action link = Add(ActionKind::kLink, "b", wanted);
  link.link_target = *RelPath::Parse("a");
  Submit(Phase::kLink, {link});
  Entry old = DestinationEntry("", "old");
  Entry x = DestinationEntry("old", "x");
  Submit(Phase::kDelete, {Add(ActionKind::kDelete, "old/x", x), Add(ActionKind::kDelete, "old", old)});
  Entry root = source_opened_.root;
  root.mode = 0711;
  Submit(Phase::kDirectoryMetadata, {Add(ActionKind::kSetMetadata, "", root)});
  Finish();
  EXPECT_TRUE(destination_->problems.empty());
  struct stat a{};
  struct stat b{};
  ASSERT_EQ(::stat((dir_ / "dst/a").c_str(), &a), 0);
  ASSERT_EQ(::stat((dir_ / "dst/b").c_str(), &b), 0);
  EXPECT_EQ(a.st_ino, b.st_ino);
  EXPECT_FALSE(Exists("dst/old"));
  ASSERT_EQ(::stat((dir_ / "dst").c_str(), &a), 0);
  EXPECT_EQ(a.st_mode & 07777, 0711u);
}

TEST_F(SessionApplyTest, ALinkWhoseFirstNameIsMissingSaysSo) {
  WriteFile(dir_ / "src/a", "content");
  OpenBoth();
  Action link = Add(ActionKind::kLink, "b", ReadManifest(source_.get())[0].entries[0]);
  link.link_target = *RelPath::Parse("a");
  Submit(Phase::kLink, {link});
  Finish();
  ASSERT_EQ(destination_->problems.size(), 1u);
  EXPECT_EQ(destination_->problems[0].detail, "the first name of the link group could not be made");
}

TEST_F(SessionApplyTest, WhereUnnamedFilesMayNotBeLinkedTheyAreStagedAgainWithNames) {
  for (int f = 0; f < 10; ++f) WriteFile(dir_ / ("src/f" + std::to_string(f)), "content");
  OpenBoth();
  // As a security module refuses: everything but giving the name is permitted.
  plan_->FilterCalls([](CallCode code, const long(&arguments)[6]) {
    if (code != CallCode::kLinkat) return 0;
    return std::string_view(reinterpret_cast<const char*>(arguments[3])) == "." ? 0 : EPERM;
  });
  CopyAll();
  EXPECT_TRUE(destination_->problems.empty());
  for (int f = 0; f < 10; ++f) EXPECT_EQ(ReadFile(dir_ / ("dst/f" + std::to_string(f))), "content");
}

TEST_F(SessionApplyTest, AFileForWhoseNameThereWasNoRoomIsStagedAgain) {
  for (int f = 0; f < 10; ++f) WriteFile(dir_ / ("src/f" + std::to_string(f)), "content");
  OpenBoth();
  auto refusals = std::make_shared<std::atomic<int>>(3);
  plan_->FilterCalls([refusals](CallCode code, const long(&arguments)[6]) {
    if (code != CallCode::kLinkat || std::string_view(reinterpret_cast<const char*>(arguments[3])) == ".") return 0;
    return refusals->fetch_sub(1) > 0 ? ENOSPC : 0;
  });
  CopyAll();
  EXPECT_TRUE(destination_->problems.empty());
  for (int f = 0; f < 10; ++f) EXPECT_EQ(ReadFile(dir_ / ("dst/f" + std::to_string(f))), "content");
}

TEST_F(SessionApplyTest, ObjectThatIsNotTheOnePlannedAgainstIsAConflictAndStays) {
  WriteFile(dir_ / "src/a", "new");
  WriteFile(dir_ / "dst/a", "somebody else's");
  OpenBoth();
  Entry wanted = ReadManifest(source_.get())[0].entries[0];
  Submit(Phase::kCreate, {Add(ActionKind::kPutFile, "a", wanted)});
  Action remove = Add(ActionKind::kDelete, "a", wanted);
  Submit(Phase::kDelete, {remove});
  Finish();
  ASSERT_EQ(destination_->problems.size(), 2u);
  EXPECT_EQ(destination_->problems[0].kind, ProblemKind::kConflict);
  EXPECT_EQ(destination_->problems[1].kind, ProblemKind::kConflict);
  EXPECT_EQ(ReadFile(dir_ / "dst/a"), "somebody else's");
}

TEST_F(SessionApplyTest, ChildrenOfADirectoryThatCannotBeMadeFailWithoutStorming) {
  WriteFile(dir_ / "src/d/e/f", "x");
  WriteFile(dir_ / "dst/d", "a file in the way");
  OpenBoth();
  CopyAll();
  // The metadata of the two directories is not missed a second time.
  ASSERT_EQ(destination_->problems.size(), 3u);  // of d, d/e, d/e/f
  EXPECT_EQ(destination_->problems[0].kind, ProblemKind::kConflict);
  EXPECT_EQ(destination_->problems[1].detail, "its directory could not be made");
  EXPECT_EQ(ReadFile(dir_ / "dst/d"), "a file in the way");
}

TEST_F(SessionApplyTest, FailedFsyncStagesTheBatchAgain) {
  for (int f = 0; f < 10; ++f) WriteFile(dir_ / ("src/f" + std::to_string(f)), "content");
  OpenBoth();
  if (opened_.file_system == "tmpfs") GTEST_SKIP() << "tmpfs is never synced";
  plan_->Fail(OpCode::kFsync, 1, EIO);
  ApplyDone done = CopyAll();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(plan_->injected(), 1u);
  EXPECT_GE(done.counters.retries, 1u);
  EXPECT_EQ(done.counters.files_published, 10u);
  EXPECT_EQ(done.durability, Durability::kBatch);
}

TEST_F(SessionApplyTest, FullDiskEndsEveryActionWithAResultAndLeavesNoTemporary) {
  for (int f = 0; f < 500; ++f) WriteFile(dir_ / ("src/f" + std::to_string(f)), "content");
  OpenBoth();
  // Whichever way small writes go.
  plan_->FailFrom(OpCode::kWrite, 100, ENOSPC);
  plan_->FailFrom(CallCode::kPwrite, 100, ENOSPC);
  ApplyDone done = CopyAll();
  EXPECT_EQ(done.counters.actions_done, 500u);
  EXPECT_EQ(done.counters.files_published + destination_->problems.size(), 500u);
  ASSERT_GE(destination_->problems.size(), 400u);
  EXPECT_EQ(destination_->problems[0].kind, ProblemKind::kNoSpace);
  // The file system says that it has room, so a few files are tried after the first refusal, and some twice.
  EXPECT_LE(plan_->injected(), 250u);
  plan_->Clear();
  static_cast<void>(destination_->End());
  EXPECT_TRUE(ReadDestinationNames().size() == done.counters.files_published);
}

TEST_F(SessionApplyTest, WhatMayNotGetItsOwnerIsThereAllTheSameAndAProblem) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  WriteFile(dir_ / "src/f", "contents");
  ASSERT_EQ(::symlink("f", (dir_ / "src/l").c_str()), 0);
  for (const char* name : {"src/f", "src/l"}) ASSERT_EQ(::lchown((dir_ / name).c_str(), 1234, 0), 0);
  OpenBoth();
  OpenSession open = DestinationAtDst();
  open.selection.explicit_owner = true;
  OpenDestination(std::move(open));
  Action link = PutTop("l");
  link.kind = ActionKind::kPutSymlink;
  const Action file = PutTop("f");
  plan_->FailFrom(CallCode::kFchownat, 1, EPERM);
  Submit(Phase::kCreate, {file, link});
  Finish();
  plan_->Clear();
  ASSERT_EQ(destination_->problems.size(), 2u);
  for (const Problem& problem : destination_->problems) EXPECT_EQ(problem.operation, "fchownat");
  EXPECT_EQ(ReadFile(dir_ / "dst/f"), "contents");
  EXPECT_EQ(Stat("dst/f").st_mtim.tv_nsec, Stat("src/f").st_mtim.tv_nsec);
  EXPECT_TRUE(Exists("dst/l"));
  EXPECT_TRUE(destination_->problems[0].error == EPERM);
}

TEST_F(SessionApplyTest, EndOfTheStreamStopsTheWorkAndReleasesTheLock) {
  WriteFile(dir_ / "src/big", std::string(200 << 20, 'x'));
  OpenBoth();
  Entry wanted = ReadManifest(source_.get())[0].entries[0];
  Submit(Phase::kCreate, {Add(ActionKind::kPutFile, "big", wanted)});
  static_cast<void>(destination_->End());
  EXPECT_TRUE(ReadDestinationNames().empty() || Exists("dst/big"));
  TestSession again(agent_.get());
  ASSERT_OK(again.Handshake());
  again.Send(OpenFor(Role::kDestination, 3, "dst"));
  EXPECT_TRUE(again.Expect<SessionOpened>().exists);
}

TEST_F(SessionApplyTest, DirectoriesAreRemovedAfterWhatIsInThemAndStayWhereSomethingIsLeft) {
  constexpr int kDirectories = 6;
  constexpr int kFiles = 5;
  for (int d = 0; d < kDirectories; ++d) {
    for (int f = 0; f < kFiles; ++f)
      WriteFile(dir_ / ("dst/d" + std::to_string(d) + "/sub/f" + std::to_string(f)), "x");
  }
  WriteFile(dir_ / "dst/d3/sub/unplanned", "x");
  OpenBoth(Durability::kNone);
  // Many small batches, that a directory waits in another batch than its files.
  for (int d = 0; d < kDirectories; ++d) {
    const std::string directory = "d" + std::to_string(d);
    for (int f = 0; f < kFiles; ++f) {
      const std::string name = "f" + std::to_string(f);
      Submit(Phase::kDelete,
             {Add(ActionKind::kDelete, directory + "/sub/" + name, DestinationEntry(directory + "/sub", name))});
    }
    Submit(Phase::kDelete, {Add(ActionKind::kDelete, directory + "/sub", DestinationEntry(directory, "sub")),
                            Add(ActionKind::kDelete, directory, DestinationEntry("", directory))});
  }
  EXPECT_EQ(Finish().counters.actions_done, uint64_t{kDirectories * (kFiles + 2)});
  EXPECT_THAT(ReadDestinationNames(), testing::ElementsAre("d3"));
  EXPECT_TRUE(Exists("dst/d3/sub/unplanned"));
  ASSERT_EQ(destination_->problems.size(), 2u);  // d3/sub, and d3 itself
  EXPECT_EQ(destination_->problems[0].error, ENOTEMPTY);
  EXPECT_EQ(destination_->problems[0].path.text(), "d3/sub");
  EXPECT_EQ(destination_->problems[1].path.text(), "d3");
}

TEST_F(SessionApplyTest, RemovedDirectoriesAreNotSynced) {
  for (int d = 0; d < 20; ++d) WriteFile(dir_ / ("dst/top/d" + std::to_string(d) + "/x"), "x");
  OpenBoth();
  if (opened_.file_system == "tmpfs") GTEST_SKIP() << "tmpfs is never synced";
  std::vector<Action> actions;
  for (int d = 0; d < 20; ++d) {
    const std::string name = "d" + std::to_string(d);
    actions.push_back(Add(ActionKind::kDelete, "top/" + name + "/x", DestinationEntry("top/" + name, "x")));
    actions.push_back(Add(ActionKind::kDelete, "top/" + name, DestinationEntry("top", name)));
  }
  actions.push_back(Add(ActionKind::kDelete, "top", DestinationEntry("", "top")));
  auto syncs = std::make_shared<std::atomic<int>>(0);
  plan_->FilterOps([syncs](const Op& op) {
    if (op.code == OpCode::kFsync) syncs->fetch_add(1);
    return 0;
  });
  Submit(Phase::kDelete, std::move(actions));
  Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_TRUE(ReadDestinationNames().empty());
  EXPECT_EQ(syncs->load(), 1);  // of the root
}

}  // namespace
}  // namespace uringsync

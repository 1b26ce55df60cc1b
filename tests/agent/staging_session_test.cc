// Destination sessions that append, put files together elsewhere, let them wait for each other, or allocate them first.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/agent/session_copy_fixture.h"

namespace uringsync {
namespace {

class StagingSessionTest : public SessionTest {
 protected:
  void OpenWith(StagingSettings staging) {
    OpenBoth();
    OpenSession open = DestinationAtDst();
    open.in_place = staging.append != AppendMode::kNone;
    open.staging = std::move(staging);
    OpenDestination(std::move(open));
  }
  static std::string Pattern(size_t bytes) {
    std::string text(bytes, 0);
    for (size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 4096) % 23);
    return text;
  }
  StagingSettings Appending(AppendMode mode) { return {.append = mode}; }
  StagingSettings Delaying() {
    return {.keep_partial = true, .partial_directory = *RelPath::Parse(".wait"), .delay_updates = true};
  }
};

TEST_F(StagingSessionTest, OnlyWhatIsBehindTheEndIsFetched) {
  const std::string large = Pattern((5 << 20) + 17);
  WriteFile(dir_ / "src/large", large, 0640);
  WriteFile(dir_ / "src/small", "0123456789");
  WriteFile(dir_ / "dst/large", large.substr(0, (2 << 20) + 5));
  WriteFile(dir_ / "dst/small", "0123");
  const ino_t inode = Stat("dst/large").st_ino;
  OpenWith(Appending(AppendMode::kTrust));
  Submit(Phase::kCreate, {PutTop("large"), PutTop("small")});
  const ApplyDone done = Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(done.counters.bytes_received, (3u << 20) + 12 + 6);
  EXPECT_EQ(ReadFile(dir_ / "dst/large"), large);
  EXPECT_EQ(ReadFile(dir_ / "dst/small"), "0123456789");
  EXPECT_EQ(Stat("dst/large").st_ino, inode);
  EXPECT_EQ(Stat("dst/large").st_mode & 07777, 0640u);
  EXPECT_EQ(Stat("dst/large").st_mtim.tv_sec, Stat("src/large").st_mtim.tv_sec);
}

TEST_F(StagingSessionTest, WhatIsThereIsTrustedUnlessItIsToBeVerified) {
  const std::string wanted = Pattern((3 << 20) + 100);
  std::string wrong = wanted.substr(0, (2 << 20) + 50);
  wrong[70000] = '!';
  WriteFile(dir_ / "src/trusted", wanted);
  WriteFile(dir_ / "dst/trusted", wrong);
  OpenWith(Appending(AppendMode::kTrust));
  Submit(Phase::kCreate, {PutTop("trusted")});
  Finish();
  EXPECT_EQ(ReadFile(dir_ / "dst/trusted"), wrong + wanted.substr(wrong.size()));
}

TEST_F(StagingSessionTest, VerifyingMendsWhatIsWrongInPlaceAndFetchesNoMore) {
  const std::string wanted = Pattern((3 << 20) + 100);
  std::string wrong = wanted.substr(0, (2 << 20) + 50);
  wrong[70000] = '!';
  WriteFile(dir_ / "src/large", wanted);
  WriteFile(dir_ / "dst/large", wrong);
  WriteFile(dir_ / "src/small", "0123456789");
  WriteFile(dir_ / "dst/small", "01x3");
  const ino_t inode = Stat("dst/large").st_ino;
  OpenWith(Appending(AppendMode::kVerify));
  Submit(Phase::kCreate, {PutTop("large"), PutTop("small")});
  const ApplyDone done = Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(ReadFile(dir_ / "dst/large"), wanted);
  EXPECT_EQ(ReadFile(dir_ / "dst/small"), "0123456789");
  EXPECT_EQ(Stat("dst/large").st_ino, inode);
  EXPECT_LT(done.counters.bytes_received, 2u << 20);
}

TEST_F(StagingSessionTest, AnAppendThatFailsLeavesTheBeginning) {
  WriteFile(dir_ / "src/f", Pattern(4 << 20));
  WriteFile(dir_ / "dst/f", "begin");
  OpenWith(Appending(AppendMode::kTrust));
  const Action put = PutTop("f");
  ASSERT_EQ(::unlink((dir_ / "src/f").c_str()), 0);
  Submit(Phase::kCreate, {put});
  Finish();
  ASSERT_EQ(destination_->problems.size(), 1u);
  EXPECT_EQ(ReadFile(dir_ / "dst/f"), "begin");
}

TEST_F(StagingSessionTest, FilesArePutTogetherInTheDirectoryForThat) {
  MakeDirectories(dir_ / "staging");
  MakeDirectories(dir_ / "dst");
  const std::string large = Pattern(3 << 20);
  WriteFile(dir_ / "src/new", large, 0640);
  WriteFile(dir_ / "src/changed", "changed");
  WriteFile(dir_ / "dst/changed", "as it was");
  OpenWith({.temporaries = TreePlace{"data", *RelPath::Parse("staging")}});
  Submit(Phase::kCreate, {PutTop("new"), PutTop("changed")});
  Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(ReadFile(dir_ / "dst/new"), large);
  EXPECT_EQ(Stat("dst/new").st_mode & 07777, 0640u);
  EXPECT_EQ(ReadFile(dir_ / "dst/changed"), "changed");
  EXPECT_EQ(::rmdir((dir_ / "staging").c_str()), 0) << "something is left in it";
}

TEST_F(StagingSessionTest, AMissingDirectoryForTemporariesIsRefused) {
  OpenBoth();
  TestSession session(agent_.get());
  ASSERT_OK(session.Handshake());
  OpenSession open = OpenFor(Role::kDestination, 3, "src");
  open.staging.temporaries = TreePlace{"data", *RelPath::Parse("nowhere")};
  session.Send(open);
  const SessionError error = session.Expect<SessionError>();
  EXPECT_EQ(error.kind, ErrorKind::kUsage);
  EXPECT_NE(error.message.find("The temp-dir does not exist: nowhere"), std::string::npos) << error.message;
}

TEST_F(StagingSessionTest, WholeFilesWaitForTheirNamesUntilTheirPhaseEnds) {
  WriteFile(dir_ / "src/a", "new a");
  WriteFile(dir_ / "src/b", "new b");
  WriteFile(dir_ / "dst/a", "old a");
  OpenWith(Delaying());
  Submit(Phase::kCreate, {PutTop("a")});
  destination_->ExpectCompleted(last_sequence_);
  EXPECT_EQ(ReadFile(dir_ / "dst/a"), "old a");
  EXPECT_EQ(ReadFile(dir_ / "dst/.wait/a"), "new a");
  EXPECT_EQ(Stat("dst/.wait").st_mode & 07777, 0700u);
  Submit(Phase::kCreate, {PutTop("b")});
  Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(ReadFile(dir_ / "dst/a"), "new a");
  EXPECT_EQ(ReadFile(dir_ / "dst/b"), "new b");
  EXPECT_FALSE(Exists("dst/.wait"));
}

TEST_F(StagingSessionTest, WhatChangedWhileAFileWaitedStays) {
  WriteFile(dir_ / "src/a", "new a");
  WriteFile(dir_ / "dst/a", "old a");
  OpenWith(Delaying());
  Submit(Phase::kCreate, {PutTop("a")});
  destination_->ExpectCompleted(last_sequence_);
  WriteFile(dir_ / "dst/a", "somebody else's");
  Finish();
  ASSERT_EQ(destination_->problems.size(), 1u);
  EXPECT_EQ(destination_->problems[0].kind, ProblemKind::kConflict);
  EXPECT_EQ(ReadFile(dir_ / "dst/a"), "somebody else's");
}

TEST_F(StagingSessionTest, ASessionThatEndsBeforeLeavesFilesWaiting) {
  WriteFile(dir_ / "src/a", "new a");
  WriteFile(dir_ / "dst/a", "old a");
  OpenWith(Delaying());
  Submit(Phase::kCreate, {PutTop("a")});
  destination_->ExpectCompleted(last_sequence_);
  destination_.reset();
  source_.reset();
  EXPECT_EQ(ReadFile(dir_ / "dst/a"), "old a");
  EXPECT_EQ(ReadFile(dir_ / "dst/.wait/a"), "new a");
}

TEST_F(StagingSessionTest, RoomIsMadeForAFileBeforeItIsWritten) {
  WriteFile(dir_ / "src/f", "x");
  ASSERT_EQ(::truncate((dir_ / "src/f").c_str(), 3 << 20), 0);
  OpenWith({.preallocate = true});
  Submit(Phase::kCreate, {PutTop("f")});
  Finish();
  EXPECT_EQ(Stat("dst/f").st_size, 3 << 20);
  EXPECT_GE(Stat("dst/f").st_blocks * 512, 3 << 20);
}

}  // namespace
}  // namespace uringsync

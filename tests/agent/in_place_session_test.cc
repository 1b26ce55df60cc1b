// A destination session that writes over the files that are there.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/agent/session_copy_fixture.h"

namespace uringsync {
namespace {

class InPlaceSessionTest : public SessionTest {
 protected:
  void OpenInPlace() {
    OpenBoth();
    OpenSession open = DestinationAtDst();
    open.in_place = true;
    OpenDestination(std::move(open));
  }
  // Writes a file of the source, which grows with every read, over an old one.
  void OpenOverMoving(bool copy) {
    WriteFile(dir_ / "src/f", "new");
    WriteFile(dir_ / "dst/f", "old");
    OpenBoth();
    OpenSession open = DestinationAtDst();
    open.in_place = true;
    open.copy_unstable = copy;
    OpenDestination(std::move(open));
    const Action put = PutTop("f");
    plan_->FilterOps([path = dir_ / "src/f"](const Op& op) {
      if (op.code == OpCode::kRead) WriteFile(path, ReadFile(path) + "+");
      return 0;
    });
    Submit(Phase::kCreate, {put});
    Finish();
    plan_->Clear();
  }
};

TEST_F(InPlaceSessionTest, TheOldFileGetsTheNewContentsSizeAndMetadata) {
  const std::string large(3 << 20, 'n');
  WriteFile(dir_ / "src/grows", large, 0640);
  WriteFile(dir_ / "src/shrinks", "short");
  WriteFile(dir_ / "src/new", "new");
  WriteFile(dir_ / "dst/grows", "old");
  WriteFile(dir_ / "dst/shrinks", std::string(2 << 20, 'o'));
  ASSERT_EQ(::link((dir_ / "dst/shrinks").c_str(), (dir_ / "dst/other-name").c_str()), 0);
  const ino_t grows = Stat("dst/grows").st_ino;
  const ino_t shrinks = Stat("dst/shrinks").st_ino;
  OpenInPlace();
  Submit(Phase::kCreate, {PutTop("grows"), PutTop("new"), PutTop("shrinks")});
  const ApplyDone done = Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(done.counters.bytes_received, large.size() + 8);
  EXPECT_EQ(done.counters.files_published, 3u);
  EXPECT_EQ(Stat("dst/grows").st_ino, grows);
  EXPECT_EQ(Stat("dst/shrinks").st_ino, shrinks);
  EXPECT_EQ(ReadFile(dir_ / "dst/grows"), large);
  EXPECT_EQ(ReadFile(dir_ / "dst/shrinks"), "short");
  EXPECT_EQ(ReadFile(dir_ / "dst/other-name"), "short");
  EXPECT_EQ(ReadFile(dir_ / "dst/new"), "new");
  EXPECT_EQ(Stat("dst/grows").st_mode & 07777, 0640u);
  EXPECT_EQ(Stat("dst/grows").st_mtim.tv_sec, Stat("src/grows").st_mtim.tv_sec);
  EXPECT_EQ(Stat("dst/grows").st_mtim.tv_nsec, Stat("src/grows").st_mtim.tv_nsec);
}

TEST_F(InPlaceSessionTest, ATimeOfTheSameSecondIsSetAllTheSame) {
  WriteFile(dir_ / "src/f", "new contents");
  WriteFile(dir_ / "dst/f", "old");
  timespec now{};
  ASSERT_EQ(::clock_gettime(CLOCK_REALTIME, &now), 0);
  // Near the time of the writing, within the window in which an unchanged file is left alone.
  const timespec near[2] = {{.tv_sec = now.tv_sec, .tv_nsec = 123456789}, {.tv_sec = now.tv_sec, .tv_nsec = 123456789}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir_ / "src/f").c_str(), near, 0), 0);
  OpenBoth();
  OpenSession open = DestinationAtDst();
  open.in_place = true;
  open.selection.modify_window_s = 2;
  OpenDestination(std::move(open));
  Submit(Phase::kCreate, {PutTop("f")});
  Finish();
  EXPECT_EQ(Stat("dst/f").st_mtim.tv_nsec, 123456789);
}

TEST_F(InPlaceSessionTest, OfContentsForNamesOfOneInodeTheLastOnesWinWhole) {
  WriteFile(dir_ / "dst/f0", std::string(2 << 20, 'o'));
  std::vector<std::string> names;
  for (int i = 0; i < 6; ++i) {
    names.push_back("f" + std::to_string(i));
    const size_t bytes = (size_t{3} << 20) - static_cast<size_t>(i) * 1000;
    WriteFile(dir_ / ("src/" + names.back()), std::string(bytes, static_cast<char>('A' + i)));
    if (i > 0) ASSERT_EQ(::link((dir_ / "dst/f0").c_str(), (dir_ / ("dst/" + names.back())).c_str()), 0);
  }
  OpenInPlace();
  std::vector<Action> actions;
  for (const std::string& name : names) actions.push_back(PutTop(name));
  Submit(Phase::kCreate, actions);
  Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_TRUE(ReadFile(dir_ / "dst/f0") == ReadFile(dir_ / "src/f5"));
  EXPECT_EQ(Stat("dst/f0").st_mtim.tv_nsec, Stat("src/f5").st_mtim.tv_nsec);
  EXPECT_EQ(Stat("dst/f0").st_nlink, 6u);
}

TEST_F(InPlaceSessionTest, WhatAnotherNameMadeOfAnInodeIsNoConflict) {
  WriteFile(dir_ / "dst/f", "old");
  for (const char* name : {"gone", "same"})
    ASSERT_EQ(::link((dir_ / "dst/f").c_str(), (dir_ / (std::string("dst/") + name)).c_str()), 0);
  WriteFile(dir_ / "src/f", "new contents");
  WriteFile(dir_ / "src/same", "new contents", 0600);
  OpenInPlace();
  const Action put = PutTop("f");
  Action attributes = PutTop("same");
  attributes.kind = ActionKind::kSetMetadata;
  const Action gone = Add(ActionKind::kDelete, "gone", DestinationEntry("", "gone"));
  Submit(Phase::kCreate, {put, attributes});
  Submit(Phase::kDelete, {gone});
  Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(ReadFile(dir_ / "dst/same"), "new contents");
  EXPECT_FALSE(Exists("dst/gone"));
}

TEST_F(InPlaceSessionTest, AHoleIsWrittenOverWhatWasThere) {
  WriteFile(dir_ / "src/f", "head");
  ASSERT_EQ(::truncate((dir_ / "src/f").c_str(), 3 << 20), 0);
  WriteFile(dir_ / "dst/f", std::string(4 << 20, 'o'));
  OpenInPlace();
  Submit(Phase::kCreate, {PutTop("f")});
  Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(ReadFile(dir_ / "dst/f"), "head" + std::string((3 << 20) - 4, '\0'));
}

TEST_F(InPlaceSessionTest, AFileThatIsNotThePlannedOneIsNotTouched) {
  WriteFile(dir_ / "src/f", "new");
  WriteFile(dir_ / "dst/f", "old");
  OpenInPlace();
  const Action put = PutTop("f");
  WriteFile(dir_ / "dst/f", "changed meanwhile");
  Submit(Phase::kCreate, {put});
  Finish();
  ASSERT_EQ(destination_->problems.size(), 1u);
  EXPECT_EQ(destination_->problems[0].kind, ProblemKind::kConflict);
  EXPECT_EQ(ReadFile(dir_ / "dst/f"), "changed meanwhile");
}

TEST_F(InPlaceSessionTest, ASourceThatIsGoneLeavesTheNameWithoutTheNewTime) {
  WriteFile(dir_ / "src/f", "new");
  WriteFile(dir_ / "dst/f", "old");
  OpenInPlace();
  const Action put = PutTop("f");
  ASSERT_EQ(::unlink((dir_ / "src/f").c_str()), 0);
  Submit(Phase::kCreate, {put});
  Finish();
  ASSERT_EQ(destination_->problems.size(), 1u);
  EXPECT_EQ(destination_->problems[0].kind, ProblemKind::kVanished);
  EXPECT_TRUE(Exists("dst/f"));
}

TEST_F(InPlaceSessionTest, WhatKeepsChangingIsAProblemUnlessItIsToBeCopied) {
  OpenOverMoving(/*copy=*/false);
  ASSERT_EQ(destination_->problems.size(), 1u);
  EXPECT_EQ(destination_->problems[0].kind, ProblemKind::kChanged);
}

TEST_F(InPlaceSessionTest, WhatKeepsChangingIsWrittenOverTheOldFileAndTold) {
  OpenOverMoving(/*copy=*/true);
  ASSERT_EQ(destination_->problems.size(), 1u);
  EXPECT_EQ(destination_->problems[0].kind, ProblemKind::kUnstable);
  EXPECT_EQ(destination_->problems[0].side, Side::kSource);
  EXPECT_TRUE(ReadFile(dir_ / "dst/f").starts_with("new+"));
}

}  // namespace
}  // namespace uringsync

// A destination session whose files may lie there under other names (Action::origin).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <map>

#include "tests/agent/session_copy_fixture.h"

namespace uringsync {
namespace {

using Fate = ActionOrigin::Fate;

class OriginSessionTest : public SessionTest {
 protected:
  // src/new and dst/old, with equal times and modes.
  void MakePair(const std::string& now, const std::string& before) {
    WriteFile(dir_ / "src/new", now);
    WriteFile(dir_ / "dst/old", before);
    SetTime("src/new", 1'000'000'000);
    SetTime("dst/old", 1'000'000'000);
  }
  void SetTime(const std::string& name, time_t seconds) {
    const timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (dir_ / name).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  }
  void Open() {
    OpenBoth();
    for (const DirectoryBatch& batch : ReadManifest(source_.get()))
      for (const Entry& entry : batch.entries) source_entries_[entry.name] = entry;
    before_ = Stat("dst/old");
  }
  Action PutNew(Fate fate = Fate::kGoes) {
    Action action = Add(ActionKind::kPutFile, "new", source_entries_["new"]);
    action.origin = ActionOrigin{*RelPath::Parse("old"), DestinationEntry("", "old"), fate};
    return action;
  }
  Action DeleteOld() { return Add(ActionKind::kDelete, "old", DestinationEntry("", "old")); }
  struct stat Stat(const std::string& name) {
    struct stat found{};
    EXPECT_EQ(::lstat((dir_ / name).c_str(), &found), 0) << name;
    return found;
  }
  std::map<std::string, Entry> source_entries_;
  struct stat before_{};
};

TEST_F(OriginSessionTest, AFileWithTheSameContentsIsRenamedAndNothingIsWritten) {
  const std::string large(20 << 20, 'L');
  MakePair(large, large);
  ASSERT_EQ(::chmod((dir_ / "src/new").c_str(), 0610), 0);
  Open();
  const Action removal = DeleteOld();
  Submit(Phase::kCreate, {PutNew()});
  Submit(Phase::kDelete, {removal});
  const ApplyDone done = Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(ReadDestinationNames(), std::vector<std::string>{"new"});
  EXPECT_EQ(Stat("dst/new").st_ino, before_.st_ino);
  EXPECT_EQ(Stat("dst/new").st_nlink, 1u);
  EXPECT_EQ(Stat("dst/new").st_mode & 07777, 0610u);
  EXPECT_EQ(done.counters.files_renamed, 1u);
  EXPECT_EQ(done.counters.bytes_written, 0u);
  EXPECT_EQ(done.counters.bytes_received + done.counters.bytes_cloned, 0u);
  EXPECT_EQ(done.counters.bytes_matched, large.size());
}

TEST_F(OriginSessionTest, OtherContentsOfTheSameLengthAndTimeAreSent) {
  MakePair("these contents", "other contents");
  Open();
  Submit(Phase::kCreate, {PutNew()});
  const ApplyDone done = Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(ReadFile(dir_ / "dst/new"), "these contents");
  EXPECT_EQ(ReadFile(dir_ / "dst/old"), "other contents");
  EXPECT_NE(Stat("dst/new").st_ino, before_.st_ino);
  EXPECT_EQ(done.counters.files_renamed, 0u);
}

TEST_F(OriginSessionTest, HolesAndZerosAreTheSameContents) {
  MakePair("", std::string(3 << 20, '\0'));
  ASSERT_EQ(::truncate((dir_ / "src/new").c_str(), 3 << 20), 0);
  SetTime("src/new", 1'000'000'000);
  Open();
  Submit(Phase::kCreate, {PutNew()});
  EXPECT_EQ(Finish().counters.files_renamed, 1u);
  EXPECT_EQ(Stat("dst/new").st_ino, before_.st_ino);
}

TEST_F(OriginSessionTest, AnOriginThatChangedOrIsGoneIsNotUsed) {
  MakePair("contents", "contents");
  Open();
  Action changed = PutNew();
  WriteFile(dir_ / "dst/old", "Contents");
  Submit(Phase::kCreate, {changed});
  EXPECT_EQ(Finish().counters.files_renamed, 0u);
  EXPECT_EQ(ReadFile(dir_ / "dst/new"), "contents");
  EXPECT_EQ(ReadFile(dir_ / "dst/old"), "Contents");
}

TEST_F(OriginSessionTest, AFileWithFurtherLinksStaysWhatItIs) {
  MakePair("contents", "contents");
  ASSERT_EQ(::link((dir_ / "dst/old").c_str(), (dir_ / "dst/other").c_str()), 0);
  Open();
  Submit(Phase::kCreate, {PutNew()});
  EXPECT_EQ(Finish().counters.files_renamed, 0u);
  EXPECT_EQ(Stat("dst/new").st_nlink, 1u);
  EXPECT_EQ(Stat("dst/other").st_nlink, 2u);
  EXPECT_EQ(ReadFile(dir_ / "dst/new"), "contents");
}

TEST_F(OriginSessionTest, WhatStaysGivesNoObjectAway) {
  MakePair("contents", "contents");
  Open();
  Submit(Phase::kCreate, {PutNew(Fate::kStays)});
  EXPECT_EQ(Finish().counters.files_renamed, 0u);
  EXPECT_NE(Stat("dst/new").st_ino, before_.st_ino);
  EXPECT_EQ(Stat("dst/old").st_nlink, 1u);
  EXPECT_EQ(ReadFile(dir_ / "dst/new"), "contents");
}

TEST_F(OriginSessionTest, AnAttributeThatTheSessionDoesNotKeepIsNotTakenAlong) {
  MakePair("contents", "contents");
  if (::setxattr((dir_ / "dst/old").c_str(), "user.note", "x", 1, 0) != 0) GTEST_SKIP() << "no user attributes here";
  Open();
  Action put = PutNew();
  // The session keeps attributes: what the source's file lacks is removed.
  Submit(Phase::kCreate, {put});
  EXPECT_EQ(Finish().counters.files_renamed, 1u);
  EXPECT_LT(::getxattr((dir_ / "dst/new").c_str(), "user.note", nullptr, 0), 0);
}

TEST_F(OriginSessionTest, ARefusedLinkIsNoFailure) {
  MakePair("contents", "contents");
  Open();
  plan_->Fail(CallCode::kLinkat, 1, EPERM);
  Submit(Phase::kCreate, {PutNew()});
  const ApplyDone done = Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(plan_->injected(), 1u);
  EXPECT_EQ(ReadFile(dir_ / "dst/new"), "contents");
  EXPECT_EQ(done.counters.files_renamed, 0u);
}

}  // namespace
}  // namespace uringsync

// Destination sessions that find what sessions before them left unfinished.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/resume_journal.h"
#include "tests/agent/session_copy_fixture.h"
#include "tests/engine/fs/fs_test_support.h"

namespace uringsync {
namespace {

using testing::IsEmpty;

constexpr size_t kMib = 1 << 20;
constexpr uint64_t kDeadTag = 0xdead;

class ResumeSessionTest : public SessionTest {
 protected:
  ResumeSessionTest() : wanted_(Pattern(6 * kMib + 17)) { WriteFile(dir_ / "src/large", wanted_, 0640); }

  static std::string Pattern(size_t bytes) {
    std::string text(bytes, 0);
    uint64_t state = 1;
    for (char& c : text) c = static_cast<char>((state = state * 6364136223846793005u + 1) >> 56);
    return text;
  }
  // What a session that died leaves of src/`name`: `part` of it, below dst.
  std::string Leave(const std::string& name, std::string_view part, bool whole = false) {
    const std::unique_ptr<Driver> driver = MakeTestDriver();
    ResumeJournal dead(MustOpenRoot(driver.get(), dir_ / "dst"), kDeadTag, ResumeJournal::Options{});
    dead.TakeOver(driver.get(), /*keep=*/true);
    const struct stat source = Stat("src/" + name);
    ResumeEntry entry;
    entry.path = *RelPath::Parse(name);
    entry.temporary = StateNamer(kDeadTag, ++last_serial_).Next();
    const std::string parent = entry.path.Parent().text();
    const std::string left = "dst/" + (parent.empty() ? "" : parent + "/") + entry.temporary;
    WriteFile(dir_ / left, part, 0600);
    const struct stat found = Stat(left);
    entry.object = {found.st_dev, found.st_ino};
    entry.size_bytes = static_cast<uint64_t>(source.st_size);
    entry.mtime = {source.st_mtim.tv_sec, static_cast<uint32_t>(source.st_mtim.tv_nsec)};
    EXPECT_TRUE(dead.Note(driver.get(), entry));
    if (whole) dead.NoteWhole(driver.get(), entry.temporary);
    return left;
  }
  void OpenToResume(bool resume = true) {
    OpenBoth();
    ReopenToResume(resume);
  }
  void ReopenToResume(bool resume = true) {
    destination_.reset();
    OpenSession open = DestinationAtDst();
    open.resume = resume;
    OpenDestination(std::move(open));
  }

  const std::string wanted_;
  uint64_t last_serial_ = 0;
};

TEST_F(ResumeSessionTest, WhatIsThereIsNotSentAgain) {
  StartAgent();
  OpenBoth();
  destination_.reset();
  const std::string left = Leave("large", std::string_view(wanted_).substr(0, 4 * kMib + 100));
  const ino_t inode = Stat(left).st_ino;
  ReopenToResume();
  Submit(Phase::kCreate, {PutTop("large")});
  const ApplyDone done = Finish();
  EXPECT_THAT(destination_->problems, IsEmpty());
  EXPECT_EQ(ReadFile(dir_ / "dst/large"), wanted_);
  EXPECT_EQ(Stat("dst/large").st_ino, inode);
  EXPECT_EQ(Stat("dst/large").st_mode & 07777, 0640u);
  EXPECT_EQ(Stat("dst/large").st_mtim.tv_sec, Stat("src/large").st_mtim.tv_sec);
  EXPECT_GE(done.counters.bytes_matched, 4 * kMib);
  EXPECT_EQ(done.counters.bytes_matched + done.counters.bytes_received, wanted_.size());
  EXPECT_EQ(ReadDestinationNames().size(), 1u);
}

TEST_F(ResumeSessionTest, WhatIsWrongInItIsMade) {
  std::string part = wanted_.substr(0, 5 * kMib);
  part.replace(kMib, kMib, kMib, '\0');
  part[3 * kMib + 77] ^= 1;
  OpenBoth();
  destination_.reset();
  Leave("large", part);
  ReopenToResume();
  Submit(Phase::kCreate, {PutTop("large")});
  const ApplyDone done = Finish();
  EXPECT_THAT(destination_->problems, IsEmpty());
  EXPECT_EQ(ReadFile(dir_ / "dst/large"), wanted_);
  EXPECT_GE(done.counters.bytes_matched, 3 * kMib);
}

TEST_F(ResumeSessionTest, AllOfItMayBeThere) {
  OpenBoth();
  destination_.reset();
  Leave("large", wanted_);
  ReopenToResume();
  Submit(Phase::kCreate, {PutTop("large")});
  const ApplyDone done = Finish();
  EXPECT_EQ(ReadFile(dir_ / "dst/large"), wanted_);
  EXPECT_EQ(done.counters.bytes_matched, wanted_.size());
}

TEST_F(ResumeSessionTest, AttributesOfWhatHadGotSomeAreNotTakenOver) {
  OpenBoth();
  destination_.reset();
  const std::string left = Leave("large", wanted_, /*whole=*/true);
  const ino_t inode = Stat(left).st_ino;
  if (::setxattr((dir_ / left).c_str(), "user.stale", "x", 1, 0) != 0) GTEST_SKIP() << "no attributes here";
  ReopenToResume();
  Submit(Phase::kCreate, {PutTop("large")});
  const ApplyDone done = Finish();
  EXPECT_EQ(ReadFile(dir_ / "dst/large"), wanted_);
  EXPECT_NE(Stat("dst/large").st_ino, inode);
  EXPECT_LT(::getxattr((dir_ / "dst/large").c_str(), "user.stale", nullptr, 0), 0);
  EXPECT_EQ(done.counters.bytes_matched, wanted_.size());
  EXPECT_EQ(ReadDestinationNames().size(), 1u);
}

TEST_F(ResumeSessionTest, WithoutResumeEverythingIsSentAndNothingStays) {
  OpenBoth();
  destination_.reset();
  Leave("large", wanted_);
  ReopenToResume(/*resume=*/false);
  EXPECT_THAT(ReadDestinationNames(), IsEmpty());
  Submit(Phase::kCreate, {PutTop("large")});
  EXPECT_EQ(Finish().counters.bytes_received, wanted_.size());
}

TEST_F(ResumeSessionTest, ADryRunTouchesNothing) {
  OpenBoth();
  destination_.reset();
  const std::string left = Leave("large", wanted_);
  for (const bool resume : {false, true}) {
    OpenSession open = DestinationAtDst();
    open.resume = resume;
    open.dry_run = true;
    open.route = {};
    OpenDestination(std::move(open));
    destination_.reset();
  }
  EXPECT_TRUE(Exists(left));
  EXPECT_EQ(ReadDestinationNames().size(), 2u);
}

TEST_F(ResumeSessionTest, ADirectoryThatGoesTakesWhatIsLeftInItAlong) {
  MakeDirectories(dir_ / "src/d");
  MakeDirectories(dir_ / "dst/d");
  WriteFile(dir_ / "src/d/f", wanted_);
  OpenBoth();
  const Entry doomed = DestinationEntry("", "d");
  destination_.reset();
  Leave("d/f", wanted_);
  ReopenToResume();
  Action remove = Add(ActionKind::kDelete, "d", doomed);
  Submit(Phase::kDelete, {remove});
  Finish();
  EXPECT_THAT(destination_->problems, IsEmpty());
  EXPECT_THAT(ReadDestinationNames(), IsEmpty());
}

TEST_F(ResumeSessionTest, TheScanOfTheSessionsOwnTreeLeavesItsJournalAndRemovesOthersBelow) {
  MakeDirectories(dir_ / "dst/d");
  OpenBoth();
  destination_.reset();
  const std::string left = Leave("large", wanted_.substr(0, 2 * kMib));
  WriteFile(dir_ / ("dst/d/" + JournalName(0)), "of a run into d", 0600);
  ReopenToResume();
  ReadManifest(destination_.get());
  EXPECT_FALSE(Exists(left)) << "it has another name by now";
  EXPECT_FALSE(Exists("dst/d/" + JournalName(0)));
  EXPECT_EQ(ReadDestinationNames().size(), 3u);
  Submit(Phase::kCreate, {PutTop("large")});
  EXPECT_GE(Finish().counters.bytes_matched, 2 * kMib);
  EXPECT_EQ(ReadDestinationNames().size(), 2u);
}

TEST_F(ResumeSessionTest, TheTimeOfADirectoryIsRightAlthoughWhatWasLeftInItGoes) {
  MakeDirectories(dir_ / "src/d");
  MakeDirectories(dir_ / "dst/d");
  OpenBoth();
  destination_.reset();
  WriteFile(dir_ / "src/d/f", wanted_);
  Leave("d/f", wanted_);
  ASSERT_EQ(::unlink((dir_ / "src/d/f").c_str()), 0);
  const timespec times[2] = {{1000, 1}, {2000, 2}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir_ / "src/d").c_str(), times, 0), 0);
  ReopenToResume();
  Action set = Add(ActionKind::kSetMetadata, "d", ReadManifest(source_.get())[0].entries[0]);
  set.existing = DestinationEntry("", "d");
  Submit(Phase::kDirectoryMetadata, {set});
  Finish();
  EXPECT_THAT(destination_->problems, IsEmpty());
  EXPECT_EQ(Stat("dst/d").st_mtim.tv_sec, 2000);
  EXPECT_EQ(::rmdir((dir_ / "dst/d").c_str()), 0) << "something is left in it";
  EXPECT_EQ(ReadDestinationNames().size(), 0u);
}

TEST_F(ResumeSessionTest, ARunThatEndsWellLeavesNothing) {
  OpenToResume();
  Submit(Phase::kCreate, {PutTop("large")});
  Finish();
  EXPECT_EQ(ReadDestinationNames().size(), 1u);
}

}  // namespace
}  // namespace uringsync

#include "agent/resume_journal.h"

#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/fs/file.h"
#include "tests/engine/fs/fs_test_support.h"
#include "tests/support/fault_driver.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr uint64_t kDeadTag = 0xdead;
constexpr uint64_t kTag = 0xa11e;
constexpr FileTime kTime{1700000000, 5};
constexpr uint64_t kSize = 9 << 20;

class ResumeJournalTest : public testing::Test {
 protected:
  ResumeJournalTest() {
    MakeDirectories(dir_ / "d");
    absl::StatusOr<DirectoryPtr> root = OpenRoot(driver(), dir_.path());
    EXPECT_OK(root);
    root_ = *root;
  }
  Driver* driver() { return driver_.get(); }
  std::unique_ptr<ResumeJournal> Open(uint64_t tag, bool keep = true) {
    auto journal = std::make_unique<ResumeJournal>(root_, tag, ResumeJournal::Options{});
    journal->TakeOver(driver(), keep);
    return journal;
  }
  // A temporary of session `tag` for `path`, and what is to be said of it.
  ResumeEntry Temporary(const std::string& path, uint64_t serial, const std::string& text = "text",
                        uint64_t tag = kDeadTag) {
    ResumeEntry entry;
    entry.path = *RelPath::Parse(path);
    entry.temporary = StateNamer(tag, serial).Next();
    const std::string name = NameOf(entry);
    WriteFile(name, text);
    struct stat found{};
    EXPECT_EQ(::stat(name.c_str(), &found), 0);
    entry.object = {found.st_dev, found.st_ino};
    entry.size_bytes = kSize;
    entry.mtime = kTime;
    return entry;
  }
  std::string NameOf(const ResumeEntry& entry) {
    const std::string parent = entry.path.Parent().text();
    return dir_ / (parent.empty() ? entry.temporary : parent + "/" + entry.temporary);
  }
  // What a session that dies leaves.
  void Leave(const std::vector<ResumeEntry>& entries) {
    const std::unique_ptr<ResumeJournal> dead = Open(kDeadTag);
    for (const ResumeEntry& entry : entries) EXPECT_TRUE(dead->Note(driver(), entry));
  }
  std::optional<LeftTemporary> Take(ResumeJournal* journal, const std::string& path, uint64_t size = kSize) {
    Entry wanted;
    wanted.size_bytes = size;
    wanted.mtime = kTime;
    return journal->Take(driver(), *RelPath::Parse(path), wanted);
  }
  std::vector<std::string> Names(const std::string& directory = "") {
    std::vector<std::string> names;
    DIR* dir = ::opendir((dir_ / directory).c_str());
    while (dirent* item = ::readdir(dir)) {
      const std::string name = item->d_name;
      if (name != "." && name != ".." && name != "d") names.push_back(name);
    }
    ::closedir(dir);
    return names;
  }

  TempDir dir_;
  std::unique_ptr<Driver> driver_ = MakeTestDriver();
  DirectoryPtr root_;
};

TEST_F(ResumeJournalTest, ASessionThatWritesNothingDownLeavesNothing) {
  EXPECT_OK(Open(kTag)->Close(driver()));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(ResumeJournalTest, WhatADeadSessionLeftIsTakenOverUnderANameOfTheLivingOne) {
  const ResumeEntry entry = Temporary("d/file", 1, "twelve bytes");
  Leave({entry});
  const std::unique_ptr<ResumeJournal> journal = Open(kTag);
  EXPECT_THAT(Names("d"), ElementsAre(StateNamer(kTag, ResumeJournal::kFirstSerial).Next()));
  const std::optional<LeftTemporary> left = Take(journal.get(), "d/file");
  ASSERT_TRUE(left.has_value());
  EXPECT_FALSE(left->whole);
  EXPECT_EQ(left->data_bytes, 12u);
  EXPECT_TRUE(journal->Holds(left->name));
  EXPECT_FALSE(Take(journal.get(), "d/file").has_value());
  EXPECT_FALSE(Take(journal.get(), "file").has_value());
}

TEST_F(ResumeJournalTest, ATakenTemporaryIsFoundAgainByTheNextSession) {
  Leave({Temporary("d/file", 1)});
  for (uint64_t tag = kTag; tag < kTag + 3; ++tag) EXPECT_TRUE(Take(Open(tag).get(), "d/file").has_value()) << tag;
  EXPECT_EQ(Names().size(), 1u);
}

TEST_F(ResumeJournalTest, ASessionThatDiesAnywhereInTakingOverLosesNothing) {
  const std::string text(100000, 'x');
  Leave({Temporary("d/file", 1, text), Temporary("other", 2, text)});
  auto plan = std::make_shared<FaultPlan>();
  const std::unique_ptr<Driver> dying = plan->Wrap(MakeTestDriver());
  int last = 0;
  for (int dies_at = 1; last + 1 >= dies_at; ++dies_at) {
    plan->FilterCalls(
        [&, calls = 0](CallCode, const long(&)[6]) mutable { return (last = ++calls) < dies_at ? 0 : EIO; });
    ResumeJournal(root_, kTag + static_cast<uint64_t>(dies_at), ResumeJournal::Options{})
        .TakeOver(dying.get(), /*keep=*/true);
    const std::unique_ptr<ResumeJournal> next = Open(kTag + 1000 + static_cast<uint64_t>(dies_at));
    for (const char* path : {"d/file", "other"}) {
      const std::optional<LeftTemporary> left = Take(next.get(), path);
      ASSERT_TRUE(left.has_value()) << path << ", dead at call " << dies_at;
      EXPECT_EQ(left->data_bytes, text.size());
    }
  }
  EXPECT_GT(last, 30);
  EXPECT_EQ(Names("d").size(), 1u);
}

TEST_F(ResumeJournalTest, NumbersOfDevicesMayBeOthersAfterAReboot) {
  ResumeEntry entry = Temporary("d/file", 1);
  const uint64_t device = entry.object.device;
  entry.object.device = device + 1;
  const auto leave = [&](uint64_t journals) {
    const ResumeHeader header{.session_tag = kDeadTag, .device = journals};
    WriteFile(dir_ / JournalName(0), header.Text() + ResumeRecordText(header, entry), 0600);
  };
  leave(device + 1);
  EXPECT_TRUE(Take(Open(kTag).get(), "d/file").has_value());
  // What lay on another device than its journal has to lie on that.
  entry = Temporary("other", 1);
  entry.object.device = device + 1;
  leave(device);
  EXPECT_FALSE(Take(Open(kTag).get(), "other").has_value());
}

TEST_F(ResumeJournalTest, ALivingSessionsJournalIsNotTouched) {
  const std::unique_ptr<ResumeJournal> living = Open(kDeadTag);
  const ResumeEntry entry = Temporary("d/file", 1);
  EXPECT_TRUE(living->Note(driver(), entry));
  const std::unique_ptr<ResumeJournal> other = Open(kTag, /*keep=*/false);
  EXPECT_THAT(Names("d"), ElementsAre(entry.temporary));
  EXPECT_THAT(Names(), ElementsAre(JournalName(0)));
  const std::unique_ptr<ResumeJournal> third = Open(kTag + 1);
  EXPECT_FALSE(Take(third.get(), "d/file").has_value());
  EXPECT_TRUE(third->Note(driver(), Temporary("other", 1, "text", kTag + 1)));
  EXPECT_THAT(Names(), UnorderedElementsAre(JournalName(0), JournalName(1), StateNamer(kTag + 1).Next()));
}

TEST_F(ResumeJournalTest, StartingOverRemovesWhatDeadSessionsLeft) {
  Leave({Temporary("d/file", 1), Temporary("other", 2)});
  const std::unique_ptr<ResumeJournal> journal = Open(kTag, /*keep=*/false);
  EXPECT_THAT(Names("d"), IsEmpty());
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_FALSE(journal->Note(driver(), Temporary("d/file", 1)));
}

TEST_F(ResumeJournalTest, AStrangersFileInThePlaceOfATemporaryStays) {
  ResumeEntry replaced = Temporary("d/file", 1);
  WriteFile(dir_ / "mine", "mine");
  Leave({replaced});
  ASSERT_EQ(::rename((dir_ / "mine").c_str(), NameOf(replaced).c_str()), 0);
  EXPECT_FALSE(Take(Open(kTag).get(), "d/file").has_value());
  EXPECT_EQ(ReadFile(NameOf(replaced)), "mine");
  Leave({replaced});
  static_cast<void>(Open(kTag, /*keep=*/false));
  EXPECT_EQ(ReadFile(NameOf(replaced)), "mine");
}

TEST_F(ResumeJournalTest, ATemporaryWithASecondNameIsNotWrittenTo) {
  const ResumeEntry entry = Temporary("d/file", 1);
  Leave({entry});
  ASSERT_EQ(::link(NameOf(entry).c_str(), (dir_ / "second").c_str()), 0);
  EXPECT_FALSE(Take(Open(kTag).get(), "d/file").has_value());
}

TEST_F(ResumeJournalTest, AJournalThatOthersMayWriteIsNotBelieved) {
  const ResumeEntry entry = Temporary("d/file", 1);
  Leave({entry});
  ASSERT_EQ(::chmod((dir_ / JournalName(0)).c_str(), 0622), 0);
  EXPECT_FALSE(Take(Open(kTag).get(), "d/file").has_value());
  EXPECT_THAT(Names("d"), ElementsAre(entry.temporary));
}

TEST_F(ResumeJournalTest, LinksOnTheWayAreNotFollowed) {
  Leave({Temporary("d/file", 1)});
  ASSERT_EQ(::rename((dir_ / "d").c_str(), (dir_ / "moved").c_str()), 0);
  ASSERT_EQ(::symlink("moved", (dir_ / "d").c_str()), 0);
  EXPECT_FALSE(Take(Open(kTag).get(), "d/file").has_value());
  EXPECT_EQ(Names("moved").size(), 1u);
}

TEST_F(ResumeJournalTest, WhatWasForAnotherSourceFileIsRemoved) {
  Leave({Temporary("d/file", 1)});
  const std::unique_ptr<ResumeJournal> journal = Open(kTag);
  EXPECT_FALSE(Take(journal.get(), "d/file", kSize + 1).has_value());
  EXPECT_THAT(Names("d"), IsEmpty());
}

TEST_F(ResumeJournalTest, OfTwoForOneFileTheOneWithMoreStays) {
  Leave({Temporary("d/file", 1, std::string(100000, 'x')), Temporary("d/file", 2, std::string(900000, 'x'))});
  const std::unique_ptr<ResumeJournal> journal = Open(kTag);
  EXPECT_EQ(Names("d").size(), 1u);
  EXPECT_EQ(Take(journal.get(), "d/file")->data_bytes, 900000u);
}

TEST_F(ResumeJournalTest, WhatHadAllContentsIsOnlyRead) {
  {
    const std::unique_ptr<ResumeJournal> dead = Open(kDeadTag);
    ResumeEntry entry = Temporary("d/file", 1);
    entry.size_bytes = 4;
    EXPECT_TRUE(dead->Note(driver(), entry));
    dead->NoteWhole(driver(), entry.temporary);
  }
  const std::unique_ptr<ResumeJournal> journal = Open(kTag);
  const std::optional<LeftTemporary> left = Take(journal.get(), "d/file", 4);
  ASSERT_TRUE(left.has_value());
  EXPECT_TRUE(left->whole);
  EXPECT_EQ(::fcntl(left->fd.get(), F_GETFL) & O_ACCMODE, O_RDONLY);
  journal->Remove(driver(), *left);
  EXPECT_THAT(Names("d"), IsEmpty());
}

TEST_F(ResumeJournalTest, WhatNobodyAsksForIsRemovedAndTheJournalWithIt) {
  Leave({Temporary("d/file", 1), Temporary("other", 2)});
  const std::unique_ptr<ResumeJournal> journal = Open(kTag);
  EXPECT_EQ(journal->DropIn(driver(), *RelPath::Parse("d")), 1u);
  EXPECT_THAT(Names("d"), IsEmpty());
  EXPECT_EQ(journal->Drop(driver()), 1u);
  EXPECT_OK(journal->Close(driver()));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(ResumeJournalTest, WhatStaysUnfinishedKeepsItsJournal) {
  const std::unique_ptr<ResumeJournal> journal = Open(kTag);
  const ResumeEntry entry = Temporary("d/file", 1, "text", kTag);
  EXPECT_TRUE(journal->Note(driver(), entry));
  EXPECT_OK(journal->Close(driver()));
  EXPECT_THAT(Names(), ElementsAre(JournalName(0)));
  EXPECT_THAT(Names("d"), ElementsAre(entry.temporary));
}

TEST_F(ResumeJournalTest, TheDirectorysTimeIsWhatItWas) {
  const timespec times[2] = {{1000, 1}, {2000, 2}};
  ASSERT_EQ(::utimensat(AT_FDCWD, dir_.path().c_str(), times, 0), 0);
  const std::unique_ptr<ResumeJournal> journal = Open(kTag);
  const ResumeEntry entry = Temporary("d/file", 1, "text", kTag);
  EXPECT_TRUE(journal->Note(driver(), entry));
  journal->Forget(entry.temporary);
  EXPECT_OK(journal->Close(driver()));
  struct stat found{};
  ASSERT_EQ(::stat(dir_.path().c_str(), &found), 0);
  EXPECT_EQ(found.st_mtim.tv_sec, 2000);
  EXPECT_EQ(found.st_mtim.tv_nsec, 2);
}

TEST_F(ResumeJournalTest, AJournalStaysWithinItsBoundHoweverManyFilesThereAre) {
  const std::unique_ptr<ResumeJournal> journal = Open(kTag);
  const ResumeEntry lasting = Temporary("d/lasting", 1);
  EXPECT_TRUE(journal->Note(driver(), lasting));
  ResumeEntry passing = lasting;
  for (uint64_t serial = 2; serial < 10000; ++serial) {
    passing.temporary = StateNamer(kDeadTag, serial).Next();
    passing.path = *RelPath::Parse("d/" + std::string(200, 'x') + std::to_string(serial));
    EXPECT_TRUE(journal->Note(driver(), passing));
    journal->Forget(passing.temporary);
  }
  struct stat found{};
  ASSERT_EQ(::stat((dir_ / JournalName(0)).c_str(), &found), 0);
  EXPECT_LE(static_cast<size_t>(found.st_size), kMaxResumeJournalBytes);
  const std::optional<ResumeContents> read = DecodeResumeJournal(ReadFile(dir_ / JournalName(0)));
  ASSERT_TRUE(read.has_value());
  EXPECT_THAT(read->entries, testing::Contains(lasting));
  // The one that took its place is locked as well.
  static_cast<void>(Open(kTag + 1, /*keep=*/false));
  EXPECT_THAT(Names("d"), ElementsAre(lasting.temporary));
}

TEST_F(ResumeJournalTest, DamagedAndForeignJournalsAreRemovedAndNothingElse) {
  const ResumeEntry entry = Temporary("d/file", 1);
  WriteFile(dir_ / JournalName(0), "no journal", 0600);
  WriteFile(dir_ / JournalName(3), "", 0600);
  const std::unique_ptr<ResumeJournal> journal = Open(kTag);
  EXPECT_THAT(Names(), IsEmpty());
  EXPECT_THAT(Names("d"), ElementsAre(entry.temporary));
}

TEST_F(ResumeJournalTest, AnotherUsersJournalGoesOnceItDescribesNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const ResumeEntry entry = Temporary("d/file", 1);
  Leave({entry});
  ASSERT_EQ(::chown((dir_ / JournalName(0)).c_str(), 12345, 12345), 0);
  EXPECT_FALSE(Take(Open(kTag).get(), "d/file").has_value());
  EXPECT_THAT(Names(), ElementsAre(JournalName(0)));
  EXPECT_THAT(Names("d"), ElementsAre(entry.temporary));
  ASSERT_EQ(::unlink(NameOf(entry).c_str()), 0);
  EXPECT_OK(Open(kTag)->Close(driver()));
  EXPECT_THAT(Names(), IsEmpty());
}

}  // namespace
}  // namespace uringsync

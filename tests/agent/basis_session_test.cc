// A destination session that makes objects from those of a basis directory.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

#include "tests/agent/session_copy_fixture.h"

namespace uringsync {
namespace {

class BasisSessionTest : public SessionTest {
 protected:
  BasisSessionTest() { MakeDirectories(dir_ / "prev"); }

  void OpenWithBasis() {
    OpenBoth();
    OpenSession open = DestinationAtDst();
    open.basis_directories = {{"data", *RelPath::Parse("prev")}};
    OpenDestination(std::move(open));
    for (const DirectoryBatch& batch : ReadManifest(source_.get()))
      for (const Entry& entry : batch.entries) source_entries_[batch.directory.Child(entry.name).text()] = entry;
    TestSession reader(agent_.get());
    ASSERT_OK(reader.Handshake());
    reader.Send(OpenFor(Role::kSource, 78, "prev"));
    reader.Expect<SessionOpened>();
    for (const DirectoryBatch& batch : ReadManifest(&reader))
      for (const Entry& entry : batch.entries) basis_entries_[batch.directory.Child(entry.name).text()] = entry;
  }
  Action FromBasis(ActionKind kind, const std::string& path) {
    Action action = Add(kind, path, source_entries_[path]);
    action.basis = ActionBasis{0, basis_entries_[path]};
    return action;
  }
  struct stat Stat(const std::string& name) {
    struct stat found{};
    EXPECT_EQ(::lstat((dir_ / name).c_str(), &found), 0) << name;
    return found;
  }
  void SetTime(const std::string& name, time_t seconds) {
    const timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (dir_ / name).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  }

  std::map<std::string, Entry> source_entries_;
  std::map<std::string, Entry> basis_entries_;
};

TEST_F(BasisSessionTest, FilesAndSymlinksBecomeLinksOfTheBasis) {
  WriteFile(dir_ / "src/d/f", "contents");
  WriteFile(dir_ / "prev/d/f", "contents");
  WriteFile(dir_ / "src/g", "contents");
  WriteFile(dir_ / "prev/g", "contents");
  WriteFile(dir_ / "dst/g", "old");
  ASSERT_EQ(::symlink("t", (dir_ / "src/l").c_str()), 0);
  ASSERT_EQ(::symlink("t", (dir_ / "prev/l").c_str()), 0);
  OpenWithBasis();
  Action replaced = FromBasis(ActionKind::kLink, "g");
  replaced.existing = DestinationEntry("", "g");
  Submit(Phase::kCreate, {Add(ActionKind::kMakeDirectory, "d", source_entries_["d"]),
                          FromBasis(ActionKind::kLink, "d/f"), replaced, FromBasis(ActionKind::kLink, "l")});
  Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(Stat("dst/d/f").st_ino, Stat("prev/d/f").st_ino);
  EXPECT_EQ(Stat("dst/g").st_ino, Stat("prev/g").st_ino);
  EXPECT_EQ(Stat("dst/l").st_ino, Stat("prev/l").st_ino);
}

TEST_F(BasisSessionTest, ALinkThatIsThereAlreadyIsLeftAlone) {
  WriteFile(dir_ / "src/f", "contents");
  WriteFile(dir_ / "prev/f", "contents");
  ASSERT_EQ(::link((dir_ / "prev/f").c_str(), (dir_ / "dst/f").c_str()), 0);
  OpenWithBasis();
  Action again = FromBasis(ActionKind::kLink, "f");
  again.existing = DestinationEntry("", "f");
  Submit(Phase::kCreate, {again});
  Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(Stat("dst/f").st_nlink, 2u);
  EXPECT_EQ(ReadDestinationNames(), std::vector<std::string>{"f"});
}

TEST_F(BasisSessionTest, CopiesHaveTheContentsOfTheBasisAndTheMetadataOfTheSource) {
  const std::string large(3 << 20, 'L');
  for (const char* tree : {"src", "prev"}) {
    WriteFile(dir_ / (std::string(tree) + "/small"), "contents");
    WriteFile(dir_ / (std::string(tree) + "/large"), large);
  }
  SetTime("src/small", 1'000'000'000);
  SetTime("prev/small", 900'000'000);
  ASSERT_EQ(::chmod((dir_ / "src/small").c_str(), 0610), 0);
  OpenWithBasis();
  Submit(Phase::kCreate, {FromBasis(ActionKind::kPutFile, "small"), FromBasis(ActionKind::kPutFile, "large")});
  const ApplyDone done = Finish();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(ReadFile(dir_ / "dst/small"), "contents");
  EXPECT_EQ(ReadFile(dir_ / "dst/large"), large);
  EXPECT_EQ(Stat("dst/small").st_mtim.tv_sec, 1'000'000'000);
  EXPECT_EQ(Stat("dst/small").st_mode & 07777, 0610u);
  EXPECT_NE(Stat("dst/small").st_ino, Stat("prev/small").st_ino);
  EXPECT_EQ(Stat("prev/small").st_mtim.tv_sec, 900'000'000);
  EXPECT_EQ(done.counters.bytes_received, 0u);
  EXPECT_EQ(done.counters.bytes_matched + done.counters.bytes_cloned, large.size() + 8);
}

TEST_F(BasisSessionTest, ABasisThatChangedSinceItWasPlannedWithIsNotUsed) {
  for (const char* name : {"copied", "linked", "gone"}) {
    WriteFile(dir_ / (std::string("src/") + name), "contents");
    WriteFile(dir_ / (std::string("prev/") + name), "contents");
  }
  OpenWithBasis();
  WriteFile(dir_ / "prev/copied", "something else");
  WriteFile(dir_ / "prev/linked", "something else");
  ASSERT_EQ(::unlink((dir_ / "prev/gone").c_str()), 0);
  Submit(Phase::kCreate, {FromBasis(ActionKind::kPutFile, "copied"), FromBasis(ActionKind::kLink, "linked"),
                          FromBasis(ActionKind::kLink, "gone")});
  const ApplyDone done = Finish();
  EXPECT_TRUE(destination_->problems.empty());
  for (const char* name : {"copied", "linked", "gone"}) {
    EXPECT_EQ(ReadFile(dir_ / (std::string("dst/") + name)), "contents") << name;
    EXPECT_EQ(Stat(std::string("dst/") + name).st_nlink, 1u);
  }
  EXPECT_EQ(done.counters.bytes_received, 3 * 8u);
}

TEST_F(BasisSessionTest, AnObjectInTheWayThatWasNotPlannedAgainstIsAConflict) {
  WriteFile(dir_ / "src/f", "contents");
  WriteFile(dir_ / "prev/f", "contents");
  OpenWithBasis();
  WriteFile(dir_ / "dst/f", "appeared");
  Submit(Phase::kCreate, {FromBasis(ActionKind::kLink, "f")});
  Finish();
  ASSERT_EQ(destination_->problems.size(), 1u);
  EXPECT_EQ(destination_->problems[0].kind, ProblemKind::kConflict);
  EXPECT_EQ(ReadFile(dir_ / "dst/f"), "appeared");
}

TEST_F(BasisSessionTest, AnActionThatNamesABasisWhichTheSessionLacksIsRefused) {
  WriteFile(dir_ / "src/f", "contents");
  WriteFile(dir_ / "prev/f", "contents");
  OpenWithBasis();
  Action action = FromBasis(ActionKind::kLink, "f");
  action.basis->directory = 1;
  Submit(Phase::kCreate, {action});
  absl::StatusOr<AgentMessage> message = destination_->stream()->Receive();
  while (message.ok() && std::holds_alternative<ApplyProgress>(*message)) message = destination_->stream()->Receive();
  ASSERT_OK(message.status());
  ASSERT_TRUE(std::holds_alternative<SessionError>(*message));
  EXPECT_EQ(std::get<SessionError>(*message).kind, ErrorKind::kProtocol);
  EXPECT_FALSE(Exists("dst/f"));
}

}  // namespace
}  // namespace uringsync

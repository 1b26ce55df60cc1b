#include "engine/fs/unnamed_file.h"

#include <cerrno>

#include "engine/fs/atomic_file.h"
#include "engine/fs/file.h"
#include "engine/fs/file_system.h"
#include "engine/fs/metadata.h"
#include "engine/fs/syscalls.h"
#include "tests/engine/fs/fs_test_support.h"
#include "tests/support/fault_driver.h"

namespace uringsync {
namespace {

using How = FileSystemFacts::UnnamedFiles;

class UnnamedFileTest : public testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<UniqueFd> probe = OpenUnnamed(driver_.get(), *root_, {.durable = false});
    ASSERT_OK(probe);
    if (!probe->valid()) GTEST_SKIP() << "the file system of the temporary directory has no unnamed files";
  }
  StagedObject Stage(std::string_view content, uint32_t mode = 0600) {
    absl::StatusOr<StagedObject> staged =
        StagedObject::CreateUnnamedFile(driver_.get(), root_, &namer_, {.mode = mode, .durable = false});
    EXPECT_OK(staged);
    EXPECT_EQ(sys::Pwrite(driver_.get(), staged->fd(), content.data(), content.size(), 0),
              static_cast<int64_t>(content.size()));
    return *std::move(staged);
  }
  int Names() {
    DirectoryReader reader(driver_.get(), root_->fd());
    reader.SeekToStart();
    DirectoryItem item;
    int names = 0;
    while (reader.Next(&item) > 0) ++names;
    return names;
  }

  TempDir dir_;
  std::shared_ptr<FaultPlan> faults_ = std::make_shared<FaultPlan>();
  std::unique_ptr<Driver> driver_ = faults_->Wrap(MakeTestDriver());
  DirectoryPtr root_ = MustOpenRoot(driver_.get(), dir_.path());
  StateNamer namer_{42};
};

TEST_F(UnnamedFileTest, NothingIsSeenUntilItIsWhole) {
  StagedObject staged = Stage("content", 0640);
  EXPECT_EQ(staged.temporary_name(), "");
  EXPECT_EQ(Names(), 0);
  ASSERT_OK(staged.Publish("f", std::nullopt));
  EXPECT_FALSE(staged.valid());
  EXPECT_EQ(ReadFile(dir_ / "f"), "content");
  EXPECT_EQ(LStat(dir_ / "f").st_mode & 07777, 0640u);
  EXPECT_EQ(LStat(dir_ / "f").st_nlink, 1u);
}

TEST_F(UnnamedFileTest, WhatAppearedMeanwhileIsNotOverwritten) {
  StagedObject staged = Stage("ours");
  WriteFile(dir_ / "f", "theirs");
  EXPECT_TRUE(IsConflict(staged.Publish("f", std::nullopt)));
  EXPECT_EQ(ReadFile(dir_ / "f"), "theirs");
  EXPECT_EQ(Names(), 1);
}

TEST_F(UnnamedFileTest, ItReplacesNothing) {
  WriteFile(dir_ / "f", "old");
  struct statx stat = {};
  ASSERT_OK(StatAt(driver_.get(), root_->fd(), "f", &stat));
  Entry existing;
  ASSERT_TRUE(EntryFromStatx(stat, false, &existing));
  EXPECT_FALSE(Stage("new").Publish("f", existing).ok());
  EXPECT_EQ(ReadFile(dir_ / "f"), "old");
}

TEST_F(UnnamedFileTest, WhatIsGivenUpLeavesNothing) {
  {
    StagedObject staged = Stage("x");
  }
  StagedObject a = Stage("a");
  a = Stage("b");
  ASSERT_OK(a.Discard());
  EXPECT_EQ(Names(), 0);
}

TEST_F(UnnamedFileTest, WithoutTheRightToLinkADescriptorTheWayIsThroughProc) {
  const DirectoryPtr fresh = MustOpenRoot(driver_.get(), dir_.path());
  faults_->FilterCalls([](CallCode code, const long(&arguments)[6]) {
    return code == CallCode::kLinkat && (arguments[4] & AT_EMPTY_PATH) != 0 ? ENOENT : 0;
  });
  ASSERT_OK_AND_ASSIGN(StagedObject staged,
                       StagedObject::CreateUnnamedFile(driver_.get(), fresh, &namer_, {.durable = false}));
  EXPECT_EQ(fresh->file_system(driver_.get()).unnamed_files.load(), How::kThroughProc);
  ASSERT_OK(staged.Publish("f", std::nullopt));
  EXPECT_TRUE(Exists(dir_ / "f"));
}

TEST_F(UnnamedFileTest, WhereNoneCanBeMadeOrLinkedItHasAName) {
  for (const CallCode refused : {CallCode::kOpenat, CallCode::kLinkat}) {
    const DirectoryPtr fresh = MustOpenRoot(driver_.get(), dir_.path());
    faults_->FilterCalls([refused](CallCode code, const long(&arguments)[6]) {
      if (code != refused) return 0;
      return code == CallCode::kLinkat || (arguments[2] & O_TMPFILE) == O_TMPFILE ? EOPNOTSUPP : 0;
    });
    ASSERT_OK_AND_ASSIGN(StagedObject staged, StagedObject::CreateUnnamedFile(driver_.get(), fresh, &namer_,
                                                                              {.mode = 0644, .durable = false}));
    EXPECT_TRUE(IsStateName(staged.temporary_name()));
    EXPECT_EQ(fresh->file_system(driver_.get()).unnamed_files.load(), How::kNone);
  }
  EXPECT_GE(faults_->injected(), 3u);
}

TEST_F(UnnamedFileTest, ARefusedLinkIsToldApartAndTheNextFileHasAName) {
  StagedObject staged = Stage("x");
  faults_->Fail(CallCode::kLinkat, 1, EPERM);
  EXPECT_TRUE(IsUnnamedRefused(staged.Publish("f", std::nullopt)));
  EXPECT_FALSE(MayHaveUnnamed(driver_.get(), *root_));
  EXPECT_EQ(Names(), 0);
  StagedObject named = Stage("x");
  EXPECT_TRUE(IsStateName(named.temporary_name()));
  ASSERT_OK(named.Publish("f", std::nullopt));
}

TEST_F(UnnamedFileTest, OtherFailuresAreErrors) {
  faults_->Fail(CallCode::kOpenat, 1, ENOSPC);
  EXPECT_EQ(StatusErrno(OpenUnnamed(driver_.get(), *root_, {.durable = false}).status()), ENOSPC);
  StagedObject staged = Stage("x");
  faults_->Fail(CallCode::kLinkat, 1, ENOSPC);
  const absl::Status published = staged.Publish("f", std::nullopt);
  EXPECT_EQ(StatusErrno(published), ENOSPC);
  EXPECT_FALSE(IsUnnamedRefused(published));
}

TEST_F(UnnamedFileTest, DurableOnesNeedAFileSystemThatKeepsTheOrder) {
  const DirectoryPtr fresh = MustOpenRoot(driver_.get(), dir_.path());
  ASSERT_OK_AND_ASSIGN(const std::string type, FileSystemTypeName(driver_.get(), fresh->fd()));
  const bool kept = type == "ext4" || type == "xfs" || type == "tmpfs";
  EXPECT_EQ(SyncsUnnamedFiles(driver_.get(), fresh->fd()), kept) << type;
  ASSERT_OK_AND_ASSIGN(const UniqueFd file, OpenUnnamed(driver_.get(), *fresh, {.durable = true}));
  EXPECT_EQ(file.valid(), kept);
  faults_->Fail(CallCode::kFstatfs, 1, EIO);
  EXPECT_FALSE(SyncsUnnamedFiles(driver_.get(), fresh->fd()));
}

TEST(UnnamedFileRuleTest, WhoGivesFilesAwayMustBeAbleToLinkThem) {
  EXPECT_TRUE(MayLinkUnnamed({.can_chown = false, .can_override_owner = false}));
  EXPECT_TRUE(MayLinkUnnamed({.can_chown = true, .can_override_owner = true}));
  EXPECT_FALSE(MayLinkUnnamed({.can_chown = true, .can_override_owner = false}));
}

}  // namespace
}  // namespace uringsync

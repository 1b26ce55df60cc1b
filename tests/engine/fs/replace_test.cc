#include "engine/fs/replace.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "engine/fs/atomic_file.h"
#include "engine/fs/file.h"
#include "engine/fs/metadata.h"
#include "engine/fs/state_name.h"
#include "engine/fs/syscalls.h"
#include "tests/engine/fs/fs_test_support.h"
#include "tests/support/fault_driver.h"

namespace uringsync {
namespace {

TEST(ReplaceMarkTest, AMarkedNameIsATemporaryOfItsSession) {
  StateNamer namer(0xfedcba9876543210);
  const std::string name = namer.Next();
  const std::string marked = WithReplaceMark(name, {.own_inode = 0x1234, .replaced = ~uint64_t{0}});
  EXPECT_EQ(marked, ".~uringsync~fedcba9876543210.1.x0000000000001234ffffffffffffffff.tmp");
  EXPECT_TRUE(IsStateName(marked));
  EXPECT_EQ(StateNameSession(marked), 0xfedcba9876543210u);
  ASSERT_TRUE(ReplaceMarkOf(marked).has_value());
  EXPECT_EQ(ReplaceMarkOf(marked)->own_inode, 0x1234u);
  EXPECT_EQ(ReplaceMarkOf(marked)->replaced, ~uint64_t{0});
  EXPECT_EQ(WithReplaceMark(marked, {1, 2}), WithReplaceMark(name, {1, 2}));
  EXPECT_FALSE(ReplaceMarkOf(name).has_value());
}

TEST(ReplaceMarkTest, OnlyTheExactPatternIsOurs) {
  for (const char* other : {".~uringsync~fedcba9876543210.1.x0000000000001234fffffffffffffff.tmp",
                            ".~uringsync~fedcba9876543210.1.x0000000000001234FFFFFFFFFFFFFFFF.tmp",
                            ".~uringsync~fedcba9876543210.x0000000000001234ffffffffffffffff.tmp",
                            ".~uringsync~fedcba9876543210..x0000000000001234ffffffffffffffff.tmp",
                            ".~uringsync~fedcba987654321.1.x0000000000001234ffffffffffffffff.tmp",
                            ".x0000000000001234ffffffffffffffff.tmp"}) {
    EXPECT_FALSE(IsStateName(other)) << other;
    EXPECT_FALSE(ReplaceMarkOf(other).has_value()) << other;
  }
}

class ReplaceTest : public testing::Test {
 protected:
  ReplaceTest() { WriteFile(dir_ / "f", "old"); }

  StagedObject Stage(std::string_view content) {
    absl::StatusOr<StagedObject> staged = StagedObject::CreateFile(driver_.get(), root_, &namer_);
    EXPECT_OK(staged);
    EXPECT_EQ(sys::Pwrite(driver_.get(), staged->fd(), content.data(), content.size(), 0),
              static_cast<int64_t>(content.size()));
    return *std::move(staged);
  }
  Entry Look(const char* name) {
    struct statx stat = {};
    EXPECT_OK(StatAt(driver_.get(), root_->fd(), name, &stat));
    Entry entry;
    EntryFromStatx(stat, false, &entry);
    return entry;
  }
  uint64_t InodeOf(const char* name) { return Look(name).id.inode; }
  std::vector<std::string> Strays() {
    DirectoryReader reader(driver_.get(), root_->fd());
    reader.SeekToStart();
    DirectoryItem item;
    std::vector<std::string> strays;
    while (reader.Next(&item) > 0) {
      if (IsStateName(item.name)) strays.emplace_back(item.name);
    }
    return strays;
  }
  // Runs `what` immediately before the `nth` rename (from 1), with `err` as its result unless 0.
  void BeforeRename(int nth, std::function<void()> what, int err = 0) {
    plan_->FilterCalls([nth, err, what = std::move(what), seen = 0](CallCode code, const long (&)[6]) mutable {
      if (code != CallCode::kRenameat2 || ++seen != nth) return 0;
      what();
      return err;
    });
  }
  void PutOver(const char* name, std::string_view content) {
    WriteFile(dir_ / "other", content);
    ASSERT_EQ(::rename((dir_ / "other").c_str(), (dir_ / name).c_str()), 0);
  }
  // What a process leaves that dies after it exchanged `name` for "ours"; returns the temporary's name.
  std::string DieAfterExchange(const char* name, const Entry& planned) {
    WriteFile(dir_ / "ours", "ours");
    const std::string marked = WithReplaceMark(StateNamer(7).Next(), {InodeOf("ours"), IdentityDigest(planned)});
    EXPECT_EQ(::rename((dir_ / "ours").c_str(), (dir_ / marked).c_str()), 0);
    EXPECT_EQ(::renameat2(AT_FDCWD, (dir_ / marked).c_str(), AT_FDCWD, (dir_ / name).c_str(), RENAME_EXCHANGE), 0);
    return marked;
  }

  TempDir dir_;
  std::shared_ptr<FaultPlan> plan_ = std::make_shared<FaultPlan>();
  std::unique_ptr<Driver> driver_ = plan_->Wrap(MakeTestDriver());
  DirectoryPtr root_ = MustOpenRoot(driver_.get(), dir_.path());
  StateNamer namer_{42};
};

TEST_F(ReplaceTest, WhatComesIntoItsPlaceAtTheLastMomentIsPutBack) {
  const Entry existing = Look("f");
  StagedObject staged = Stage("new");
  BeforeRename(2, [this] { PutOver("f", "theirs"); });
  const absl::Status published = staged.Publish("f", existing);
  EXPECT_TRUE(IsConflict(published)) << published;
  EXPECT_EQ(ReadFile(dir_ / "f"), "theirs");
  EXPECT_EQ(Strays().size(), 0u);
}

TEST_F(ReplaceTest, WhatIsWrittenAtTheLastMomentIsNotLost) {
  const Entry existing = Look("f");
  StagedObject staged = Stage("new");
  BeforeRename(2, [this] { WriteFile(dir_ / "f", "written meanwhile"); });
  EXPECT_TRUE(IsConflict(staged.Publish("f", existing)));
  EXPECT_EQ(ReadFile(dir_ / "f"), "written meanwhile");
  EXPECT_EQ(InodeOf("f"), existing.id.inode);
  EXPECT_EQ(Strays().size(), 0u);
}

TEST_F(ReplaceTest, ADirectoryThatComesIntoItsPlaceIsPutBackWithAllThatIsInIt) {
  const Entry existing = Look("f");
  StagedObject staged = Stage("new");
  BeforeRename(2, [this] {
    ::unlink((dir_ / "f").c_str());
    WriteFile(dir_ / "f/below", "theirs");
  });
  EXPECT_TRUE(IsConflict(staged.Publish("f", existing)));
  EXPECT_EQ(ReadFile(dir_ / "f/below"), "theirs");
  EXPECT_EQ(Strays().size(), 0u);
}

TEST_F(ReplaceTest, OfTwoThatComeBetweenNeitherIsLostAndTheLaterOneHasTheName) {
  const Entry existing = Look("f");
  StagedObject staged = Stage("new");
  PutOver("f", "first");
  BeforeRename(3, [this] { PutOver("f", "second"); });
  EXPECT_TRUE(IsConflict(staged.Publish("f", existing)));
  EXPECT_EQ(ReadFile(dir_ / "f"), "second");
  ASSERT_EQ(Strays().size(), 1u);
  EXPECT_EQ(ReadFile(dir_ / Strays()[0]), "first");
  EXPECT_EQ(RecoverStray(driver_.get(), *root_, Strays()[0]), StrayFate::kForeign);
  EXPECT_EQ(ReadFile(dir_ / Strays()[0]), "first");
}

TEST_F(ReplaceTest, WhereOursIsRemovedMeanwhileWhatWasThereComesBack) {
  const Entry existing = Look("f");
  StagedObject staged = Stage("new");
  PutOver("f", "theirs");
  BeforeRename(3, [this] { ::unlink((dir_ / "f").c_str()); });
  EXPECT_TRUE(IsConflict(staged.Publish("f", existing)));
  EXPECT_EQ(ReadFile(dir_ / "f"), "theirs");
  EXPECT_EQ(Strays().size(), 0u);
}

TEST_F(ReplaceTest, AFreeNameIsTakenAndWhatAppearsThereIsNot) {
  const Entry existing = Look("f");
  StagedObject staged = Stage("new");
  BeforeRename(2, [this] { ::unlink((dir_ / "f").c_str()); });
  ASSERT_OK(staged.Publish("f", existing));
  EXPECT_EQ(ReadFile(dir_ / "f"), "new");
  EXPECT_EQ(Strays().size(), 0u);
}

TEST_F(ReplaceTest, WhereNamesCannotChangePlacesTheObjectIsLookedAtBefore) {
  for (const int refusal : {EINVAL, ENOSYS}) {
    const DirectoryPtr root = MustOpenRoot(driver_.get(), dir_.path());
    root_ = root;
    BeforeRename(2, [] {}, refusal);
    ASSERT_OK(Stage("new").Publish("f", Look("f")));
    EXPECT_EQ(ReadFile(dir_ / "f"), "new");
    // Not asked again: one rename, and it is the plain one.
    int renames = 0;
    plan_->FilterCalls([&renames](CallCode code, const long (&)[6]) {
      renames += code == CallCode::kRenameat2 ? 1 : 0;
      return 0;
    });
    const Entry existing = Look("f");
    ASSERT_OK(Stage("newer").Publish("f", existing));
    EXPECT_EQ(renames, 1);
    EXPECT_TRUE(IsConflict(Stage("newest").Publish("f", existing)));
    EXPECT_EQ(ReadFile(dir_ / "f"), "newer");
    EXPECT_EQ(Strays().size(), 0u);
    plan_->Clear();
  }
}

TEST_F(ReplaceTest, WhatWasReplacedAndCannotBeRemovedIsToldAndGoesLater) {
  plan_->FailFrom(CallCode::kUnlinkat, 1, EIO);
  EXPECT_FALSE(Stage("new").Publish("f", Look("f")).ok());
  EXPECT_EQ(ReadFile(dir_ / "f"), "new");
  plan_->Clear();
  ASSERT_EQ(Strays().size(), 1u);
  EXPECT_EQ(RecoverStray(driver_.get(), *root_, Strays()[0]), StrayFate::kRemoved);
  EXPECT_EQ(ReadFile(dir_ / "f"), "new");
}

TEST_F(ReplaceTest, ARefusedRenameLeavesEverythingAsItWas) {
  for (const int nth : {1, 2}) {
    BeforeRename(nth, [] {}, EIO);
    EXPECT_FALSE(Stage("new").Publish("f", Look("f")).ok());
    EXPECT_EQ(ReadFile(dir_ / "f"), "old");
    EXPECT_EQ(Strays().size(), 0u);
  }
}

TEST_F(ReplaceTest, LinksOfOneInodeAreReplacedByEachOther) {
  ASSERT_EQ(::link((dir_ / "f").c_str(), (dir_ / "g").c_str()), 0);
  absl::StatusOr<StagedObject> link = StagedObject::CreateLink(driver_.get(), root_, &namer_, *root_, "g");
  ASSERT_OK(link);
  ASSERT_OK(link->Publish("f", Look("f")));
  EXPECT_EQ(InodeOf("f"), InodeOf("g"));
  EXPECT_EQ(Look("f").nlink, 2u);
  EXPECT_EQ(Strays().size(), 0u);
}

TEST_F(ReplaceTest, AProcessThatDiesBeforeTheExchangeLeavesAStray) {
  WriteFile(dir_ / "ours", "ours");
  const std::string marked = WithReplaceMark(namer_.Next(), {InodeOf("ours"), IdentityDigest(Look("f"))});
  ASSERT_EQ(::rename((dir_ / "ours").c_str(), (dir_ / marked).c_str()), 0);
  EXPECT_EQ(RecoverStray(driver_.get(), *root_, marked), StrayFate::kRemoved);
  EXPECT_EQ(ReadFile(dir_ / "f"), "old");
  EXPECT_EQ(Strays().size(), 0u);
}

TEST_F(ReplaceTest, AProcessThatDiesAfterTheExchangeLeavesWhatItReplaced) {
  const std::string marked = DieAfterExchange("f", Look("f"));
  EXPECT_EQ(RecoverStray(driver_.get(), *root_, marked), StrayFate::kRemoved);
  EXPECT_EQ(ReadFile(dir_ / "f"), "ours");
  EXPECT_EQ(Strays().size(), 0u);
}

TEST_F(ReplaceTest, WhatADeadProcessDisplacedAndDidNotMeanIsPutBack) {
  const Entry planned = Look("f");
  PutOver("f", "theirs");
  const std::string marked = DieAfterExchange("f", planned);
  EXPECT_EQ(RecoverStray(driver_.get(), *root_, marked), StrayFate::kRemoved);
  EXPECT_EQ(ReadFile(dir_ / "f"), "theirs");
  EXPECT_EQ(Strays().size(), 0u);
}

TEST_F(ReplaceTest, ADisplacedDirectoryIsPutBackToo) {
  const Entry planned = Look("f");
  ::unlink((dir_ / "f").c_str());
  WriteFile(dir_ / "f/below", "theirs");
  const std::string marked = DieAfterExchange("f", planned);
  EXPECT_EQ(RecoverStray(driver_.get(), *root_, marked), StrayFate::kRemoved);
  EXPECT_EQ(ReadFile(dir_ / "f/below"), "theirs");
}

TEST_F(ReplaceTest, WhatIsSomebodyElsesStaysWhereThereIsNoPlaceForIt) {
  const Entry planned = Look("f");
  PutOver("f", "theirs");
  const std::string marked = DieAfterExchange("f", planned);
  ::unlink((dir_ / "f").c_str());
  EXPECT_EQ(RecoverStray(driver_.get(), *root_, marked), StrayFate::kForeign);
  EXPECT_EQ(ReadFile(dir_ / marked), "theirs");
}

}  // namespace
}  // namespace uringsync

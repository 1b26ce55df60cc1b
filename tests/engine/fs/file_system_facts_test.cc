#include "engine/fs/file_system_facts.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "engine/fs/atomic_file.h"
#include "engine/fs/extents.h"
#include "engine/fs/file.h"
#include "engine/fs/lease.h"
#include "engine/fs/metadata.h"
#include "engine/fs/syscalls.h"
#include "tests/engine/fs/fs_test_support.h"
#include "tests/support/fault_driver.h"
#include "tests/support/run_on.h"

namespace uringsync {
namespace {

// Two directories of one file system, in a session that tells what it misses.
class FileSystemFactsTest : public testing::Test {
 protected:
  FileSystemFactsTest() {
    for (const char* name : {"a", "b"}) {
      WriteFile(dir_ / name + std::string("/f"), "old");
      WriteFile(dir_ / name + std::string("/g"), "other");
    }
    systems_->SetRoot(driver_.get(), root_->fd(), "/srv/shown");
    root_->Share(systems_);
    a_ = Child("a");
    b_ = Child("b");
  }
  DirectoryPtr Child(const char* name) {
    absl::StatusOr<DirectoryPtr> opened = OpenBeneath(driver_.get(), *root_, Rel(name));
    EXPECT_OK(opened);
    return *opened;
  }
  StagedObject Stage(const DirectoryPtr& directory) {
    absl::StatusOr<StagedObject> staged = StagedObject::CreateFile(driver_.get(), directory, &namer_);
    EXPECT_OK(staged);
    return *std::move(staged);
  }
  Entry Look(const DirectoryPtr& directory, const char* name) {
    struct statx stat = {};
    EXPECT_OK(StatAt(driver_.get(), directory->fd(), name, &stat));
    Entry entry;
    EXPECT_TRUE(EntryFromStatx(stat, false, &entry));
    return entry;
  }
  // Refuses what `is_it` is true of, and counts that.
  void Refuse(CallCode code, int error, std::function<bool(const long (&)[6])> is_it) {
    plan_->FilterCalls([this, code, error, is_it](CallCode called, const long(&arguments)[6]) {
      if (called != code || !is_it(arguments)) return 0;
      ++asked_;
      return error;
    });
  }
  static bool Any(const long (&)[6]) { return true; }

  TempDir dir_;
  std::shared_ptr<FaultPlan> plan_ = std::make_shared<FaultPlan>();
  std::unique_ptr<Driver> driver_ = plan_->Wrap(MakeTestDriver());
  std::vector<std::string> told_;
  std::shared_ptr<FileSystems> systems_ =
      std::make_shared<FileSystems>([this](std::string text) { told_.push_back(std::move(text)); });
  DirectoryPtr root_ = MustOpenRoot(driver_.get(), dir_.path());
  DirectoryPtr a_;
  DirectoryPtr b_;
  StateNamer namer_{42};
  int asked_ = 0;
};

TEST_F(FileSystemFactsTest, NamesThatCannotChangePlacesAreTriedOnceForAllDirectories) {
  Refuse(CallCode::kRenameat2, EINVAL, [](const long(&arguments)[6]) { return arguments[4] == RENAME_EXCHANGE; });
  for (const DirectoryPtr& directory : {a_, b_, Child("a")}) {
    for (const char* name : {"f", "g"}) ASSERT_OK(Stage(directory).Publish(name, Look(directory, name)));
  }
  EXPECT_EQ(asked_, 1);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_NE(told_[0].find(" at /srv/shown: two names cannot change places"), std::string::npos) << told_[0];
}

TEST_F(FileSystemFactsTest, ANewNameIsTriedInEachWayOnce) {
  int no_replace = 0;
  int links = 0;
  plan_->FilterCalls([&](CallCode code, const long(&arguments)[6]) {
    const bool flag = code == CallCode::kRenameat2 && arguments[4] == RENAME_NOREPLACE;
    no_replace += flag;
    links += code == CallCode::kLinkat;
    return flag ? EINVAL : 0;
  });
  for (const char* name : {"n1", "n2"}) ASSERT_OK(Stage(a_).Publish(name, std::nullopt));
  // A link promises the same.
  EXPECT_EQ(no_replace, 1);
  EXPECT_EQ(links, 2);
  EXPECT_TRUE(told_.empty());
  Refuse(CallCode::kLinkat, EPERM, Any);
  for (const char* name : {"n3", "n4"}) ASSERT_OK(Stage(b_).Publish(name, std::nullopt));
  EXPECT_EQ(asked_, 1);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_NE(told_[0].find("neither RENAME_NOREPLACE nor hard links"), std::string::npos);
  EXPECT_TRUE(IsConflict(Stage(b_).Publish("n3", std::nullopt)));
}

TEST_F(FileSystemFactsTest, ALinkThatIsRefusedForOneFileIsNoFactOfTheFileSystem) {
  const auto link = [&](const char* name) {
    return StagedObject::CreateLink(driver_.get(), a_, &namer_, *a_, name).status();
  };
  plan_->Fail(CallCode::kLinkat, 1, EPERM);
  EXPECT_EQ(StatusErrno(link("f")), EPERM);
  EXPECT_TRUE(HasHardLinks(driver_.get(), a_, &namer_));
  ASSERT_OK(link("g"));
  Refuse(CallCode::kLinkat, EPERM, Any);
  EXPECT_FALSE(HasHardLinks(driver_.get(), a_, &namer_));
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(StatusErrno(link("f")), EPERM);
  EXPECT_FALSE(HasHardLinks(driver_.get(), b_, &namer_));
  EXPECT_EQ(asked_, 1);
}

TEST_F(FileSystemFactsTest, HolesAreAskedForOnce) {
  Refuse(CallCode::kLseek, EINVAL, [](const long(&arguments)[6]) { return arguments[2] == SEEK_DATA; });
  for (const char* name : {"s1", "s2", "s3"}) {
    WriteFile(dir_ / name, "x");
    ASSERT_EQ(::truncate((dir_ / name).c_str(), 1 << 20), 0);
    const UniqueFd fd(::open((dir_ / name).c_str(), O_RDONLY | O_CLOEXEC));
    ExtentIterator extents(driver_.get(), fd.get(), 0, 1 << 20, 1 << 20, &systems_->Of(driver_.get(), fd.get()));
    Extent extent;
    ASSERT_EQ(extents.Next(&extent), 1);
    EXPECT_TRUE(extent.is_data);
    EXPECT_EQ(extent.length, uint64_t{1} << 20);
    EXPECT_EQ(extents.Next(&extent), 0);
  }
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(told_.size(), 1u);
}

TEST_F(FileSystemFactsTest, AFileSystemThatDoesNotKnowWhereHolesEndHasNone) {
  Refuse(CallCode::kLseek, EINVAL, [](const long(&arguments)[6]) { return arguments[2] == SEEK_HOLE; });
  WriteFile(dir_ / "s", std::string(10000, 'x'));
  const UniqueFd fd(::open((dir_ / "s").c_str(), O_RDONLY | O_CLOEXEC));
  ExtentIterator extents(driver_.get(), fd.get(), 0, 10000, 10000);
  Extent extent;
  ASSERT_EQ(extents.Next(&extent), 1);
  EXPECT_EQ(extent.length, 10000u);
  EXPECT_EQ(extents.Next(&extent), 0);
}

TEST_F(FileSystemFactsTest, LeasesAreAskedForOnceButForThoseOfSomebodyElsesFile) {
  IgnoreLeaseSignals();
  const UniqueFd fd(::open((dir_ / "a/f").c_str(), O_RDONLY | O_CLOEXEC));
  FileSystemFacts& system = systems_->Of(driver_.get(), fd.get());
  const auto asks = [](const long(&arguments)[6]) { return arguments[1] == F_SETLEASE; };
  Refuse(CallCode::kFcntl, EACCES, asks);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(LookForWriters(driver_.get(), fd.get(), &system), Writers::kUnknown);
  EXPECT_EQ(asked_, 2);
  EXPECT_TRUE(told_.empty());
  Refuse(CallCode::kFcntl, EINVAL, asks);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(LookForWriters(driver_.get(), fd.get(), &system), Writers::kUnknown);
  EXPECT_EQ(asked_, 3);
  EXPECT_EQ(told_.size(), 1u);
}

TEST_F(FileSystemFactsTest, AttributesAreAskedForOnceAndASymlinkTellsNothing) {
  NoteNoAttributes(&a_->file_system(driver_.get()), FileType::kSymlink);
  EXPECT_FALSE(a_->file_system(driver_.get()).Lacks(Lack::kAttributes));
  XattrAccess xattrs(driver_.get());
  MetadataSelection selection;
  selection.xattrs = true;
  const ProcessCapabilities capabilities = ReadProcessCapabilities();
  const XattrList wanted = {{"user.x", "1"}};
  int sets = 0;
  plan_->FilterCalls([&](CallCode code, const long(&)[6]) {
    const bool lists = code == CallCode::kListxattrat || code == CallCode::kLlistxattr;
    asked_ += lists;
    sets += code == CallCode::kSetxattrat || code == CallCode::kLsetxattr;
    return lists ? EOPNOTSUPP : 0;
  });
  for (const DirectoryPtr& directory : {a_, b_}) {
    const Entry entry = Look(directory, "f");
    MetadataRequest request{.wanted = &entry, .xattrs = &wanted, .selection = &selection};
    request.capabilities = &capabilities;
    request.systems = systems_.get();
    MetadataCounters counters;
    const ObjectHandle object = ObjectHandle::At(directory->fd(), "f");
    EXPECT_EQ(StatusErrno(ApplyMetadata(&xattrs, object, request, &counters)), EOPNOTSUPP);
  }
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(sets, 0);
}

TEST_F(FileSystemFactsTest, NobodyIsToldAfterTheEnd) {
  a_->file_system(driver_.get()).Tell(Lack::kExchange);
  systems_->Mute();
  a_->file_system(driver_.get()).Tell(Lack::kLeases);
  EXPECT_EQ(told_.size(), 1u);
  EXPECT_TRUE(b_->file_system(driver_.get()).Lacks(Lack::kLeases));
}

TEST_F(FileSystemFactsTest, AnotherFileSystemHasFactsOfItsOwnAndItsOwnPlace) {
  const DirectoryPtr proc = MustOpenRoot(driver_.get(), "/proc");
  proc->Share(systems_);
  a_->file_system(driver_.get()).Tell(Lack::kExchange);
  EXPECT_FALSE(proc->file_system(driver_.get()).Lacks(Lack::kExchange));
  EXPECT_NE(&proc->file_system(driver_.get()), &a_->file_system(driver_.get()));
  // What does not lie below the root of the session is not named.
  proc->file_system(driver_.get()).Tell(Lack::kExchange);
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_EQ(told_[1].find("/proc"), std::string::npos) << told_[1];
}

Task<int> SyncTwice(DirectoryPtr one, DirectoryPtr other) {
  Driver* const driver = Shard::Current()->driver();
  int refused = 0;
  for (const DirectoryPtr& directory : {one, other, one}) {
    const absl::Status synced = co_await SyncDirectory(driver, *directory);
    refused += IsUnsyncable(synced);
  }
  co_return refused;
}

Task<absl::Status> AllocateTwice(int fd, FileSystemFacts* system) {
  Driver* const driver = Shard::Current()->driver();
  US_CO_RETURN_IF_ERROR(co_await Preallocate(driver, fd, 4096, system));
  absl::Status again = co_await Preallocate(driver, fd, 8192, system);
  co_return again;
}

TEST_F(FileSystemFactsTest, OperationsThatAreRefusedAreTriedOnce) {
  RuntimeOptions options;
  options.shards = 1;
  options.wrap_driver = plan_->Wrapper();
  absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(std::move(options));
  ASSERT_OK(runtime);
  Shard& shard = (*runtime)->shard(0);
  plan_->FilterOps([this](const Op& op) {
    asked_ += op.code == OpCode::kFsync || op.code == OpCode::kFallocate;
    return op.code == OpCode::kFsync ? EINVAL : op.code == OpCode::kFallocate ? EOPNOTSUPP : 0;
  });
  EXPECT_EQ(RunOn(shard, SyncTwice(a_, b_)), 3);
  EXPECT_EQ(asked_, 1);
  const UniqueFd fd(::open((dir_ / "a/f").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_OK(RunOn(shard, AllocateTwice(fd.get(), &systems_->Of(driver_.get(), fd.get()))));
  EXPECT_EQ(asked_, 2);
  EXPECT_EQ(told_.size(), 2u);
}

TEST_F(FileSystemFactsTest, AFailedSyncIsNoFact) {
  RuntimeOptions options;
  options.shards = 1;
  options.wrap_driver = plan_->Wrapper();
  absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(std::move(options));
  ASSERT_OK(runtime);
  plan_->FilterOps([](const Op& op) { return op.code == OpCode::kFsync ? EIO : 0; });
  EXPECT_EQ(RunOn((*runtime)->shard(0), SyncTwice(a_, b_)), 0);
  EXPECT_FALSE(a_->file_system(driver_.get()).Lacks(Lack::kDirectorySync));
  EXPECT_TRUE(told_.empty());
}

// As xfs does it when its log could not be written: an fsync of a directory finds nothing to write, everything else
// fails.
TEST_F(FileSystemFactsTest, ASyncOfAFileSystemThatWasShutDownMeanwhileIsNone) {
  RuntimeOptions options;
  options.shards = 1;
  options.wrap_driver = plan_->Wrapper();
  absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(std::move(options));
  ASSERT_OK(runtime);
  Shard& shard = (*runtime)->shard(0);
  EXPECT_OK(RunOn(shard, SyncDirectory(shard.driver(), *a_)));
  std::atomic<bool> down = false;
  plan_->FilterOps([&down](const Op& op) {
    if (op.code == OpCode::kFsync) down = true;
    return 0;
  });
  plan_->FilterCalls([&down](CallCode code, const long(&)[6]) { return down && code == CallCode::kStatx ? EIO : 0; });
  EXPECT_EQ(StatusErrno(RunOn(shard, SyncDirectory(shard.driver(), *a_))), EIO);
  EXPECT_FALSE(a_->file_system(driver_.get()).Lacks(Lack::kDirectorySync));
}

}  // namespace
}  // namespace uringsync

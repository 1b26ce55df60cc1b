#include "engine/fs/file.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <vector>

#include "engine/fs/extents.h"
#include "engine/fs/file_system.h"
#include "engine/fs/metadata.h"
#include "engine/fs/process_capabilities.h"
#include "engine/fs/syscalls.h"
#include "tests/engine/fs/fs_test_support.h"
#include "tests/support/run_on.h"

namespace uringsync {
namespace {

class FileTest : public testing::Test {
 protected:
  TempDir dir_;
  std::unique_ptr<Driver> driver_ = MakeTestDriver();
  DirectoryPtr root_ = MustOpenRoot(driver_.get(), dir_.path());

  std::vector<Extent> Extents(const std::string& path, uint64_t begin, uint64_t end) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY));
    ExtentIterator it(driver_.get(), fd.get(), begin, end, static_cast<uint64_t>(LStat(path).st_size));
    std::vector<Extent> extents;
    Extent extent;
    int more = 0;
    while ((more = it.Next(&extent)) > 0) extents.push_back(extent);
    EXPECT_EQ(more, 0);
    return extents;
  }
};

Task<absl::Status> WriteReadBack(std::string path, std::string content, std::string* read_back) {
  Driver* driver = Shard::Current()->driver();
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT, 0600));
  US_CO_RETURN_IF_ERROR(co_await Preallocate(driver, fd.get(), content.size()));
  US_CO_RETURN_IF_ERROR(co_await WriteAtFull(driver, fd.get(), content.data(), content.size(), 3));
  US_CO_RETURN_IF_ERROR(co_await SyncFile(driver, fd.get()));
  read_back->resize(content.size() + 100);
  US_CO_ASSIGN_OR_RETURN(const size_t n,
                         co_await ReadAtFull(driver, fd.get(), read_back->data(), read_back->size(), 3));
  read_back->resize(n);
  co_return absl::OkStatus();
}

TEST_F(FileTest, WholeContentsAreWrittenAndReadOverTheDriver) {
  for (const IoBackend backend : {IoBackend::kAuto, IoBackend::kThreads}) {
    const std::unique_ptr<Runtime> runtime = StartTestRuntime(1, backend);
    const std::string content(3'000'001, 'c');
    std::string read_back;
    ASSERT_OK(RunOn(runtime->shard(0), WriteReadBack(dir_ / "f", content, &read_back)));
    EXPECT_EQ(read_back, content);  // less than asked: the end of the file
    const DriverCounters counters = runtime->Counters();
    EXPECT_GT(counters.submitted[static_cast<size_t>(OpCode::kWrite)], 0u);
    EXPECT_GT(counters.submitted[static_cast<size_t>(OpCode::kRead)], 0u);
    EXPECT_EQ(counters.submitted[static_cast<size_t>(OpCode::kFsync)], 1u);
  }
}

Task<absl::Status> WriteTo(std::string path) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY));
  const std::string bytes(4096, 'x');
  absl::Status status = co_await WriteAtFull(Shard::Current()->driver(), fd.get(), bytes.data(), bytes.size(), 0);
  co_return status;
}

TEST_F(FileTest, AFullDiskIsResourceExhausted) {
  const std::unique_ptr<Runtime> runtime = StartTestRuntime(1, IoBackend::kThreads);
  if (!Exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const absl::Status status = RunOn(runtime->shard(0), WriteTo("/dev/full"));
  EXPECT_EQ(StatusErrno(status), ENOSPC);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, testing::HasSubstr("write at 0")));
}

TEST_F(FileTest, ASourceFileIsOpenedAndOtherTypesAreRefusedWithoutBlocking) {
  WriteFile(dir_ / "f", "abc");
  ASSERT_OK_AND_ASSIGN(const SourceFile f, OpenSourceFile(driver_.get(), root_->fd(), "f"));
  EXPECT_EQ(f.stat.stx_size, 3u);
  ASSERT_EQ(::mkfifo((dir_ / "p").c_str(), 0600), 0);
  EXPECT_THAT(OpenSourceFile(driver_.get(), root_->fd(), "p"), StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_EQ(::symlink("f", (dir_ / "l").c_str()), 0);
  EXPECT_EQ(StatusErrno(OpenSourceFile(driver_.get(), root_->fd(), "l").status()), ELOOP);
  EXPECT_THAT(OpenSourceFile(driver_.get(), root_->fd(), "none"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(FileTest, AFileOfAnotherUserIsReadWithoutNoatime) {
  SKIP_UNLESS_ROOT();
  ::chmod(dir_.path().c_str(), 0755);
  WriteFile(dir_ / "roots", "abc", 0644);
  WriteFile(dir_ / "secret", "abc", 0600);
  const std::string path = dir_.path();
  EXPECT_TRUE(AsNobody([&] {
    const std::unique_ptr<Driver> driver = MakeTestDriver();
    const DirectoryPtr root = MustOpenRoot(driver.get(), path);
    return OpenSourceFile(driver.get(), root->fd(), "roots").ok() &&
           StatusErrno(OpenSourceFile(driver.get(), root->fd(), "secret").status()) == EACCES;
  }));
}

TEST_F(FileTest, IdentityTellsModifiedFromReplaced) {
  WriteFile(dir_ / "f", "abc");
  struct statx stat = {};
  ASSERT_OK(StatAt(driver_.get(), root_->fd(), "f", &stat));
  Entry entry;
  ASSERT_TRUE(EntryFromStatx(stat, false, &entry));
  const FileIdentity identity = IdentityOf(entry);
  EXPECT_EQ(CompareIdentity(identity, stat), IdentityMatch::kSame);
  WriteFile(dir_ / "f", "abcd");
  ASSERT_OK(StatAt(driver_.get(), root_->fd(), "f", &stat));
  EXPECT_EQ(CompareIdentity(identity, stat), IdentityMatch::kModified);
  WriteFile(dir_ / "g", "abc");
  ASSERT_OK(StatAt(driver_.get(), root_->fd(), "g", &stat));
  EXPECT_EQ(CompareIdentity(identity, stat), IdentityMatch::kOther);
}

TEST_F(FileTest, ExtentsCoverTheRangeExactly) {
  constexpr uint64_t kMiB = 1 << 20;
  const std::string path = dir_ / "sparse";
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT, 0600));
  ASSERT_EQ(::ftruncate(fd.get(), 10 * kMiB), 0);
  const std::string block(65536, 'd');
  ASSERT_EQ(::pwrite(fd.get(), block.data(), block.size(), 4 * kMiB), 65536);
  const std::vector<Extent> extents = Extents(path, 0, 10 * kMiB);
  if (extents.size() == 1 && extents[0].is_data) GTEST_SKIP() << "no SEEK_HOLE in $TMPDIR";
  uint64_t position = 0;
  for (const Extent& extent : extents) {
    EXPECT_EQ(extent.offset, position);
    EXPECT_GT(extent.length, 0u);
    position += extent.length;
  }
  EXPECT_EQ(position, 10 * kMiB);
  ASSERT_EQ(extents.size(), 3u);
  EXPECT_FALSE(extents[0].is_data);
  EXPECT_TRUE(extents[1].is_data);
  EXPECT_EQ(extents[1].offset, 4 * kMiB);
  EXPECT_FALSE(extents[2].is_data);
  const std::vector<Extent> part = Extents(path, 4 * kMiB + 1, 5 * kMiB);
  ASSERT_EQ(part.size(), 2u);
  EXPECT_TRUE(part[0].is_data);
  EXPECT_TRUE(Extents(path, 10 * kMiB, 20 * kMiB).empty());
}

TEST_F(FileTest, AnEmptyAndADenseFileHaveTheirExtents) {
  WriteFile(dir_ / "empty", "");
  EXPECT_TRUE(Extents(dir_ / "empty", 0, 100).empty());
  WriteFile(dir_ / "dense", std::string(10000, 'x'));
  const std::vector<Extent> dense = Extents(dir_ / "dense", 0, 1 << 20);
  ASSERT_EQ(dense.size(), 1u);
  EXPECT_TRUE(dense[0].is_data);
  EXPECT_EQ(dense[0].length, 10000u);
}

TEST_F(FileTest, FileSystemsAreNamedAndTheirTimesProbed) {
  ASSERT_OK_AND_ASSIGN(const std::string name, FileSystemTypeName(driver_.get(), root_->fd()));
  EXPECT_FALSE(name.empty());
  const DirectoryPtr proc = MustOpenRoot(driver_.get(), "/proc");
  EXPECT_THAT(FileSystemTypeName(driver_.get(), proc->fd()), IsOkAndHolds(testing::Eq("proc")));
  EXPECT_GE(ProbeTimeGranularity(driver_.get(), *root_), 1u);
  EXPECT_EQ(ProbeTimeGranularity(driver_.get(), *proc), 1u);  // cannot be probed
}

TEST_F(FileTest, TheFeatureProbeLeavesNothingBehind) {
  StateNamer namer(9);
  const std::vector<FeatureReport> reports = ProbeFeatures(driver_.get(), *root_, &namer);
  EXPECT_GE(reports.size(), 12u);
  for (const FeatureReport& report : reports) {
    EXPECT_FALSE(report.name.empty());
    EXPECT_FALSE(report.meaning.empty());
    if (report.name == "FIFOs") EXPECT_EQ(report.state, FeatureState::kYes);
  }
  DirectoryReader reader(driver_.get(), root_->fd());
  DirectoryItem item;
  EXPECT_EQ(reader.Next(&item), 0) << item.name;
}

TEST_F(FileTest, CapabilitiesFollowTheUser) {
  SKIP_UNLESS_ROOT();
  EXPECT_TRUE(AsNobody([] {
    const ProcessCapabilities mine = ReadProcessCapabilities();
    return !mine.can_chown && !mine.can_set_trusted && mine.uid == kNobody && mine.InGroup(kNobody) && !mine.InGroup(0);
  }));
}

}  // namespace
}  // namespace uringsync

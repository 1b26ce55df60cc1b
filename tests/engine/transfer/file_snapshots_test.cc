// Source files that are read from clones. The driver makes the clones by copying, so that any file system will do;
// snapshot_test.py has the real ones.
#include "engine/transfer/file_snapshots.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <string>
#include <vector>

#include "engine/base/errno_status.h"
#include "tests/engine/transfer/transfer_fixture.h"
#include "tests/support/completion_interceptor.h"

namespace uringsync {
namespace {

// What becomes of FICLONE.
struct ClonePlan {
  std::atomic<int> refusal{0};  // errno; 0: the clone is made
  std::atomic<int> clones{0};
};

class CloningDriver final : public CompletionInterceptor {
 public:
  CloningDriver(std::unique_ptr<Driver> inner, ClonePlan* plan) : CompletionInterceptor(std::move(inner)), plan_(plan) {}
  long Call(CallCode code, long a0, long a1, long a2, long a3, long a4, long a5) override {
    if (code != CallCode::kIoctl || static_cast<unsigned long>(a1) != FICLONE)
      return CompletionInterceptor::Call(code, a0, a1, a2, a3, a4, a5);
    if (plan_->refusal != 0) return -plan_->refusal;
    ++plan_->clones;
    std::array<char, 4096> bytes;
    off_t at = 0;
    for (ssize_t n = 0; (n = ::pread(static_cast<int>(a2), bytes.data(), bytes.size(), at)) > 0; at += n) {
      if (::pwrite(static_cast<int>(a0), bytes.data(), static_cast<size_t>(n), at) != n) return -EIO;
    }
    return 0;
  }

 private:
  ClonePlan* const plan_;
};

class FileSnapshotsTest : public testing::TestWithParam<IoBackend> {
 protected:
  FileSnapshotsTest() : root_(OpenTestRoot(dir_.path())), snapshots_(root_, 2) {
    RuntimeOptions options;
    options.shards = 1;
    options.driver.backend = GetParam();
    options.wrap_driver = [this](std::unique_ptr<Driver> inner) {
      return std::make_unique<CloningDriver>(std::move(inner), &plan_);
    };
    runtime_ = *Runtime::Start(std::move(options));
    reader_options_.digest_seed = kTestSeed;
    reader_options_.snapshots = &snapshots_;
  }
  ~FileSnapshotsTest() override {
    RunOn(runtime_->shard(0), DropReader());
  }

  Task<void> DropReader() {
    reader_.reset();
    co_return;
  }
  Task<absl::Status> ServeWithReader(FileRequest request) {
    if (reader_ == nullptr)
      reader_ = std::make_unique<SourceReader>(Shard::Current()->driver(), Shard::Current()->buffers(), root_,
                                               reader_options_);
    absl::Status served = co_await reader_->Serve(std::move(request), &sink_);
    co_return served;
  }
  Task<absl::Status> Probe() {
    absl::Status probed = ProbeFileSnapshots(Shard::Current()->driver(), *root_);
    co_return probed;
  }
  // The last item of the answer, by the one reader of the test.
  ReplyItem Ask(FileRequest request) {
    sink_.items.clear();
    sink_.content.clear();
    EXPECT_OK(RunOn(runtime_->shard(0), ServeWithReader(std::move(request))));
    return sink_.items.back();
  }
  // Writes all of the file; its times were long ago.
  Entry WriteOld(const std::string& name, const std::string& content, int64_t seconds = 1'600'000'000) {
    WriteFile(dir_ / name, content);
    const timespec times[2] = {{.tv_sec = seconds, .tv_nsec = 0}, {.tv_sec = seconds, .tv_nsec = 5}};
    EXPECT_EQ(::utimensat(AT_FDCWD, (dir_ / name).c_str(), times, 0), 0);
    return EntryOf(dir_ / name);
  }
  // Writes over some of the file, whose time moves.
  void Overwrite(const std::string& name, uint64_t offset, const std::string& bytes) {
    const UniqueFd file(::open((dir_ / name).c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
  }
  static FileRequest Part(const Entry& entry, const std::string& name, uint64_t offset, uint64_t length) {
    FileRequest request = WholeFile(name, entry);
    request.offset = offset;
    request.length = length;
    return request;
  }
  static Entry AsTold(Entry entry, const ReplyItem& item) {
    entry.size_bytes = item.current->size_bytes;
    entry.mtime = item.current->mtime;
    return entry;
  }

  TempDir dir_;
  ClonePlan plan_;
  DirectoryPtr root_;
  FileSnapshots snapshots_;
  std::unique_ptr<Runtime> runtime_;
  SourceReaderOptions reader_options_;
  std::unique_ptr<SourceReader> reader_;
  RecordingSink sink_;
};

TEST_P(FileSnapshotsTest, AFileAtRestIsReadFromAClone) {
  const Entry entry = WriteOld("f", "contents");
  EXPECT_EQ(Ask(WholeFile("f", entry)).status, ReplyStatus::kOk);
  EXPECT_EQ(sink_.content, "contents");
  EXPECT_EQ(plan_.clones, 1);
}

TEST_P(FileSnapshotsTest, EveryRangeIsOfTheInstantOfTheFirstOne) {
  const std::string old = Pattern(8192);
  const Entry entry = WriteOld("f", old);
  EXPECT_EQ(Ask(Part(entry, "f", 0, 4096)).status, ReplyStatus::kOk);
  Overwrite("f", 0, std::string(8192, 'n'));
  EXPECT_EQ(Ask(Part(entry, "f", 4096, 4096)).status, ReplyStatus::kOk);
  EXPECT_EQ(sink_.content, old.substr(4096));
  EXPECT_EQ(plan_.clones, 1);
}

TEST_P(FileSnapshotsTest, AFileThatHasChangedIsToldAsItsCloneIsAndReadSoHoweverItGoesOn) {
  const Entry planned = WriteOld("f", "planned");
  Overwrite("f", 0, "grown to this");
  const ReplyItem told = Ask(WholeFile("f", planned));
  ASSERT_EQ(told.status, ReplyStatus::kChanged);
  ASSERT_TRUE(told.current.has_value());
  EXPECT_EQ(told.current->size_bytes, 13u);
  Overwrite("f", 0, "and still it goes on");
  EXPECT_EQ(Ask(WholeFile("f", AsTold(planned, told))).status, ReplyStatus::kOk);
  EXPECT_EQ(sink_.content, "grown to this");
  // It was read to the end: the next one asks for what is there then.
  EXPECT_EQ(Ask(WholeFile("f", AsTold(planned, told))).status, ReplyStatus::kChanged);
}

TEST_P(FileSnapshotsTest, AFileThatMayBeWrittenWithinItsTickGetsATimeThatTheNextComparisonTakesForAnother) {
  WriteFile(dir_ / "f", "x");
  // Beyond now: no wait makes it old.
  timespec soon{};
  ::clock_gettime(CLOCK_REALTIME, &soon);
  soon.tv_sec += 1;
  const timespec times[2] = {soon, soon};
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir_ / "f").c_str(), times, 0), 0);
  const Entry entry = EntryOf(dir_ / "f");
  const ReplyItem told = Ask(WholeFile("f", entry));
  ASSERT_EQ(told.status, ReplyStatus::kChanged);
  EXPECT_LT(told.current->mtime, entry.mtime);
}

TEST_P(FileSnapshotsTest, ClonesBeyondTheBoundGoAndTheirFilesHaveChangedThenIfTheyDid) {
  std::vector<Entry> entries;
  for (const char* name : {"a", "b", "c"}) {
    entries.push_back(WriteOld(name, std::string(8192, name[0])));
    EXPECT_EQ(Ask(Part(entries.back(), name, 0, 4096)).status, ReplyStatus::kOk);
  }
  RunOn(runtime_->shard(0), DropReader());
  Overwrite("a", 0, "changed");
  EXPECT_EQ(Ask(Part(entries[0], "a", 4096, 4096)).status, ReplyStatus::kChanged);
  Overwrite("c", 0, "changed");
  EXPECT_EQ(Ask(Part(entries[2], "c", 4096, 4096)).status, ReplyStatus::kOk);
}

TEST_P(FileSnapshotsTest, AFileThatCannotBeClonedIsAnErrorThatSaysSo) {
  plan_.refusal = EOPNOTSUPP;
  const Entry entry = WriteOld("f", "contents");
  const ReplyItem told = Ask(WholeFile("f", entry));
  EXPECT_EQ(told.status, ReplyStatus::kFailed);
  EXPECT_EQ(told.error, EOPNOTSUPP);
  EXPECT_EQ(told.operation, "snapshot");
  EXPECT_EQ(sink_.content, "");
  EXPECT_EQ(StatusErrno(RunOn(runtime_->shard(0), Probe())), EOPNOTSUPP);
}

TEST_P(FileSnapshotsTest, OrItIsToldAndReadAsItIsWithTheChecksOfAnyFile) {
  plan_.refusal = EOPNOTSUPP;
  int told = 0;
  reader_options_.without_snapshot = [&told](const absl::Status& why) { told += StatusErrno(why) == EOPNOTSUPP; };
  const Entry entry = WriteOld("f", "contents");
  EXPECT_EQ(Ask(WholeFile("f", entry)).status, ReplyStatus::kOk);
  EXPECT_EQ(sink_.content, "contents");
  EXPECT_EQ(told, 1);
  Overwrite("f", 0, "CONTENTS");
  EXPECT_EQ(Ask(WholeFile("f", entry)).status, ReplyStatus::kChanged);
}

TEST_P(FileSnapshotsTest, AnotherFileUnderTheNameIsChangedAndNotCloned) {
  const Entry entry = WriteOld("f", "contents");
  WriteFile(dir_ / "g", "contents");
  ASSERT_EQ(::rename((dir_ / "g").c_str(), (dir_ / "f").c_str()), 0);
  EXPECT_EQ(Ask(WholeFile("f", entry)).status, ReplyStatus::kChanged);
  EXPECT_EQ(plan_.clones, 0);
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Backends, FileSnapshotsTest, testing::Values(IoBackend::kAuto, IoBackend::kThreads),
                         [](const auto& info) { return info.param == IoBackend::kAuto ? "Auto" : "Threads"; });

}  // namespace uringsync

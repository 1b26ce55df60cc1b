#include "engine/transfer/source_reader.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "tests/engine/transfer/transfer_fixture.h"

namespace uringsync {
namespace {

class SourceReaderTest : public testing::TestWithParam<Way> {
 protected:
  SourceReaderTest() : runtime_(StartFaultyRuntime(plan_, GetParam().backend, 1)), root_(OpenTestRoot(dir_.path())) {}
  absl::Status Serve(FileRequest request) {
    sink_.items.clear();
    sink_.content.clear();
    return RunOn(runtime_->shard(0), ServeOnce(root_, std::move(request), &sink_, &direct_io_));
  }
  DirectIo direct_io_{GetParam().direct_io};
  TempDir dir_;
  std::shared_ptr<FaultPlan> plan_ = std::make_shared<FaultPlan>();
  std::unique_ptr<Runtime> runtime_;
  DirectoryPtr root_;
  RecordingSink sink_;
};

TEST_P(SourceReaderTest, SmallFileIsOneItemWithItsDigest) {
  WriteFile(dir_ / "a/b", "hello");
  ASSERT_OK(Serve(WholeFile("a/b", EntryOf(dir_ / "a/b"))));
  ASSERT_EQ(sink_.items.size(), 1u);
  EXPECT_TRUE(sink_.items[0].end);
  EXPECT_EQ(sink_.items[0].status, ReplyStatus::kOk);
  EXPECT_EQ(sink_.content, "hello");
  EXPECT_EQ(sink_.items[0].digest, Xxh128("hello", kTestSeed));
}

TEST_P(SourceReaderTest, LargeFileComesInPiecesInOrder) {
  std::string content = Pattern((3 << 20) + 17);
  WriteFile(dir_ / "big", content);
  ASSERT_OK(Serve(WholeFile("big", EntryOf(dir_ / "big"))));
  ASSERT_EQ(sink_.items.size(), (3 << 20) / kPieceBytes + 1);
  EXPECT_EQ(sink_.items[1].offset, kPieceBytes);
  EXPECT_EQ(sink_.items.back().data_length, 17u);
  EXPECT_TRUE(sink_.items.back().end);
  EXPECT_EQ(sink_.content, content);
}

TEST_P(SourceReaderTest, RangeYieldsExactlyThatRange) {
  std::string content = Pattern(3 << 20);
  WriteFile(dir_ / "big", content);
  FileRequest request = WholeFile("big", EntryOf(dir_ / "big"));
  request.offset = 1000;
  request.length = 1500000;
  ASSERT_OK(Serve(request));
  EXPECT_EQ(sink_.content, content.substr(1000, 1500000));
}

TEST_P(SourceReaderTest, HolesAreToldAndNotRead) {
  std::string path = dir_ / "sparse";
  WriteFile(path, std::string(4096, 'x'));
  ASSERT_EQ(::truncate(path.c_str(), 8 << 20), 0);
  ASSERT_OK(Serve(WholeFile("sparse", EntryOf(path))));
  uint64_t holes = 0;
  for (const ReplyItem& item : sink_.items) holes += item.hole_length;
  EXPECT_EQ(holes + sink_.content.size(), uint64_t{8} << 20);
  EXPECT_LE(sink_.content.size(), 1u << 20);
  EXPECT_TRUE(sink_.items.back().end);
}

TEST_P(SourceReaderTest, MissingFileIsVanished) {
  WriteFile(dir_ / "gone", "x");
  FileRequest request = WholeFile("gone", EntryOf(dir_ / "gone"));
  ASSERT_EQ(::unlink((dir_ / "gone").c_str()), 0);
  ASSERT_OK(Serve(request));
  ASSERT_EQ(sink_.items.size(), 1u);
  EXPECT_EQ(sink_.items[0].status, ReplyStatus::kVanished);
  EXPECT_TRUE(sink_.items[0].end);
}

TEST_P(SourceReaderTest, AnotherFileUnderTheNameIsChangedAndSaysWhatItIs) {
  WriteFile(dir_ / "f", "old");
  FileRequest request = WholeFile("f", EntryOf(dir_ / "f"));
  WriteFile(dir_ / "g", "newer content");
  ASSERT_EQ(::rename((dir_ / "g").c_str(), (dir_ / "f").c_str()), 0);
  ASSERT_OK(Serve(request));
  ASSERT_EQ(sink_.items.size(), 1u);
  EXPECT_EQ(sink_.items[0].status, ReplyStatus::kChanged);
  ASSERT_TRUE(sink_.items[0].current.has_value());
  EXPECT_EQ(sink_.items[0].current->size_bytes, 13u);
  EXPECT_TRUE(sink_.content.empty());
}

TEST_P(SourceReaderTest, SymlinkInPlaceOfTheFileIsNeverFollowed) {
  WriteFile(dir_ / "f", "inside");
  FileRequest request = WholeFile("f", EntryOf(dir_ / "f"));
  ASSERT_EQ(::unlink((dir_ / "f").c_str()), 0);
  ASSERT_EQ(::symlink("/etc/passwd", (dir_ / "f").c_str()), 0);
  ASSERT_OK(Serve(request));
  EXPECT_EQ(sink_.items[0].status, ReplyStatus::kChanged);
  EXPECT_TRUE(sink_.content.empty());
}

TEST_P(SourceReaderTest, FileThatIsWrittenWhileItIsReadIsChanged) {
  WriteFile(dir_ / "f", std::string(100, 'a'));
  FileRequest request = WholeFile("f", EntryOf(dir_ / "f"));
  std::string path = dir_ / "f";
  plan_->FilterOps([path](const Op& op) {
    if (op.code == OpCode::kRead) WriteFile(path, "b");
    return 0;
  });
  ASSERT_OK(Serve(request));
  EXPECT_EQ(sink_.items.back().status, ReplyStatus::kChanged);
  ASSERT_TRUE(sink_.items.back().current.has_value());
  EXPECT_EQ(sink_.items.back().current->size_bytes, 1u);
}

// A page that is written to already: further stores move no time until it is written back.
class Mapping {
 public:
  explicit Mapping(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    void* const at = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (at != MAP_FAILED) bytes_ = static_cast<char*>(at);
    Store('0');
  }
  ~Mapping() { ::munmap(bytes_, kBytes); }
  void Store(char value) { std::fill_n(bytes_, kBytes, value); }

 private:
  static constexpr size_t kBytes = 4096;
  char* bytes_ = nullptr;
};

TEST_P(SourceReaderTest, AStoreThroughAMappingWhileItIsReadIsAChangeThoughNoTimeTellsOfIt) {
  IgnoreLeaseSignals();
  const std::string path = dir_ / "f";
  WriteFile(path, std::string(4096, 'a'));
  Mapping mapping(path);
  const FileRequest request = WholeFile("f", EntryOf(path));
  int reads = 0;
  plan_->FilterOps([&](const Op& op) {
    if (op.code == OpCode::kRead && ++reads == 2) mapping.Store('b');
    return 0;
  });
  ASSERT_OK(Serve(request));
  EXPECT_EQ(reads, 2) << "nobody who could write was seen";
  EXPECT_EQ(sink_.items.back().status, ReplyStatus::kChanged);
  ASSERT_TRUE(sink_.items.back().current.has_value());
  EXPECT_EQ(sink_.items.back().current->mtime, request.mtime);
}

TEST_P(SourceReaderTest, AFileOfThisTickIsReadWhenTheTickIsOver) {
  WriteFile(dir_ / "f", "just now");
  const FileRequest request = WholeFile("f", EntryOf(dir_ / "f"));
  bool waited = false;
  bool read_before = false;
  plan_->FilterOps([&](const Op& op) {
    waited = waited || (op.code == OpCode::kTimeout && op.timeout == RestCheck::kTicks);
    read_before = read_before || (op.code == OpCode::kRead && !waited);
    return 0;
  });
  ASSERT_OK(Serve(request));
  EXPECT_TRUE(waited);
  EXPECT_FALSE(read_before);
  EXPECT_EQ(sink_.content, "just now");
}

TEST_P(SourceReaderTest, AFileThatIsMerelyOpenForWritingIsAtRest) {
  IgnoreLeaseSignals();
  const std::string path = dir_ / "f";
  WriteFile(path, std::string(4096, 'a'));
  Mapping mapping(path);
  ASSERT_OK(Serve(WholeFile("f", EntryOf(path))));
  EXPECT_EQ(sink_.items.back().status, ReplyStatus::kOk);
  EXPECT_EQ(sink_.content, std::string(4096, '0'));
}

TEST_P(SourceReaderTest, AFileWithoutWritersIsReadOnce) {
  IgnoreLeaseSignals();
  const std::string path = dir_ / "f";
  WriteFile(path, "content");
  std::this_thread::sleep_for(RestCheck::kTicks);
  int reads = 0;
  plan_->FilterOps([&](const Op& op) {
    reads += op.code == OpCode::kRead;
    return 0;
  });
  ASSERT_OK(Serve(WholeFile("f", EntryOf(path))));
  EXPECT_EQ(sink_.items.back().status, ReplyStatus::kOk);
  EXPECT_EQ(reads, 1);
}

TEST_P(SourceReaderTest, TimesFarInThePastAndTheFutureAreTimesLikeOthers) {
  IgnoreLeaseSignals();
  for (const time_t seconds : {time_t{-2'000'000'000}, time_t{13'000'000'000}}) {
    WriteFile(dir_ / "f", "content");
    const timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (dir_ / "f").c_str(), times, 0), 0);
    ASSERT_OK(Serve(WholeFile("f", EntryOf(dir_ / "f"))));
    EXPECT_EQ(sink_.items.back().status, ReplyStatus::kOk);
    EXPECT_EQ(sink_.content, "content");
  }
}

TEST_P(SourceReaderTest, WhereLeasesAreRefusedWhatChangedLatelyIsReadTwice) {
  IgnoreLeaseSignals();
  WriteFile(dir_ / "f", "content");
  FileRequest request = WholeFile("f", EntryOf(dir_ / "f"));
  int reads = 0;
  plan_->FilterOps([&](const Op& op) {
    reads += op.code == OpCode::kRead;
    return 0;
  });
  plan_->FailFrom(CallCode::kFcntl, 1, EACCES);
  ASSERT_OK(Serve(request));
  EXPECT_EQ(sink_.items.back().status, ReplyStatus::kOk);
  EXPECT_EQ(reads, 2);
}

TEST_P(SourceReaderTest, AMovingFileIsAcceptedAsLongAsItIsThatFileAndReachesTheRange) {
  WriteFile(dir_ / "f", "12345678");
  FileRequest request = WholeFile("f", EntryOf(dir_ / "f"));
  request.accept_moving = true;
  const std::string path = dir_ / "f";
  plan_->FilterOps([path](const Op& op) {
    if (op.code == OpCode::kRead) WriteFile(path, "1234567890");
    return 0;
  });
  ASSERT_OK(Serve(request));
  EXPECT_EQ(sink_.items.back().status, ReplyStatus::kOk);
  EXPECT_EQ(sink_.content, "12345678") << "what lies behind was not asked for";
  plan_->Clear();
  WriteFile(path, "short");
  request.length = 5;
  ASSERT_OK(Serve(request));
  EXPECT_EQ(sink_.items.back().status, ReplyStatus::kOk);
  request.length = 6;
  ASSERT_OK(Serve(request));
  EXPECT_EQ(sink_.items.back().status, ReplyStatus::kChanged);
  request.length = 5;
  WriteFile(dir_ / "g", "12345678");
  ASSERT_EQ(::rename((dir_ / "g").c_str(), path.c_str()), 0);
  ASSERT_OK(Serve(request));
  EXPECT_EQ(sink_.items.back().status, ReplyStatus::kChanged) << "another file has the name";
  EXPECT_EQ(sink_.content, "");
}

TEST_P(SourceReaderTest, ReadErrorIsAFailureOfThatFile) {
  WriteFile(dir_ / "f", "content");
  plan_->Fail(OpCode::kRead, 1, EIO);
  ASSERT_OK(Serve(WholeFile("f", EntryOf(dir_ / "f"))));
  ASSERT_EQ(sink_.items.size(), 1u);
  EXPECT_EQ(sink_.items[0].status, ReplyStatus::kFailed);
  EXPECT_EQ(sink_.items[0].error, EIO);
  EXPECT_EQ(sink_.items[0].operation, "read");
}

TEST_P(SourceReaderTest, AttributesOfADirectoryComeWithoutContents) {
  MakeDirectories(dir_ / "d");
  if (::setxattr((dir_ / "d").c_str(), "user.color", "red", 3, 0) != 0)
    GTEST_SKIP() << "no user xattrs here: errno " << errno;
  FileRequest request = WholeFile("d", EntryOf(dir_ / "d"));
  request.want_xattrs = true;
  ASSERT_OK(Serve(request));
  ASSERT_EQ(sink_.items.size(), 1u);
  ASSERT_TRUE(sink_.items[0].xattrs.has_value());
  EXPECT_EQ(*sink_.items[0].xattrs, (XattrList{{"user.color", "red"}}));
}

TEST_P(SourceReaderTest, AttributesOfTheRootAreThoseOfTheRoot) {
  FileRequest request = WholeFile("", EntryOf(dir_.path()));
  request.want_xattrs = true;
  ASSERT_OK(Serve(request));
  ASSERT_EQ(sink_.items.size(), 1u);
  EXPECT_TRUE(sink_.items[0].end);
  EXPECT_TRUE(sink_.items[0].xattrs.has_value());
}

TEST_P(SourceReaderTest, RangeOutsideTheFileIsRefused) {
  WriteFile(dir_ / "f", "content");
  FileRequest request = WholeFile("f", EntryOf(dir_ / "f"));
  request.offset = 5;
  request.length = 5;
  ASSERT_OK(Serve(request));
  EXPECT_EQ(sink_.items[0].status, ReplyStatus::kFailed);
  EXPECT_EQ(sink_.items[0].error, EINVAL);
}

TEST_P(SourceReaderTest, RefusalOfTheSinkStopsTheReading) {
  WriteFile(dir_ / "big", Pattern(3 << 20));
  sink_.refusal = absl::AbortedError("enough");
  EXPECT_THAT(Serve(WholeFile("big", EntryOf(dir_ / "big"))), StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(sink_.items.size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Backends, SourceReaderTest, testing::ValuesIn(kEveryWay), WayName);

}  // namespace
}  // namespace uringsync

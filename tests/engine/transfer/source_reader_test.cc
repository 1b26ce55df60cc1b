#include "engine/transfer/source_reader.h"

#include <gtest/gtest.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

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

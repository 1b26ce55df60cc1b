// Whether two files have the same contents, by digests: on both drivers, with holes, changes and a source that fails.
#include "engine/transfer/same_contents.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/engine/transfer/transfer_fixture.h"

namespace uringsync {
namespace {

class SameContentsTest : public testing::TestWithParam<IoBackend> {
 protected:
  SameContentsTest() : runtime_(StartTestRuntime(1, GetParam())), shard_(&runtime_->shard(0)) {
    ReceiveOptions options;
    options.digest_seed = kTestSeed;
    shared_ = std::make_unique<ReceiveShared>(options);
    SourceReaderOptions reader;
    reader.digest_seed = kTestSeed;
    source_ = std::make_unique<LocalContentSource>(
        std::make_unique<SourceReader>(shard_->driver(), shard_->buffers(), OpenTestRoot(theirs_.path()), reader));
  }
  bool Same() {
    const FileRequest request = FileRequest::Of(*RelPath::Parse("f"), seen_ ? *seen_ : EntryOf(theirs_ / "f"));
    const UniqueFd file(::open((ours_ / "g").c_str(), O_RDONLY | O_CLOEXEC));
    SameContents compare(shard_, shared_.get(), source_.get(), request, DataFile{file.get(), -1});
    return RunOn(*shard_, compare.Run());
  }

  TempDir theirs_;
  TempDir ours_;
  std::unique_ptr<Runtime> runtime_;
  Shard* const shard_;
  std::unique_ptr<ReceiveShared> shared_;
  std::unique_ptr<LocalContentSource> source_;
  std::optional<Entry> seen_;
};

TEST_P(SameContentsTest, FilesOfEveryLengthAreComparedToTheLastByte) {
  for (const size_t size :
       {size_t{1}, kLeafBytes - 1, kLeafBytes, kLeafBytes + 1, size_t{8} << 20, (size_t{27} << 20) + 5}) {
    SCOPED_TRACE(size);
    std::string contents = Pattern(size);
    WriteFile(theirs_ / "f", contents);
    WriteFile(ours_ / "g", contents);
    EXPECT_TRUE(Same());
    contents.back() = static_cast<char>(contents.back() ^ 1);
    WriteFile(ours_ / "g", contents);
    EXPECT_FALSE(Same());
  }
}

TEST_P(SameContentsTest, AHoleIsWhatItIsReadAs) {
  const std::string zeros(size_t{3} << 20, '\0');
  WriteFile(theirs_ / "f", "");
  ASSERT_EQ(::truncate((theirs_ / "f").c_str(), static_cast<off_t>(zeros.size())), 0);
  WriteFile(ours_ / "g", zeros);
  EXPECT_TRUE(Same());
  std::string other = zeros;
  other[2 << 20] = 'x';
  WriteFile(ours_ / "g", other);
  EXPECT_FALSE(Same());
}

TEST_P(SameContentsTest, WhatCannotBeToldIsNotTheSame) {
  WriteFile(theirs_ / "f", "contents");
  WriteFile(ours_ / "g", "contents");
  seen_ = EntryOf(theirs_ / "f");
  // A shorter file of ours.
  WriteFile(ours_ / "g", "content");
  EXPECT_FALSE(Same());
  WriteFile(ours_ / "g", "contents");
  EXPECT_TRUE(Same());
  // A source that is another one by now, and none at all.
  WriteFile(theirs_ / "f", "contents, and more");
  EXPECT_FALSE(Same());
  ASSERT_EQ(::unlink((theirs_ / "f").c_str()), 0);
  EXPECT_FALSE(Same());
}

TEST_P(SameContentsTest, ASessionThatIsOverSaysNothing) {
  WriteFile(theirs_ / "f", Pattern(20 << 20));
  WriteFile(ours_ / "g", Pattern(20 << 20));
  shared_->Stop();
  EXPECT_FALSE(Same());
}

INSTANTIATE_TEST_SUITE_P(Drivers, SameContentsTest, testing::Values(IoBackend::kAuto, IoBackend::kThreads),
                         [](const auto& info) {
                           return std::string(info.param == IoBackend::kAuto ? "Auto" : "Threads");
                         });

}  // namespace
}  // namespace uringsync

#include "engine/transfer/generated_content.h"

#include <gtest/gtest.h>

#include <vector>

#include "engine/base/digest.h"
#include "engine/transfer/source_reader.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

constexpr uint64_t kSeed = 42;

class CollectingSink final : public ReplySink {
 public:
  Task<absl::Status> OnItem(ReplyItem item, Piece piece) override {
    EXPECT_EQ(item.data_length, piece.size());
    EXPECT_EQ(item.digest, Xxh128(piece.bytes(), kSeed));
    EXPECT_EQ(item.offset, next_offset);
    next_offset += piece.size();
    ended = item.end;
    ++items;
    co_return items == refuse_at ? absl::CancelledError("enough") : absl::OkStatus();
  }
  uint64_t next_offset = 0;
  bool ended = false;
  int items = 0;
  int refuse_at = -1;
};

class GeneratedContentTest : public testing::Test {
 protected:
  absl::Status Serve(uint64_t offset, uint64_t length, ReplySink* sink) {
    FileRequest request;
    request.id = 9;
    request.offset = offset;
    request.length = length;
    Shard& shard = runtime_->shard(0);
    return RunOn(shard, ServeGenerated(request, kSeed, shard.buffers(), sink));
  }
  std::unique_ptr<Runtime> runtime_ = StartTestRuntime();
};

TEST_F(GeneratedContentTest, ARangeComesInPiecesThatCoverIt) {
  CollectingSink sink;
  sink.next_offset = 100;
  EXPECT_OK(Serve(100, 3 * kPieceBytes + 5, &sink));
  EXPECT_EQ(sink.next_offset, 100 + 3 * kPieceBytes + 5);
  EXPECT_EQ(sink.items, 4);
  EXPECT_TRUE(sink.ended);
}

TEST_F(GeneratedContentTest, OneByteAndNoneAreAnswersToo) {
  for (uint64_t length : {0, 1}) {
    CollectingSink sink;
    EXPECT_OK(Serve(0, length, &sink));
    EXPECT_EQ(sink.items, 1);
    EXPECT_EQ(sink.next_offset, length);
    EXPECT_TRUE(sink.ended);
  }
}

TEST_F(GeneratedContentTest, ASinkThatHasEnoughEndsIt) {
  CollectingSink sink;
  sink.refuse_at = 2;
  EXPECT_THAT(Serve(0, 10 * kPieceBytes, &sink), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(sink.items, 2);
}

TEST(FillIncompressibleTest, EveryByteIsFilledWhateverTheLength) {
  std::vector<std::byte> bytes(21);
  FillIncompressible(bytes, 1);
  std::vector<std::byte> again(21);
  FillIncompressible(again, 1);
  EXPECT_EQ(bytes, again);
  FillIncompressible(again, 2);
  EXPECT_NE(bytes, again);
  EXPECT_NE(bytes[20], std::byte{0});
}

}  // namespace
}  // namespace uringsync

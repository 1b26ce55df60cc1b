#include "engine/tree/hasher.h"

#include <cerrno>

#include "engine/tree/pending_stack.h"
#include "tests/engine/fs/fs_test_support.h"
#include "tests/support/fault_driver.h"
#include "tests/support/run_on.h"

namespace uringsync {
namespace {

// The definition of engine/base/digest.h over bytes in memory.
Digest128 ReferenceDigest(std::string_view bytes) {
  ContentHasher hasher;
  for (size_t at = 0; at < bytes.size(); at += kLeafBytes) hasher.AddLeaf(Xxh128(bytes.substr(at, kLeafBytes)));
  return hasher.Finish(bytes.size());
}

Task<absl::StatusOr<Digest128>> Hash(std::string path, uint64_t size_bytes) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY));
  absl::StatusOr<Digest128> digest =
      co_await HashFile(Shard::Current(), fd.get(), size_bytes, std::nullopt, CancelToken());
  co_return digest;
}

class HasherTest : public testing::Test {
 protected:
  TempDir dir_;
  std::unique_ptr<Runtime> runtime_ = StartTestRuntime(1);
};

TEST_F(HasherTest, DigestsOfAllSizesFollowTheDefinition) {
  std::string content;
  for (size_t i = 0; i < 3 * kLeafBytes; ++i) content.push_back(static_cast<char>(i * 2654435761U >> 13));
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4096}, kSmallHashBytes, kSmallHashBytes + 1, kLeafBytes,
                            kLeafBytes + 1, 3 * kLeafBytes}) {
    WriteFile(dir_ / "f", std::string_view(content).substr(0, size));
    EXPECT_THAT(RunOn(runtime_->shard(0), Hash(dir_ / "f", size)),
                IsOkAndHolds(testing::Eq(ReferenceDigest(std::string_view(content).substr(0, size)))))
        << size;
  }
}

TEST_F(HasherTest, HolesCountAsZerosAndAreNotRead) {
  constexpr uint64_t kSize = 40 * kLeafBytes + 5;
  UniqueFd fd(::open((dir_ / "sparse").c_str(), O_RDWR | O_CREAT, 0600));
  ASSERT_EQ(::ftruncate(fd.get(), kSize), 0);
  const std::string block(70000, 'd');
  ASSERT_EQ(::pwrite(fd.get(), block.data(), block.size(), 9 * kLeafBytes + 100), 70000);
  std::string dense(kSize, '\0');
  dense.replace(9 * kLeafBytes + 100, block.size(), block);
  EXPECT_THAT(RunOn(runtime_->shard(0), Hash(dir_ / "sparse", kSize)),
              IsOkAndHolds(testing::Eq(ReferenceDigest(dense))));
  EXPECT_LT(runtime_->Counters().submitted[static_cast<size_t>(OpCode::kRead)], 5u) << "or no SEEK_HOLE in $TMPDIR";
}

TEST_F(HasherTest, AFileThatBecameShorterIsOutOfRange) {
  WriteFile(dir_ / "f", "short");
  EXPECT_THAT(RunOn(runtime_->shard(0), Hash(dir_ / "f", 6)), StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_F(HasherTest, AReadErrorAndAShortReadAreHandled) {
  const auto plan = std::make_shared<FaultPlan>();
  RuntimeOptions options;
  options.shards = 1;
  options.driver.backend = IoBackend::kThreads;
  options.wrap_driver = plan->Wrapper();
  absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(std::move(options));
  ASSERT_OK(runtime);
  const std::string content(100'000, 'q');
  WriteFile(dir_ / "f", content);
  plan->Shorten(OpCode::kRead, 1, 10);
  EXPECT_THAT(RunOn((*runtime)->shard(0), Hash(dir_ / "f", content.size())),
              IsOkAndHolds(testing::Eq(ReferenceDigest(content))));
  plan->Fail(OpCode::kRead, 1, EIO);
  const absl::StatusOr<Digest128> failed = RunOn((*runtime)->shard(0), Hash(dir_ / "f", content.size()));
  EXPECT_EQ(StatusErrno(failed.status()), EIO);
  EXPECT_EQ(plan->injected(), 2u);
}

TEST(PendingStackTest, PopsInReverseAcrossTheSpill) {
  TempDir dir;
  const std::unique_ptr<Driver> driver = MakeTestDriver();
  PendingStack stack(dir.path(), 100);
  std::vector<std::pair<uint32_t, std::string>> model;
  uint32_t state = 1;
  for (int i = 0; i < 20000; ++i) {
    state = state * 1664525 + 1013904223;
    const bool push = model.empty() || (state >> 16) % 100 < (i < 10000 ? 70U : 30U);
    if (push) {
      model.emplace_back(state % 1000, std::string(1 + (state >> 8) % 200, static_cast<char>('a' + i % 26)));
      ASSERT_OK(stack.Push(driver.get(), model.back().first, model.back().second));
      continue;
    }
    uint32_t depth = 0;
    std::string name;
    EXPECT_THAT(stack.TopDepth(driver.get()), IsOkAndHolds(testing::Eq(model.back().first)));
    ASSERT_OK(stack.Pop(driver.get(), &depth, &name));
    ASSERT_EQ(std::make_pair(depth, name), model.back());
    model.pop_back();
  }
  EXPECT_EQ(stack.records(), model.size());
}

Task<absl::StatusOr<Sha256Digest>> Prove(std::string path, uint64_t size_bytes) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY));
  absl::StatusOr<Sha256Digest> digest = co_await ProveFile(Shard::Current(), fd.get(), size_bytes, CancelToken());
  co_return digest;
}

TEST_F(HasherTest, AProofIsTheSha256OfTheBytesWithHolesAsZeros) {
  const uint64_t size = 5 * kLeafBytes + 3;
  UniqueFd fd(::open((dir_ / "sparse").c_str(), O_RDWR | O_CREAT, 0600));
  ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  ASSERT_EQ(::pwrite(fd.get(), "data", 4, 3 * kLeafBytes + 1), 4);
  std::string dense(size, '\0');
  dense.replace(3 * kLeafBytes + 1, 4, "data");
  EXPECT_THAT(RunOn(runtime_->shard(0), Prove(dir_ / "sparse", size)), IsOkAndHolds(testing::Eq(Sha256::Of(dense))));
  WriteFile(dir_ / "small", "abc");
  EXPECT_THAT(RunOn(runtime_->shard(0), Prove(dir_ / "small", 3)), IsOkAndHolds(testing::Eq(Sha256::Of("abc"))));
  EXPECT_THAT(RunOn(runtime_->shard(0), Prove(dir_ / "small", 4)), StatusIs(absl::StatusCode::kOutOfRange));
}

}  // namespace
}  // namespace uringsync

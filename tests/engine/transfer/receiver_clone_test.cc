#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "engine/base/errno_status.h"
#include "tests/engine/transfer/transfer_fixture.h"

namespace uringsync {
namespace {

// A source whose clones end as the test says; a good one is imitated by copying.
class CloningSource final : public ContentSource {
 public:
  explicit CloningSource(std::unique_ptr<SourceReader> reader) : inner_(std::move(reader)) {}
  Task<absl::Status> Fetch(FileRequest request, ReplySink* sink) override {
    if (request.length > 0) ++fetches;
    co_return co_await inner_.Fetch(std::move(request), sink);
  }
  Task<CloneOutcome> Clone(FileRequest request, int fd) override {
    ++clones;
    CloneOutcome outcome;
    if (real) co_return co_await inner_.Clone(std::move(request), fd);
    if (outcomes.empty()) {
      const std::string content = ReadFile(from + "/" + request.path.text());
      outcome.cloned = ::pwrite(fd, content.data(), content.size(), 0) == static_cast<ssize_t>(content.size());
      co_return outcome;
    }
    // What a clone that broke off leaves.
    if (::pwrite(fd, "part of it", 10, 1 << 20) != 10) std::abort();
    outcome = outcomes.front();
    outcomes.erase(outcomes.begin());
    co_return outcome;
  }
  Task<absl::Status> WaitUsable() override { co_return absl::OkStatus(); }
  bool usable() const override { return true; }
  size_t concurrency() const override { return 8; }
  uint64_t wire_bytes() const override { return 0; }

  bool real = false;
  std::string from;
  std::vector<CloneOutcome> outcomes;  // of the first calls
  int clones = 0;
  int fetches = 0;

 private:
  LocalContentSource inner_;
};

class ReceiverCloneTest : public testing::TestWithParam<IoBackend> {
 protected:
  ReceiverCloneTest()
      : runtime_(StartFaultyRuntime(plan_, GetParam(), 1)),
        root_(OpenTestRoot(from_.path())),
        into_(OpenTestRoot(to_.path())) {}

  void Make(ReflinkMode mode, bool sparse = true) {
    ReceiveOptions options;
    options.digest_seed = kTestSeed;
    options.sync = false;
    options.sparse = sparse;
    options.reflink = mode;
    options.capabilities = ReadProcessCapabilities();
    shared_ = std::make_unique<ReceiveShared>(options);
    Shard* shard = &runtime_->shard(0);
    SourceReaderOptions reader_options;
    reader_options.digest_seed = kTestSeed;
    source_ = std::make_unique<CloningSource>(
        std::make_unique<SourceReader>(shard->driver(), shard->buffers(), root_, reader_options));
    source_->from = from_.path();
    receiver_ = std::make_unique<Receiver>(shard, shared_.get(), source_.get());
  }
  static Task<void> PutTask(Receiver* receiver, ReceiveShared* shared, DirectoryPtr into, IncomingFile* file,
                            std::optional<TransferFailure>* failure) {
    absl::StatusOr<StagedObject> staged = StagedObject::CreateFile(receiver->shard()->driver(), into, shared->namer());
    if (!staged.ok()) std::abort();
    *failure = co_await receiver->Fill(&*staged, file);
    if (failure->has_value()) co_return;
    if (!staged->Publish(LeafName(file->path), std::nullopt).ok()) std::abort();
  }
  std::optional<TransferFailure> Put(const std::string& name) {
    IncomingFile file{*RelPath::Parse(name), EntryOf(from_ / name), false, std::nullopt, false, nullptr, {}};
    std::optional<TransferFailure> failure;
    BlockOn(&runtime_->shard(0), PutTask(receiver_.get(), shared_.get(), into_, &file, &failure));
    return failure;
  }
  void Refuse(int error) {
    CloneOutcome refused;
    refused.refused = error;
    source_->outcomes.push_back(refused);
  }

  TempDir from_;
  TempDir to_;
  std::shared_ptr<FaultPlan> plan_ = std::make_shared<FaultPlan>();
  std::unique_ptr<Runtime> runtime_;
  DirectoryPtr root_;
  DirectoryPtr into_;
  std::unique_ptr<ReceiveShared> shared_;
  std::unique_ptr<CloningSource> source_;
  std::unique_ptr<Receiver> receiver_;
};

TEST_P(ReceiverCloneTest, ACloneIsNeitherReadNorWritten) {
  const std::string content = Pattern(3 << 20);
  WriteFile(from_ / "f", content);
  Make(ReflinkMode::kAuto);
  ASSERT_FALSE(Put("f").has_value());
  EXPECT_EQ(ReadFile(to_ / "f"), content);
  EXPECT_EQ(source_->fetches, 0);
  EXPECT_EQ(shared_->counters().bytes_cloned.load(), content.size());
  EXPECT_EQ(shared_->counters().bytes_written.load(), 0u);
  EXPECT_EQ(EntryOf(to_ / "f").mtime, EntryOf(from_ / "f").mtime);
}

TEST_P(ReceiverCloneTest, WhatIsRefusedIsCopiedAndLeavesNothingBehind) {
  for (const size_t bytes : {size_t{100}, size_t{2 << 20}}) {
    const std::string name = "f" + std::to_string(bytes);
    WriteFile(from_ / name, Pattern(bytes));
    Make(ReflinkMode::kAuto);
    Refuse(EINVAL);
    ASSERT_FALSE(Put(name).has_value());
    EXPECT_EQ(ReadFile(to_ / name), Pattern(bytes));
    EXPECT_EQ(shared_->counters().bytes_cloned.load(), 0u);
    EXPECT_EQ(shared_->counters().bytes_written.load(), bytes);
  }
}

TEST_P(ReceiverCloneTest, AFileSystemThatNeverClonesIsAskedOnce) {
  for (const char* name : {"a", "b", "c"}) WriteFile(from_ / name, "content");
  Make(ReflinkMode::kAuto);
  Refuse(EXDEV);
  for (const char* name : {"a", "b", "c"}) ASSERT_FALSE(Put(name).has_value());
  EXPECT_EQ(source_->clones, 1);
  Make(ReflinkMode::kAuto);
  Refuse(EINVAL);  // of this one file
  WriteFile(from_ / "d", "content");
  WriteFile(from_ / "e", "content");
  ASSERT_FALSE(Put("d").has_value());
  ASSERT_FALSE(Put("e").has_value());
  EXPECT_EQ(source_->clones, 2);
}

TEST_P(ReceiverCloneTest, AlwaysMakesARefusalAFailure) {
  WriteFile(from_ / "f", "content");
  Make(ReflinkMode::kAlways);
  Refuse(EXDEV);
  const std::optional<TransferFailure> failure = Put("f");
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->operation, "clone");
  EXPECT_EQ(failure->error, EXDEV);
  EXPECT_EQ(source_->fetches, 0);
}

TEST_P(ReceiverCloneTest, NeverAndFilledHolesCopy) {
  WriteFile(from_ / "f", "content");
  Make(ReflinkMode::kNever);
  ASSERT_FALSE(Put("f").has_value());
  EXPECT_EQ(source_->clones, 0);
  WriteFile(from_ / "g", "content");
  Make(ReflinkMode::kAuto, /*sparse=*/false);
  ASSERT_FALSE(Put("g").has_value());
  EXPECT_EQ(source_->clones, 0);
}

TEST_P(ReceiverCloneTest, AFileThatChangedIsClonedAgainAsItIsNow) {
  WriteFile(from_ / "f", "new content");
  const Entry now = EntryOf(from_ / "f");
  Make(ReflinkMode::kAlways);
  CloneOutcome changed;
  changed.end.status = ReplyStatus::kChanged;
  changed.end.operation = "stat";
  changed.end.current = CurrentFile{now.id, now.size_bytes, now.mtime};
  source_->outcomes.push_back(changed);
  ASSERT_FALSE(Put("f").has_value());
  EXPECT_EQ(ReadFile(to_ / "f"), "new content");
  EXPECT_EQ(source_->clones, 2);
  EXPECT_EQ(shared_->counters().retries.load(), 1u);
}

TEST_P(ReceiverCloneTest, TheReaderChecksTheSourceBeforeAndAfter) {
  WriteFile(from_ / "f", "content");
  Make(ReflinkMode::kAlways);
  source_->real = true;
  IncomingFile file{*RelPath::Parse("f"), EntryOf(from_ / "f"), false, std::nullopt, false, nullptr, {}};
  file.wanted.size_bytes += 1;  // another file than was planned
  std::optional<TransferFailure> failure;
  // As if the file system could: what FICLONE itself does is for the tests on btrfs and xfs.
  plan_->FailFrom(CallCode::kIoctl, 1, EOPNOTSUPP);
  BlockOn(&runtime_->shard(0), PutTask(receiver_.get(), shared_.get(), into_, &file, &failure));
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->operation, "clone");
  EXPECT_EQ(file.wanted.size_bytes, 7u);  // told by the look before, and asked for again
  plan_->Clear();
}

INSTANTIATE_TEST_SUITE_P(Backends, ReceiverCloneTest, testing::Values(IoBackend::kAuto, IoBackend::kThreads),
                         [](const auto& backend) { return backend.param == IoBackend::kAuto ? "Auto" : "Threads"; });

}  // namespace
}  // namespace uringsync

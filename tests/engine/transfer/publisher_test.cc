#include "engine/transfer/publisher.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

#include "engine/fs/state_name.h"
#include "tests/engine/transfer/transfer_fixture.h"

namespace uringsync {
namespace {

struct Published {
  std::string name;
  PublishResult result;
};

Task<void> StageAndCommit(Publisher* publisher, DirectoryPtr into, StateNamer* namer, Published* file, bool alone) {
  Driver* driver = Shard::Current()->driver();
  publisher->Begin();
  absl::StatusOr<StagedObject> staged = StagedObject::CreateFile(driver, into, namer);
  if (!staged.ok()) std::abort();
  absl::Status written = co_await WriteAtFull(driver, staged->fd(), "data", 4, 0);
  if (!written.ok()) std::abort();
  std::optional<Entry> nothing;
  file->result = co_await publisher->Commit(&*staged, file->name.c_str(), &nothing, 4, alone);
}

// Stages all of `files`, as one batch where `sync` holds.
Task<void> PublishAll(DirectoryPtr into, bool sync, bool alone, std::vector<Published>* files) {
  Publisher publisher(Shard::Current()->driver(), sync);
  StateNamer namer(9);
  publisher.SetMoreComing(true);
  Scope scope;
  for (Published& file : *files) scope.Spawn(StageAndCommit(&publisher, into, &namer, &file, alone));
  co_await Yield{};
  publisher.SetMoreComing(false);
  co_await scope.Join();
  co_await publisher.Drain();
}

class PublisherTest : public testing::TestWithParam<IoBackend> {
 protected:
  PublisherTest() : runtime_(StartFaultyRuntime(plan_, GetParam(), 1)), into_(OpenTestRoot(dir_.path())) {}
  void Publish(bool sync, bool alone = false) { BlockOn(&runtime_->shard(0), PublishAll(into_, sync, alone, &files_)); }
  bool Exists(const std::string& name) { return ::access((dir_ / name).c_str(), F_OK) == 0; }
  TempDir dir_;
  std::shared_ptr<FaultPlan> plan_ = std::make_shared<FaultPlan>();
  std::unique_ptr<Runtime> runtime_;
  DirectoryPtr into_;
  std::vector<Published> files_ = {{"a", {}}, {"b", {}}, {"c", {}}};
};

TEST_P(PublisherTest, BatchIsSyncedFileByFileAndPublished) {
  Publish(true);
  for (const Published& file : files_) {
    EXPECT_OK(file.result.status);
    EXPECT_EQ(ReadFile(dir_ / file.name), "data");
  }
  EXPECT_EQ(runtime_->Counters().submitted[static_cast<size_t>(OpCode::kFsync)], 3u);
}

TEST_P(PublisherTest, WithoutSyncNothingIsSynced) {
  Publish(false);
  EXPECT_TRUE(Exists("a") && Exists("b") && Exists("c"));
  EXPECT_EQ(runtime_->Counters().submitted[static_cast<size_t>(OpCode::kFsync)], 0u);
}

TEST_P(PublisherTest, FailedFsyncInvalidatesTheWholeBatchAndIsNotRetried) {
  plan_->Fail(OpCode::kFsync, 2, EIO);
  Publish(true);
  for (const Published& file : files_) {
    EXPECT_TRUE(file.result.stage_again);
    EXPECT_FALSE(Exists(file.name));
  }
  EXPECT_EQ(plan_->injected(), 1u);
}

TEST_P(PublisherTest, AloneAFailedFsyncHitsOnlyItsOwnFile) {
  plan_->Fail(OpCode::kFsync, 2, EIO);
  Publish(true, /*alone=*/true);
  int published = 0;
  for (const Published& file : files_) published += Exists(file.name) ? 1 : 0;
  EXPECT_EQ(published, 2);
}

TEST_P(PublisherTest, NameThatAppearedMeanwhileIsNotOverwritten) {
  WriteFile(dir_ / "b", "mine");
  Publish(true);
  EXPECT_TRUE(IsConflict(files_[1].result.status));
  EXPECT_EQ(ReadFile(dir_ / "b"), "mine");
  EXPECT_OK(files_[0].result.status);
  EXPECT_OK(files_[2].result.status);
}

INSTANTIATE_TEST_SUITE_P(Backends, PublisherTest, testing::Values(IoBackend::kAuto, IoBackend::kThreads));

}  // namespace
}  // namespace uringsync

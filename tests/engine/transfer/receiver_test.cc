#include "engine/transfer/receiver.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "engine/base/errno_status.h"
#include "tests/engine/transfer/transfer_fixture.h"

namespace uringsync {
namespace {

// Changes what passes between a local source and the receiver.
class TamperingSource final : public ContentSource {
 public:
  using Tamper = std::function<absl::Status(ReplyItem* item, Piece* piece)>;
  TamperingSource(std::unique_ptr<SourceReader> reader, Tamper tamper)
      : inner_(std::move(reader)), tamper_(std::move(tamper)) {}
  Task<absl::Status> Fetch(FileRequest request, ReplySink* sink) override {
    ++fetches;
    Filter filter(this, sink);
    absl::Status fetched = co_await inner_.Fetch(std::move(request), &filter);
    co_return fetched;
  }
  Task<absl::Status> WaitUsable() override { co_return absl::OkStatus(); }
  bool usable() const override { return true; }
  size_t concurrency() const override { return 8; }
  uint64_t wire_bytes() const override { return 0; }
  int fetches = 0;

 private:
  class Filter final : public ReplySink {
   public:
    Filter(TamperingSource* owner, ReplySink* sink) : owner_(owner), sink_(sink) {}
    Task<absl::Status> OnItem(ReplyItem item, Piece piece) override {
      if (owner_->tamper_ != nullptr) US_CO_RETURN_IF_ERROR(owner_->tamper_(&item, &piece));
      co_return co_await sink_->OnItem(std::move(item), std::move(piece));
    }

   private:
    TamperingSource* owner_;
    ReplySink* sink_;
  };
  LocalContentSource inner_;
  Tamper tamper_;
};

class ReceiverTest : public testing::TestWithParam<Way> {
 protected:
  static constexpr size_t kShards = 2;
  ReceiverTest()
      : runtime_(StartFaultyRuntime(plan_, GetParam().backend, kShards)),
        from_(OpenTestRoot(source_.path())),
        into_(OpenTestRoot(destination_.path())) {}

  void Make(bool sparse = true) {
    ReceiveOptions options;
    options.digest_seed = kTestSeed;
    options.direct_io = GetParam().direct_io;
    options.session_tag = 5;
    options.sparse = sparse;
    options.sync = false;
    options.capabilities = ReadProcessCapabilities();
    shared_ = std::make_unique<ReceiveShared>(options);
    for (size_t i = 0; i < kShards; ++i) {
      Shard* shard = &runtime_->shard(i);
      SourceReaderOptions reader_options;
      reader_options.digest_seed = kTestSeed;
      reader_options.direct_io = &direct_io_;
      auto reader = std::make_unique<SourceReader>(shard->driver(), shard->buffers(), from_, reader_options);
      sources_.push_back(std::make_unique<TamperingSource>(std::move(reader), tamper_));
      receivers_.push_back(std::make_unique<Receiver>(shard, shared_.get(), sources_.back().get()));
    }
    for (auto& receiver : receivers_) receiver->SetPeers({receivers_[0].get(), receivers_[1].get()});
  }

  static Task<void> PutTask(Receiver* receiver, ReceiveShared* shared, DirectoryPtr into, IncomingFile* file,
                            std::optional<TransferFailure>* failure) {
    Driver* driver = receiver->shard()->driver();
    absl::StatusOr<StagedObject> staged = StagedObject::CreateFile(driver, into, shared->namer());
    if (!staged.ok()) std::abort();
    *failure = co_await receiver->Fill(&*staged, file);
    if (failure->has_value()) co_return;
    absl::Status published = staged->Publish(LeafName(file->path), std::nullopt);
    if (!published.ok()) std::abort();
  }

  // Copies `name` and says how that went.
  std::optional<TransferFailure> Put(const std::string& name) {
    if (shared_ == nullptr) Make();
    IncomingFile file{*RelPath::Parse(name), EntryOf(source_ / name), false};
    std::optional<TransferFailure> failure;
    BlockOn(&runtime_->shard(0), PutTask(receivers_[0].get(), shared_.get(), into_, &file, &failure));
    return failure;
  }
  bool Exists(const std::string& name) { return ::access((destination_ / name).c_str(), F_OK) == 0; }
  int ObjectsAtDestination() {
    int count = 0;
    DIR* dir = ::opendir(destination_.path().c_str());
    while (::readdir(dir) != nullptr) ++count;
    ::closedir(dir);
    return count - 2;
  }

  DirectIo direct_io_{GetParam().direct_io};  // of the source
  TempDir source_;
  TempDir destination_;
  std::shared_ptr<FaultPlan> plan_ = std::make_shared<FaultPlan>();
  std::unique_ptr<Runtime> runtime_;
  DirectoryPtr from_;
  DirectoryPtr into_;
  TamperingSource::Tamper tamper_;
  std::unique_ptr<ReceiveShared> shared_;
  std::vector<std::unique_ptr<TamperingSource>> sources_;
  std::vector<std::unique_ptr<Receiver>> receivers_;
};

TEST_P(ReceiverTest, SmallFileArrivesWithItsMetadata) {
  WriteFile(source_ / "f", "content", 0640);
  ASSERT_FALSE(Put("f").has_value());
  EXPECT_EQ(ReadFile(destination_ / "f"), "content");
  Entry from = EntryOf(source_ / "f");
  Entry to = EntryOf(destination_ / "f");
  EXPECT_EQ(to.mode, 0640u);
  EXPECT_EQ(to.mtime, from.mtime);
  EXPECT_EQ(shared_->counters().bytes_received.load(), 7u);
  EXPECT_EQ(shared_->counters().bytes_written.load(), 7u);
}

TEST_P(ReceiverTest, AnEmptyFileIsOpenedAsAnyOther) {
  WriteFile(source_ / "empty", "");
  ASSERT_FALSE(Put("empty").has_value());
  EXPECT_EQ(ReadFile(destination_ / "empty"), "");
  EXPECT_EQ(sources_[0]->fetches, 1);
}

TEST_P(ReceiverTest, AnEmptyFileThatCannotBeOpenedIsNotMade) {
  WriteFile(source_ / "empty", "");
  tamper_ = [](ReplyItem* item, Piece*) {
    item->status = ReplyStatus::kFailed;
    item->error = EACCES;
    item->operation = "open";
    return absl::OkStatus();
  };
  std::optional<TransferFailure> failure = Put("empty");
  ASSERT_TRUE(failure.has_value());
  EXPECT_TRUE(failure->at_source);
  EXPECT_EQ(failure->error, EACCES);
  EXPECT_EQ(ObjectsAtDestination(), 0);
}

TEST_P(ReceiverTest, LargeFileArrivesWholeOverAllShards) {
  std::string content = Pattern((40 << 20) + 4321);
  WriteFile(source_ / "big", content);
  ASSERT_FALSE(Put("big").has_value());
  EXPECT_EQ(ReadFile(destination_ / "big"), content);
  EXPECT_EQ(shared_->counters().bytes_received.load(), content.size());
  EXPECT_EQ(sources_[0]->fetches + sources_[1]->fetches, (40 << 20) / static_cast<int>(kRangeBytes) + 1);
}

TEST_P(ReceiverTest, HolesStayHoles) {
  std::string path = source_ / "sparse";
  WriteFile(path, std::string(4096, 'x'));
  ASSERT_EQ(::truncate(path.c_str(), 64 << 20), 0);
  ASSERT_FALSE(Put("sparse").has_value());
  EXPECT_EQ(ReadFile(destination_ / "sparse"), ReadFile(path));
  EXPECT_LE(EntryOf(destination_ / "sparse").allocated_bytes, uint64_t{1} << 20);
}

TEST_P(ReceiverTest, AHugeHoleCostsFewRequests) {
  std::string path = source_ / "sparse";
  WriteFile(path, std::string(4096, 'a'));
  const uint64_t size = uint64_t{1} << 40;
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(size)), 0);
  const UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  for (uint64_t at : {size / 3, size / 2, size - 10})
    ASSERT_EQ(::pwrite(file.get(), "data", 4, static_cast<off_t>(at)), 4);
  if (::lseek(file.get(), 1 << 20, SEEK_DATA) < (2 << 20)) GTEST_SKIP() << "the file system tells no holes";
  ASSERT_FALSE(Put("sparse").has_value());
  // One of the extents, one of each piece of data, and those that went out before the holes were known: how many that
  // are is up to the scheduler, and next to nothing beside one for each range.
  EXPECT_LE(static_cast<uint64_t>(sources_[0]->fetches + sources_[1]->fetches), size / kRangeBytes / 100);
  const UniqueFd copy(::open((destination_ / "sparse").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(EntryOf(destination_ / "sparse").size_bytes, size);
  EXPECT_LE(EntryOf(destination_ / "sparse").allocated_bytes, uint64_t{1} << 20);
  for (uint64_t at : {uint64_t{0}, size / 3, size / 2, size - 10}) {
    char found[4];
    ASSERT_EQ(::pread(copy.get(), found, sizeof(found), static_cast<off_t>(at)), 4);
    EXPECT_EQ(std::string(found, 4), at == 0 ? "aaaa" : "data");
  }
}

TEST_P(ReceiverTest, HolesAreWrittenAsZerosWhenAskedFor) {
  Make(/*sparse=*/false);
  std::string path = source_ / "sparse";
  WriteFile(path, "x");
  ASSERT_EQ(::truncate(path.c_str(), 3 << 20), 0);
  ASSERT_FALSE(Put("sparse").has_value());
  EXPECT_EQ(ReadFile(destination_ / "sparse"), ReadFile(path));
  EXPECT_GE(EntryOf(destination_ / "sparse").allocated_bytes, uint64_t{3} << 20);
}

TEST_P(ReceiverTest, DamagedPieceIsFetchedAgain) {
  int damaged = 0;
  tamper_ = [&damaged](ReplyItem*, Piece* piece) {
    if (damaged++ == 0) piece->data()[3] ^= std::byte{1};
    return absl::OkStatus();
  };
  WriteFile(source_ / "f", "some content");
  ASSERT_FALSE(Put("f").has_value());
  EXPECT_EQ(ReadFile(destination_ / "f"), "some content");
  EXPECT_EQ(shared_->counters().retries.load(), 1u);
  EXPECT_EQ(shared_->counters().bytes_received.load(), 12u);
}

TEST_P(ReceiverTest, PieceThatStaysDamagedIsAnIntegrityFailureAndNothingIsPublished) {
  tamper_ = [](ReplyItem*, Piece* piece) {
    piece->data()[0] ^= std::byte{0x80};
    return absl::OkStatus();
  };
  WriteFile(source_ / "f", "some content");
  std::optional<TransferFailure> failure = Put("f");
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->kind, FailureKind::kIntegrity);
  EXPECT_EQ(sources_[0]->fetches, kMaxContentTries);
  EXPECT_EQ(ObjectsAtDestination(), 0);
}

TEST_P(ReceiverTest, DamagedPieceOfALargeFileIsFetchedAgainAlone) {
  std::atomic<int> pieces{0};
  tamper_ = [&pieces](ReplyItem*, Piece* piece) {
    if (pieces.fetch_add(1) == 5) piece->data()[100] ^= std::byte{1};
    return absl::OkStatus();
  };
  std::string content = Pattern(20 << 20);
  WriteFile(source_ / "big", content);
  ASSERT_FALSE(Put("big").has_value());
  EXPECT_EQ(ReadFile(destination_ / "big"), content);
  EXPECT_EQ(sources_[0]->fetches + sources_[1]->fetches, (20 << 20) / static_cast<int>(kRangeBytes) + 1);
}

TEST_P(ReceiverTest, LostConnectionIsTriedAgain) {
  int lost = 0;
  tamper_ = [&lost](ReplyItem*, Piece*) { return lost++ < 2 ? absl::UnavailableError("gone") : absl::OkStatus(); };
  WriteFile(source_ / "f", "content");
  ASSERT_FALSE(Put("f").has_value());
  EXPECT_EQ(ReadFile(destination_ / "f"), "content");
  EXPECT_EQ(shared_->counters().retries.load(), 2u);
}

TEST_P(ReceiverTest, FileThatChangedSinceTheManifestArrivesAsItIsNow) {
  WriteFile(source_ / "f", "old");
  Make();
  IncomingFile file{*RelPath::Parse("f"), EntryOf(source_ / "f"), false};
  WriteFile(source_ / "f", Pattern(2 << 20), 0600);
  std::optional<TransferFailure> failure;
  BlockOn(&runtime_->shard(0), PutTask(receivers_[0].get(), shared_.get(), into_, &file, &failure));
  ASSERT_FALSE(failure.has_value());
  EXPECT_EQ(ReadFile(destination_ / "f"), Pattern(2 << 20));
  EXPECT_EQ(EntryOf(destination_ / "f").mtime, EntryOf(source_ / "f").mtime);
}

TEST_P(ReceiverTest, FileThatKeepsChangingIsAFailureAndNothingIsPublished) {
  std::string path = source_ / "f";
  WriteFile(path, "0");
  int writes = 1;
  plan_->FilterOps([&](const Op& op) {
    if (op.code == OpCode::kRead) WriteFile(path, std::string(++writes, 'x'));
    return 0;
  });
  std::optional<TransferFailure> failure = Put("f");
  plan_->Clear();
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->kind, FailureKind::kChanged);
  EXPECT_EQ(ObjectsAtDestination(), 0);
}

TEST_P(ReceiverTest, VanishedFileLeavesNothing) {
  WriteFile(source_ / "f", "x");
  Make();
  IncomingFile file{*RelPath::Parse("f"), EntryOf(source_ / "f"), false};
  ASSERT_EQ(::unlink((source_ / "f").c_str()), 0);
  std::optional<TransferFailure> failure;
  BlockOn(&runtime_->shard(0), PutTask(receivers_[0].get(), shared_.get(), into_, &file, &failure));
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->kind, FailureKind::kVanished);
  EXPECT_TRUE(failure->at_source);
  EXPECT_EQ(ObjectsAtDestination(), 0);
}

TEST_P(ReceiverTest, NothingIsWrittenOnceTheFileSystemIsFull) {
  WriteFile(source_ / "f", "x");
  WriteFile(source_ / "g", "y");
  // Whichever way small writes go.
  plan_->Fail(OpCode::kWrite, 1, ENOSPC);
  plan_->Fail(CallCode::kPwrite, 1, ENOSPC);
  std::optional<TransferFailure> failure = Put("f");
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->kind, FailureKind::kNoSpace);
  EXPECT_EQ(shared_->full(), 0) << "one refusal does not tell";
  shared_->SetFull(ENOSPC);
  failure = Put("g");
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->kind, FailureKind::kNoSpace);
  EXPECT_EQ(plan_->injected(), 1u);
  EXPECT_EQ(ObjectsAtDestination(), 0);
}

TEST_P(ReceiverTest, WriteErrorInALargeFileFailsItAndLeavesNothing) {
  WriteFile(source_ / "big", Pattern(20 << 20));
  plan_->Fail(OpCode::kWrite, 9, EIO);
  std::optional<TransferFailure> failure = Put("big");
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->kind, FailureKind::kFailed);
  EXPECT_EQ(failure->error, EIO);
  EXPECT_EQ(failure->operation, "write");
  EXPECT_EQ(ObjectsAtDestination(), 0);
}

TEST_P(ReceiverTest, StoppedSessionEndsALargeFileSoon) {
  WriteFile(source_ / "big", Pattern(30 << 20));
  Make();
  plan_->FilterOps([this](const Op& op) {
    if (op.code == OpCode::kWrite) shared_->Stop();
    return 0;
  });
  std::optional<TransferFailure> failure = Put("big");
  plan_->Clear();
  EXPECT_TRUE(failure.has_value());
  EXPECT_EQ(ObjectsAtDestination(), 0);
}

INSTANTIATE_TEST_SUITE_P(Backends, ReceiverTest, testing::ValuesIn(kEveryWay), WayName);

}  // namespace
}  // namespace uringsync

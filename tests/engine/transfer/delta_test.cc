// Files that are put together from their old contents: by way of Receiver, on both drivers, against sources that lie,
// fail and change.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <random>
#include <span>
#include <tuple>

#include "engine/base/errno_status.h"
#include "engine/transfer/delta_leaf.h"
#include "engine/transfer/receiver.h"
#include "engine/transfer/signature_request.h"
#include "tests/engine/transfer/transfer_fixture.h"
#include "tests/support/colliding_contents.h"

namespace uringsync {
namespace {

// Changes what a source answers, with its digest put right again where the bytes were touched.
class LyingSource final : public ContentSource {
 public:
  using Lie = std::function<void(const FileRequest& request, std::span<std::byte> bytes)>;
  LyingSource(std::unique_ptr<SourceReader> reader, Lie lie) : inner_(std::move(reader)), lie_(std::move(lie)) {}
  Task<absl::Status> Fetch(FileRequest request, ReplySink* sink) override {
    ++asked[static_cast<size_t>(request.kind)];
    Filter filter(this, &request, sink);
    absl::Status fetched = co_await inner_.Fetch(request, &filter);
    co_return fetched;
  }
  Task<absl::Status> WaitUsable() override { co_return absl::OkStatus(); }
  bool usable() const override { return true; }
  size_t concurrency() const override { return 8; }
  uint64_t wire_bytes() const override { return 0; }
  std::array<int, 4> asked{};  // by kind

 private:
  class Filter final : public ReplySink {
   public:
    Filter(LyingSource* owner, const FileRequest* request, ReplySink* sink)
        : owner_(owner), request_(request), sink_(sink) {}
    Task<absl::Status> OnItem(ReplyItem item, Piece piece) override {
      if (owner_->lie_ != nullptr && piece.size() > 0) {
        owner_->lie_(*request_, {piece.data(), piece.size()});
        item.digest = Xxh128(piece.bytes(), kTestSeed);
      }
      co_return co_await sink_->OnItem(std::move(item), std::move(piece));
    }

   private:
    LyingSource* owner_;
    const FileRequest* request_;
    ReplySink* sink_;
  };
  LocalContentSource inner_;
  Lie lie_;
};

class DeltaTest : public testing::TestWithParam<Way> {
 protected:
  static constexpr size_t kShards = 2;
  DeltaTest()
      : runtime_(StartTestRuntime(kShards, GetParam().backend)),
        from_(OpenTestRoot(source_.path())),
        into_(OpenTestRoot(destination_.path())) {}

  void Make() {
    ReceiveOptions options;
    options.digest_seed = kTestSeed;
    options.direct_io = GetParam().direct_io;
    options.session_tag = 5;
    options.sync = false;
    options.capabilities = ReadProcessCapabilities();
    options.delta = policy_;
    options.delta_mode = mode_;
    options.delta_block_bytes = block_bytes_;
    receivers_.clear();
    sources_.clear();
    shared_ = std::make_unique<ReceiveShared>(options);
    for (size_t i = 0; i < kShards; ++i) {
      Shard* shard = &runtime_->shard(i);
      SourceReaderOptions reader_options;
      reader_options.digest_seed = kTestSeed;
      reader_options.direct_io = &direct_io_;
      auto reader = std::make_unique<SourceReader>(shard->driver(), shard->buffers(), from_, reader_options);
      sources_.push_back(std::make_unique<LyingSource>(std::move(reader), lie_));
      receivers_.push_back(std::make_unique<Receiver>(shard, shared_.get(), sources_.back().get()));
    }
    for (auto& receiver : receivers_) receiver->SetPeers({receivers_[0].get(), receivers_[1].get()});
  }

  static Task<void> PutTask(Receiver* receiver, ReceiveShared* shared, DirectoryPtr into, IncomingFile* file,
                            Entry existing, std::optional<TransferFailure>* failure) {
    Driver* driver = receiver->shard()->driver();
    file->basis = OpenBasis(driver, into->fd(), LeafName(file->path), existing, &shared->direct_io());
    absl::StatusOr<StagedObject> staged = StagedObject::CreateFile(driver, into, shared->namer());
    if (!staged.ok()) std::abort();
    *failure = co_await receiver->Fill(&*staged, file);
    if (failure->has_value()) co_return;
    absl::Status published = staged->Publish(LeafName(file->path), existing);
    if (!published.ok()) std::abort();
  }

  // Brings "f" to the destination, which has an older one.
  std::optional<TransferFailure> Put() {
    if (shared_ == nullptr) Make();
    IncomingFile file{*RelPath::Parse("f"), EntryOf(source_ / "f"), false};
    std::optional<TransferFailure> failure;
    BlockOn(&runtime_->shard(0),
            PutTask(receivers_[0].get(), shared_.get(), into_, &file, EntryOf(destination_ / "f"), &failure));
    return failure;
  }
  // The two contents; after Put they must be equal.
  void Write(const std::string& old_text, const std::string& new_text) {
    WriteFile(destination_ / "f", old_text);
    WriteFile(source_ / "f", new_text);
  }
  void ExpectArrived(const std::string& what = {}) {
    Make();
    std::optional<TransferFailure> failure = Put();
    ASSERT_FALSE(failure.has_value()) << what << " " << failure->operation << " " << failure->detail;
    EXPECT_TRUE(ReadFile(destination_ / "f") == ReadFile(source_ / "f")) << what;
    EXPECT_EQ(EntryOf(destination_ / "f").mtime, EntryOf(source_ / "f").mtime) << what;
  }
  int Asked(RequestKind kind) const {
    int asked = 0;
    for (const auto& source : sources_) asked += source->asked[static_cast<size_t>(kind)];
    return asked;
  }
  uint64_t received() const { return shared_->counters().bytes_received.load(); }
  uint64_t matched() const { return shared_->counters().bytes_matched.load(); }

  DirectIo direct_io_{GetParam().direct_io};  // of the source
  TempDir source_;
  TempDir destination_;
  std::unique_ptr<Runtime> runtime_;
  DirectoryPtr from_;
  DirectoryPtr into_;
  DeltaPolicy policy_ = DeltaPolicy::kForce;
  std::optional<DeltaMode> mode_;
  uint32_t block_bytes_ = 0;
  LyingSource::Lie lie_;
  std::unique_ptr<ReceiveShared> shared_;
  std::vector<std::unique_ptr<LyingSource>> sources_;
  std::vector<std::unique_ptr<Receiver>> receivers_;
};

TEST_P(DeltaTest, ChangedBlocksInPlaceAreAllThatIsSent) {
  const std::string old_text = Pattern((size_t{12} << 20) + 12345);
  std::string new_text = old_text;
  for (size_t at : {size_t{100}, size_t{5} << 20, new_text.size() - 1}) new_text[at] ^= 1;
  Write(old_text, new_text);
  ExpectArrived();
  EXPECT_EQ(Asked(RequestKind::kChunks), 0);
  EXPECT_LE(received(), 3 * 4096u);
  EXPECT_EQ(received() + matched(), new_text.size());
}

TEST_P(DeltaTest, TheBlockSizeDecidesHowMuchOfALeafIsSent) {
  const std::string old_text = Pattern(size_t{8} << 20);
  std::string new_text = old_text;
  for (size_t at = 700'000; at < new_text.size(); at += size_t{2} << 20) new_text[at] ^= 1;
  for (const uint32_t bytes : {512u, 4096u, 65536u}) {
    SCOPED_TRACE(bytes);
    block_bytes_ = bytes;
    Write(old_text, new_text);
    ExpectArrived();
    EXPECT_EQ(received(), 4 * bytes);
  }
}

TEST_P(DeltaTest, WhatFollowsAnInsertionComesFromTheOldFile) {
  const std::string old_text = Pattern(size_t{16} << 20);
  Write(old_text, "inserted" + old_text);
  ExpectArrived();
  EXPECT_EQ(Asked(RequestKind::kChunks), 0) << "one shift needs no chunks";
  EXPECT_LT(received(), size_t{100} << 10);
}

TEST_P(DeltaTest, OneInsertionOrDeletionIsFoundWhereverItIs) {
  const std::string text = Pattern(size_t{20} << 20);
  const std::string piece = Pattern(size_t{3} << 20).substr(size_t{1} << 20, 777777);
  for (const size_t at : {size_t{0}, size_t{5'000'001}, size_t{11} << 20, text.size()}) {
    const std::string longer = text.substr(0, at) + piece + text.substr(at);
    Write(text, longer);
    ExpectArrived("inserted at " + std::to_string(at));
    EXPECT_EQ(Asked(RequestKind::kChunks), 0) << at;
    EXPECT_LT(received(), piece.size() + (size_t{2} << 20)) << at;
    Write(longer, text);
    ExpectArrived("deleted at " + std::to_string(at));
    EXPECT_EQ(Asked(RequestKind::kChunks), 0) << at;
    EXPECT_LT(received(), size_t{2} << 20) << at;
  }
}

TEST_P(DeltaTest, SeveralInsertionsAreFoundByChunks) {
  const std::string text = Pattern(size_t{16} << 20);
  std::string changed = text;
  for (const size_t at : {size_t{14'000'000}, size_t{9'000'000}, size_t{3'000'000}})
    changed.insert(at, "somewhere inside");
  Write(text, changed);
  ExpectArrived();
  EXPECT_GT(Asked(RequestKind::kChunks), 0);
  EXPECT_LT(received(), size_t{2} << 20);
}

// What proposes that blocks are equal is XXH3 under the session's seed; whoever knew it could make such blocks.
TEST_P(DeltaTest, BlocksThatCollideUnderTheSessionsSeedAreNotTaken) {
  for (const DeltaMode mode : {DeltaMode::kInPlace, DeltaMode::kShifted, DeltaMode::kChunks}) {
    std::string one = Pattern(size_t{6} << 20);
    std::string other = one;
    for (const size_t at : {size_t{0}, size_t{1} << 20, (size_t{3} << 20) + 8192}) {
      std::tie(one, std::ignore) = CollidingContents(std::move(one), at, kTestSeed);
      std::tie(std::ignore, other) = CollidingContents(std::move(other), at, kTestSeed);
    }
    ASSERT_NE(one, other);
    ASSERT_EQ(BlockDigests(std::as_bytes(std::span(one)), kDeltaBlockBytes, kTestSeed),
              BlockDigests(std::as_bytes(std::span(other)), kDeltaBlockBytes, kTestSeed))
        << "the premise";
    Write(other, one);
    mode_ = mode;
    ExpectArrived("mode " + std::to_string(static_cast<int>(mode)));
    EXPECT_GT(matched(), 0u) << "nothing was reused: this shows nothing";
  }
}

TEST_P(DeltaTest, AShiftThatOnlyTheSamplesPromiseCostsBytesAndNothingElse) {
  const std::string text = Pattern(size_t{6} << 20);
  std::string other = Pattern(size_t{6} << 20);
  std::reverse(other.begin(), other.end());
  Write(text, "x" + other);
  mode_ = DeltaMode::kShifted;
  ExpectArrived();
  EXPECT_EQ(received(), other.size() + 1);
}

TEST_P(DeltaTest, AppendedBytesAreSentAndNothingElse) {
  const std::string old_text = Pattern(size_t{6} << 20);
  Write(old_text, old_text + std::string(100000, 'x'));
  ExpectArrived();
  EXPECT_EQ(received(), 100000u);
}

TEST_P(DeltaTest, ATruncatedFileNeedsNoContents) {
  const std::string old_text = Pattern(size_t{6} << 20);
  Write(old_text, old_text.substr(0, (size_t{3} << 20) + 77));
  ExpectArrived();
  EXPECT_EQ(received(), 0u);
}

TEST_P(DeltaTest, AFileThatHasNothingInCommonIsSentWhole) {
  std::string other = Pattern(size_t{6} << 20);
  std::reverse(other.begin(), other.end());
  Write(Pattern(size_t{6} << 20), other);
  ExpectArrived();
  EXPECT_EQ(matched(), 0u);
  EXPECT_EQ(received(), other.size());
  EXPECT_EQ(Asked(RequestKind::kLeaves), 0);
}

TEST_P(DeltaTest, WithoutAskingForItNothingIsCompared) {
  const std::string text = Pattern(size_t{4} << 20);
  policy_ = DeltaPolicy::kOff;
  Write(text, text + "x");
  ExpectArrived();
  EXPECT_EQ(matched(), 0u);
  EXPECT_EQ(Asked(RequestKind::kBlocks) + Asked(RequestKind::kLeaves) + Asked(RequestKind::kChunks), 0);
}

TEST_P(DeltaTest, WhereReadingIsAsFastAsAComparisonTheFileIsSentWhole) {
  const std::string text = Pattern(size_t{4} << 20);
  policy_ = DeltaPolicy::kAuto;
  Write(text, text + "x");
  Make();
  shared_->link_rate().Begin();
  shared_->link_rate().End(1 << 20, RateMeter::Clock::now());  // as fast as it gets
  ASSERT_FALSE(Put().has_value());
  EXPECT_EQ(matched(), 0u);
}

TEST_P(DeltaTest, ASlowLinkMakesADeltaByItself) {
  const std::string text = Pattern(size_t{4} << 20);
  policy_ = DeltaPolicy::kAuto;
  Write(text, text + "x");
  Make();
  const RateMeter::Clock::time_point now = RateMeter::Clock::now();
  shared_->link_rate().Begin(now);
  shared_->link_rate().End(1 << 20, now + std::chrono::seconds(1));
  ASSERT_FALSE(Put().has_value());
  EXPECT_EQ(received(), 1u);
  EXPECT_TRUE(ReadFile(destination_ / "f") == text + "x");
}

TEST_P(DeltaTest, LiesAboutBlocksCostBytesAndNothingElse) {
  const std::string old_text = Pattern(size_t{4} << 20);
  std::string new_text = old_text;
  new_text[5000] ^= 1;
  Write(old_text, new_text);
  mode_ = DeltaMode::kInPlace;
  // The digest of what we have, for a block that differs: it is proposed as equal.
  const uint64_t ours = BlockDigests(std::as_bytes(std::span(old_text).subspan(4096, 4096)), 4096, kTestSeed)[0];
  lie_ = [ours](const FileRequest& request, std::span<std::byte> bytes) {
    if (request.kind == RequestKind::kBlocks && bytes.size() > 16) std::memcpy(bytes.data() + 8, &ours, 8);
  };
  ExpectArrived();
  EXPECT_EQ(received(), kLeafBytes);
}

TEST_P(DeltaTest, LiesAboutChunksCostBytesAndNothingElse) {
  const std::string old_text = Pattern(size_t{8} << 20);
  Write(old_text, "x" + old_text);
  mode_ = DeltaMode::kChunks;
  // Every chunk gets the digest of the one before it.
  lie_ = [](const FileRequest& request, std::span<std::byte> bytes) {
    if (request.kind != RequestKind::kChunks) return;
    uint32_t count = 0;
    std::memcpy(&count, bytes.data(), 4);
    for (uint32_t i = count - 1; i > 0; --i) std::memcpy(bytes.data() + 8 + 12 * i, bytes.data() + 8 + 12 * (i - 1), 8);
  };
  ExpectArrived();
}

TEST_P(DeltaTest, LiesAboutLeavesEndInTheWholeFile) {
  const std::string old_text = Pattern(size_t{4} << 20);
  std::string new_text = old_text;
  new_text[5000] ^= 1;
  for (DeltaMode mode : {DeltaMode::kInPlace, DeltaMode::kChunks}) {
    Write(old_text, new_text);
    mode_ = mode;
    lie_ = [](const FileRequest& request, std::span<std::byte> bytes) {
      if (request.kind == RequestKind::kLeaves || request.kind == RequestKind::kChunks) bytes.back() ^= std::byte{1};
    };
    ExpectArrived();
    EXPECT_GE(received(), new_text.size());
    EXPECT_GT(shared_->counters().retries.load(), 0u);
  }
}

TEST_P(DeltaTest, SignaturesThatMakeNoSenseEndInTheWholeFile) {
  const std::string old_text = Pattern(size_t{4} << 20);
  Write(old_text, old_text + "x");
  for (DeltaMode mode : {DeltaMode::kInPlace, DeltaMode::kChunks}) {
    Write(old_text, old_text + "x");
    mode_ = mode;
    lie_ = [](const FileRequest& request, std::span<std::byte> bytes) {
      if (request.kind != RequestKind::kContents) bytes[0] = std::byte{0xff};
    };
    ExpectArrived();
    EXPECT_GE(received(), old_text.size());
  }
}

TEST_P(DeltaTest, ASourceThatChangesMeanwhileIsAskedAgain) {
  const std::string old_text = Pattern(size_t{4} << 20);
  std::string new_text = old_text;
  new_text[5000] ^= 1;
  Write(old_text, new_text);
  mode_ = DeltaMode::kInPlace;
  auto changed = std::make_shared<std::atomic<bool>>(false);
  const std::string path = source_ / "f";
  lie_ = [changed, path](const FileRequest& request, std::span<std::byte>) {
    if (request.kind != RequestKind::kLeaves || changed->exchange(true)) return;
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_APPEND));
    ASSERT_EQ(::write(fd.get(), "more", 4), 4);
  };
  ExpectArrived();
  EXPECT_GT(shared_->counters().retries.load(), 0u);
}

TEST_P(DeltaTest, AnOldFileThatChangesMeanwhileSpoilsNothing) {
  const std::string old_text = Pattern(size_t{4} << 20);
  std::string new_text = old_text;
  new_text[5000] ^= 1;
  for (DeltaMode mode : {DeltaMode::kInPlace, DeltaMode::kChunks}) {
    Write(old_text, new_text);
    mode_ = mode;
    const std::string path = destination_ / "f";
    // Same size and, in the end, the same mtime, so that the publish does not see it.
    const Entry before = EntryOf(path);
    lie_ = [path, before](const FileRequest& request, std::span<std::byte>) {
      if (request.kind == RequestKind::kContents) return;
      UniqueFd fd(::open(path.c_str(), O_WRONLY));
      std::string noise(100000, 'z');
      ::pwrite(fd.get(), noise.data(), noise.size(), static_cast<off_t>(1 << 20));
      timespec times[2] = {{0, UTIME_OMIT}, {before.mtime.seconds, static_cast<long>(before.mtime.nanoseconds)}};
      ::futimens(fd.get(), times);
    };
    ExpectArrived();
  }
}

TEST_P(DeltaTest, TheOldFileMustBeTheOneThatWasPlannedAgainst) {
  WriteFile(destination_ / "f", "some text");
  Entry existing = EntryOf(destination_ / "f");
  Driver* driver = runtime_->shard(0).driver();
  auto open = [](Driver* on, int dirfd, Entry entry) -> Task<bool> {
    DirectIo none;
    co_return OpenBasis(on, dirfd, "f", entry, &none) != nullptr;
  };
  EXPECT_TRUE(RunOn(runtime_->shard(0), open(driver, into_->fd(), existing)));
  Entry other = existing;
  other.size_bytes += 1;
  EXPECT_FALSE(RunOn(runtime_->shard(0), open(driver, into_->fd(), other)));
  ::unlink((destination_ / "f").c_str());
  ::symlink("/etc/passwd", (destination_ / "f").c_str());
  EXPECT_FALSE(RunOn(runtime_->shard(0), open(driver, into_->fd(), existing)));
}

// Random edits of every kind, both modes and the choice by samples.
TEST_P(DeltaTest, AnyEditsArriveWithEqualBytes) {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    std::mt19937 random(seed);
    auto number = [&random](size_t below) { return static_cast<size_t>(random()) % std::max<size_t>(below, 1); };
    std::string old_text = Pattern((size_t{1} << 20) + number(size_t{9} << 20));
    if (seed % 3 == 0) std::fill_n(old_text.begin() + static_cast<ptrdiff_t>(number(1 << 19)), size_t{3} << 18, '\0');
    std::string new_text = old_text;
    const size_t edits = 1 + number(8);
    for (size_t i = 0; i < edits; ++i) {
      const size_t at = number(new_text.size());
      std::string noise(1 + number(size_t{1} << (4 + number(15))), '\0');
      for (char& c : noise) c = static_cast<char>(random());
      switch (number(6)) {
        case 0: new_text.insert(at, noise); break;
        case 1: new_text.erase(at, noise.size()); break;
        case 2: new_text.replace(at, std::min(noise.size(), new_text.size() - at), noise); break;
        case 3: new_text += noise; break;
        case 4: new_text.resize(new_text.size() - number(new_text.size() / 4)); break;
        case 5:
          std::fill_n(new_text.begin() + static_cast<ptrdiff_t>(at), std::min(noise.size(), new_text.size() - at),
                      '\0');
          break;
      }
    }
    for (std::optional<DeltaMode> mode :
         {std::optional<DeltaMode>(), std::optional(DeltaMode::kInPlace), std::optional(DeltaMode::kChunks)}) {
      Write(old_text, new_text);
      mode_ = mode;
      ExpectArrived("seed " + std::to_string(seed) + " mode " +
                    (mode ? std::to_string(static_cast<int>(*mode)) : "free"));
    }
  }
}

TEST_P(DeltaTest, HolesOfTheSourceStayHoles) {
  static constexpr size_t size = size_t{24} << 20;
  auto make = [](const std::string& path, char fill) {
    WriteFile(path, "");
    UniqueFd fd(::open(path.c_str(), O_WRONLY));
    ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
    std::string data(200000, fill);
    for (size_t at : {size_t{0}, size_t{5} << 20, size_t{17} << 20}) {
      ASSERT_EQ(::pwrite(fd.get(), data.data(), data.size(), static_cast<off_t>(at)), 200000);
    }
  };
  for (DeltaMode mode : {DeltaMode::kInPlace, DeltaMode::kChunks}) {
    make(destination_ / "f", 'a');
    make(source_ / "f", 'a');
    UniqueFd fd(::open((source_ / "f").c_str(), O_WRONLY));
    ASSERT_EQ(::pwrite(fd.get(), "new", 3, 70000), 3);
    mode_ = mode;
    ExpectArrived();
    struct stat from{};
    struct stat to{};
    ::stat((source_ / "f").c_str(), &from);
    ::stat((destination_ / "f").c_str(), &to);
    EXPECT_LE(to.st_blocks, from.st_blocks + 64);
  }
}

// What a request may ask, answered by the reader itself.
TEST_P(DeltaTest, RequestsOutOfBoundsAreRefused) {
  const std::string text = Pattern(size_t{3} << 20);
  WriteFile(source_ / "f", text);
  FileRequest good = WholeFile("f", EntryOf(source_ / "f"));
  good.kind = RequestKind::kLeaves;
  EXPECT_OK(CheckSignatureRequest(good));
  const std::vector<std::function<void(FileRequest*)>> wrongs = {
      [](FileRequest* r) {
        r->offset = 1;
        r->length -= 1;
      },
      [](FileRequest* r) { r->length = 0; },
      [](FileRequest* r) { r->length += 1; },
      [](FileRequest* r) { r->unit_bytes = 4096; },
      [](FileRequest* r) { r->type = FileType::kDirectory; },
      [](FileRequest* r) { r->want_xattrs = true; },
      [](FileRequest* r) {
        r->kind = RequestKind::kBlocks;
        r->unit_bytes = 4096;
      },
      [](FileRequest* r) {
        r->kind = RequestKind::kBlocks;
        r->length = 4096;
        r->unit_bytes = 1;
      },
      [](FileRequest* r) {
        r->kind = RequestKind::kBlocks;
        r->length = 4096;
        r->unit_bytes = 0;
      },
      [](FileRequest* r) {
        r->kind = RequestKind::kChunks;
        r->unit_bytes = 4096;
      },
      [](FileRequest* r) {
        r->kind = RequestKind::kChunks;
        r->unit_bytes = 16 << 10;
        r->offset = 4096;
        r->length = 4096;
      },
      [](FileRequest* r) { r->size_bytes = r->length = uint64_t{65} << 20; },
      [](FileRequest* r) {
        r->kind = RequestKind::kContents;
        r->unit_bytes = 7;
      },
  };
  for (size_t i = 0; i < wrongs.size(); ++i) {
    FileRequest request = good;
    wrongs[i](&request);
    EXPECT_FALSE(CheckSignatureRequest(request).ok()) << i;
    RecordingSink sink;
    EXPECT_OK(RunOn(runtime_->shard(0), ServeOnce(from_, request, &sink)));
    ASSERT_EQ(sink.items.size(), 1u) << i;
    EXPECT_NE(sink.items[0].status, ReplyStatus::kOk) << i;
    EXPECT_TRUE(sink.items[0].end) << i;
  }
}

TEST_P(DeltaTest, SignaturesOfTheReaderAreThoseOfTheBytes) {
  const std::string text = Pattern((size_t{3} << 20) + 777);
  WriteFile(source_ / "f", text);
  const std::span<const std::byte> bytes = std::as_bytes(std::span(text));
  FileRequest request = WholeFile("f", EntryOf(source_ / "f"));
  request.kind = RequestKind::kLeaves;
  RecordingSink leaves_sink;
  EXPECT_OK(RunOn(runtime_->shard(0), ServeOnce(from_, request, &leaves_sink)));
  absl::StatusOr<std::vector<LeafRecord>> leaves = DecodeLeaves(std::as_bytes(std::span(leaves_sink.content)), 4);
  ASSERT_TRUE(leaves.ok()) << leaves.status();
  LeafHasher hasher(LeafKeyFor({}, request));
  EXPECT_EQ((*leaves)[1].digest, hasher.Tag(1, bytes.subspan(kLeafBytes, kLeafBytes)));
  EXPECT_EQ((*leaves)[3].digest, hasher.Tag(3, bytes.subspan(3 * kLeafBytes)));

  request.kind = RequestKind::kChunks;
  request.unit_bytes = kMinAverageChunk;
  request.length = kLeafBytes;
  RecordingSink chunks_sink;
  EXPECT_OK(RunOn(runtime_->shard(0), ServeOnce(from_, request, &chunks_sink)));
  EXPECT_LE(chunks_sink.content.size(), AnswerBytes(request));
  absl::StatusOr<ChunkList> list =
      DecodeChunkList(std::as_bytes(std::span(chunks_sink.content)), kMinAverageChunk, kLeafBytes, text.size());
  ASSERT_TRUE(list.ok()) << list.status();
  Chunker chunker(ParametersFor(kMinAverageChunk), kTestSeed);
  std::vector<Chunk> chunks;
  chunker.Feed(bytes, &chunks);
  ASSERT_GE(chunks.size(), list->chunks.size());
  EXPECT_TRUE(std::equal(list->chunks.begin(), list->chunks.end(), chunks.begin()));
  EXPECT_EQ(list->leaves[0].digest, (*leaves)[0].digest);

  request.kind = RequestKind::kBlocks;
  request.unit_bytes = 4096;
  request.offset = 3 * kLeafBytes;
  request.length = 777;
  RecordingSink blocks_sink;
  EXPECT_OK(RunOn(runtime_->shard(0), ServeOnce(from_, request, &blocks_sink)));
  absl::StatusOr<std::vector<uint64_t>> blocks = DecodeBlocks(std::as_bytes(std::span(blocks_sink.content)), 1);
  ASSERT_TRUE(blocks.ok());
  EXPECT_EQ(*blocks, BlockDigests(bytes.subspan(3 * kLeafBytes), 4096, kTestSeed));
}

INSTANTIATE_TEST_SUITE_P(Drivers, DeltaTest, testing::ValuesIn(kEveryWay), WayName);

}  // namespace
}  // namespace uringsync

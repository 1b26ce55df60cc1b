#include "engine/transfer/reply_compressor.h"

#include <gtest/gtest.h>

#include "engine/transfer/remote_source.h"
#include "engine/transfer/source_server.h"
#include "proto/data_stream.h"
#include "tests/engine/transfer/transfer_fixture.h"

namespace uringsync {
namespace {

struct Fetched {
  FileRequest request;
  RecordingSink sink;
  absl::Status status;
};

Task<void> FetchOne(RemoteContentSource* source, Fetched* fetched) {
  fetched->status = co_await source->Fetch(fetched->request, &fetched->sink);
}

Task<void> Serve(ReplyChannel* channel, DirectoryPtr root, SourceServerLimits limits) {
  Shard* shard = Shard::Current();
  SourceReaderOptions options;
  options.digest_seed = kTestSeed;
  SourceReader reader(shard->driver(), shard->buffers(), std::move(root), options);
  absl::Status end = co_await ServeReplies(channel, &reader, limits);
  EXPECT_OK(end);
}

Task<void> RunChannel(RemoteContentSource* source, std::unique_ptr<RequestChannel> channel) {
  static_cast<void>(co_await source->Run(std::move(channel)));
}

// Fetches everything over one connection; returns the bytes on the wire.
Task<uint64_t> FetchAll(DirectoryPtr root, std::vector<std::unique_ptr<Fetched>>* all, SourceServerLimits limits) {
  RemoteContentSource source(Executor::Current());
  Scope channels;
  auto [here, there] = MakeInMemoryDataPair();
  channels.Spawn(RunChannel(&source, std::move(here)));
  channels.Spawn(Serve(there.get(), root, limits));
  Scope requests;
  for (auto& fetched : *all) requests.Spawn(FetchOne(&source, fetched.get()));
  co_await requests.Join();
  co_await source.End();
  co_await source.Drained();
  co_await channels.Join();
  co_return source.wire_bytes();
}

std::string Prose(size_t bytes) {
  std::string text;
  for (size_t i = 0; text.size() < bytes; ++i)
    text += "entry " + std::to_string(i * 7) + " of a long list of entries\n";
  text.resize(bytes);
  return text;
}

class ReplyCompressorTest : public testing::TestWithParam<IoBackend> {
 protected:
  void SetUp() override {
    RuntimeOptions options;
    options.shards = 1;
    options.driver.backend = GetParam();
    absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(options);
    if (!runtime.ok()) GTEST_SKIP() << std::string(runtime.status().message());
    runtime_ = *std::move(runtime);
  }
  void Add(const std::string& name, std::string content) {
    WriteFile(tree_ / name, content);
    auto fetched = std::make_unique<Fetched>();
    fetched->request = WholeFile(name, EntryOf(tree_.path() + "/" + name));
    all_.push_back(std::move(fetched));
    contents_.push_back(std::move(content));
  }
  // Bytes on the wire. Every file must have come whole.
  uint64_t Fetch(SharedCompression* compression, Throttle* throttle = nullptr) {
    SourceServerLimits limits;
    limits.compression = compression;
    limits.throttle = throttle;
    for (auto& fetched : all_) fetched->sink = RecordingSink();
    const uint64_t wire = RunOn(runtime_->shard(0), FetchAll(OpenTestRoot(tree_.path()), &all_, limits));
    for (size_t i = 0; i < all_.size(); ++i) {
      EXPECT_OK(all_[i]->status);
      EXPECT_TRUE(all_[i]->sink.content == contents_[i]) << i;
      uint64_t at = 0;
      for (const ReplyItem& item : all_[i]->sink.items) {
        const std::string_view bytes = std::string_view(contents_[i]).substr(at, item.data_length);
        EXPECT_EQ(item.digest, Xxh128(bytes, kTestSeed)) << "of the raw bytes";
        at += item.data_length;
      }
    }
    return wire;
  }

  std::unique_ptr<Runtime> runtime_;
  TempDir tree_;
  std::vector<std::unique_ptr<Fetched>> all_;
  std::vector<std::string> contents_;
};
INSTANTIATE_TEST_SUITE_P(Backends, ReplyCompressorTest, testing::Values(IoBackend::kUring, IoBackend::kThreads),
                         [](const auto& info) { return info.param == IoBackend::kUring ? "Uring" : "Threads"; });

TEST_P(ReplyCompressorTest, FilesOfEverySizeArriveWholeAtEveryLevel) {
  uint64_t raw = 0;
  for (const size_t size :
       {size_t{1}, size_t{300}, size_t{7000}, size_t{65536}, size_t{65537}, size_t{1000000}, size_t{3} << 20}) {
    Add("prose-" + std::to_string(size), Prose(size));
    raw += size;
  }
  for (int i = 0; i < 50; ++i) Add("small-" + std::to_string(i), Prose(2000 + static_cast<size_t>(i)));
  for (const int level : {-7, 1, 3, 9}) {
    SharedCompression compression({.mode = CompressionMode::kFixed, .level = level}, 1);
    EXPECT_LT(Fetch(&compression), raw / 2) << level;
  }
  SharedCompression off({}, 1);
  EXPECT_GT(Fetch(&off), raw);
  EXPECT_GT(Fetch(nullptr), raw);
}

TEST_P(ReplyCompressorTest, WhatDoesNotShrinkGoesPlainAndIsNotLookedAtAgainSoon) {
  Add("noise", Pattern(6 << 20));
  Add("small-noise", Pattern(5000));
  SharedCompression compression({.mode = CompressionMode::kFixed, .level = 3}, 1);
  const uint64_t wire = Fetch(&compression);
  EXPECT_GT(wire, uint64_t{6} << 20);
  EXPECT_LT(wire, (uint64_t{6} << 20) * 101 / 100);
}

TEST_P(ReplyCompressorTest, ProseBehindNoiseIsStillCompressed) {
  Add("noise", Pattern(1 << 20));
  Add("prose", Prose(4 << 20));
  SharedCompression compression({.mode = CompressionMode::kFixed, .level = 1}, 1);
  EXPECT_LT(Fetch(&compression), uint64_t{2} << 20);
}

TEST_P(ReplyCompressorTest, AThrottledConnectionKeepsTheRateAndTheContents) {
  Add("prose", Prose(600 << 10));
  Add("noise", Pattern(300 << 10));
  Throttle throttle(2 << 20);
  const auto begin = std::chrono::steady_clock::now();
  Fetch(nullptr, &throttle);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  // 900 KiB at 2 MiB/s are 0.44 s; the last unit and a burst need no waiting.
  EXPECT_GT(took.count(), 0.2);
}

}  // namespace
}  // namespace uringsync

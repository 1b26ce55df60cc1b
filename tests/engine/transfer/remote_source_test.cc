#include "engine/transfer/remote_source.h"

#include <gtest/gtest.h>

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

Task<void> ServeChannel(ReplyChannel* channel, DirectoryPtr root, absl::Status* end) {
  Shard* shard = Shard::Current();
  SourceReaderOptions options;
  options.digest_seed = kTestSeed;
  SourceReader reader(shard->driver(), shard->buffers(), std::move(root), options);
  *end = co_await ServeReplies(channel, &reader, SourceServerLimits{});
}

Task<void> RunChannel(RemoteContentSource* source, std::unique_ptr<RequestChannel> channel) {
  static_cast<void>(co_await source->Run(std::move(channel)));
}

// Fetches everything over `connections` in-memory connections of one shard.
Task<void> FetchAll(DirectoryPtr root, size_t connections, std::vector<std::unique_ptr<Fetched>>* all,
                    absl::Status* end) {
  RemoteContentSource source(Executor::Current());
  Scope channels;
  std::vector<std::unique_ptr<ReplyChannel>> served;
  for (size_t i = 0; i < connections; ++i) {
    auto pair = MakeInMemoryDataPair();
    channels.Spawn(RunChannel(&source, std::move(pair.first)));
    served.push_back(std::move(pair.second));
    channels.Spawn(ServeChannel(served.back().get(), root, end));
  }
  Scope requests;
  for (auto& fetched : *all) requests.Spawn(FetchOne(&source, fetched.get()));
  co_await requests.Join();
  co_await source.End();
  co_await source.Drained();
  co_await channels.Join();
}

// Loses the first connection as soon as anything arrived on it; the second one serves.
Task<void> FetchOverBrokenConnection(DirectoryPtr root, Fetched* first, Fetched* second) {
  RemoteContentSource source(Executor::Current());
  Scope channels;
  auto broken = MakeInMemoryDataPair();
  channels.Spawn(RunChannel(&source, std::move(broken.first)));
  Scope requests;
  requests.Spawn(FetchOne(&source, first));
  absl::StatusOr<RequestMessage> asked = co_await broken.second->Receive();
  if (asked.ok()) broken.second->Close();
  co_await requests.Join();
  absl::Status end;
  auto good = MakeInMemoryDataPair();
  channels.Spawn(RunChannel(&source, std::move(good.first)));
  channels.Spawn(ServeChannel(good.second.get(), root, &end));
  requests.Spawn(FetchOne(&source, second));
  co_await requests.Join();
  co_await source.End();
  co_await channels.Join();
}

// Serves one connection of `far`, on its shard, until it ends.
Task<void> RunFarChannel(RemoteContentSource* far, DirectoryPtr root) {
  auto pair = MakeInMemoryDataPair();
  Scope scope;
  absl::Status end;
  scope.Spawn(RunChannel(far, std::move(pair.first)));
  scope.Spawn(ServeChannel(pair.second.get(), std::move(root), &end));
  co_await scope.Join();
}

Task<void> EndSource(RemoteContentSource* source) {
  co_await source->End();
  co_await source->Drained();
}

Task<void> FetchFromAfar(Shard* far_shard, DirectoryPtr root, std::vector<std::unique_ptr<Fetched>>* all) {
  auto group = std::make_shared<RemoteSourceGroup>();
  RemoteContentSource near(Executor::Current(), group);
  RemoteContentSource far(far_shard, group);
  Scope requests;
  // They wait before there is any connection at all.
  for (auto& fetched : *all) requests.Spawn(FetchOne(&near, fetched.get()));
  co_await Yield();
  Scope channels;
  channels.SpawnOn(far_shard, RunFarChannel(&far, std::move(root)));
  co_await requests.Join();
  channels.SpawnOn(far_shard, EndSource(&far));
  co_await channels.Join();
  near.Close(absl::CancelledError("over"));
}

class RemoteSourceTest : public testing::Test {
 protected:
  RemoteSourceTest() : runtime_(StartTestRuntime(1)), root_(OpenTestRoot(dir_.path())) {}
  std::unique_ptr<Fetched> Wanted(const std::string& name) {
    auto fetched = std::make_unique<Fetched>();
    fetched->request = WholeFile(name, EntryOf(dir_ / name));
    return fetched;
  }
  TempDir dir_;
  std::unique_ptr<Runtime> runtime_;
  DirectoryPtr root_;
};

TEST_F(RemoteSourceTest, ManySmallFilesAndALargeOneArriveOverSeveralConnections) {
  std::vector<std::unique_ptr<Fetched>> all;
  for (int i = 0; i < 300; ++i) {
    WriteFile(dir_ / ("f" + std::to_string(i)), std::string(i, 'a' + i % 26));
    all.push_back(Wanted("f" + std::to_string(i)));
  }
  std::string big = Pattern(5 << 20);
  WriteFile(dir_ / "big", big);
  all.push_back(Wanted("big"));
  absl::Status end = absl::UnknownError("not ended");
  BlockOn(&runtime_->shard(0), FetchAll(root_, 3, &all, &end));
  EXPECT_OK(end);
  for (int i = 0; i < 300; ++i) {
    EXPECT_OK(all[i]->status);
    EXPECT_EQ(all[i]->sink.content, std::string(i, 'a' + i % 26));
  }
  EXPECT_EQ(all.back()->sink.content, big);
}

TEST_F(RemoteSourceTest, ShardWithoutAConnectionFetchesOverThatOfAnother) {
  std::unique_ptr<Runtime> two = StartTestRuntime(2);
  std::vector<std::unique_ptr<Fetched>> all;
  for (int i = 0; i < 100; ++i) {
    WriteFile(dir_ / ("f" + std::to_string(i)), std::string(i * 11, 'a' + i % 26));
    all.push_back(Wanted("f" + std::to_string(i)));
  }
  std::string big = Pattern(5 << 20);
  WriteFile(dir_ / "big", big);
  all.push_back(Wanted("big"));
  BlockOn(&two->shard(0), FetchFromAfar(&two->shard(1), root_, &all));
  for (int i = 0; i < 100; ++i) {
    EXPECT_OK(all[i]->status);
    EXPECT_EQ(all[i]->sink.content, std::string(i * 11, 'a' + i % 26));
  }
  EXPECT_EQ(all.back()->sink.content, big);
}

TEST_F(RemoteSourceTest, RequestThatNoFrameCanHoldFailsAloneAndForGood) {
  std::vector<std::unique_ptr<Fetched>> all;
  for (int i = 0; i < 20; ++i) {
    WriteFile(dir_ / ("f" + std::to_string(i)), std::string(i, 'x'));
    all.push_back(Wanted("f" + std::to_string(i)));
  }
  std::string deep = "f";
  for (int i = 0; i < 65'537; ++i) deep += "/f";
  all[7]->request.path = *RelPath::Parse(deep);
  absl::Status end = absl::UnknownError("not ended");
  BlockOn(&runtime_->shard(0), FetchAll(root_, 1, &all, &end));
  EXPECT_OK(end);  // the connection served to its orderly end
  for (int i = 0; i < 20; ++i) {
    if (i != 7) EXPECT_OK(all[i]->status);
  }
  EXPECT_THAT(all[7]->status, StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(RemoteSourceTest, VanishedFileIsToldAmongOthers) {
  WriteFile(dir_ / "here", "x");
  WriteFile(dir_ / "gone", "y");
  std::vector<std::unique_ptr<Fetched>> all;
  all.push_back(Wanted("here"));
  all.push_back(Wanted("gone"));
  ASSERT_EQ(::unlink((dir_ / "gone").c_str()), 0);
  absl::Status end;
  BlockOn(&runtime_->shard(0), FetchAll(root_, 1, &all, &end));
  EXPECT_EQ(all[0]->sink.content, "x");
  ASSERT_EQ(all[1]->sink.items.size(), 1u);
  EXPECT_EQ(all[1]->sink.items[0].status, ReplyStatus::kVanished);
}

TEST_F(RemoteSourceTest, BrokenConnectionFailsWhatWasAskedOnItAndTheNextOneServes) {
  WriteFile(dir_ / "f", "content");
  std::unique_ptr<Fetched> first = Wanted("f");
  std::unique_ptr<Fetched> second = Wanted("f");
  BlockOn(&runtime_->shard(0), FetchOverBrokenConnection(root_, first.get(), second.get()));
  EXPECT_THAT(first->status, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_OK(second->status);
  EXPECT_EQ(second->sink.content, "content");
}

// A source that answers with something that was not asked for.
Task<void> ServeNonsense(ReplyChannel* channel, ReplyItem item, size_t payload) {
  absl::StatusOr<RequestMessage> asked = co_await channel->Receive();
  if (!asked.ok()) co_return;
  ReplyMessage reply;
  item.id += asked->requests[0].id;
  reply.items.push_back(item);
  reply.payload.resize(payload);
  static_cast<void>(co_await channel->Send(std::move(reply)));
  static_cast<void>(co_await channel->Receive());
}

Task<void> FetchNonsense(ReplyItem item, size_t payload, Fetched* fetched) {
  RemoteContentSource source(Executor::Current());
  Scope scope;
  auto pair = MakeInMemoryDataPair();
  scope.Spawn(RunChannel(&source, std::move(pair.first)));
  scope.Spawn(ServeNonsense(pair.second.get(), item, payload));
  fetched->status = co_await source.Fetch(fetched->request, &fetched->sink);
  source.Close(absl::CancelledError("over"));
  co_await scope.Join();
}

TEST_F(RemoteSourceTest, AnswerOutsideTheAskedRangeBreaksTheConnection) {
  WriteFile(dir_ / "f", "content");
  ReplyItem beyond;
  beyond.offset = 3;
  beyond.data_length = 7;
  std::unique_ptr<Fetched> fetched = Wanted("f");
  BlockOn(&runtime_->shard(0), FetchNonsense(beyond, 7, fetched.get()));
  EXPECT_THAT(fetched->status, StatusIs(absl::StatusCode::kUnavailable));
  ReplyItem too_short;
  too_short.data_length = 3;
  too_short.end = true;
  fetched = Wanted("f");
  BlockOn(&runtime_->shard(0), FetchNonsense(too_short, 3, fetched.get()));
  EXPECT_THAT(fetched->status, StatusIs(absl::StatusCode::kUnavailable));
  ReplyItem stranger;
  stranger.id = 99;
  stranger.end = true;
  fetched = Wanted("f");
  BlockOn(&runtime_->shard(0), FetchNonsense(stranger, 0, fetched.get()));
  EXPECT_THAT(fetched->status, StatusIs(absl::StatusCode::kUnavailable));
}

// It would go on for ever: each such answer is as good as the one before.
TEST_F(RemoteSourceTest, AnswerWithNothingInItBreaksTheConnection) {
  WriteFile(dir_ / "f", "content");
  std::unique_ptr<Fetched> fetched = Wanted("f");
  BlockOn(&runtime_->shard(0), FetchNonsense(ReplyItem(), 0, fetched.get()));
  EXPECT_THAT(fetched->status, StatusIs(absl::StatusCode::kUnavailable));
}

// A source that was not asked for attributes could have a privileged destination set what it likes.
TEST_F(RemoteSourceTest, AttributesThatWereNotAskedForBreakTheConnection) {
  WriteFile(dir_ / "f", "content");
  ReplyItem privileged;
  privileged.data_length = 7;
  privileged.end = true;
  privileged.xattrs.emplace();
  privileged.xattrs->push_back({.name = "security.capability", .value = "x"});
  std::unique_ptr<Fetched> fetched = Wanted("f");
  BlockOn(&runtime_->shard(0), FetchNonsense(privileged, 7, fetched.get()));
  EXPECT_THAT(fetched->status, StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace uringsync

#include "engine/net/listener.h"

#include <gtest/gtest.h>

#include <atomic>

#include "engine/coro/scope.h"
#include "engine/net/connect.h"
#include "tests/support/relay.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;

class ListenerTest : public testing::TestWithParam<IoBackend> {
 protected:
  void SetUp() override {
    RuntimeOptions options;
    options.shards = 2;
    options.driver.backend = GetParam();
    absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(options);
    if (!runtime.ok()) GTEST_SKIP() << std::string(runtime.status().message());
    runtime_ = *std::move(runtime);
  }
  Shard& shard() { return runtime_->shard(0); }
  Driver* driver() { return runtime_->shard(0).driver(); }
  void Run(Task<void> task) { BlockOn(&shard(), std::move(task)); }
  std::unique_ptr<Runtime> runtime_;
};

Task<void> ListenTwice(Driver* driver, ListenOptions options, absl::Status* first, absl::Status* second) {
  absl::StatusOr<std::unique_ptr<Listener>> one = co_await Listener::Listen(driver, options);
  *first = one.status();
  if (!one.ok()) co_return;
  if (options.port == 0) options.port = (*one)->port();
  absl::StatusOr<std::unique_ptr<Listener>> two = co_await Listener::Listen(driver, options);
  *second = two.status();
}

TEST_P(ListenerTest, APortInUseIsSaidWithTheWayOut) {
  absl::Status first;
  absl::Status second;
  Run(ListenTwice(driver(), {.host = "127.0.0.1"}, &first, &second));
  EXPECT_OK(first);
  EXPECT_THAT(second, StatusIs(absl::StatusCode::kFailedPrecondition,
                               AllOf(HasSubstr("cannot listen on 127.0.0.1:"), HasSubstr("Address already in use"),
                                     HasSubstr("--data-listen"))));
}

TEST_P(ListenerTest, EveryAddressIsServedByDefault) {
  absl::Status first;
  absl::Status second;
  Run(ListenTwice(driver(), {}, &first, &second));
  EXPECT_OK(first);
  EXPECT_FALSE(second.ok());
}

TEST_P(ListenerTest, AnAddressOfAnotherHostIsSaid) {
  absl::Status first;
  absl::Status second;
  Run(ListenTwice(driver(), {.host = "192.0.2.1"}, &first, &second));
  EXPECT_THAT(first, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no interface of this host")));
}

TEST_P(ListenerTest, AUnixSocketThatExistsIsNotRemoved) {
  TempDir dir;
  WriteFile(dir / "socket", "mine");
  absl::Status first;
  absl::Status second;
  Run(ListenTwice(driver(), {.host = "unix:" + (dir / "socket")}, &first, &second));
  EXPECT_THAT(first, StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("remove the socket file")));
  EXPECT_EQ(ReadFile(dir / "socket"), "mine");
}

Task<void> StoreAccept(Listener* listener, absl::Status* out) {
  absl::StatusOr<AcceptedSocket> socket = co_await listener->Accept();
  *out = socket.status();
}
Task<void> CloseUnderAccept(Driver* driver, std::string host, absl::Status* out) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = co_await Listener::Listen(driver, {.host = host});
  if (!listener.ok()) {
    *out = listener.status();
    co_return;
  }
  Scope scope;
  scope.Spawn(StoreAccept(listener->get(), out));
  co_await Yield{};
  co_await Yield{};
  (*listener)->Close();
  co_await scope.Join();
}

TEST_P(ListenerTest, CloseEndsAWaitingAccept) {
  TempDir dir;
  for (const std::string& host : {std::string("127.0.0.1"), "unix:" + (dir / "socket")}) {
    absl::Status accepted;
    Run(CloseUnderAccept(driver(), host, &accepted));
    EXPECT_THAT(accepted, StatusIs(absl::StatusCode::kCancelled)) << host;
  }
}

struct ServeState {
  std::atomic<int> now{0};
  std::atomic<int> most{0};
  std::atomic<int> served{0};
};

Task<void> Echo(ServeState* state, AcceptedSocket socket) {
  const int now = ++state->now;
  int most = state->most;
  while (now > most && !state->most.compare_exchange_weak(most, now)) {
  }
  {
    std::unique_ptr<Stream> stream = TcpStream::Adopt(Shard::Current()->driver(), std::move(socket));
    std::array<std::byte, 4> bytes{};
    absl::Status status = co_await ReadExactly(stream.get(), bytes, Deadline(seconds(20)));
    const std::array<ConstBytes, 1> parts = {ConstBytes(bytes)};
    if (status.ok()) status = co_await stream->WriteAll(parts, seconds(20));
    EXPECT_OK(status);
  }
  --state->now;
  ++state->served;
}

Task<void> Ask(Driver* driver, uint16_t port) {
  absl::StatusOr<std::unique_ptr<Stream>> stream = co_await Connect(driver, {.host = "127.0.0.1", .port = port});
  EXPECT_OK(stream);
  if (!stream.ok()) co_return;
  const std::array<std::byte, 4> question = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  const std::array<ConstBytes, 1> parts = {ConstBytes(question)};
  EXPECT_OK(co_await (*stream)->WriteAll(parts, seconds(20)));
  std::array<std::byte, 4> answer{};
  EXPECT_OK(co_await ReadExactly(stream->get(), answer, Deadline(seconds(20))));
  EXPECT_EQ(question, answer);
}

Task<void> Serve(Listener* listener, Runtime* runtime, ServeState* state, absl::Status* out) {
  *out = co_await ServeConnections(
      listener, runtime, [state](AcceptedSocket socket) { return Echo(state, std::move(socket)); }, 3);
}

Task<void> AskManyAndStop(Driver* driver, Runtime* runtime, ServeState* state, absl::Status* out) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = co_await Listener::Listen(driver, {.host = "127.0.0.1"});
  EXPECT_OK(listener);
  if (!listener.ok()) co_return;
  Scope server;
  server.Spawn(Serve(listener->get(), runtime, state, out));
  Scope clients;
  for (int i = 0; i < 20; ++i) clients.Spawn(Ask(driver, (*listener)->port()));
  co_await clients.Join();
  (*listener)->Close();
  co_await server.Join();
}

TEST_P(ListenerTest, ServeRunsABoundedNumberOfHandlersAndJoinsThem) {
  ServeState state;
  absl::Status status = absl::UnknownError("not run");
  Run(AskManyAndStop(driver(), runtime_.get(), &state, &status));
  EXPECT_OK(status);
  EXPECT_EQ(state.served, 20);
  EXPECT_LE(state.most, 3);
}

Task<void> StoreConnect(Driver* driver, ConnectOptions options, absl::Status* out) {
  absl::StatusOr<std::unique_ptr<Stream>> stream = co_await Connect(driver, options);
  *out = stream.status();
}

TEST_P(ListenerTest, ARefusedConnectionNamesTheAddressAndAHint) {
  absl::Status status;
  // A port that was bound and let go is free.
  uint16_t port = 0;
  {
    TcpRelay relay(1);
    port = relay.port();
  }
  Run(StoreConnect(driver(), {.host = "127.0.0.1", .port = port}, &status));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable,
                               AllOf(HasSubstr("cannot connect to 127.0.0.1:" + std::to_string(port)),
                                     HasSubstr("Connection refused"), HasSubstr("is uringsync-agent running there"))));
}

TEST_P(ListenerTest, AnUnknownHostIsNotFoundOrUnavailable) {
  absl::Status status;
  Run(StoreConnect(driver(), {.host = "no-such-host.invalid", .port = 1}, &status));
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("no-such-host.invalid"));
}

INSTANTIATE_TEST_SUITE_P(Backends, ListenerTest, testing::Values(IoBackend::kUring, IoBackend::kThreads),
                         [](const auto& info) { return info.param == IoBackend::kUring ? "Uring" : "Threads"; });

}  // namespace
}  // namespace uringsync

// Sessions of two agents: the ways of contents between them, and what happens when one breaks.
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "agent/data_server.h"
#include "tests/agent/session_copy_fixture.h"

namespace uringsync {
namespace {

// Two agents; the data plane over loopback TCP without certificates.
class TwoAgentsTest : public SessionTest {
 protected:
  // Sessions end before the agents that serve them.
  ~TwoAgentsTest() override {
    destination_.reset();
    source_.reset();
    servers_.clear();
  }
  void StartBoth() {
    far_ = std::make_unique<TestAgent>(dir_ / "src", far_plan_);
    near_ = std::make_unique<TestAgent>(dir_ / "dst", plan_);
    for (TestAgent* agent : {far_.get(), near_.get()}) {
      DataServerOptions options;
      options.runtime = agent->runtime();
      options.table = &agent->table();
      options.host = "127.0.0.1";
      absl::StatusOr<std::unique_ptr<DataServer>> server = DataServer::Start(options);
      ASSERT_OK(server);
      agent->context().data_port = (*server)->port();
      servers_.push_back(*std::move(server));
    }
  }
  void OpenTwo(DataRoute::Kind kind) {
    StartBoth();
    source_ = std::make_unique<TestSession>(far_.get());
    ASSERT_OK(source_->Handshake());
    OpenSession source = OpenFor(Role::kSource, 1, "");
    source.data_connections = source_connections_;
    source_->Send(source);
    source_opened_ = source_->Expect<SessionOpened>();
    destination_ = std::make_unique<TestSession>(near_.get());
    ASSERT_OK(destination_->Handshake());
    OpenSession open = OpenFor(Role::kDestination, 1, "");
    open.route.kind = kind;
    open.route.host = "127.0.0.1";
    open.route.port = servers_[0]->port();
    destination_->Send(open);
    opened_ = destination_->Expect<SessionOpened>();
    if (kind == DataRoute::Kind::kAccept) source_->Send(ConnectData{"127.0.0.1", servers_[1]->port()});
  }
  void FillSource() {
    for (int f = 0; f < 300; ++f) WriteFile(dir_ / ("src/d/f" + std::to_string(f)), std::string(f * 37, 'q'));
    WriteFile(dir_ / "src/big", std::string((33 << 20) + 5, 'B'));
  }
  void CheckDestination(const ApplyDone& done) {
    EXPECT_TRUE(destination_->problems.empty());
    EXPECT_EQ(done.counters.files_published, 301u);
    EXPECT_EQ(done.counters.bytes_received, done.counters.bytes_written);
    EXPECT_GE(done.counters.wire_bytes, done.counters.bytes_received);
    EXPECT_EQ(ReadFile(dir_ / "dst/d/f299"), std::string(299 * 37, 'q'));
    EXPECT_EQ(ReadFile(dir_ / "dst/big"), std::string((33 << 20) + 5, 'B'));
  }
  std::unique_ptr<TestAgent> far_;
  std::unique_ptr<TestAgent> near_;
  std::vector<std::unique_ptr<DataServer>> servers_;
  std::shared_ptr<FaultPlan> far_plan_ = std::make_shared<FaultPlan>();
  uint32_t source_connections_ = 0;
};

TEST_F(TwoAgentsTest, DestinationConnectsAndPulls) {
  FillSource();
  OpenTwo(DataRoute::Kind::kConnect);
  CheckDestination(CopyAll());
  EXPECT_OK(destination_->End());
}

TEST_F(TwoAgentsTest, FileDataAndSocketTrafficAreRingOperations) {
  FillSource();
  OpenTwo(DataRoute::Kind::kConnect);
  if (far_->runtime()->backend() != "uring") GTEST_SKIP() << "io_uring is not usable here";
  CheckDestination(CopyAll());
  ASSERT_OK(destination_->End());
  const DriverCounters source = far_->runtime()->Counters();
  const DriverCounters destination = near_->runtime()->Counters();
  const auto submitted = [](const DriverCounters& counters, OpCode code) {
    return counters.submitted[static_cast<size_t>(code)];
  };
  const auto calls = [](const DriverCounters& counters, CallCode code) {
    return counters.calls[static_cast<size_t>(code)];
  };
  // 299 small files with contents, 34 pieces of the big one.
  EXPECT_GE(submitted(source, OpCode::kRead), 299u + 34u);
  EXPECT_EQ(calls(source, CallCode::kPread), 0u);
  EXPECT_GT(submitted(source, OpCode::kSend), 0u);
  EXPECT_GT(submitted(destination, OpCode::kRecv), 0u);
  EXPECT_GE(submitted(destination, OpCode::kWrite), 33u);
  // Small writes are inline by measurement (docs/engine.md): one for each small file, and the big one's last 5 bytes.
  EXPECT_EQ(calls(destination, CallCode::kPwrite), 299u + 1u);
}

TEST_F(TwoAgentsTest, SourceConnectsAndServes) {
  FillSource();
  OpenTwo(DataRoute::Kind::kAccept);
  CheckDestination(CopyAll());
  EXPECT_OK(destination_->End());
}

TEST_F(TwoAgentsTest, BrokenDataConnectionIsReplacedAndNothingIsLost) {
  FillSource();
  OpenTwo(DataRoute::Kind::kConnect);
  plan_->Fail(OpCode::kRecv, 40, ECONNRESET);
  plan_->Fail(OpCode::kRecv, 70, ECONNRESET);
  CheckDestination(CopyAll());
  EXPECT_EQ(plan_->injected(), 2u);
}

TEST_F(TwoAgentsTest, SourceThatIsGoneEndsTheSessionWithAnError) {
  FillSource();
  OpenTwo(DataRoute::Kind::kConnect);
  std::vector<DirectoryBatch> manifest = ReadManifest(source_.get());
  static_cast<void>(source_->End());
  servers_[0]->Stop();
  Submit(Phase::kCreate, {Add(ActionKind::kPutFile, "big", manifest[0].entries[0])});
  destination_->Send(FinishApply{});
  SessionError error = destination_->Expect<SessionError>();
  EXPECT_EQ(error.kind, ErrorKind::kProtocol);
  EXPECT_THAT(error.message, testing::HasSubstr("data connection"));
}

TEST_F(TwoAgentsTest, RequestsAreServedOverAConnectionThatCameBackOnAnotherShard) {
  FillSource();
  source_connections_ = 1;
  OpenTwo(DataRoute::Kind::kAccept);
  // The only connection breaks again and again; the data server gives each new one to the next shard.
  for (uint64_t nth : {4, 7, 10}) far_plan_->Fail(OpCode::kRecv, nth, ECONNRESET);
  CheckDestination(CopyAll());
  EXPECT_GE(far_plan_->injected(), 1u);
}

}  // namespace
}  // namespace uringsync

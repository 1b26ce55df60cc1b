#include "coordinator/core/bench.h"

#include <gmock/gmock.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

namespace uringsync {
namespace {

using testing::HasSubstr;

// Answers what a bench asks for, until a hook has an answer of its own.
class BenchAgent {
 public:
  std::vector<std::string> features = {kBenchFeature};
  // The answer to a step in place of a report; nullopt: die. Unset: a report.
  std::function<std::optional<AgentMessage>(BenchStep)> on_step;
  bool exists = true;
  std::vector<BenchStep> steps;
  bool closed = false;
  bool told_to_connect = false;

  void Start(std::unique_ptr<AgentStream> stream) {
    stream_ = std::move(stream);
    thread_ = std::thread([this] { Serve(); });
  }
  ~BenchAgent() { Join(); }
  void Join() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Serve() {
    while (true) {
      absl::StatusOr<ClientMessage> message = stream_->Receive();
      if (!message.ok()) break;
      std::optional<AgentMessage> answer = AnswerTo(*message);
      if (!answer) break;
      if (!std::holds_alternative<SessionError>(*answer) || std::get<SessionError>(*answer).message != "silence")
        if (!stream_->Send(*answer).ok()) break;
    }
    stream_->Close();
  }
  std::optional<AgentMessage> AnswerTo(const ClientMessage& message) {
    if (std::holds_alternative<Hello>(message)) {
      HelloReply reply;
      reply.version = reply.min_version = reply.max_version = kProtocolVersion;
      reply.software = "fake 0.0";
      reply.features = features;
      return reply;
    }
    if (std::holds_alternative<OpenSession>(message)) {
      SessionOpened opened;
      opened.exists = exists;
      opened.root.type = FileType::kDirectory;
      return opened;
    }
    if (const auto* run = std::get_if<RunBench>(&message)) {
      steps.push_back(run->step);
      if (on_step) return on_step(run->step);
      BenchReport report{.step = run->step, .cores = 2};
      report.figures.push_back({.metric = BenchMetric::kScanned, .count = 1, .elapsed_ns = 1});
      return report;
    }
    if (std::holds_alternative<ConnectData>(message)) {
      told_to_connect = true;
      return SessionError{ErrorKind::kProtocol, "silence"};
    }
    closed = std::holds_alternative<CloseSession>(message);
    return std::nullopt;
  }
  std::unique_ptr<AgentStream> stream_;
  std::thread thread_;
};

class BenchTest : public testing::Test {
 protected:
  BenchTest() {
    request_.software = "uringsync 9";
    request_.source.root = request_.destination.root = "data";
    request_.choose_route = [this](const HelloReply&, const HelloReply&) {
      return absl::StatusOr<RouteChoice>(route_);
    };
    route_.route.kind = DataRoute::Kind::kAccept;
    route_.source_connects = ConnectData{"host", 7441};
  }
  BenchOutcome Run() {
    auto source = MakeInMemoryControlPair(4);
    auto destination = MakeInMemoryControlPair(4);
    source_.Start(std::move(source.second));
    destination_.Start(std::move(destination.second));
    BenchOutcome outcome = RunBenchmark(request_, plan_, *source.first, *destination.first,
                                        [this](Side, BenchStep step) { announced_.push_back(step); });
    source_.Join();
    destination_.Join();
    return outcome;
  }
  SyncRequest request_;
  BenchPlan plan_;
  RouteChoice route_;
  BenchAgent source_;
  BenchAgent destination_;
  std::vector<BenchStep> announced_;
};

TEST_F(BenchTest, EveryPartIsMeasuredInOrder) {
  const BenchOutcome outcome = Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kOk) << outcome.error;
  using enum BenchStep;
  EXPECT_EQ(source_.steps, (std::vector<BenchStep>{kScan, kRead, kNetwork, kNetwork}));
  EXPECT_EQ(destination_.steps, (std::vector<BenchStep>{kScan, kNetwork, kWrite, kMetadata, kSync}));
  EXPECT_EQ(outcome.steps.size(), 8u);
  EXPECT_EQ(announced_.size(), 9u);
  EXPECT_TRUE(source_.told_to_connect);
  EXPECT_TRUE(source_.closed);
  EXPECT_TRUE(destination_.closed);
}

TEST_F(BenchTest, InOneAgentThereIsNoNetwork) {
  route_ = {};
  route_.route.kind = DataRoute::Kind::kLocal;
  const BenchOutcome outcome = Run();
  EXPECT_TRUE(outcome.one_agent);
  EXPECT_EQ(outcome.steps.size(), 6u);
}

TEST_F(BenchTest, AnAgentThatCannotMeasureIsNamedWithBothVersions) {
  destination_.features = {"folded-listings"};
  const BenchOutcome outcome = Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kVersion);
  EXPECT_EQ(outcome.error_side, Side::kDestination);
  EXPECT_THAT(outcome.error, HasSubstr("fake 0.0 cannot measure; uringsync 9 can"));
}

TEST_F(BenchTest, AnAgentThatRefusesEndsItWithItsWords) {
  source_.on_step = [](BenchStep) { return SessionError{ErrorKind::kFileIo, "no disk"}; };
  const BenchOutcome outcome = Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kFileIo);
  EXPECT_THAT(outcome.error, HasSubstr("source agent: no disk"));
}

TEST_F(BenchTest, AnAgentThatDiesKeepsWhatWasMeasured) {
  destination_.on_step = [](BenchStep) { return std::optional<AgentMessage>(); };
  const BenchOutcome outcome = Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kProtocol);
  EXPECT_TRUE(outcome.broke);
  EXPECT_EQ(outcome.steps.size(), 2u);
}

TEST_F(BenchTest, AReportOfAnotherStepIsAProtocolError) {
  source_.on_step = [](BenchStep) { return BenchReport{.step = BenchStep::kSync, .cores = 1}; };
  EXPECT_EQ(Run().exit_code, ExitCode::kProtocol);
}

TEST_F(BenchTest, AMissingDirectoryIsASelectionError) {
  destination_.exists = false;
  EXPECT_EQ(Run().exit_code, ExitCode::kSelection);
}

TEST_F(BenchTest, CancellingEndsItAsInterrupted) {
  CancelSource cancel;
  request_.cancel = cancel.token();
  source_.on_step = [&cancel](BenchStep) {
    cancel.Cancel(absl::CancelledError("interrupted (SIGINT)"));
    return SessionError{ErrorKind::kProtocol, "silence"};
  };
  const BenchOutcome outcome = Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kInterrupted);
  EXPECT_THAT(outcome.error, HasSubstr("SIGINT"));
}

TEST_F(BenchTest, SilenceBeyondTheStepIsATimeOut) {
  request_.idle_timeout = absl::Milliseconds(30);
  plan_.step_time = absl::Milliseconds(10);
  source_.on_step = [](BenchStep) { return SessionError{ErrorKind::kProtocol, "silence"}; };
  const BenchOutcome outcome = Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kTimeout);
  EXPECT_EQ(outcome.error_side, Side::kSource);
}

}  // namespace
}  // namespace uringsync

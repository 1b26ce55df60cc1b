// --remove-source-files: what the source is told to remove, and when.
#include "coordinator/core/source_removals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/core/run.h"
#include "tests/coordinator/core/fake_agent.h"
#include "tests/coordinator/core/plan_fixture.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr size_t kWindow = 4;

class ProblemObserver final : public Observer {
 public:
  void OnOpened(const HelloReply&, const SessionOpened&, const HelloReply&, const SessionOpened&) override {}
  void OnAction(const Action&, const Differences&, ActionOutcome) override {}
  void OnProblem(const Problem& problem) override { problems.push_back(problem.path.text() + " " + problem.operation); }
  void OnProgress(const SyncProgress&) override {}
  void OnNotice(Side, std::string_view text) override { notices.emplace_back(text); }
  void OnSkipped(SkipReason, const RelPath&, FileType) override {}
  std::vector<std::string> problems;
  std::vector<std::string> notices;
};

class SourceRemovalsTest : public testing::Test {
 protected:
  SourceRemovalsTest() {
    source_.manifest = {Batch("", {Dir("d", 2), File("equal", 3), File("new", 4)}, 1), Batch("d", {File("x", 5)}, 2)};
    destination_.manifest = {Batch("", {File("equal", 13)}, 1)};
    source_.hello.features = {std::string(kRemoveSourcesFeature)};
    request_.choose_route = [](const HelloReply&, const HelloReply&) {
      return absl::StatusOr<RouteChoice>(RouteChoice{});
    };
    request_.source.root = request_.destination.root = "data";
    request_.destination.session[0] = 2;
    request_.remove_source_files = true;
  }
  SyncOutcome Run() {
    auto [source_client, source_end] = MakeInMemoryControlPair(kWindow);
    auto [destination_client, destination_end] = MakeInMemoryControlPair(kWindow);
    source_agent_ = std::make_unique<FakeAgent>(std::move(source_end), source_);
    FakeAgent destination(std::move(destination_end), destination_);
    SyncOutcome outcome = RunSync(request_, *source_client, *destination_client, observer_);
    source_agent_->Join();
    destination.Join();
    return outcome;
  }
  std::vector<std::string> Removed() {
    std::vector<std::string> paths;
    for (const Action& action : source_agent_->actions) paths.push_back(action.path.text());
    return paths;
  }
  SyncRequest request_;
  FakeAgent::Behaviour source_;
  FakeAgent::Behaviour destination_;
  std::unique_ptr<FakeAgent> source_agent_;
  ProblemObserver observer_;
};

TEST_F(SourceRemovalsTest, WhatWasMadeAndWhatWasEqualGoesButNoDirectory) {
  const SyncOutcome outcome = Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kOk) << outcome.error;
  EXPECT_TRUE(source_agent_->opens[0].remove_sources);
  EXPECT_THAT(Removed(), ElementsAre("equal", "new", "d/x"));
  EXPECT_THAT(source_agent_->phases, ElementsAre(Phase::kDelete));
  EXPECT_EQ(source_agent_->actions[1].wanted.id.inode, 4u);
  EXPECT_EQ(outcome.sources_removed, 3u);
}

TEST_F(SourceRemovalsTest, AnObjectWithAProblemStays) {
  destination_.apply = [](const ActionBatch& batch) {
    ApplyProgress progress;
    progress.completed_sequence = batch.sequence;
    for (const Action& action : batch.actions) {
      if (action.path.text() != "new") continue;
      Problem problem;
      problem.path = action.path;
      problem.operation = "write";
      problem.action = action.id;
      progress.problems.push_back(problem);
    }
    return std::optional(progress);
  };
  EXPECT_EQ(Run().exit_code, ExitCode::kPartial);
  EXPECT_THAT(Removed(), ElementsAre("equal", "d/x"));
}

TEST_F(SourceRemovalsTest, WhatTheSourceCannotRemoveIsAProblem) {
  source_.apply = [](const ActionBatch& batch) {
    ApplyProgress progress;
    progress.completed_sequence = batch.sequence;
    Problem problem;
    problem.side = Side::kSource;
    problem.path = batch.actions.front().path;
    problem.operation = "remove";
    problem.action = 1;
    progress.problems.push_back(problem);
    return std::optional(progress);
  };
  const SyncOutcome outcome = Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kPartial);
  EXPECT_EQ(outcome.sources_removed, 2u);
  EXPECT_THAT(observer_.problems, ElementsAre("equal remove"));
}

TEST_F(SourceRemovalsTest, ADryRunRemovesNothing) {
  request_.mode = SyncMode::kPlan;
  EXPECT_EQ(Run().exit_code, ExitCode::kOk);
  EXPECT_THAT(Removed(), IsEmpty());
  EXPECT_FALSE(source_agent_->opens[0].remove_sources);
}

TEST_F(SourceRemovalsTest, AnAgentThatDoesNotKnowItEndsTheRun) {
  source_.hello.features.clear();
  EXPECT_EQ(Run().exit_code, ExitCode::kVersion);
}

TEST_F(SourceRemovalsTest, AnAnswerThatNobodyAskedForIsAProtocolError) {
  SourceRemovals removals;
  EXPECT_THAT(removals.OnReply({}), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace uringsync

// RunSync with basis directories: their sessions beside the two of the run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/core/run.h"
#include "tests/coordinator/core/fake_agent.h"
#include "tests/coordinator/core/plan_fixture.h"

namespace uringsync {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr size_t kWindow = 4;

class NoticeObserver final : public Observer {
 public:
  void OnOpened(const HelloReply&, const SessionOpened&, const HelloReply&, const SessionOpened&) override {}
  void OnAction(const Action&, const Differences&, ActionOutcome) override {}
  void OnProblem(const Problem&) override {}
  void OnProgress(const SyncProgress&) override {}
  void OnNotice(Side, std::string_view text) override { notices.emplace_back(text); }
  void OnSkipped(SkipReason, const RelPath&, FileType) override {}
  std::vector<std::string> notices;
};

class BasisRunTest : public testing::Test {
 protected:
  BasisRunTest() {
    source_.manifest = {Batch("", {File("f", 3)}, 1)};
    destination_.manifest = {Batch("", {}, 1)};
    destination_.hello.features = {std::string(kBasisFeature)};
    request_.choose_route = [](const HelloReply&, const HelloReply&) {
      return absl::StatusOr<RouteChoice>(RouteChoice{});
    };
    request_.source.root = request_.destination.root = "data";
    request_.basis_use = BasisUse::kLink;
    request_.open_destination_stream = [this]() -> absl::StatusOr<std::unique_ptr<ClientStream>> {
      auto [client, agent] = MakeInMemoryControlPair(kWindow);
      const size_t index = basis_agents_.size();
      basis_agents_.push_back(std::make_unique<FakeAgent>(std::move(agent), bases_[index]));
      return std::move(client);
    };
  }
  void AddBasis(FakeAgent::Behaviour behaviour, const std::string& path) {
    behaviour.hello.features = {std::string(kBasisFeature)};
    bases_.push_back(std::move(behaviour));
    request_.basis.push_back({{"data", PathOf(path)}, {}, "../" + path});
    request_.basis.back().session[0] = static_cast<uint8_t>(10 + bases_.size());
  }
  SyncOutcome Run() {
    auto [source_client, source_end] = MakeInMemoryControlPair(kWindow);
    auto [destination_client, destination_end] = MakeInMemoryControlPair(kWindow);
    FakeAgent source(std::move(source_end), source_);
    destination_agent_ = std::make_unique<FakeAgent>(std::move(destination_end), destination_);
    SyncOutcome outcome = RunSync(request_, *source_client, *destination_client, observer_);
    source.Join();
    destination_agent_->Join();
    for (const std::unique_ptr<FakeAgent>& agent : basis_agents_) agent->Join();
    return outcome;
  }

  SyncRequest request_;
  FakeAgent::Behaviour source_;
  FakeAgent::Behaviour destination_;
  std::vector<FakeAgent::Behaviour> bases_;
  std::unique_ptr<FakeAgent> destination_agent_;
  std::vector<std::unique_ptr<FakeAgent>> basis_agents_;
  NoticeObserver observer_;
};

TEST_F(BasisRunTest, ReadsTheBasisInADryRunSessionAndLinksFromIt) {
  FakeAgent::Behaviour basis;
  basis.manifest = {Batch("", {File("f", 12)}, 11)};
  AddBasis(basis, "prev");
  const SyncOutcome outcome = Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kOk) << outcome.error;
  ASSERT_EQ(basis_agents_.size(), 1u);
  ASSERT_EQ(basis_agents_[0]->opens.size(), 1u);
  EXPECT_TRUE(basis_agents_[0]->opens[0].dry_run);
  EXPECT_EQ(basis_agents_[0]->opens[0].path.text(), "prev");
  ASSERT_EQ(destination_agent_->opens.size(), 1u);
  EXPECT_THAT(destination_agent_->opens[0].basis_directories, ElementsAre(request_.basis[0].place));
  ASSERT_FALSE(destination_agent_->actions.empty());
  EXPECT_EQ(destination_agent_->actions[0].kind, ActionKind::kLink);
  ASSERT_TRUE(destination_agent_->actions[0].basis.has_value());
  EXPECT_EQ(destination_agent_->actions[0].basis->object.id.inode, 12u);
}

TEST_F(BasisRunTest, ADirectoryThatDoesNotExistIsToldAndLeftOut) {
  FakeAgent::Behaviour missing;
  missing.opened.exists = false;
  AddBasis(missing, "gone");
  FakeAgent::Behaviour basis;
  basis.manifest = {Batch("", {File("f", 12)}, 11)};
  AddBasis(basis, "prev");
  EXPECT_EQ(Run().exit_code, ExitCode::kOk);
  EXPECT_THAT(observer_.notices, ElementsAre(HasSubstr("../gone")));
  EXPECT_THAT(destination_agent_->opens[0].basis_directories, ElementsAre(request_.basis[1].place));
  ASSERT_TRUE(destination_agent_->actions[0].basis.has_value());
  EXPECT_EQ(destination_agent_->actions[0].basis->directory, 0u);
}

TEST_F(BasisRunTest, AnAgentThatDoesNotKnowThemEndsTheRun) {
  AddBasis({}, "prev");
  destination_.hello.features.clear();
  const SyncOutcome outcome = Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kVersion);
  EXPECT_THAT(outcome.error, HasSubstr("basis directories"));
}

TEST_F(BasisRunTest, ASessionOfABasisThatDiesEndsTheRun) {
  FakeAgent::Behaviour basis;
  basis.manifest = {Batch("", {File("f", 12)}, 11)};
  basis.die_at_batch = 0;
  AddBasis(basis, "prev");
  const SyncOutcome outcome = Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kProtocol) << outcome.error;
}

}  // namespace
}  // namespace uringsync

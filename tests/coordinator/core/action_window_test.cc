// ActionWindow: what it says of actions that came back, and of those that are on disk.
#include "coordinator/core/action_window.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

class ActionWindowTest : public testing::Test {
 protected:
  // One batch of `actions` creations.
  void SendBatch(size_t actions) {
    for (size_t i = 0; i < actions; ++i) {
      PlannedAction planned;
      planned.phase = Phase::kCreate;
      planned.action.id = ++last_id_;
      planned.action.kind = ActionKind::kPutFile;
      planned.action.path = *RelPath::Parse("f" + std::to_string(last_id_));
      ASSERT_OK(window_.Add(std::move(planned)));
    }
    ASSERT_OK(window_.Flush());
  }
  absl::Status Progress(uint64_t completed, uint64_t durable, std::vector<Problem> problems = {}) {
    ApplyProgress progress;
    progress.completed_sequence = completed;
    progress.durable_sequence = durable;
    progress.problems = std::move(problems);
    return window_.OnProgress(std::move(progress));
  }
  // The events told so far, as a letter each (actions, durable, problem); `durable` keeps the last one.
  std::string Told() {
    std::string told;
    while (std::optional<RunEvent> event = events_.Take(absl::InfinitePast())) {
      if (std::holds_alternative<ActionsEvent>(*event)) told += 'a';
      if (std::holds_alternative<Problem>(*event)) told += 'p';
      if (auto* durable = std::get_if<DurableEvent>(&*event)) {
        told += 'd';
        durable_ = *durable;
      }
    }
    return told;
  }

  // The destination answers FinishApply with the end of `ended_` actions.
  absl::Status Send(const ClientMessage& message) {
    if (!std::holds_alternative<FinishApply>(message)) return absl::OkStatus();
    ApplyDone done;
    done.counters.actions_done = ended_;
    return window_.OnDone(done);
  }

  RunEvents events_;
  ActionWindow window_{&events_, [this](const ClientMessage& message) { return Send(message); }};
  uint64_t ended_ = 0;
  uint64_t last_id_ = 0;
  DurableEvent durable_;
};

TEST_F(ActionWindowTest, TellsWhatIsOnDiskAfterWhatHasEnded) {
  SendBatch(3);
  SendBatch(2);
  ASSERT_OK(Progress(2, 0));
  EXPECT_EQ(Told(), "aa");
  EXPECT_EQ(window_.totals().durable, 0U);
  ASSERT_OK(Progress(2, 1));
  EXPECT_EQ(Told(), "d");
  EXPECT_EQ(durable_.through_action, 3U);
  EXPECT_EQ(durable_.actions, 3U);
  ASSERT_OK(Progress(2, 2));
  EXPECT_EQ(Told(), "d");
  EXPECT_EQ(durable_.through_action, 5U);
  EXPECT_EQ(window_.totals().durable, 5U);
}

TEST_F(ActionWindowTest, FailedActionsAreNotCountedAsOnDisk) {
  SendBatch(3);
  Problem problem;
  problem.action = 2;
  ASSERT_OK(Progress(1, 1, {problem}));
  EXPECT_EQ(Told(), "pad");
  EXPECT_EQ(durable_.actions, 2U);
  EXPECT_EQ(window_.totals().durable, 2U);
}

TEST_F(ActionWindowTest, RefusesAnAgentThatTakesBackWhatIsOnDiskOrTellsItTooEarly) {
  SendBatch(1);
  SendBatch(1);
  EXPECT_THAT(Progress(1, 2), StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK(Progress(2, 1));
  EXPECT_THAT(Progress(2, 0), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(ActionWindowTest, AnEndThatLeavesActionsOutIsNone) {
  SendBatch(3);
  ended_ = 2;
  EXPECT_THAT(window_.Finish().status(), StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr("2 of 3")));
}

TEST_F(ActionWindowTest, TheEndOfAllActionsIsTheEnd) {
  SendBatch(3);
  ended_ = 3;
  ASSERT_OK(window_.Finish().status());
  EXPECT_EQ(window_.totals().done, 3U);
}

}  // namespace
}  // namespace uringsync

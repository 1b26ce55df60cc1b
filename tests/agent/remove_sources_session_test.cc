// A source session that is told to remove what was copied.
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/agent/session_copy_fixture.h"

namespace uringsync {
namespace {

class RemoveSourcesSessionTest : public SessionTest {
 protected:
  void OpenSource(bool removes) {
    StartAgent();
    source_ = std::make_unique<TestSession>(agent_.get());
    ASSERT_OK(source_->Handshake());
    OpenSession open = OpenFor(Role::kSource, 1, "src");
    open.remove_sources = removes;
    source_->Send(open);
    source_->Expect<SessionOpened>();
    for (const DirectoryBatch& batch : ReadManifest(source_.get()))
      for (const Entry& entry : batch.entries) entries_.push_back({batch.directory.Child(entry.name).text(), entry});
  }
  std::vector<Action> Removals() {
    std::vector<Action> actions;
    for (const auto& [path, entry] : entries_) {
      if (entry.type != FileType::kDirectory) actions.push_back(Add(ActionKind::kDelete, path, entry));
    }
    return actions;
  }
  AgentMessage Remove(Phase phase, std::vector<Action> actions) {
    ActionBatch batch;
    batch.phase = phase;
    batch.sequence = ++last_sequence_;
    batch.actions = std::move(actions);
    source_->Send(std::move(batch));
    absl::StatusOr<AgentMessage> message = source_->stream()->Receive();
    return message.ok() ? *std::move(message) : AgentMessage(SessionError{});
  }
  std::vector<std::pair<std::string, Entry>> entries_;
};

TEST_F(RemoveSourcesSessionTest, RemovesWhatIsStillTheSame) {
  WriteFile(dir_ / "src/d/f", "x");
  WriteFile(dir_ / "src/changed", "x");
  ASSERT_EQ(::symlink("x", (dir_ / "src/l").c_str()), 0);
  OpenSource(true);
  WriteFile(dir_ / "src/changed", "something else");
  const AgentMessage answer = Remove(Phase::kDelete, Removals());
  ASSERT_TRUE(std::holds_alternative<ApplyProgress>(answer));
  const ApplyProgress& progress = std::get<ApplyProgress>(answer);
  EXPECT_EQ(progress.completed_sequence, 1u);
  ASSERT_EQ(progress.problems.size(), 1u);
  EXPECT_EQ(progress.problems[0].path.text(), "changed");
  EXPECT_EQ(progress.problems[0].kind, ProblemKind::kChanged);
  EXPECT_EQ(progress.problems[0].side, Side::kSource);
  EXPECT_FALSE(Exists("src/d/f"));
  EXPECT_FALSE(Exists("src/l"));
  EXPECT_TRUE(Exists("src/d"));
  EXPECT_EQ(ReadFile(dir_ / "src/changed"), "something else");
}

TEST_F(RemoveSourcesSessionTest, WhatIsGoneAlreadyIsFine) {
  WriteFile(dir_ / "src/f", "x");
  OpenSource(true);
  ASSERT_EQ(::unlink((dir_ / "src/f").c_str()), 0);
  const AgentMessage answer = Remove(Phase::kDelete, Removals());
  ASSERT_TRUE(std::holds_alternative<ApplyProgress>(answer));
  EXPECT_TRUE(std::get<ApplyProgress>(answer).problems.empty());
}

TEST_F(RemoveSourcesSessionTest, ASessionThatWasNotOpenedForItRefuses) {
  WriteFile(dir_ / "src/f", "x");
  OpenSource(false);
  EXPECT_TRUE(std::holds_alternative<SessionError>(Remove(Phase::kDelete, Removals())));
  EXPECT_TRUE(Exists("src/f"));
}

TEST_F(RemoveSourcesSessionTest, DirectoriesAndOtherPhasesAreRefused) {
  WriteFile(dir_ / "src/d/f", "x");
  OpenSource(true);
  EXPECT_TRUE(std::holds_alternative<SessionError>(
      Remove(Phase::kDelete, {Add(ActionKind::kDelete, "d", entries_[0].second)})));
  EXPECT_TRUE(Exists("src/d"));
}

TEST_F(RemoveSourcesSessionTest, AReadOnlyRootIsRefused) {
  agent_ = std::make_unique<TestAgent>(dir_.path(), plan_, /*read_only=*/true);
  TestSession session(agent_.get());
  ASSERT_OK(session.Handshake());
  OpenSession open = OpenFor(Role::kSource, 1, "src");
  open.remove_sources = true;
  session.Send(open);
  absl::StatusOr<AgentMessage> answer = session.stream()->Receive();
  ASSERT_OK(answer.status());
  ASSERT_TRUE(std::holds_alternative<SessionError>(*answer));
  EXPECT_EQ(std::get<SessionError>(*answer).kind, ErrorKind::kSelection);
}

}  // namespace
}  // namespace uringsync

// Source sessions that follow symlinks: what they tell, what they send, and where an agent with named roots stops.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

#include "tests/agent/session_copy_fixture.h"

namespace uringsync {
namespace {

class FollowedSessionTest : public SessionTest {
 protected:
  FollowedSessionTest() {
    WriteFile(dir_ / "src/d/f", "contents");
    WriteFile(dir_ / "beside/g", "beside");
    Link("d/f", "file");
    Link("../beside", "directory");
    Link(dir_ / "beside/g", "absolute");
  }
  void Link(const std::string& target, const std::string& name) {
    ASSERT_EQ(::symlink(target.c_str(), (dir_ / ("src/" + name)).c_str()), 0);
  }
  void OpenFollowing(OpenSession open, bool host_paths) {
    StartAgent();
    agent_->context().host_paths = host_paths;
    open.follow_links.all = true;
    source_ = std::make_unique<TestSession>(agent_.get());
    ASSERT_OK(source_->Handshake());
    source_->Send(open);
    source_->Expect<SessionOpened>();
    destination_ = std::make_unique<TestSession>(agent_.get());
    ASSERT_OK(destination_->Handshake());
    OpenSession destination = OpenFor(Role::kDestination, 2, "dst");
    destination.route = {.kind = DataRoute::Kind::kLocal, .peer_session = TestSessionId(1)};
    destination_->Send(destination);
    destination_->Expect<SessionOpened>();
  }
  // A border of the root "data", which is the directory above src, lets links lead from src to beside it.
  OpenSession Below() { return OpenFor(Role::kSource, 1, "src"); }
  std::vector<Entry> Told() {
    std::vector<Entry> entries;
    for (const DirectoryBatch& batch : ReadManifest(source_.get()))
      entries.insert(entries.end(), batch.entries.begin(), batch.entries.end());
    return entries;
  }
};

TEST_F(FollowedSessionTest, WhatLinksLeadToIsToldReadAndPublished) {
  OpenFollowing(Below(), /*host_paths=*/true);
  CopyAll();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(ReadFile(dir_ / "dst/file"), "contents");
  EXPECT_EQ(ReadFile(dir_ / "dst/directory/g"), "beside");
  EXPECT_EQ(ReadFile(dir_ / "dst/absolute"), "beside");
}

TEST_F(FollowedSessionTest, SoItIsWithOperands) {
  OpenSession open = Below();
  open.root.clear();
  open.path = RelPath();
  const auto operand = [this](const char* name) {
    return SourceOperand{.base = dir_ / "src", .from = *RelPath::Parse(name), .at = *RelPath::Parse(name)};
  };
  open.operands = {operand("directory"), operand("file"), operand("d")};
  OpenFollowing(open, /*host_paths=*/true);
  CopyAll();
  EXPECT_TRUE(destination_->problems.empty());
  EXPECT_EQ(ReadFile(dir_ / "dst/file"), "contents");
  EXPECT_EQ(ReadFile(dir_ / "dst/directory/g"), "beside");
}

TEST_F(FollowedSessionTest, NoLinkLeadsOutOfANamedRoot) {
  Link("../../etc/hostname", "leaves");
  OpenFollowing(Below(), /*host_paths=*/false);
  std::vector<std::string> refused;
  for (const Entry& entry : Told()) {
    if (entry.error != 0) refused.push_back(entry.name);
    if (entry.error != 0) EXPECT_EQ(entry.error, EXDEV);
  }
  EXPECT_EQ(refused, (std::vector<std::string>{"absolute", "leaves"}));
}

TEST_F(FollowedSessionTest, ALinkThatIsPutThereLaterIsNotReadThroughTheBorder) {
  OpenFollowing(Below(), /*host_paths=*/false);
  const std::vector<DirectoryBatch> manifest = ReadManifest(source_.get());
  Entry file;
  for (const Entry& entry : manifest.front().entries) {
    if (entry.name == "file") file = entry;
  }
  WriteFile(dir_ / "src/d/g", "other");
  ASSERT_EQ(::unlink((dir_ / "src/file").c_str()), 0);
  Link("/etc/hostname", "file");
  Submit(Phase::kCreate, {Add(ActionKind::kPutFile, "file", file)});
  Finish();
  EXPECT_EQ(destination_->problems.size(), 1u);
  EXPECT_FALSE(Exists("dst/file"));
}

TEST_F(FollowedSessionTest, OfARemovedSourceTheLinkGoesAndItsTargetStays) {
  OpenSession open = Below();
  open.remove_sources = true;
  OpenFollowing(open, /*host_paths=*/true);
  ActionBatch batch{.phase = Phase::kDelete, .sequence = 1, .actions = {}};
  for (const Entry& entry : Told()) {
    if (entry.name == "absolute") batch.actions.push_back(Add(ActionKind::kDelete, "absolute", entry));
  }
  ASSERT_EQ(batch.actions.size(), 1u);
  source_->Send(std::move(batch));
  absl::StatusOr<AgentMessage> answer = source_->stream()->Receive();
  ASSERT_OK(answer.status());
  EXPECT_TRUE(std::get<ApplyProgress>(*answer).problems.empty());
  EXPECT_FALSE(Exists("src/absolute"));
  EXPECT_EQ(ReadFile(dir_ / "beside/g"), "beside");
}

}  // namespace
}  // namespace uringsync

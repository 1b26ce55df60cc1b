// Folded listings and single directories as a session sends them.
#include <fcntl.h>
#include <sys/stat.h>

#include <map>

#include "tests/agent/session_fixture.h"

namespace uringsync {
namespace {

class FoldedSessionTest : public testing::Test {
 protected:
  FoldedSessionTest() {
    for (int directory = 0; directory < 100; ++directory) {
      for (int file = 0; file < 5; ++file) {
        const std::string name = "d" + std::to_string(100 + directory) + "/f" + std::to_string(file);
        WriteFile(dir_ / name, "contents");
        const timespec times[2] = {{1000, 1}, {1000, 1}};
        ::utimensat(AT_FDCWD, (dir_ / name).c_str(), times, 0);
      }
    }
  }
  void Open(TestSession* session) {
    ASSERT_OK(session->Handshake());
    session->Send(OpenFor(Role::kSource, 1, ""));
    session->Expect<SessionOpened>();
  }
  // Everything up to the manifest's end, by path.
  static std::map<std::string, DirectoryBatch> ReadAll(TestSession* session) {
    std::map<std::string, DirectoryBatch> batches;
    while (true) {
      absl::StatusOr<AgentMessage> message = session->stream()->Receive();
      if (!message.ok() || std::holds_alternative<SessionError>(*message)) {
        ADD_FAILURE() << "no manifest";
        return batches;
      }
      if (std::holds_alternative<ManifestEnd>(*message)) return batches;
      if (auto* batch = std::get_if<DirectoryBatch>(&*message)) batches[batch->directory.text()] = std::move(*batch);
      if (auto* group = std::get_if<FoldedGroup>(&*message)) {
        for (DirectoryBatch& batch : group->batches) batches[batch.directory.text()] = std::move(batch);
      }
    }
  }

  TempDir dir_;
};

TEST_F(FoldedSessionTest, ListingsComeFoldedAndTheirEntriesWhenTheyAreWanted) {
  TestAgent agent(dir_.path());
  TestSession session(&agent);
  Open(&session);
  session.Send(StartManifest{.fold = FoldRules{.seed = 7}});
  session.Send(ManifestCredit{2});
  const std::map<std::string, DirectoryBatch> batches = ReadAll(&session);
  ASSERT_EQ(batches.size(), 101u);
  EXPECT_FALSE(batches.at("").folded) << "it holds nothing but directories";
  ASSERT_TRUE(batches.at("d100").folded);
  EXPECT_EQ(batches.at("d100").folded->entries, 5u);
  EXPECT_TRUE(batches.at("d100").entries.empty());
  EXPECT_EQ(*batches.at("d100").folded, *batches.at("d199").folded);
  session.Send(ListingVerdicts{.through = 100, .expand = {2}});
  const DirectoryBatch expanded = session.Expect<DirectoryBatch>();
  EXPECT_TRUE(expanded.expanded);
  EXPECT_EQ(expanded.directory.text(), "d101");
  EXPECT_EQ(expanded.entries.size(), 5u);
  session.Send(ListingVerdicts{.through = 101});
  absl::StatusOr<AgentMessage> answer = session.stream()->Receive();
  ASSERT_OK(answer);
  EXPECT_TRUE(std::holds_alternative<SessionError>(*answer)) << "a verdict on what was never sent";
}

TEST_F(FoldedSessionTest, SingleDirectoriesAreListedAndTheOthersMarked) {
  TestAgent agent(dir_.path());
  TestSession session(&agent);
  Open(&session);
  ASSERT_EQ(::mkdir((dir_ / "d150/new").c_str(), 0755), 0);
  session.Send(StartManifest{
      .only = {{RelPath(), *RelPath::Parse("d150"), *RelPath::Parse("d150/new"), *RelPath::Parse("gone")}}});
  session.Send(ManifestCredit{100});
  const std::map<std::string, DirectoryBatch> batches = ReadAll(&session);
  ASSERT_EQ(batches.size(), 3u);
  EXPECT_EQ(batches.at("").entries.size(), 100u);
  for (const Entry& entry : batches.at("").entries) EXPECT_EQ(entry.pruned, entry.name != "d150");
  EXPECT_EQ(batches.at("d150").entries.size(), 6u);
  EXPECT_TRUE(batches.at("d150/new").entries.empty());
}

TEST_F(FoldedSessionTest, AQuestionToAnIndexThatIsNotThereEndsTheSession) {
  TestAgent agent(dir_.path());
  TestSession session(&agent);
  Open(&session);
  session.Send(TreeQuery{.directories = {RelPath()}});
  absl::StatusOr<AgentMessage> answer = session.stream()->Receive();
  ASSERT_OK(answer);
  EXPECT_TRUE(std::holds_alternative<SessionError>(*answer));
}

}  // namespace
}  // namespace uringsync

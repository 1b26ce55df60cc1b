// What a source's rules hide cannot be had by asking for it: contents and attributes, with and without merge files,
// operands and links.
#include "agent/filter_gate.h"

#include <gtest/gtest.h>
#include <sys/xattr.h>

#include "tests/agent/session_fixture.h"
#include "tests/engine/transfer/transfer_fixture.h"

namespace uringsync {
namespace {

class FilterGateTest : public testing::Test {
 protected:
  void Open(std::vector<std::string> rules, std::vector<SourceOperand> operands = {}) {
    session_.reset();
    agent_ = std::make_unique<TestAgent>(dir_.path());
    session_ = std::make_unique<TestSession>(agent_.get());
    ASSERT_OK(session_->Handshake());
    OpenSession open = OpenFor(Role::kSource, 1, "t");
    open.filters = std::move(rules);
    open.operands = std::move(operands);
    session_->Send(open);
    session_->Expect<SessionOpened>();
    ASSERT_OK_AND_ASSIGN(const std::shared_ptr<LiveSource> source,
                         agent_->table().FindSource(open.session, open.token));
    ASSERT_OK_AND_ASSIGN(reader_, source->MakeReader(&agent_->runtime()->shard(0)));
  }
  void TearDown() override {
    reader_.reset();
    session_.reset();
  }
  Task<absl::Status> Serve(FileRequest request, ReplySink* sink) {
    co_return co_await reader_->Serve(std::move(request), sink);
  }
  // As who knows everything of the object but that it may not be had.
  ReplyItem Ask(const std::string& path, bool xattrs_alone = false) {
    FileRequest request = WholeFile(path, EntryOf(dir_ / ("t/" + path)));
    request.want_xattrs = xattrs_alone;
    if (xattrs_alone) request.length = 0;
    RecordingSink sink;
    EXPECT_OK(RunOn(agent_->runtime()->shard(0), Serve(std::move(request), &sink)));
    return sink.items.back();
  }
  void ExpectGiven(const std::string& path) { EXPECT_EQ(Ask(path).status, ReplyStatus::kOk) << path; }
  void ExpectHidden(const std::string& path) {
    const bool is_file = EntryOf(dir_ / ("t/" + path)).type == FileType::kRegular;
    for (const bool attributes : {true, false}) {
      // A directory has no contents to be asked for.
      if (!attributes && !is_file) continue;
      const ReplyItem reply = Ask(path, attributes);
      EXPECT_EQ(reply.status, ReplyStatus::kVanished) << path;
      EXPECT_FALSE(reply.current) << "its identity is told: " << path;
    }
  }

  TempDir dir_;
  std::unique_ptr<TestAgent> agent_;
  std::unique_ptr<TestSession> session_;
  std::unique_ptr<SourceReader> reader_;
};

TEST_F(FilterGateTest, RulesOfTheRunHideFilesAndAllBelowDirectories) {
  for (const char* file : {"t/a.c", "t/a.o", "t/secret/key", "t/d/secret/deep/key", "t/d/b.c"})
    WriteFile(dir_ / file, "x");
  Open({"- *.o", "- secret/"});
  ExpectGiven("a.c");
  ExpectGiven("d/b.c");
  ExpectHidden("a.o");
  ExpectHidden("secret/key");
  ExpectHidden("d/secret/deep/key");
  ExpectHidden("secret");
}

TEST_F(FilterGateTest, AFalseTypeOpensNothing) {
  WriteFile(dir_ / "t/hidden", "x");
  Open({"+ */", "- *"});
  for (const bool attributes : {true, false}) {
    Entry entry = EntryOf(dir_ / "t/hidden");
    entry.type = FileType::kDirectory;
    FileRequest request = WholeFile("hidden", entry);
    request.want_xattrs = attributes;
    request.size_bytes = request.length = attributes ? 0 : 1;
    RecordingSink sink;
    EXPECT_OK(RunOn(agent_->runtime()->shard(0), Serve(std::move(request), &sink)));
    EXPECT_TRUE(sink.content.empty());
    EXPECT_FALSE(sink.items.back().current);
  }
}

TEST_F(FilterGateTest, MergeFilesCountWhereTheyLie) {
  for (const char* file : {"t/a", "t/d/a", "t/d/e/a", "t/d/e/b", "t/other/a"}) WriteFile(dir_ / file, "x");
  WriteFile(dir_ / "t/d/.f", "- a\n");
  WriteFile(dir_ / "t/d/e/.f", "+ a\n- b\n");
  Open({": .f"});
  ExpectGiven("a");
  ExpectGiven("other/a");
  ExpectHidden("d/a");
  ExpectGiven("d/e/a");
  ExpectHidden("d/e/b");
}

TEST_F(FilterGateTest, AMergeFileThatCannotBeReadHidesItsDirectory) {
  WriteFile(dir_ / "t/d/a", "x");
  WriteFile(dir_ / "elsewhere", "- b");
  ASSERT_EQ(::symlink("../../elsewhere", (dir_ / "t/d/.f").c_str()), 0);
  Open({": .f"});
  EXPECT_NE(Ask("d/a").status, ReplyStatus::kOk);
}

TEST_F(FilterGateTest, NamesThatWereGivenCountForMoreThanRules) {
  for (const char* file : {"t/hidden/a.c", "t/hidden/a.o", "t/hidden/b.c", "t/tree/c.o", "t/tree/d.c"})
    WriteFile(dir_ / file, "x");
  const auto operand = [](const char* path, OperandDepth depth) {
    return SourceOperand{.base = "", .from = *RelPath::Parse(path), .at = *RelPath::Parse(path), .depth = depth};
  };
  Open({"- *.o", "- hidden/"}, {operand("hidden/a.c", OperandDepth::kObject),
                                operand("hidden/a.o", OperandDepth::kObject), operand("tree", OperandDepth::kTree)});
  ExpectGiven("hidden/a.c");
  // What leads to it is not hidden; the name itself is as any other.
  ExpectHidden("hidden/a.o");
  EXPECT_NE(Ask("hidden/b.c").status, ReplyStatus::kOk);
  ExpectGiven("tree/d.c");
  ExpectHidden("tree/c.o");
}

TEST_F(FilterGateTest, MergeFilesOnTheWayToAnOperandHideItWhereTheWayBelongsToTheTransfer) {
  WriteFile(dir_ / "t/way/.f", "- a\n- b\n");
  for (const char* file : {"t/way/a/x", "t/way/a/b", "t/way/c/x", "t/way/c/b"}) WriteFile(dir_ / file, "x");
  const auto operand = [](const char* from, const char* at, bool implied) {
    return SourceOperand{.base = "",
                         .from = *RelPath::Parse(from),
                         .at = *RelPath::Parse(at),
                         .depth = implied ? OperandDepth::kObject : OperandDepth::kTree,
                         .implied = implied};
  };
  Open({": .f"}, {operand("way", "way", true), operand("way/a", "way/a", false), operand("way/c", "way/c", false)});
  ExpectHidden("way/a/x");
  ExpectGiven("way/c/x");
  ExpectHidden("way/c/b");
  Open({": .f"}, {operand("way/a", "way/a", false), operand("way/c", "way/c", false)});
  ExpectGiven("way/a/x");
  ExpectGiven("way/a/b");
}

TEST_F(FilterGateTest, APathOfAnyLengthIsAnsweredInNoMemory) {
  WriteFile(dir_ / "t/a", "x");
  for (const char* rule : {"- b", ": .f"}) {
    Open({rule});
    std::string path = "a";
    while (path.size() + 2 < kMaxRelPathBytes) path += "/a";
    FileRequest request = WholeFile("a", EntryOf(dir_ / "t/a"));
    request.path = *RelPath::Parse(path);
    RecordingSink sink;
    EXPECT_OK(RunOn(agent_->runtime()->shard(0), Serve(std::move(request), &sink)));
    EXPECT_NE(sink.items.back().status, ReplyStatus::kOk);
  }
}

}  // namespace
}  // namespace uringsync

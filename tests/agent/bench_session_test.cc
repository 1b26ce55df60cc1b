// Sessions that measure: what they report, what they leave behind, what they refuse.
#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "engine/fs/state_name.h"
#include "tests/agent/session_fixture.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

std::vector<std::string> NamesIn(const std::string& path) {
  std::vector<std::string> names;
  DIR* listing = ::opendir(path.c_str());
  while (const dirent* entry = ::readdir(listing)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(listing);
  std::sort(names.begin(), names.end());
  return names;
}

class BenchSessionTest : public testing::Test {
 protected:
  BenchSessionTest() {
    MakeDirectories(dir_ / "src/sub");
    MakeDirectories(dir_ / "dst");
    for (int i = 0; i < 20; ++i) WriteFile(dir_ / ("src/sub/small-" + std::to_string(i)), std::string(500, 's'));
    WriteFile(dir_ / "src/large", std::string(3 << 20, 'l'));
    WriteFile(dir_ / "dst/kept", "kept");
  }
  std::unique_ptr<TestSession> Open(Role role) {
    auto session = std::make_unique<TestSession>(&agent_);
    EXPECT_OK(session->Handshake());
    OpenSession open = OpenFor(role, role == Role::kSource ? 1 : 2, role == Role::kSource ? "src" : "dst");
    if (role == Role::kDestination) {
      open.route.kind = DataRoute::Kind::kLocal;
      open.route.peer_session = TestSessionId(1);
    }
    session->Send(open);
    session->Expect<SessionOpened>();
    return session;
  }
  static BenchReport Measure(TestSession* session, BenchStep step, uint32_t milliseconds = 60) {
    session->Send(RunBench{.step = step, .milliseconds = milliseconds, .max_bytes = uint64_t{4} << 20});
    return session->Expect<BenchReport>();
  }
  static const BenchFigure* Find(const BenchReport& report, BenchMetric metric) {
    for (const BenchFigure& figure : report.figures) {
      if (figure.metric == metric) return &figure;
    }
    return nullptr;
  }
  static std::string ErrorOf(TestSession* session) {
    while (true) {
      absl::StatusOr<AgentMessage> message = session->stream()->Receive();
      if (!message.ok()) return "no error";
      if (const auto* error = std::get_if<SessionError>(&*message)) return error->message;
    }
  }

  TempDir dir_;
  TestAgent agent_{dir_.path()};
};

TEST_F(BenchSessionTest, ASourceListsAndReadsItsTree) {
  auto session = Open(Role::kSource);
  const BenchReport scan = Measure(session.get(), BenchStep::kScan);
  ASSERT_EQ(scan.figures.size(), 1u) << scan.note;
  EXPECT_EQ(scan.figures[0].metric, BenchMetric::kScanned);
  EXPECT_EQ(scan.figures[0].count, 22u);
  EXPECT_EQ(scan.cores, 2u);
  const BenchReport read = Measure(session.get(), BenchStep::kRead);
  ASSERT_NE(Find(read, BenchMetric::kReadLarge), nullptr) << read.note;
  EXPECT_EQ(Find(read, BenchMetric::kReadLarge)->bytes, uint64_t{3} << 20);
  ASSERT_NE(Find(read, BenchMetric::kReadSmall), nullptr);
  EXPECT_EQ(Find(read, BenchMetric::kReadSmall)->count, 20u);
  EXPECT_EQ(read.note, "");
}

TEST_F(BenchSessionTest, ADestinationWritesMeasuresAndLeavesNothing) {
  auto source = Open(Role::kSource);
  auto session = Open(Role::kDestination);
  const BenchReport written = Measure(session.get(), BenchStep::kWrite);
  ASSERT_NE(Find(written, BenchMetric::kWritten), nullptr) << written.note;
  EXPECT_LE(Find(written, BenchMetric::kWritten)->bytes, uint64_t{4} << 20);
  const BenchReport made = Measure(session.get(), BenchStep::kMetadata);
  ASSERT_NE(Find(made, BenchMetric::kCreated), nullptr) << made.note;
  ASSERT_NE(Find(made, BenchMetric::kDeleted), nullptr);
  EXPECT_EQ(Find(made, BenchMetric::kCreated)->count, Find(made, BenchMetric::kDeleted)->count);
  const BenchReport synced = Measure(session.get(), BenchStep::kSync);
  if (synced.note.empty()) {
    ASSERT_NE(Find(synced, BenchMetric::kSyncedFiles), nullptr);
    EXPECT_GT(Find(synced, BenchMetric::kSyncedDirectories)->elapsed_ns, 0u);
  } else {
    EXPECT_THAT(synced.note, HasSubstr("in memory"));
  }
  EXPECT_EQ(NamesIn(dir_ / "dst"), std::vector<std::string>{"kept"});
}

TEST_F(BenchSessionTest, AStepThatIsCutOffLeavesNothing) {
  auto source = Open(Role::kSource);
  auto session = Open(Role::kDestination);
  session->Send(
      RunBench{.step = BenchStep::kMetadata, .milliseconds = kMaxBenchMilliseconds, .max_bytes = kMinBenchBytes});
  EXPECT_OK(session->End());
  EXPECT_EQ(NamesIn(dir_ / "dst"), std::vector<std::string>{"kept"});
}

TEST_F(BenchSessionTest, WhatAKilledAgentLeftGoesAtTheNextContact) {
  const std::string stray = ".~uringsync~00000000000000aa.1.tmp";
  WriteFile(dir_ / ("dst/" + stray + "/shard-0/file-1"), "x");
  ASSERT_EQ(::chmod((dir_ / ("dst/" + stray)).c_str(), 0700), 0);
  ASSERT_TRUE(IsStateName(stray));
  auto source = Open(Role::kSource);
  auto session = Open(Role::kDestination);
  const BenchReport scan = Measure(session.get(), BenchStep::kScan);
  ASSERT_EQ(scan.figures.size(), 1u);
  EXPECT_EQ(scan.figures[0].count, 1u);
  EXPECT_EQ(NamesIn(dir_ / "dst"), std::vector<std::string>{"kept"});
}

TEST_F(BenchSessionTest, ASourceTellsWhatServingCostSinceTheLastTime) {
  auto session = Open(Role::kSource);
  const BenchReport first = Measure(session.get(), BenchStep::kNetwork);
  ASSERT_NE(Find(first, BenchMetric::kServed), nullptr);
  const BenchReport second = Measure(session.get(), BenchStep::kNetwork);
  EXPECT_GT(Find(second, BenchMetric::kServed)->elapsed_ns, 0u);
}

TEST_F(BenchSessionTest, StepsOfTheOtherRoleAreRefused) {
  auto session = Open(Role::kSource);
  session->Send(RunBench{.step = BenchStep::kWrite});
  EXPECT_THAT(ErrorOf(session.get()), HasSubstr("not of this role"));
}

TEST_F(BenchSessionTest, ASecondStepWhileOneRunsIsRefused) {
  auto source = Open(Role::kSource);
  auto session = Open(Role::kDestination);
  session->Send(RunBench{.step = BenchStep::kMetadata, .milliseconds = 5000});
  session->Send(RunBench{.step = BenchStep::kSync});
  EXPECT_THAT(ErrorOf(session.get()), HasSubstr("while another one runs"));
}

TEST_F(BenchSessionTest, ASessionThatMeasuresTakesNoManifestOrActions) {
  auto session = Open(Role::kSource);
  Measure(session.get(), BenchStep::kScan);
  session->Send(StartManifest{});
  EXPECT_THAT(ErrorOf(session.get()), HasSubstr("does nothing else"));
}

TEST_F(BenchSessionTest, ADryRunOrASessionWithManifestMeasuresNothing) {
  auto session = Open(Role::kSource);
  session->Send(StartManifest{});
  session->Send(RunBench{});
  EXPECT_THAT(ErrorOf(session.get()), HasSubstr("sends its manifest"));
  auto dry = std::make_unique<TestSession>(&agent_);
  ASSERT_OK(dry->Handshake());
  OpenSession open = OpenFor(Role::kDestination, 3, "dst");
  open.dry_run = true;
  dry->Send(open);
  dry->Expect<SessionOpened>();
  dry->Send(RunBench{});
  EXPECT_THAT(ErrorOf(dry.get()), HasSubstr("does not write"));
}

TEST_F(BenchSessionTest, InOneAgentThereIsNoWayToMeasure) {
  auto source = Open(Role::kSource);
  auto session = Open(Role::kDestination);
  session->Send(RunBench{.step = BenchStep::kNetwork});
  EXPECT_THAT(ErrorOf(session.get()), HasSubstr("no data connection"));
}

TEST_F(BenchSessionTest, ADestinationThatWasMadeForItGoesAgain) {
  auto source = Open(Role::kSource);
  auto session = std::make_unique<TestSession>(&agent_);
  ASSERT_OK(session->Handshake());
  OpenSession open = OpenFor(Role::kDestination, 2, "fresh");
  open.create_root = true;
  open.route.kind = DataRoute::Kind::kLocal;
  open.route.peer_session = TestSessionId(1);
  session->Send(open);
  session->Expect<SessionOpened>();
  Measure(session.get(), BenchStep::kMetadata);
  EXPECT_OK(session->End());
  const std::vector<std::string> names = NamesIn(dir_.path());
  EXPECT_EQ(std::find(names.begin(), names.end(), "fresh"), names.end());
}

}  // namespace
}  // namespace uringsync

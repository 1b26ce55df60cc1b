// Filter rules in sessions: what an agent tells, what it refuses, and whole runs beside the installed rsync.
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "coordinator/core/run.h"
#include "tests/agent/session_fixture.h"
#include "tests/support/random_filters.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

class FilteredSessionTest : public testing::Test {
 protected:
  static OpenSession Filtered(Role role, const std::string& path, std::vector<std::string> rules) {
    OpenSession open = OpenFor(role, 1, path);
    open.filters = std::move(rules);
    open.dry_run = role == Role::kDestination;
    return open;
  }
  std::vector<std::string> Told(const OpenSession& open) {
    TestAgent agent(dir_.path());
    TestSession session(&agent);
    EXPECT_OK(session.Handshake());
    session.Send(open);
    session.Expect<SessionOpened>();
    std::vector<std::string> told;
    for (const DirectoryBatch& batch : ReadManifest(&session)) {
      for (const Entry& entry : batch.entries) told.push_back(batch.directory.Child(entry.name).text());
    }
    return told;
  }
  SessionError Refused(const OpenSession& open) {
    TestAgent agent(dir_.path());
    TestSession session(&agent);
    EXPECT_OK(session.Handshake());
    session.Send(open);
    while (true) {
      absl::StatusOr<AgentMessage> message = session.stream()->Receive();
      if (!message.ok()) return {};
      if (std::holds_alternative<SessionOpened>(*message)) {
        session.Send(StartManifest{});
        session.Send(ManifestCredit{100});
      }
      if (auto* error = std::get_if<SessionError>(&*message)) return *error;
      if (std::holds_alternative<ManifestEnd>(*message)) return {};
    }
  }

  TempDir dir_;
};

using Names = std::vector<std::string>;

TEST_F(FilteredSessionTest, TheSourceHidesAndTheDestinationProtects) {
  for (const char* file : {"t/a.o", "t/b.c", "t/d/c.o", "t/kept"}) WriteFile(dir_ / file, "x");
  const Names rules = {"- *.o", "P kept"};
  EXPECT_EQ(Told(Filtered(Role::kSource, "t", rules)), (Names{"b.c", "d", "kept"}));
  EXPECT_EQ(Told(Filtered(Role::kDestination, "t", rules)), (Names{"b.c", "d", "kept"}));
}

TEST_F(FilteredSessionTest, FilesAboveTheSessionsDirectoryCountUpToTheRoot) {
  for (const char* file : {"up/t/a", "up/t/b", "up/t/c"}) WriteFile(dir_ / file, "x");
  WriteFile(dir_ / ".f", "- a\n");
  WriteFile(dir_ / "up/.f", "- /t/b\n- /c\n");
  EXPECT_EQ(Told(Filtered(Role::kSource, "up/t", {": /.f"})), (Names{"c"}));
  EXPECT_EQ(Told(Filtered(Role::kSource, "up/t", {"-/ /up/t/a", ": .f"})), (Names{"b", "c"}));
}

TEST_F(FilteredSessionTest, NulSeparatedFilesOfDirectories) {
  for (const char* file : {"t/a\nb", "t/c"}) WriteFile(dir_ / file, "x");
  WriteFile(dir_ / "t/.f", std::string("- a\nb\0- .f\0", 11));
  OpenSession open = Filtered(Role::kSource, "t", {": .f"});
  open.nul_separated_filters = true;
  EXPECT_EQ(Told(open), (Names{"c"}));
}

TEST_F(FilteredSessionTest, WrongRulesAreAMistakeOfUse) {
  WriteFile(dir_ / "t/d/.f", "nonsense\n");
  const SessionError given = Refused(Filtered(Role::kSource, "t", {"- a", "nonsense"}));
  EXPECT_EQ(given.kind, ErrorKind::kUsage);
  EXPECT_THAT(given.message, HasSubstr("Unknown filter rule: nonsense"));
  const SessionError found = Refused(Filtered(Role::kDestination, "t", {": .f"}));
  EXPECT_EQ(found.kind, ErrorKind::kUsage);
  EXPECT_THAT(found.message, HasSubstr("d/.f: Unknown filter rule: nonsense"));
}

class Silent final : public Observer {
 public:
  void OnOpened(const HelloReply&, const SessionOpened&, const HelloReply&, const SessionOpened&) override {}
  void OnAction(const Action&, const Differences&, ActionOutcome) override {}
  void OnProblem(const Problem& problem) override {
    problems += problem.path.text() + ": " + problem.operation + " " + problem.detail + "\n";
  }
  void OnProgress(const SyncProgress&) override {}
  void OnNotice(Side, std::string_view) override {}
  void OnSkipped(SkipReason, const RelPath&, FileType) override {}
  std::string problems;
};

std::set<std::string> AllPaths(const std::string& root) {
  std::set<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    paths.insert(entry.path().string().substr(root.size() + 1) + (entry.is_directory() ? "/" : ""));
  }
  return paths;
}

// The destination has a directory where the source has something else.
bool TypesDiffer(const std::string& source, const std::string& destination) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(destination)) {
    const std::string there = source + entry.path().string().substr(destination.size());
    if (entry.is_directory() && std::filesystem::exists(there) && !std::filesystem::is_directory(there)) return true;
  }
  return false;
}

SyncOutcome RunWith(const std::string& root, const std::string& destination, const Names& rules, bool delete_excluded,
                    SyncMode mode, Silent* observer) {
  TestAgent agent(root);
  TestSession source(&agent);
  TestSession target(&agent);
  SyncRequest request;
  request.mode = mode;
  request.source = {"data", *RelPath::Parse("source"), "", TestSessionId(1), {}};
  request.destination = {"data", *RelPath::Parse(destination), "", TestSessionId(2), {}};
  request.choose_route = [](const HelloReply&, const HelloReply&) -> absl::StatusOr<RouteChoice> {
    RouteChoice choice;
    choice.route.kind = DataRoute::Kind::kLocal;
    choice.route.peer_session = TestSessionId(1);
    return choice;
  };
  request.filters = rules;
  request.delete_excluded = delete_excluded;
  request.delete_extraneous = true;
  request.durability = Durability::kNone;
  return RunSync(request, *source.stream(), *target.stream(), *observer);
}

// The same trees and rules: rsync and a whole run leave the same names, and a second run finds nothing to do.
TEST_F(FilteredSessionTest, WholeRunsLeaveWhatRsyncLeaves) {
  if (!HaveRsync()) GTEST_SKIP() << "no rsync at /usr/bin/rsync to compare with";
  const char* count = std::getenv("URINGSYNC_FILTER_SEEDS");
  const auto seeds = static_cast<uint32_t>(count != nullptr ? std::atoi(count) : 40);
  for (uint32_t seed = 5000; seed < 5000 + seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TempDir dir;
    RandomFilters random(seed);
    const Names rules = random.Rules();
    const bool delete_excluded = random.Below(4) == 0;
    random.Fill(dir / "source", 2, rules);
    random.Fill(dir / "ours", 2, rules);
    const bool merges = std::any_of(rules.begin(), rules.end(),
                                    [](const std::string& rule) { return rule[0] == ':' || rule[0] == 'd'; });
    // What a directory that makes way holds rsync deletes without the merge files above it.
    if (merges && TypesDiffer(dir / "source", dir / "ours")) continue;
    std::filesystem::copy(dir / "ours", dir / "theirs", std::filesystem::copy_options::recursive);
    Names command = {"rsync", "-rI", "--delete-before"};
    if (delete_excluded) command.push_back("--delete-excluded");
    std::string shown;
    for (const std::string& rule : rules) {
      command.push_back("--filter=" + rule);
      shown += rule + "\n";
    }
    command.push_back(dir / "source/");
    command.push_back(dir / "theirs/");
    int exit_code = 0;
    const std::string output = RunRsync(command, dir / "output", &exit_code);
    const bool in_the_way = output.find("could not make way") != std::string::npos || exit_code != 0;
    Silent observer;
    const SyncOutcome outcome = RunWith(dir.path(), "ours", rules, delete_excluded, SyncMode::kSync, &observer);
    ASSERT_EQ(static_cast<int>(outcome.exit_code), exit_code) << outcome.error << observer.problems << output << shown;
    if (in_the_way) continue;
    ASSERT_EQ(AllPaths(dir / "ours"), AllPaths(dir / "theirs")) << shown << output;
    const SyncOutcome again = RunWith(dir.path(), "ours", rules, delete_excluded, SyncMode::kVerify, &observer);
    // Merge files that came with the first run may protect more or less by now.
    if (!merges) EXPECT_EQ(again.exit_code, ExitCode::kOk) << observer.problems << shown;
  }
}

}  // namespace
}  // namespace uringsync

// Several sources, single objects and lists of names: whole runs between two sessions of one agent in this process,
// beside the installed rsync on an equal copy of the destination.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "agent/roots.h"
#include "agent/session_table.h"
#include "coordinator/core/operands.h"
#include "coordinator/core/run.h"
#include "coordinator/link/destination_path.h"
#include "coordinator/link/link_error.h"
#include "coordinator/link/path_questions.h"
#include "engine/base/errno_status.h"
#include "tests/support/in_process_link.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

int Shell(const std::string& command, std::string* output = nullptr) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::array<char, 4096> buffer;
  std::string text;
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) text.append(buffer.data(), got);
  if (output != nullptr) *output = text;
  return WEXITSTATUS(::pclose(pipe.release()));
}

// Everything of a tree but the times of its directories and links.
std::string Tree(const std::string& path) {
  std::string text;
  Shell("cd " + path +
            " && find . -type d -printf '%p %y %m\\n' -o -type l -printf '%p %y %l\\n' -o -printf '%p %y %m %s %T@\\n' "
            "| LC_ALL=C sort; "
            "find . -type f -print0 | LC_ALL=C sort -z | xargs -0r md5sum",
        &text);
  return text;
}

class Silent final : public Observer {
 public:
  void OnOpened(const HelloReply&, const SessionOpened&, const HelloReply&, const SessionOpened&) override {}
  void OnAction(const Action&, const Differences&, ActionOutcome) override {}
  void OnProgress(const SyncProgress&) override {}
  void OnNotice(Side, std::string_view) override {}
  void OnSkipped(SkipReason, const RelPath&, FileType) override {}
  void OnProblem(const Problem& problem) override { problems.push_back(problem); }
  std::vector<Problem> problems;
};

class OperandsRunTest : public testing::TestWithParam<IoBackend> {
 protected:
  OperandsRunTest() : runtime_(StartTestRuntime(2, GetParam())) {
    absl::StatusOr<Roots> roots = Roots::Open({RootSpec{"data", dir_.path(), false}});
    roots_ = std::make_unique<Roots>(*std::move(roots));
    context_ = {.runtime = runtime_.get(), .roots = roots_.get(), .table = &table_, .host_paths = true};
    for (const char* name :
         {"s/a/one", "s/a/sub/two", "s/b/one", "s/b/sub/three", "s/c.txt", "s/deep/x/y/z", "s/deep/other"}) {
      WriteFile(dir_ / name, std::string(name) + " of the source");
    }
    Shell("cd " + dir_ / "s" +
          " && ln -s a link && chmod 750 deep && chmod 711 deep/x && touch -d '2020-01-02 03:04:05' a/one");
    MakeDirectories(dir_ / "ours");
    MakeDirectories(dir_ / "theirs");
  }

  // The source arguments with the directory of the sources before them.
  std::vector<std::string> Below(const std::vector<std::string>& arguments) const {
    std::vector<std::string> paths;
    for (const std::string& argument : arguments) paths.push_back(dir_ / ("s/" + argument));
    return paths;
  }

  SyncOutcome Run(std::vector<SourceOperand> operands, const std::string& destination, bool create = false) {
    request_.source.host_path = dir_ / "s";
    request_.destination.host_path = destination;
    request_.operands = std::move(operands);
    request_.create_root = create;
    request_.source.session.fill(++sessions_);
    request_.destination.session.fill(++sessions_);
    request_.durability = Durability::kNone;
    request_.choose_route = [id = request_.source.session](const HelloReply&, const HelloReply&) {
      RouteChoice choice;
      choice.route.kind = DataRoute::Kind::kLocal;
      choice.route.peer_session = id;
      return choice;
    };
    observer_.problems.clear();
    InProcessLink source(context_);
    InProcessLink to(context_);
    return RunSync(request_, *source.client, *to.client, observer_);
  }
  absl::StatusOr<PathInfo> Ask(const std::string& path) {
    InProcessLink link(context_);
    US_ASSIGN_OR_RETURN(const auto questions, PathQuestions::Open(link.client.get(), "test"));
    US_ASSIGN_OR_RETURN(PathReply reply, questions->Ask({.paths = {path}}));
    return reply.paths[0];
  }

  // Both programs with the same sources into two equal destinations; the exit code of both.
  int ExpectSame(const std::vector<std::string>& sources, const std::string& options, OperandRules rules) {
    rules.recursive = true;
    OperandList list(rules);
    std::string command = "rsync -a " + options;
    for (const std::string& source : sources) {
      EXPECT_OK(list.Add(source));
      command += " '" + source + "'";
    }
    const int theirs = Shell(command + " " + dir_ / "theirs" + "/ 2>/dev/null");
    request_.delete_extraneous = options.find("--delete") != std::string::npos;
    const SyncOutcome ours = Run(list.Take(), dir_ / "ours");
    EXPECT_EQ(ours.error, "");
    EXPECT_EQ(Tree(dir_ / "ours"), Tree(dir_ / "theirs")) << command;
    EXPECT_EQ(static_cast<int>(ours.exit_code), theirs) << command;
    return theirs;
  }
  void Put(const std::string& name, const std::string& contents) {
    WriteFile(dir_ / ("ours/" + name), contents);
    WriteFile(dir_ / ("theirs/" + name), contents);
    Shell("cd " + dir_.path() + " && touch -r 'ours/" + name + "' 'theirs/" + name + "'");
  }

  TempDir dir_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<Roots> roots_;
  SessionTable table_;
  AgentContext context_;
  SyncRequest request_;
  Silent observer_;
  uint8_t sessions_ = 0;
};

TEST_P(OperandsRunTest, SeveralSourcesGoWhereRsyncPutsThem) {
  EXPECT_EQ(ExpectSame(Below({"a", "b/", "c.txt", "link"}), "", {}), 0);
  EXPECT_EQ(ExpectSame(Below({"a", "b/", "c.txt", "link"}), "", {}), 0);
  const SyncOutcome again = Run(request_.operands, dir_ / "ours");
  EXPECT_EQ(again.actions_done, 0u);
}

TEST_P(OperandsRunTest, DirectoriesOfOneNameMergeAndTheFirstFileWins) {
  WriteFile(dir_ / "s/other/a/one", "another one");
  WriteFile(dir_ / "s/other/a/sub/four", "4");
  EXPECT_EQ(ExpectSame(Below({"a", "other/a", "a/", "b/"}), "", {}), 0);
  EXPECT_EQ(ReadFile(dir_ / "ours/a/one"), "s/a/one of the source");
}

TEST_P(OperandsRunTest, DeletesOnlyInDirectoriesThatWereCopiedWhole) {
  for (const char* name : {"a/stays_not", "a/sub/neither", "b/stays_not", "c/stays", "stays"}) Put(name, "old");
  EXPECT_EQ(ExpectSame(Below({"a", "b", "c.txt"}), "--delete", {}), 0);
  EXPECT_EQ(ReadFile(dir_ / "ours/c/stays"), "old");
  EXPECT_EQ(ExpectSame(Below({"a/", "b"}), "--delete", {}), 0);
}

TEST_P(OperandsRunTest, AMissingSourceLetsTheOthersGoOn) {
  Put("a/would_go", "old");
  EXPECT_EQ(ExpectSame(Below({"nosuch", "a", "c.txt"}), "--delete", {}), 23);
  ASSERT_EQ(observer_.problems.size(), 1u);
  EXPECT_EQ(observer_.problems[0].operation, "link_stat");
  EXPECT_EQ(observer_.problems[0].error, ENOENT);
  EXPECT_EQ(observer_.problems[0].path.text(), "nosuch");
}

TEST_P(OperandsRunTest, NothingIsDeletedWhereASourceIsNoDirectoryThatCanBeEntered) {
  for (const char* missing : {"nosuch/", "c.txt/"}) {
    Put("a/stays", "old");
    Put("sub/stays", "old");
    EXPECT_EQ(ExpectSame(Below({missing, "a", "b/"}), "--delete", {}), 23);
    EXPECT_EQ(ReadFile(dir_ / "ours/a/stays"), "old");
  }
}

TEST_P(OperandsRunTest, RelativePathsBringTheirDirectoriesAlong) {
  Put("deep/stays", "old");
  EXPECT_EQ(ExpectSame(Below({"./deep/x/y", "./a/one", "./link/sub"}), "-R", {.relative = true}), 0);
  EXPECT_EQ(ExpectSame(Below({"deep/./x/"}), "-R", {.relative = true}), 0);
}

TEST_P(OperandsRunTest, WithoutImpliedDirectoriesThoseOnTheWayStayAsTheyAre) {
  Put("deep/stays", "old");
  Shell("chmod 700 " + dir_ / "ours/deep" + " " + dir_ / "theirs/deep");
  EXPECT_EQ(ExpectSame(Below({"./deep/x/y", "./a/sub/two"}), "-R --no-implied-dirs",
                       {.relative = true, .implied_directories = false}),
            0);
}

TEST_P(OperandsRunTest, AListOfNamesDeletesOnlyInDirectoriesThatItNamesWithASlash) {
  Put("deep/stays", "old");
  Put("a/stays", "old");
  WriteFile(dir_ / "list", "deep/x/y/z\na/\n/c.txt\nb\ndeep/../a/sub/two\n./deep/./other\nc.txt\nnope\n../b/one\n");
  const int theirs = Shell("rsync -a --delete --files-from=" + dir_ / "list" + " " + dir_ / "s" + " " +
                           dir_ / "theirs" + "/ 2>/dev/null");
  OperandList list({.relative = true, .directories = true});
  for (const char* name :
       {"deep/x/y/z", "a/", "/c.txt", "b", "deep/../a/sub/two", "./deep/./other", "c.txt", "nope", "../b/one"}) {
    ASSERT_OK(list.AddListed(dir_ / "s", name));
  }
  request_.delete_extraneous = true;
  const SyncOutcome ours = Run(list.Take(), dir_ / "ours");
  EXPECT_EQ(ours.error, "");
  EXPECT_EQ(Tree(dir_ / "ours"), Tree(dir_ / "theirs"));
  EXPECT_EQ(theirs, 23);
  EXPECT_EQ(static_cast<int>(ours.exit_code), 23);
}

TEST_P(OperandsRunTest, OneFileGetsANewNameAndNothingBesideItIsTouched) {
  Put("beside", "old");
  Shell("touch -d '2001-01-01' " + dir_ / "ours");
  for (const char* name : {"new", "beside", "new"}) {
    const absl::StatusOr<PathInfo> found = Ask(dir_ / ("ours/" + std::string(name)));
    ASSERT_OK(found);
    const absl::StatusOr<DestinationChoice> choice =
        ChooseDestination({.path = dir_ / ("ours/" + std::string(name)), .found = *found, .single_object = true});
    ASSERT_OK(choice);
    EXPECT_EQ(choice->directory, dir_ / "ours");
    SourceOperand operand{
        .base = dir_ / "s", .from = *RelPath::Parse("c.txt"), .at = RelPath().Child(choice->new_name)};
    request_.delete_extraneous = true;
    EXPECT_EQ(Run({operand}, choice->directory).exit_code, ExitCode::kOk);
    EXPECT_EQ(ReadFile(dir_ / ("ours/" + std::string(name))), "s/c.txt of the source");
  }
  EXPECT_EQ(ReadFile(dir_ / "ours/beside"), "s/c.txt of the source");
}

TEST_P(OperandsRunTest, AFileIsCopiedBesideItself) {
  SourceOperand operand{.base = dir_ / "s", .from = *RelPath::Parse("c.txt"), .at = *RelPath::Parse("copy.txt")};
  EXPECT_EQ(Run({operand}, dir_ / "s").exit_code, ExitCode::kOk);
  EXPECT_EQ(ReadFile(dir_ / "s/copy.txt"), "s/c.txt of the source");
}

TEST_P(OperandsRunTest, ADirectoryIsNotCopiedIntoItself) {
  OperandList list({.recursive = true});
  ASSERT_OK(list.Add(dir_ / "s/deep"));
  const SyncOutcome outcome = Run(list.Take(), dir_ / "s/deep/x");
  EXPECT_EQ(outcome.exit_code, ExitCode::kSelection);
  EXPECT_THAT(outcome.error, HasSubstr("copied into itself"));
}

TEST_P(OperandsRunTest, HardLinksAreKeptAcrossSources) {
  Shell("cd " + dir_ / "s" + " && ln a/one b/linked && ln c.txt deep/linked");
  EXPECT_EQ(ExpectSame(Below({"a", "b", "c.txt", "deep"}), "-H", {}), 0);
  std::string inodes;
  Shell("cd " + dir_ / "ours" + " && stat -c %h a/one b/linked c.txt deep/linked", &inodes);
  EXPECT_EQ(inodes, "2\n2\n2\n2\n");
}

TEST_P(OperandsRunTest, SourcesAreRemovedWhereTheyLieAndNotWhereTheyAppear) {
  WriteFile(dir_ / "s/other/one", "named like what b holds");
  OperandList list({.recursive = true});
  for (const char* source : {"b/", "other/one", "c.txt"}) ASSERT_OK(list.Add(dir_ / ("s/" + std::string(source))));
  request_.remove_source_files = true;
  EXPECT_EQ(Run(list.Take(), dir_ / "ours").exit_code, ExitCode::kOk);
  const auto there = [this](const char* name) {
    return ::access((dir_ / ("s/" + std::string(name))).c_str(), F_OK) == 0;
  };
  EXPECT_FALSE(there("b/one"));
  EXPECT_FALSE(there("b/sub/three"));
  EXPECT_FALSE(there("c.txt"));
  EXPECT_TRUE(there("other/one"));
  EXPECT_TRUE(there("a/one"));
  EXPECT_EQ(ReadFile(dir_ / "ours/one"), "s/b/one of the source");
}

TEST_P(OperandsRunTest, TenThousandSingleSources) {
  OperandList list({.recursive = true});
  MakeDirectories(dir_ / "s/many");
  Shell("cd " + dir_ / "s/many" + " && seq 1 10000 | xargs touch");
  for (int i = 1; i <= 10000; ++i) ASSERT_OK(list.Add(dir_ / ("s/many/" + std::to_string(i))));
  ASSERT_OK(list.Add(dir_ / "s/a"));
  const SyncOutcome outcome = Run(list.Take(), dir_ / "ours");
  EXPECT_EQ(outcome.exit_code, ExitCode::kOk) << outcome.error;
  std::string count;
  Shell("ls " + dir_ / "ours" + " | wc -l", &count);
  EXPECT_EQ(count, "10001\n");
  EXPECT_EQ(Run(request_.operands, dir_ / "ours").actions_done, 0u);
}

TEST_P(OperandsRunTest, OperandsBelowANamedRootAreConfinedToIt) {
  WriteFile(dir_ / "s/in/file", "inside");
  Shell("ln -s " + dir_ / "s/in" + " " + dir_ / "s/way");
  request_.source.root = request_.destination.root = "data";
  request_.source.path = *RelPath::Parse("s");
  request_.destination.path = *RelPath::Parse("ours");
  std::vector<SourceOperand> operands = {
      {.base = "in", .from = RelPath().Child("file"), .at = RelPath().Child("file")},
      {.base = "way", .from = RelPath().Child("file"), .at = RelPath().Child("stolen")}};
  request_.operands = operands;
  request_.choose_route = nullptr;
  InProcessLink source(context_);
  InProcessLink to(context_);
  request_.source.session.fill(71);
  request_.destination.session.fill(72);
  request_.choose_route = [id = request_.source.session](const HelloReply&, const HelloReply&) {
    RouteChoice choice;
    choice.route = {.kind = DataRoute::Kind::kLocal, .peer_session = id};
    return choice;
  };
  const SyncOutcome outcome = RunSync(request_, *source.client, *to.client, observer_);
  EXPECT_EQ(outcome.exit_code, ExitCode::kPartial) << outcome.error;
  EXPECT_EQ(ReadFile(dir_ / "ours/file"), "inside");
  EXPECT_NE(::access((dir_ / "ours/stolen").c_str(), F_OK), 0);
}

TEST_P(OperandsRunTest, AnAgentThatListensServesNoPathsOfItsHost) {
  context_.host_paths = false;
  EXPECT_THAT(Ask("/").status(), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("named roots only")));
  OperandList list({.recursive = true});
  ASSERT_OK(list.Add(dir_ / "s/a"));
  const SyncOutcome outcome = Run(list.Take(), dir_ / "ours");
  EXPECT_EQ(outcome.exit_code, ExitCode::kSelection);
  EXPECT_THAT(outcome.error, HasSubstr("named roots only"));
}

TEST_P(OperandsRunTest, QuestionsTellWhatIsAtAPath) {
  Shell("cd " + dir_.path() + " && ln -s nowhere dangling");
  const auto ask = [this](const std::string& path) { return *Ask(path); };
  EXPECT_EQ(ask(dir_ / "s").target, PathKind::kDirectory);
  EXPECT_EQ(ask(dir_ / "s/c.txt").kind, PathKind::kFile);
  EXPECT_EQ(ask(dir_ / "s/link").kind, PathKind::kSymlink);
  EXPECT_EQ(ask(dir_ / "s/link").target, PathKind::kDirectory);
  EXPECT_EQ(ask(dir_ / "s/link/").kind, PathKind::kDirectory);
  EXPECT_EQ(ask(dir_ / "dangling").target, PathKind::kMissing);
  EXPECT_TRUE(ask(dir_ / "new/").has_parent);
  EXPECT_FALSE(ask(dir_ / "new/er").has_parent);
  EXPECT_EQ(ask(dir_ / "s/c.txt/").error, ENOTDIR);
}

TEST_P(OperandsRunTest, DirectoriesAboveTheDestinationAreMadeWhereThatIsAsked) {
  OperandList list({.recursive = true});
  ASSERT_OK(list.Add(dir_ / "s/a"));
  const std::vector<SourceOperand> operands = list.Take();
  EXPECT_EQ(Run(operands, dir_ / "new/er/est", /*create=*/true).exit_code, ExitCode::kFileIo);
  request_.make_path = true;
  EXPECT_EQ(Run(operands, dir_ / "new/er/est", /*create=*/true).exit_code, ExitCode::kOk);
  EXPECT_EQ(ReadFile(dir_ / "new/er/est/a/one"), "s/a/one of the source");
}

INSTANTIATE_TEST_SUITE_P(Backends, OperandsRunTest, testing::Values(IoBackend::kThreads, IoBackend::kAuto),
                         [](const auto& info) {
                           return std::string(info.param == IoBackend::kAuto ? "Auto" : "Threads");
                         });

}  // namespace
}  // namespace uringsync

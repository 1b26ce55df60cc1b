// Reports of a run: tally, summary, text and JSON.
#include "coordinator/cli/reporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "coordinator/cli/json_reporter.h"
#include "coordinator/cli/problem_causes.h"
#include "coordinator/cli/text_reporter.h"

namespace uringsync {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Json = nlohmann::json;

RelPath Path(std::string_view text) {
  return *RelPath::Parse(text);
}

Differences Differing(std::initializer_list<Attribute> attributes) {
  Differences out;
  for (Attribute attribute : attributes) out.Add(attribute);
  return out;
}

Action FileAction(std::string_view path, uint64_t size, bool replaces = false) {
  Action action;
  action.id = 1;
  action.kind = ActionKind::kPutFile;
  action.path = Path(path);
  action.wanted.size_bytes = size;
  if (replaces) action.existing = Entry{};
  return action;
}

Action OtherAction(ActionKind kind, FileType type, std::string_view path) {
  Action action;
  action.id = 2;
  action.kind = kind;
  action.path = Path(path);
  action.wanted.type = type;
  return action;
}

// A reporter of either kind with a clock that the test moves, and what it wrote.
class ReporterTest : public testing::Test {
 protected:
  ReporterTest() : out_(std::tmpfile()), err_(std::tmpfile()) {}
  ~ReporterTest() override {
    reporter_.reset();
    console_.reset();
    std::fclose(out_);
    std::fclose(err_);
  }
  RunReporter& Make(OutputOptions output, SyncMode mode = SyncMode::kSync, bool terminal = false) {
    ConsoleOptions console;
    console.out = out_;
    console.err = err_;
    console.err_is_terminal = terminal;
    console_ = std::make_unique<Console>(console);
    ReportFacts facts;
    facts.mode = mode;
    facts.output = output;
    facts.source = "/src";
    facts.destination = "agent://h/r";
    facts.now = [this] { return now_; };
    facts.wall_clock = [] { return std::chrono::system_clock::time_point(milliseconds(1'700'000'000'123)); };
    facts.start = now_;
    reporter_ = MakeReporter(std::move(facts), console_.get());
    return *reporter_;
  }
  std::vector<std::string> Lines(FILE* file) {
    console_->Flush();
    std::rewind(file);
    std::string text;
    int c;
    while ((c = std::fgetc(file)) != EOF) text.push_back(static_cast<char>(c));
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  std::vector<Json> Events() {
    std::vector<Json> events;
    for (const std::string& line : Lines(out_)) events.push_back(Json::parse(line));
    return events;
  }
  static SyncOutcome Complete(uint64_t objects) {
    SyncOutcome outcome;
    outcome.complete = true;
    outcome.plan.source_entries = objects;
    return outcome;
  }

  FILE* out_;
  FILE* err_;
  std::chrono::steady_clock::time_point now_{};
  std::unique_ptr<Console> console_;
  std::unique_ptr<RunReporter> reporter_;
};

TEST_F(ReporterTest, RunWithNothingToDoSaysSo) {
  RunReporter& reporter = Make({});
  now_ += milliseconds(312);
  reporter.Finish(Complete(100001), "");
  EXPECT_THAT(Lines(out_), ElementsAre("100001 objects, nothing to do: 0 bytes moved in 0.312 s"));
  EXPECT_THAT(Lines(err_), IsEmpty());
}

TEST_F(ReporterTest, SummaryCountsWhatWasDoneNotWhatWasPlanned) {
  RunReporter& reporter = Make({});
  const Differences fresh = Differing({Attribute::kExistence});
  reporter.OnAction(OtherAction(ActionKind::kMakeDirectory, FileType::kDirectory, "d"), fresh, ActionOutcome::kDone);
  reporter.OnAction(FileAction("d/a", 500), fresh, ActionOutcome::kDone);
  reporter.OnAction(FileAction("d/b", 500), fresh, ActionOutcome::kFailed);
  reporter.OnAction(FileAction("c", 7, true), Differing({Attribute::kSize}), ActionOutcome::kDone);
  reporter.OnAction(OtherAction(ActionKind::kPutSpecial, FileType::kBlockDevice, "dev"), fresh,
                    ActionOutcome::kSkipped);
  reporter.OnAction(OtherAction(ActionKind::kSetMetadata, FileType::kDirectory, "d"), {}, ActionOutcome::kDone);
  reporter.OnAction(OtherAction(ActionKind::kDelete, FileType::kRegular, "x"), Differing({Attribute::kExtraneous}),
                    ActionOutcome::kDone);
  SyncOutcome outcome = Complete(5);
  outcome.apply.bytes_received = 507;
  outcome.actions_failed = 1;
  outcome.problems.failed = 1;
  now_ += milliseconds(2000);
  reporter.Finish(outcome, "");
  EXPECT_THAT(Lines(out_), ElementsAre("5 objects, new: 1 file + 1 directory, 1 updated, 1 deleted; 507 bytes moved in "
                                       "2.000 s (253 bytes/s); 1 problem"));
}

TEST_F(ReporterTest, BrokenOffRunIsNotCalledDone) {
  RunReporter& reporter = Make({});
  SyncOutcome outcome = Complete(10);
  outcome.complete = false;
  outcome.exit_code = ExitCode::kProtocol;
  reporter.Finish(outcome, "source agent (/src): the connection broke");
  EXPECT_THAT(Lines(out_), ElementsAre(HasSubstr("NOT COMPLETE")));
  EXPECT_THAT(Lines(out_), ElementsAre(Not(HasSubstr("nothing to do"))));
  EXPECT_THAT(Lines(err_), ElementsAre("uringsync: source agent (/src): the connection broke"));
}

TEST_F(ReporterTest, RunThatNeverBeganHasNoSummary) {
  RunReporter& reporter = Make({});
  SyncOutcome outcome;
  outcome.exit_code = ExitCode::kSelection;
  reporter.Finish(outcome, "source /src: No such file or directory");
  EXPECT_THAT(Lines(out_), IsEmpty());
  EXPECT_THAT(Lines(err_), ElementsAre("uringsync: source /src: No such file or directory"));
}

TEST_F(ReporterTest, WhatIsNotPermittedTakesOneLine) {
  RunReporter& reporter = Make({});
  SyncOutcome outcome = Complete(3);
  outcome.plan.skipped_owner = 3;
  outcome.plan.skipped_devices = 1;
  reporter.OnSkipped(SkipReason::kNoMknod, Path("dev"), FileType::kBlockDevice);
  reporter.Finish(outcome, "");
  const std::vector<std::string> lines = Lines(out_);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0],
            "left out, the destination's agent may not set it: ownership of 3 objects, 1 device (--owner, --devices "
            "make that an error)");
}

TEST_F(ReporterTest, DeletesLeftOutAreToldAndNeverNothingToDo) {
  RunReporter& reporter = Make({});
  SyncOutcome outcome = Complete(3);
  outcome.plan.skipped_deletes = 2;
  outcome.exit_code = ExitCode::kDeleteLimit;
  reporter.Finish(outcome, "");
  EXPECT_THAT(Lines(err_), ElementsAre("uringsync: 2 objects that only the destination has are kept (--max-delete)"));
  ASSERT_EQ(Lines(out_).size(), 1u);
  EXPECT_THAT(Lines(out_)[0],
              testing::AllOf(testing::HasSubstr("nothing done"), testing::HasSubstr("2 deletes left out"),
                             testing::Not(testing::HasSubstr("nothing to do"))));
}

TEST_F(ReporterTest, VerboseListsChangesAndLeavesHousekeepingOut) {
  RunReporter& reporter = Make({.verbose = true});
  reporter.OnAction(FileAction("a\nb", 1), Differing({Attribute::kExistence}), ActionOutcome::kDone);
  reporter.OnAction(OtherAction(ActionKind::kSetMetadata, FileType::kDirectory, "d"), {}, ActionOutcome::kDone);
  reporter.OnAction(FileAction("failed", 1), Differing({Attribute::kExistence}), ActionOutcome::kFailed);
  EXPECT_THAT(Lines(out_), ElementsAre(EndsWith(" a\\012b")));
}

TEST_F(ReporterTest, VerifyListsDifferencesWithReasonsAndWhatWasCompared) {
  RunReporter& reporter = Make({.verbose = true}, SyncMode::kVerify);
  reporter.OnAction(FileAction("f", 1, true), Differing({Attribute::kContent, Attribute::kMtime}),
                    ActionOutcome::kPlanned);
  SyncOutcome outcome = Complete(10);
  outcome.plan.source_bytes = 5000;
  outcome.problems.differing = 1;
  now_ += milliseconds(100);
  reporter.Finish(outcome, "");
  const std::vector<std::string> lines = Lines(out_);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines[0], EndsWith(" f  (mtime, content)"));
  EXPECT_EQ(lines[1], "1 difference; 10 objects and 5.00 kB compared in 0.100 s");
}

TEST_F(ReporterTest, VerifyOfEqualTreesSaysEqual) {
  RunReporter& reporter = Make({.verbose = true}, SyncMode::kVerify);
  reporter.Finish(Complete(10), "");
  EXPECT_THAT(Lines(out_), ElementsAre("equal: 10 objects and 0 bytes compared in 0.000 s"));
}

TEST_F(ReporterTest, VerifyWithProblemsIsNotEqual) {
  RunReporter& reporter = Make({.verbose = true}, SyncMode::kVerify);
  SyncOutcome outcome = Complete(10);
  outcome.problems.failed = 2;
  reporter.Finish(outcome, "");
  EXPECT_THAT(Lines(out_), ElementsAre(HasSubstr("no difference found so far")));
}

TEST_F(ReporterTest, PlanTellsWhatWouldMove) {
  RunReporter& reporter = Make({.verbose = true}, SyncMode::kPlan);
  reporter.OnAction(FileAction("f", 2000), Differing({Attribute::kExistence}), ActionOutcome::kPlanned);
  reporter.Finish(Complete(1), "");
  EXPECT_EQ(Lines(out_).back(), "1 object, would be new: 1 file; 2.00 kB to move (planned in 0.000 s)");
}

TEST_F(ReporterTest, QuietShowsOnlyErrors) {
  RunReporter& reporter = Make({.quiet = true}, SyncMode::kSync, true);
  reporter.OnAction(FileAction("f", 1), Differing({Attribute::kExistence}), ActionOutcome::kDone);
  now_ += milliseconds(500);
  reporter.OnProgress({});
  Problem problem;
  problem.path = Path("f");
  problem.operation = "open";
  problem.error = EACCES;
  reporter.OnProblem(problem);
  reporter.Finish(Complete(1), "");
  EXPECT_THAT(Lines(out_), IsEmpty());
  EXPECT_THAT(
      Lines(err_),
      ElementsAre("uringsync: destination agent://h/r/f: open: Permission denied; run as a user who may, or as root"));
}

TEST_F(ReporterTest, ProblemsNameSideObjectOperationReasonAndWayOut) {
  Problem problem;
  problem.kind = ProblemKind::kNoSpace;
  problem.operation = "write";
  problem.error = ENOSPC;
  problem.detail = "at\n4096";
  EXPECT_EQ(
      ProblemLine("destination /d/f", problem),
      "destination /d/f: write: No space left on device (at\\0124096); free space or raise the quota, then run again");
  Problem blocked;
  blocked.kind = ProblemKind::kConflict;
  blocked.operation = "replace";
  blocked.detail = "a directory is in the way";
  EXPECT_EQ(ProblemLine("destination /d", blocked), "destination /d: replace: a directory is in the way");
  Problem uncloned;
  uncloned.operation = "clone";
  uncloned.error = EOPNOTSUPP;
  EXPECT_THAT(ProblemLine("destination /d", uncloned), testing::HasSubstr("--reflink=auto"));
  Problem moving;
  moving.kind = ProblemKind::kChanged;
  moving.detail = "was modified since it was planned";
  moving.operation = "read";
  EXPECT_THAT(ProblemLine("source /s", moving), testing::HasSubstr("was not copied"));
  // What is to be removed at the source was copied.
  moving.operation = "remove";
  EXPECT_THAT(ProblemLine("source /s", moving),
              testing::AllOf(testing::HasSubstr("it stays at the source; the next run copies it again"),
                             testing::Not(testing::HasSubstr("not copied"))));
  Problem vague;
  EXPECT_EQ(ProblemLine("source /s", vague), "source /s: failed");
}

Problem FullDisk(int number) {
  Problem problem;
  problem.kind = ProblemKind::kNoSpace;
  problem.side = Side::kDestination;
  problem.path = Path("f" + std::to_string(number));
  problem.operation = "create";
  problem.error = ENOSPC;
  return problem;
}

TEST_F(ReporterTest, ProblemsOfOneCauseAreShownUpToABoundAndThenCounted) {
  RunReporter& reporter = Make({});
  for (int i = 0; i < 1000; ++i) reporter.OnProblem(FullDisk(i));
  Problem other = FullDisk(1000);
  other.kind = ProblemKind::kFailed;
  other.error = EACCES;
  reporter.OnProblem(other);
  reporter.Finish(Complete(1001), "");
  const std::vector<std::string> lines = Lines(err_);
  ASSERT_EQ(lines.size(), ProblemCauses::kShownOfEach + 2);
  EXPECT_THAT(lines[0], HasSubstr("f0: create: No space left"));
  EXPECT_THAT(lines[ProblemCauses::kShownOfEach], HasSubstr("f1000: create: Permission denied"));
  EXPECT_EQ(lines.back(),
            "uringsync: and 980 more at the destination: create: No space left on device "
            "(-v or --json lists them all)");
}

TEST_F(ReporterTest, VerboseListsEveryProblem) {
  OutputOptions verbose;
  verbose.verbose = true;
  RunReporter& text = Make(verbose);
  for (int i = 0; i < 1000; ++i) text.OnProblem(FullDisk(i));
  text.Finish(Complete(1000), "");
  EXPECT_EQ(Lines(err_).size(), 1000u);
}

TEST_F(ReporterTest, JsonListsEveryProblem) {
  OutputOptions json;
  json.json = true;
  RunReporter& events = Make(json);
  for (int i = 0; i < 1000; ++i) events.OnProblem(FullDisk(i));
  events.Finish(Complete(1000), "");
  const std::vector<Json> all = Events();
  EXPECT_EQ(std::count_if(all.begin(), all.end(), [](const Json& event) { return event["event"] == "problem"; }), 1000);
}

TEST_F(ReporterTest, CausesThatAnAgentInventsAreBounded) {
  RunReporter& reporter = Make({});
  for (int i = 0; i < 100'000; ++i) {
    Problem problem = FullDisk(i);
    problem.operation = "call" + std::to_string(i);
    reporter.OnProblem(problem);
  }
  reporter.Finish(Complete(100'000), "");
  const std::vector<std::string> lines = Lines(err_);
  EXPECT_EQ(lines.size(), ProblemCauses::kMaxCauses + ProblemCauses::kShownOfEach + 1);
  EXPECT_THAT(lines.back(), HasSubstr("more of other kinds"));
}

TEST_F(ReporterTest, EachWarningIsShownOnce) {
  RunReporter& reporter = Make({});
  reporter.Warn("io_uring is not usable here");
  reporter.OnNotice(Side::kSource, "io_uring is not usable here");
  reporter.OnNotice(Side::kDestination, "io_uring is not usable here");
  EXPECT_THAT(Lines(err_), ElementsAre("uringsync: io_uring is not usable here"));
}

TEST_F(ReporterTest, ProgressIsForTerminalsAndNotMoreThanTenASecond) {
  RunReporter& reporter = Make({}, SyncMode::kSync, true);
  SyncProgress progress;
  for (int i = 0; i < 100; ++i) {
    now_ += milliseconds(10);
    reporter.OnProgress(progress);
  }
  const std::vector<std::string> lines = Lines(err_);
  ASSERT_EQ(lines.size(), 1u);
  size_t draws = 0;
  for (size_t at = lines[0].find("objects"); at != std::string::npos; at = lines[0].find("objects", at + 1)) ++draws;
  EXPECT_EQ(draws, 10u);
}

TEST_F(ReporterTest, NoProgressWithoutATerminalUnlessAsked) {
  RunReporter& silent = Make({});
  now_ += milliseconds(5000);
  silent.OnProgress({});
  EXPECT_THAT(Lines(err_), IsEmpty());
  RunReporter& asked = Make({.progress = true});
  now_ += milliseconds(5000);
  asked.OnProgress({});
  EXPECT_THAT(Lines(err_), ElementsAre(HasSubstr("objects")));
}

TEST_F(ReporterTest, ProgressNeverShowsMoreDoneThanFound) {
  SyncProgress progress;
  progress.plan.source_entries = 10;
  progress.plan.unchanged = 8;
  progress.actions_ended = 50;
  progress.current_file = Path("a\x1b");
  const ProgressState state = ToProgressState(progress);
  EXPECT_EQ(state.objects_done, 10u);
  EXPECT_EQ(state.current_file, "a\\033");
}

TEST_F(ReporterTest, StatsAreATableOfLabelsAndValues) {
  RunReporter& reporter = Make({.stats = true});
  SyncOutcome outcome = Complete(3);
  outcome.apply.bytes_received = 1234567;
  outcome.durability = Durability::kBatch;
  reporter.Finish(outcome, "");
  const std::vector<std::string> lines = Lines(out_);
  EXPECT_THAT(lines, testing::Contains("source objects                  3"));
  EXPECT_THAT(lines, testing::Contains("bytes moved                     1234567 (1.23 MB)"));
  EXPECT_THAT(lines, testing::Contains("durability                      batch"));
}

TEST_F(ReporterTest, JsonRunIsOneObjectALine) {
  RunReporter& reporter = Make({.verbose = true, .json = true});
  reporter.Start();
  HelloReply hello;
  hello.software = "uringsync-agent 0.1.0";
  hello.version = 1;
  hello.io_backend = "uring";
  SessionOpened opened;
  opened.exists = true;
  opened.file_system = "ext4";
  reporter.OnOpened(hello, opened, hello, opened);
  reporter.OnAction(FileAction("dir/f", 3), Differing({Attribute::kExistence}), ActionOutcome::kDone);
  Problem problem;
  problem.kind = ProblemKind::kVanished;
  problem.side = Side::kSource;
  problem.path = Path("gone");
  problem.operation = "open";
  problem.error = ENOENT;
  problem.action = 9;
  reporter.OnProblem(problem);
  now_ += milliseconds(1500);
  reporter.OnProgress({});
  SyncOutcome outcome = Complete(2);
  outcome.exit_code = ExitCode::kVanished;
  outcome.problems.vanished = 1;
  outcome.durability = Durability::kBatch;
  reporter.Finish(outcome, "");
  const std::vector<Json> events = Events();
  ASSERT_EQ(events.size(), 6u);
  for (const Json& event : events) EXPECT_EQ(event["time"], "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(events[0]["event"], "start");
  EXPECT_EQ(events[0]["command"], "sync");
  EXPECT_EQ(events[0]["format"], 1);
  EXPECT_EQ(events[1]["event"], "opened");
  EXPECT_EQ(events[1]["destination"]["file_system"], "ext4");
  EXPECT_EQ(events[2]["event"], "action");
  EXPECT_EQ(events[2]["path"], "dir/f");
  EXPECT_EQ(events[2]["action"], "put");
  EXPECT_EQ(events[2]["size"], 3);
  EXPECT_EQ(events[3]["kind"], "vanished");
  EXPECT_EQ(events[3]["side"], "source");
  EXPECT_EQ(events[3]["errno"], ENOENT);
  EXPECT_EQ(events[3]["action_id"], 9);
  EXPECT_EQ(events[4]["event"], "progress");
  EXPECT_EQ(events[5]["event"], "summary");
  EXPECT_EQ(events[5]["exit_code"], 24);
  EXPECT_EQ(events[5]["changes"]["new_files"], 1);
  EXPECT_EQ(events[5]["io_backend"]["source"], "uring");
  EXPECT_EQ(events[5]["durability"], "batch");
  EXPECT_EQ(events[5]["duration_seconds"], 1.5);
  EXPECT_THAT(Lines(err_), IsEmpty());
}

TEST_F(ReporterTest, JsonListsActionsOnlyWhenVerbose) {
  RunReporter& reporter = Make({.json = true});
  reporter.OnAction(FileAction("f", 3), Differing({Attribute::kExistence}), ActionOutcome::kDone);
  reporter.OnSkipped(SkipReason::kMountPoint, Path("m"), FileType::kDirectory);
  EXPECT_THAT(Lines(out_), IsEmpty());
}

TEST_F(ReporterTest, JsonOfARunThatNeverBeganHasTheError) {
  RunReporter& reporter = Make({.json = true});
  reporter.Start();
  SyncOutcome outcome;
  outcome.exit_code = ExitCode::kSelection;
  reporter.Finish(outcome, "source /src: No such file or directory");
  const std::vector<Json> events = Events();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1]["exit_code"], 3);
  EXPECT_EQ(events[1]["error"], "source /src: No such file or directory");
}

TEST(JsonPathTest, BytesAreAddedOnlyWhereTheTextIsNotTheName) {
  const auto event = [](std::string_view bytes) {
    nlohmann::ordered_json out;
    AddPath("path", bytes, &out);
    return out.dump();
  };
  EXPECT_EQ(event("plain/é"), "{\"path\":\"plain/é\"}");
  EXPECT_EQ(event("q\"uote"), "{\"path\":\"q\\\"uote\"}");
  EXPECT_EQ(event("\xff"), "{\"path\":\"\\\\377\",\"path_base64\":\"/w==\"}");
  EXPECT_EQ(event("a\nb"), "{\"path\":\"a\\\\012b\",\"path_base64\":\"YQpi\"}");
  EXPECT_EQ(event("back\\slash"), "{\"path\":\"back\\\\\\\\slash\",\"path_base64\":\"YmFja1xzbGFzaA==\"}");
}

TEST(JsonPathTest, Base64IsPadded) {
  EXPECT_EQ(Base64(""), "");
  EXPECT_EQ(Base64("f"), "Zg==");
  EXPECT_EQ(Base64("fo"), "Zm8=");
  EXPECT_EQ(Base64("foo"), "Zm9v");
  EXPECT_EQ(Base64("foobar"), "Zm9vYmFy");
}

}  // namespace
}  // namespace uringsync

#include "coordinator/core/itemize.h"

#include "coordinator/core/exit_code.h"
#include "tests/coordinator/core/plan_fixture.h"

namespace uringsync {
namespace {

Action MakeAction(ActionKind kind, FileType type, std::string_view path) {
  Action action;
  action.kind = kind;
  action.path = PathOf(path);
  action.wanted = MakeEntry(std::string(action.path.name()), type, 1);
  return action;
}
Differences Of(std::initializer_list<Attribute> attributes) {
  Differences differences;
  for (const Attribute attribute : attributes) differences.Add(attribute);
  return differences;
}

TEST(ItemizeTest, SpeaksAsRsyncDoes) {
  struct Case {
    ActionKind kind;
    FileType type;
    Differences differences;
    const char* code;
  };
  const Case cases[] = {
      {ActionKind::kPutFile, FileType::kRegular, Of({Attribute::kExistence}), ">f+++++++++"},
      {ActionKind::kMakeDirectory, FileType::kDirectory, Of({Attribute::kExistence}), "cd+++++++++"},
      {ActionKind::kPutSymlink, FileType::kSymlink, Of({Attribute::kExistence}), "cL+++++++++"},
      {ActionKind::kPutSpecial, FileType::kFifo, Of({Attribute::kExistence}), "cS+++++++++"},
      {ActionKind::kPutSpecial, FileType::kSocket, Of({Attribute::kExistence}), "cS+++++++++"},
      {ActionKind::kPutSpecial, FileType::kCharDevice, Of({Attribute::kDeviceNumber}), "cDc........"},
      {ActionKind::kPutFile, FileType::kRegular, Of({Attribute::kSize, Attribute::kMtime, Attribute::kAssumed}),
       ">f.st......"},
      {ActionKind::kPutFile, FileType::kRegular, Of({Attribute::kContent}), ">fc........"},
      {ActionKind::kPutFile, FileType::kRegular, Of({Attribute::kHardLink}), ">f........."},
      {ActionKind::kPutSymlink, FileType::kSymlink, Of({Attribute::kTarget, Attribute::kMtime}), "cLc.t......"},
      {ActionKind::kPutSymlink, FileType::kSymlink, Of({Attribute::kType}), "cL+++++++++"},
      {ActionKind::kSetMetadata, FileType::kDirectory, Of({Attribute::kMtime}), ".d..t......"},
      {ActionKind::kSetMetadata, FileType::kRegular, Of({Attribute::kMode, Attribute::kOwner, Attribute::kGroup}),
       ".f...pog..."},
      {ActionKind::kSetMetadata, FileType::kRegular, Of({Attribute::kAtime, Attribute::kXattrs}), ".f......u.x"},
      {ActionKind::kSetMetadata, FileType::kRegular, Of({Attribute::kCapabilities}), ".f........x"},
      {ActionKind::kLink, FileType::kRegular, Of({Attribute::kHardLink}), "hf........."},
      {ActionKind::kLink, FileType::kRegular, Of({Attribute::kHardLink, Attribute::kExistence}), "hf+++++++++"},
      {ActionKind::kDelete, FileType::kDirectory, Of({Attribute::kExtraneous}), "*deleting"},
  };
  for (const Case& c : cases) EXPECT_EQ(Itemize(MakeAction(c.kind, c.type, "x"), c.differences), c.code);
  EXPECT_EQ(Itemize(MakeAction(ActionKind::kSetMetadata, FileType::kRegular, "x"), Of({Attribute::kXattrs}), true),
            ".f.......a.");
}

TEST(ItemizeTest, LinesNameTargetsLeadersAndDirectoriesEscaped) {
  Action action = MakeAction(ActionKind::kPutSymlink, FileType::kSymlink, "a/l\n");
  action.wanted.symlink_target = "to\x1b";
  EXPECT_EQ(ItemizeLine(action, Of({Attribute::kExistence})), "cL+++++++++ a/l\\012 -> to\\033");
  action = MakeAction(ActionKind::kLink, FileType::kRegular, "b");
  action.link_target = PathOf("a");
  EXPECT_EQ(ItemizeLine(action, Of({Attribute::kHardLink, Attribute::kExistence})), "hf+++++++++ b => a");
  action = MakeAction(ActionKind::kDelete, FileType::kDirectory, "old");
  EXPECT_EQ(ItemizeLine(action, Of({Attribute::kExtraneous})), "*deleting   old/");
  action = MakeAction(ActionKind::kSetMetadata, FileType::kDirectory, "");
  EXPECT_EQ(ItemizeLine(action, Of({Attribute::kMtime})), ".d..t...... ./");
}

TEST(ExitCodeTest, FailuresWinOverVanishedObjects) {
  ProblemTally tally;
  EXPECT_EQ(ExitCodeForProblems(tally), ExitCode::kOk);
  Problem vanished;
  vanished.kind = ProblemKind::kVanished;
  tally.Add(vanished);
  EXPECT_EQ(ExitCodeForProblems(tally), ExitCode::kVanished);
  for (const ProblemKind kind : {ProblemKind::kFailed, ProblemKind::kChanged, ProblemKind::kConflict,
                                 ProblemKind::kIntegrity, ProblemKind::kNoSpace}) {
    ProblemTally worse = tally;
    Problem problem;
    problem.kind = kind;
    worse.Add(problem);
    EXPECT_EQ(ExitCodeForProblems(worse), ExitCode::kPartial);
  }
  tally.differing = 1;
  EXPECT_EQ(ExitCodeForProblems(tally), ExitCode::kPartial);
}

TEST(ExitCodeTest, EveryStatusHasACode) {
  EXPECT_EQ(ExitCodeForStatus(absl::OkStatus()), ExitCode::kOk);
  EXPECT_EQ(ExitCodeForStatus(absl::InvalidArgumentError("")), ExitCode::kProtocol);
  EXPECT_EQ(ExitCodeForStatus(absl::UnavailableError("")), ExitCode::kProtocol);
  EXPECT_EQ(ExitCodeForStatus(absl::DeadlineExceededError("")), ExitCode::kTimeout);
  EXPECT_EQ(ExitCodeForStatus(absl::CancelledError("")), ExitCode::kInterrupted);
  EXPECT_EQ(ExitCodeForStatus(absl::ResourceExhaustedError("")), ExitCode::kFileIo);
}

}  // namespace
}  // namespace uringsync

#include "coordinator/cli/rsync/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "coordinator/cli/rsync/option_table.h"
#include "coordinator/cli/rsync/run_options.h"
#include "coordinator/link/link_error.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Parsed Parse(std::vector<const char*> arguments, Command command = Command::kUrsync) {
  arguments.insert(arguments.begin(), "ursync");
  return ParseArguments(command, static_cast<int>(arguments.size()), arguments.data());
}

Settings Read(std::vector<const char*> arguments, Command command = Command::kUrsync) {
  Parsed parsed = Parse(std::move(arguments), command);
  if (auto* error = std::get_if<GrammarError>(&parsed)) {
    ADD_FAILURE() << error->text;
    return {};
  }
  return std::get<Settings>(parsed);
}

GrammarError Refused(std::vector<const char*> arguments) {
  Parsed parsed = Parse(std::move(arguments));
  if (std::holds_alternative<Settings>(parsed)) {
    ADD_FAILURE() << "was accepted";
    return {};
  }
  return std::get<GrammarError>(parsed);
}

RunOptions RunOf(std::vector<const char*> arguments) {
  const absl::StatusOr<RunOptions> run = ToRunOptions(Read(std::move(arguments)));
  EXPECT_OK(run);
  return run.ok() ? *run : RunOptions();
}

std::string RunRefusal(std::vector<const char*> arguments) {
  const absl::StatusOr<RunOptions> run = ToRunOptions(Read(std::move(arguments)));
  EXPECT_FALSE(run.ok());
  return run.ok() ? "" : std::string(run.status().message());
}

TEST(ParseTest, NothingIsKeptUnlessAskedFor) {
  const SyncRequest request = RunOf({"-r", "a/", "b"}).request;
  const MetadataSelection& selection = request.selection;
  EXPECT_FALSE(selection.mode || selection.owner || selection.group || selection.mtime || selection.xattrs ||
               selection.acls || selection.atime);
  EXPECT_FALSE(request.preserve_hard_links || request.symlinks || request.devices || request.specials ||
               request.sparse);
  EXPECT_EQ(request.durability, Durability::kNone);
  EXPECT_FALSE(request.delete_extraneous);
}

TEST(ParseTest, ArchiveIsRlptgoD) {
  for (const auto& words : {std::vector<const char*>{"-a", "x/", "y"},
                            {"-rlptgoD", "x/", "y"},
                            {"--archive", "x/", "y"},
                            {"-r", "-l", "-p", "--times", "-g", "--owner", "--devices", "--specials", "x/", "y"}}) {
    const SyncRequest request = RunOf(words).request;
    const MetadataSelection& selection = request.selection;
    EXPECT_TRUE(selection.mode && selection.owner && selection.group && selection.mtime);
    EXPECT_FALSE(selection.xattrs || selection.acls || selection.atime || selection.explicit_owner ||
                 request.explicit_devices);
    EXPECT_TRUE(request.symlinks && request.devices && request.specials);
    EXPECT_FALSE(request.preserve_hard_links);
  }
}

TEST(ParseTest, LettersAreBundled) {
  const Settings settings = Read({"-vvrHhh", "a"});
  EXPECT_EQ(settings.verbose, 2);
  EXPECT_EQ(settings.human, 3);
  EXPECT_TRUE(settings.recursive && settings.hard_links);
}

TEST(ParseTest, ValuesStandBehindAnEqualsSignOrNext) {
  EXPECT_EQ(Read({"--bwlimit=5", "a"}).bwlimit, "5");
  EXPECT_EQ(Read({"--bwlimit", "5", "a"}).bwlimit, "5");
  EXPECT_EQ(Read({"--bwlimit", "5", "--no-bwlimit", "a"}).bwlimit, "");
  EXPECT_THAT(Read({"--timeout", "7", "a", "b"}).operands, ElementsAre("a", "b"));
}

TEST(ParseTest, OfOppositesTheLastOneCounts) {
  EXPECT_FALSE(Read({"-a", "--no-o", "a"}).owner);
  EXPECT_TRUE(Read({"--no-o", "-a", "a"}).owner);
  EXPECT_FALSE(Read({"-a", "--no-D", "a"}).devices);
  EXPECT_FALSE(Read({"-a", "--no-D", "a"}).specials);
  EXPECT_FALSE(Read({"-r", "--no-recursive", "a"}).recursive);
  EXPECT_EQ(Read({"-hh", "--no-h", "a"}).human, 0);
  EXPECT_EQ(Read({"-vvv", "--no-v", "a"}).verbose, 0);
}

TEST(ParseTest, OptionsStandAnywhereBeforeTwoDashes) {
  const Settings settings = Read({"a", "-r", "b", "--", "-l", "--checksum"});
  EXPECT_TRUE(settings.recursive);
  EXPECT_FALSE(settings.links || settings.checksum);
  EXPECT_THAT(settings.operands, ElementsAre("a", "b", "-l", "--checksum"));
}

TEST(ParseTest, PosixlyCorrectEndsOptionsAtTheFirstOperand) {
  ::setenv("POSIXLY_CORRECT", "1", 1);
  const Settings settings = Read({"-r", "a", "-l"});
  ::unsetenv("POSIXLY_CORRECT");
  EXPECT_TRUE(settings.recursive);
  EXPECT_FALSE(settings.links);
  EXPECT_THAT(settings.operands, ElementsAre("a", "-l"));
}

TEST(ParseTest, UnknownOptionIsAnsweredWithTheNearestOne) {
  const GrammarError error = Refused({"--recursve", "a", "b"});
  EXPECT_THAT(error.text, HasSubstr("unknown option '--recursve'; did you mean '--recursive'?"));
  EXPECT_EQ(error.exit_code, 1);
  EXPECT_FALSE(error.unsupported);
  EXPECT_THAT(Refused({"-Q", "a"}).text, HasSubstr("unknown option '-Q'"));
}

TEST(ParseTest, ErrorsOfFormAreRsyncs) {
  EXPECT_EQ(Refused({"--bwlimit"}).text, "--bwlimit: missing argument");
  EXPECT_EQ(Refused({"--verbose=3", "a"}).text, "--verbose=3: option does not take an argument");
  EXPECT_EQ(Refused({"--timeout=xx", "a"}).text, "--timeout=xx: invalid numeric value");
  EXPECT_EQ(Refused({"--checksum-choice=md5", "a"}).exit_code, 4);
  EXPECT_EQ(Refused({"--compress-choice=lz4", "a"}).exit_code, 4);
}

TEST(ParseTest, EveryRefusedOptionIsNamedAndEveryOtherDoesSomething) {
  for (const OptionGroup& group : OptionTable()) {
    for (const OptionRow& row : group.rows) {
      if (row.refused == nullptr) {
        EXPECT_NE(row.on, nullptr) << row.Name() << " does nothing";
        continue;
      }
      if (!row.IsFor(Command::kUrsync)) continue;
      const std::string name = row.Name();
      std::vector<const char*> words = {name.c_str()};
      if (row.argument != nullptr) words.push_back("1");
      const GrammarError error = Refused(words);
      EXPECT_THAT(error.text, testing::StartsWith(name + " is not supported: "));
      EXPECT_TRUE(error.unsupported) << name;
      EXPECT_EQ(error.exit_code, row.refusal_code) << name;
    }
  }
}

TEST(ParseTest, NoSpellingStandsForTwoThings) {
  for (const Command command : {Command::kUrsync, Command::kSync, Command::kPlan, Command::kVerify}) {
    std::vector<std::string> names = KnownOptions(command);
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end())
        << *std::adjacent_find(names.begin(), names.end());
  }
}

TEST(ParseTest, DeletionsNeedRecursionAndOneTime) {
  EXPECT_THAT(RunRefusal({"--delete", "a/", "b"}), HasSubstr("--recursive"));
  EXPECT_THAT(RunRefusal({"-r", "--delete-after", "--delete-during", "a/", "b"}), HasSubstr("--delete-WHEN"));
  EXPECT_TRUE(RunOf({"-r", "--delete", "--delete-after", "a/", "b"}).request.delete_extraneous);
  EXPECT_TRUE(RunOf({"-r", "--del", "a/", "b"}).request.delete_extraneous);
}

TEST(ParseTest, BasisDirectoriesAreOfOneKind) {
  const RunOptions run = RunOf({"-r", "--link-dest=../x", "--link-dest", "y", "a/", "b"});
  EXPECT_EQ(run.request.basis_use, BasisUse::kLink);
  EXPECT_THAT(run.basis_directories, ElementsAre("../x", "y"));
  EXPECT_THAT(Refused({"--link-dest=x", "--copy-dest=y", "a"}).text,
              HasSubstr("conflicts with the --link-dest option"));
}

TEST(ParseTest, FilterOptionsKeepTheirOrder) {
  const SyncRequest request =
      RunOf({"-r", "--exclude=*.o", "--include", "x", "-f", "- /y", "-F", "--delete-excluded", "-0", "a/", "b"})
          .request;
  EXPECT_EQ(request.filters.size(), 4u);
  EXPECT_TRUE(request.delete_excluded && request.delete_extraneous && request.nul_separated_filters);
  EXPECT_THAT(RunRefusal({"-r", "-f", "nonsense", "a/", "b"}), HasSubstr("nonsense"));
}

TEST(ParseTest, TellingFollowsRsyncsLevels) {
  const auto telling = [](std::vector<const char*> words) {
    words.insert(words.end(), {"-r", "a/", "b"});
    return RunOf(std::move(words)).output.rsync.value();
  };
  EXPECT_EQ(telling({}).format, "");
  EXPECT_EQ(telling({"-v"}).format, "%n%L");
  EXPECT_EQ(telling({"-i"}).format, "%i %n%L");
  EXPECT_EQ(telling({"-vi", "--out-format=%n"}).format, "%n");
  EXPECT_EQ(telling({"-v"}).info.of(Info::kStats), 1);
  EXPECT_EQ(telling({"--stats"}).info.of(Info::kStats), 2);
  EXPECT_EQ(telling({"-v", "--info=stats0"}).info.of(Info::kStats), 0);
  EXPECT_EQ(telling({"-vq"}).info.of(Info::kName), 0);
  EXPECT_EQ(telling({"--progress"}).info.of(Info::kProgress), 1);
  EXPECT_EQ(telling({"--info=progress2"}).info.of(Info::kProgress), 2);
  EXPECT_EQ(telling({"--info=progress2"}).format, "");
  EXPECT_EQ(telling({"--info=name"}).format, "%n%L");
}

TEST(ParseTest, UringsyncTellsInRsyncsWordsWhenAskedTo) {
  const auto rsyncs = [](std::vector<const char*> words) {
    words.insert(words.end(), {"a", "b"});
    return ToRunOptions(Read(std::move(words), Command::kSync))->output.rsync.has_value();
  };
  EXPECT_FALSE(rsyncs({}));
  EXPECT_FALSE(rsyncs({"-v"}));
  EXPECT_FALSE(rsyncs({"--stats"}));
  EXPECT_TRUE(rsyncs({"-i"}));
  EXPECT_TRUE(rsyncs({"--out-format=%n"}));
  EXPECT_TRUE(rsyncs({"--log-file=x"}));
}

TEST(ParseTest, FsyncIsDurabilityFile) {
  EXPECT_EQ(RunOf({"-r", "--fsync", "a/", "b"}).request.durability, Durability::kFile);
  EXPECT_EQ(RunOf({"-r", "--durability=batch", "a/", "b"}).request.durability, Durability::kBatch);
}

TEST(ParseTest, TimeLimitsReachTheRequest) {
  EXPECT_EQ(RunOf({"-r", "--stop-after=2", "a/", "b"}).request.total_timeout, absl::Minutes(2));
  EXPECT_EQ(RunOf({"-r", "--time-limit=2", "a/", "b"}).request.total_timeout, absl::Minutes(2));
  EXPECT_TRUE(RunOf({"-r", "--stop-at=23:59", "a/", "b"}).stop_at.has_value());
  EXPECT_EQ(RunOf({"-r", "--timeout=60", "a/", "b"}).request.idle_timeout, absl::Seconds(60));
  EXPECT_EQ(RunOf({"-r", "--timeout=0", "a/", "b"}).request.idle_timeout, absl::InfiniteDuration());
  EXPECT_THAT(Refused({"--stop-at=1999-01-01", "a"}).text, HasSubstr("has passed"));
  EXPECT_THAT(Refused({"--stop-after=x", "a"}).text, HasSubstr("--stop-after=x"));
  EXPECT_THAT(RunRefusal({"-r", "--contimeout=3", "a/", "b"}), HasSubstr("--contimeout"));
}

TEST(ParseTest, ManyOptionsOfRsyncsUsersMeanSomethingBetweenAgentsOnly) {
  EXPECT_EQ(RunOf({"-rz", "--no-W", "a/", "b"}).request.compression.mode, CompressionMode::kOff);
  EXPECT_EQ(RunOf({"-rz", "a/", "agent://h/r"}).request.compression.mode, CompressionMode::kAdaptive);
  EXPECT_EQ(RunOf({"-r", "--zl=99", "a/", "agent://h/r"}).request.compression.level, 19);
}

TEST(ParseTest, ABlockSizeIsWhatTheEngineHasOfIt) {
  EXPECT_EQ(RunOf({"-r", "a/", "b"}).request.delta_block_bytes, 0u);
  const std::pair<const char*, uint32_t> sizes[] = {{"-B0", 0},       {"-B1", 512},     {"-B700", 512},
                                                    {"-B4096", 4096}, {"-B6000", 4096}, {"--block-size=32k", 32768},
                                                    {"-B128K", 65536}};
  for (const auto& [word, bytes] : sizes)
    EXPECT_EQ(RunOf({"-r", word, "a/", "b"}).request.delta_block_bytes, bytes) << word;
  EXPECT_THAT(Refused({"-B", "131073", "a", "b"}).text, HasSubstr("is too large (max: 128.00K)"));
  EXPECT_THAT(Refused({"--block-size=x", "a", "b"}).text, HasSubstr("is invalid"));
}

TEST(ParseTest, WhatKeepsChangingIsCopiedByUrsyncUnlessItIsToBeSkipped) {
  EXPECT_EQ(RunOf({"-r", "a/", "b"}).request.unstable, UnstableFiles::kCopyIfKnown);
  EXPECT_EQ(RunOf({"-r", "--unstable=copy", "a/", "b"}).request.unstable, UnstableFiles::kCopy);
  EXPECT_EQ(RunOf({"-r", "--unstable=skip", "a/", "b"}).request.unstable, UnstableFiles::kSkip);
  EXPECT_THAT(Refused({"--unstable=maybe", "a", "b"}).text, HasSubstr("--unstable"));
}

TEST(ParseTest, DevicesThatAreWrittenToMeanFilesInPlace) {
  const SyncRequest request = RunOf({"-a", "--write-devices", "--copy-devices", "a/", "b"}).request;
  EXPECT_TRUE(request.write_devices && request.copy_devices && request.in_place);
  EXPECT_FALSE(RunOf({"-a", "--write-devices", "--no-write-devices", "a/", "b"}).request.write_devices);
  EXPECT_TRUE(RunOf({"-a", "--detect-renames", "a/", "b"}).request.detect_renames);
}

TEST(ParseTest, FakeSuperIsOfOneEnd) {
  EXPECT_THAT(RunOf({"-a", "--fake-super", "a/", "b"}).agent_arguments, Contains("--fake-super"));
  EXPECT_THAT(RunOf({"-a", "--fake-super", "--super", "a/", "b"}).agent_arguments, Not(Contains("--fake-super")));
  EXPECT_THAT(RunOf({"-a", "--fake-super", "--no-fake-super", "a/", "b"}).agent_arguments,
              Not(Contains("--fake-super")));
  const RunOptions far = RunOf({"-a", "-M--fake-super", "a/", "host:b"});
  EXPECT_THAT(far.agent_arguments, Not(Contains("--fake-super")));
  EXPECT_THAT(far.shell.far_arguments, ElementsAre("--fake-super"));
  EXPECT_THAT(RunRefusal({"-a", "-M", "--fake-super", "a/", "b"}), HasSubstr("HOST:PATH"));
  EXPECT_THAT(RunRefusal({"-a", "--fake-super", "x:a/", "y:b"}), HasSubstr("-M--fake-super"));
  EXPECT_THAT(Refused({"--remote-option=--delete", "a", "x:b"}).text, HasSubstr("only --fake-super"));
}

}  // namespace
}  // namespace uringsync

#include "coordinator/cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "coordinator/cli/rsync/transfer_settings.h"
#include "coordinator/link/link_error.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

absl::StatusOr<CommandLine> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "uringsync");
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

RunOptions RunOf(std::vector<const char*> arguments) {
  absl::StatusOr<CommandLine> line = Parse(std::move(arguments));
  EXPECT_OK(line);
  if (!line.ok() || !std::holds_alternative<RunOptions>(*line)) {
    ADD_FAILURE() << "no run";
    return {};
  }
  return std::get<RunOptions>(*line);
}

std::string Refusal(std::vector<const char*> arguments) {
  absl::StatusOr<CommandLine> line = Parse(std::move(arguments));
  EXPECT_FALSE(line.ok());
  if (line.ok()) return {};
  EXPECT_EQ(LinkErrorKind(line.status()), ErrorKind::kUsage);
  return std::string(line.status().message());
}

std::string Answer(std::vector<const char*> arguments) {
  absl::StatusOr<CommandLine> line = Parse(std::move(arguments));
  EXPECT_OK(line);
  if (!line.ok() || !std::holds_alternative<TextAnswer>(*line)) {
    ADD_FAILURE() << "no text";
    return {};
  }
  return std::get<TextAnswer>(*line).text;
}

TEST(OptionsTest, PlainSyncKeepsEverythingAndDeletesNothing) {
  const RunOptions run = RunOf({"sync", "/a", "/b"});
  EXPECT_EQ(run.source.local().path, "/a");
  EXPECT_EQ(run.destination.local().path, "/b");
  const SyncRequest& request = run.request;
  EXPECT_EQ(request.mode, SyncMode::kSync);
  EXPECT_EQ(request.selection, MetadataSelection{});
  EXPECT_TRUE(request.preserve_hard_links && request.symlinks && request.devices && request.specials && request.sparse);
  EXPECT_FALSE(request.delete_extraneous || request.force_delete || request.checksum || request.one_file_system);
  EXPECT_FALSE(request.explicit_devices || request.omit_root_metadata || request.wait_for_lock);
  EXPECT_EQ(request.durability, Durability::kBatch);
  EXPECT_EQ(request.data_connections, 0u);
  EXPECT_EQ(request.idle_timeout, absl::InfiniteDuration());
  EXPECT_FALSE(request.software.empty());
  EXPECT_TRUE(run.agent_arguments.empty());
  EXPECT_FALSE(run.output.verbose || run.output.quiet || run.output.json || run.output.stats || run.output.progress);
}

TEST(OptionsTest, RsyncsShortFormsChangeNothing) {
  const RunOptions run = RunOf({"sync", "-aHAXS", "/a", "/b"});
  EXPECT_EQ(run.request.selection, MetadataSelection{});
  EXPECT_EQ(run.request.mode, SyncMode::kSync);
}

TEST(OptionsTest, CombinedShortFormsWithMeaningWork) {
  const RunOptions run = RunOf({"sync", "-aHAXSxnvc", "/a", "/b"});
  EXPECT_EQ(run.request.mode, SyncMode::kPlan);
  EXPECT_TRUE(run.request.one_file_system);
  EXPECT_TRUE(run.request.checksum);
  EXPECT_TRUE(run.output.verbose);
}

TEST(OptionsTest, DryRunListsLikePlan) {
  EXPECT_TRUE(RunOf({"sync", "-n", "/a", "/b"}).output.verbose);
  EXPECT_TRUE(RunOf({"plan", "/a", "/b"}).output.verbose);
  EXPECT_EQ(RunOf({"plan", "/a", "/b"}).request.mode, SyncMode::kPlan);
}

TEST(OptionsTest, EverySwitchReachesTheRequest) {
  const RunOptions run = RunOf({"sync", "--no-perms", "--no-owner", "--no-group", "--no-times", "--no-xattrs",
                                "--no-acls", "--no-hard-links", "--no-links", "--no-devices", "--no-specials",
                                "--no-sparse", "--delete", "--force", "--omit-root-metadata", "--wait", "/a", "/b"});
  const SyncRequest& request = run.request;
  const MetadataSelection& selection = request.selection;
  EXPECT_FALSE(selection.mode || selection.owner || selection.group || selection.mtime || selection.xattrs ||
               selection.acls);
  EXPECT_FALSE(request.preserve_hard_links || request.symlinks || request.devices || request.specials ||
               request.sparse);
  EXPECT_TRUE(request.delete_extraneous && request.force_delete && request.omit_root_metadata && request.wait_for_lock);
}

TEST(OptionsTest, NamedMetadataBecomesExplicit) {
  const SyncRequest request =
      RunOf({"sync", "--owner", "--devices", "--xattrs", "-U", "--selinux", "/a", "/b"}).request;
  EXPECT_TRUE(request.selection.explicit_owner);
  EXPECT_TRUE(request.explicit_devices);
  EXPECT_TRUE(request.selection.explicit_privileged_xattrs);
  EXPECT_TRUE(request.selection.atime);
  EXPECT_TRUE(request.selection.selinux);
  EXPECT_TRUE(RunOf({"sync", "--group", "/a", "/b"}).request.selection.explicit_owner);
}

TEST(OptionsTest, NamedXattrsAreSortedAndUnique) {
  const RunOptions run =
      RunOf({"sync", "--xattr", "trusted.lov", "--xattr=lustre.lov", "--xattr", "trusted.lov", "/a", "/b"});
  EXPECT_THAT(run.request.selection.extra_xattrs, ElementsAre("lustre.lov", "trusted.lov"));
  EXPECT_EQ(run.destination.local().path, "/b");
}

TEST(OptionsTest, XattrsThatAreKeptAnywayCannotBeNamed) {
  EXPECT_THAT(Refusal({"sync", "--xattr", "user.x", "/a", "/b"}), HasSubstr("kept already"));
  EXPECT_THAT(Refusal({"sync", "--xattr", "lustre.", "/a", "/b"}), HasSubstr("--xattr"));
}

TEST(OptionsTest, RunningOptionsAreMapped) {
  const RunOptions run = RunOf({"sync", "--durability", "none", "--io-backend=threads", "--jobs", "3", "--timeout",
                                "60", "--connections", "5", "/a", "agent://h/r"});
  EXPECT_EQ(run.request.durability, Durability::kNone);
  EXPECT_EQ(run.request.data_connections, 5u);
  EXPECT_EQ(run.request.idle_timeout, absl::Seconds(60));
  EXPECT_THAT(run.agent_arguments, ElementsAre("--io-backend", "threads", "--jobs", "3"));
  EXPECT_EQ(run.request.jobs, 3u);
  EXPECT_FALSE(run.request.background);
  EXPECT_EQ(run.request.compression.mode, CompressionMode::kOff);
  EXPECT_EQ(run.request.bytes_per_second, 0u);
  EXPECT_EQ(RunOf({"sync", "--jobs", "2", "agent://h/r", "agent://i/r"}).request.jobs, 2u);
  const RunOptions quiet = RunOf({"verify", "--background", "/a", "/b"});
  EXPECT_TRUE(quiet.request.background);
  EXPECT_THAT(quiet.agent_arguments, ElementsAre("--background"));
}

TEST(OptionsTest, CompressionIsSpelledAsRsyncDoes) {
  const auto of = [](std::vector<const char*> options) {
    options.insert(options.begin(), "sync");
    options.insert(options.end(), {"/a", "agent://h/r"});
    return RunOf(options).request.compression;
  };
  constexpr CompressionSettings kAdaptive{.mode = CompressionMode::kAdaptive};
  EXPECT_EQ(of({"-z"}), kAdaptive);
  EXPECT_EQ(of({"--compress"}), kAdaptive);
  EXPECT_EQ(of({"--compress-choice=auto"}), kAdaptive);
  EXPECT_EQ(of({"--compress-choice=zstd"}), (CompressionSettings{.mode = CompressionMode::kFixed, .level = 3}));
  EXPECT_EQ(of({"--compress-level=9"}), (CompressionSettings{.mode = CompressionMode::kFixed, .level = 9}));
  EXPECT_EQ(of({"-z", "--compress-level=-7"}), (CompressionSettings{.mode = CompressionMode::kFixed, .level = -7}));
  EXPECT_EQ(of({"--compress-level=0"}), (CompressionSettings{.mode = CompressionMode::kFixed, .level = 3}));
  EXPECT_EQ(of({"-z", "--compress-choice=none"}), CompressionSettings{});
  for (const char* level : {"20", "-8", "x", "3x", "", "1e1"}) {
    EXPECT_THAT(Refusal({"sync", "--compress-level", level, "/a", "agent://h/r"}), HasSubstr("--compress-level"));
  }
  EXPECT_THAT(Refusal({"sync", "--compress-level=20", "/a", "agent://h/r"}), HasSubstr("from -7 to 19"));
  EXPECT_THAT(Refusal({"sync", "--compress-choice=lz4", "/a", "agent://h/r"}), HasSubstr("--compress-choice"));
  EXPECT_THAT(Refusal({"sync", "--compress-choice=none", "--compress-level=3", "/a", "agent://h/r"}),
              HasSubstr("no meaning"));
  EXPECT_THAT(Refusal({"sync", "--compress-level=3", "/a", "/b"}), HasSubstr("two local paths"));
  EXPECT_EQ(RunOf({"sync", "-avz", "/a", "/b"}).request.compression.mode, CompressionMode::kAdaptive)
      << "accepted for rsync's users";
}

TEST(OptionsTest, RatesHaveRsyncsUnits) {
  const std::pair<const char*, uint64_t> good[] = {
      {"0", 0},        {"0.0", 0},     {"100", 102400}, {"1.5", 1536},      {"0.5", 512},      {"1K", 1024},
      {"1k", 1024},    {"1KiB", 1024}, {"1KB", 1000},   {"2M", 2 << 20},    {"1.5m", 3 << 19}, {"1MB", 1000000},
      {"1G", 1 << 30}, {"600B", 600},  {"1g", 1 << 30}, {"1T", 1ull << 40}, {"1P", 1ull << 50}};
  for (const auto& [text, bytes] : good) {
    const absl::StatusOr<uint64_t> rate = ParseByteRate(text);
    ASSERT_TRUE(rate.ok()) << text;
    EXPECT_EQ(*rate, bytes) << text;
  }
  for (const char* text :
       {"", "x", "-1", "-0", "1X", "1 M", "1Mi", "1e3", "1.2.3", "nan", "inf", "100B", "0.1", "9999999P", "K"}) {
    EXPECT_FALSE(ParseByteRate(text).ok()) << text;
  }
  EXPECT_EQ(RunOf({"sync", "--bwlimit=1.5M", "/a", "/b"}).request.bytes_per_second, 3u << 19);
  EXPECT_THAT(Refusal({"sync", "--bwlimit", "fast", "/a", "/b"}), HasSubstr("--bwlimit fast"));
}

TEST(OptionsTest, DeltaReflinkAndDirectIoAreSaidForBothAgents) {
  const SyncRequest usual = RunOf({"sync", "/a", "agent://h/r"}).request;
  EXPECT_EQ(std::tuple(usual.delta, usual.reflink, usual.direct_io),
            std::tuple(DeltaPolicy::kAuto, ReflinkMode::kAuto, DirectIoMode::kAuto));
  EXPECT_EQ(RunOf({"sync", "-W", "/a", "/b"}).request.delta, DeltaPolicy::kOff);
  EXPECT_EQ(RunOf({"sync", "--whole-file", "/a", "agent://h/r"}).request.delta, DeltaPolicy::kOff);
  EXPECT_EQ(RunOf({"sync", "--no-whole-file", "/a", "agent://h/r"}).request.delta, DeltaPolicy::kForce);
  EXPECT_THAT(Refusal({"sync", "--no-whole-file", "/a", "/b"}), HasSubstr("two local paths"));
  EXPECT_EQ(RunOf({"sync", "--no-whole-file", "-W", "/a", "agent://h/r"}).request.delta, DeltaPolicy::kOff)
      << "the last one counts";
  EXPECT_EQ(RunOf({"sync", "--reflink=always", "/a", "/b"}).request.reflink, ReflinkMode::kAlways);
  EXPECT_EQ(usual.unstable, UnstableFiles::kSkip);
  EXPECT_TRUE(usual.resume);
  EXPECT_FALSE(RunOf({"sync", "--no-resume", "/a", "/b"}).request.resume);
  EXPECT_TRUE(RunOf({"sync", "--no-resume", "--resume", "/a", "/b"}).request.resume);
  EXPECT_EQ(RunOf({"sync", "--unstable=copy", "/a", "/b"}).request.unstable, UnstableFiles::kCopy);
  EXPECT_EQ(usual.snapshot, SnapshotMode::kNone);
  EXPECT_EQ(RunOf({"sync", "--snapshot", "/a", "/b"}).request.snapshot, SnapshotMode::kRequire);
  EXPECT_EQ(RunOf({"sync", "--snapshot-mode=tree", "/a", "/b"}).request.snapshot, SnapshotMode::kTree);
  EXPECT_EQ(RunOf({"sync", "--snapshot", "--snapshot-mode=auto", "/a", "/b"}).request.snapshot, SnapshotMode::kAuto);
  EXPECT_EQ(RunOf({"sync", "--snapshot-mode=files", "--no-snapshot", "/a", "/b"}).request.snapshot, SnapshotMode::kNone);
  EXPECT_EQ(RunOf({"sync", "--reflink", "never", "/a", "/b"}).request.reflink, ReflinkMode::kNever);
  for (const auto& [text, mode] : {std::pair("--direct-io=auto", DirectIoMode::kAuto),
                                   {"--direct-io=on", DirectIoMode::kOn},
                                   {"--direct-io=off", DirectIoMode::kOff}}) {
    EXPECT_EQ(RunOf({"sync", text, "/a", "/b"}).request.direct_io, mode);
    EXPECT_EQ(RunOf({"sync", text, "agent://h/r", "agent://i/r"}).request.direct_io, mode);
  }
  EXPECT_THAT(Refusal({"sync", "--direct-io=yes", "/a", "/b"}), HasSubstr("--direct-io"));
  EXPECT_THAT(Refusal({"plan", "--direct-io=on", "/a", "/b"}), HasSubstr("--direct-io"));
}

TEST(OptionsTest, OptionsWithoutEffectOnTheseEndpointsAreRefused) {
  EXPECT_THAT(Refusal({"sync", "--io-backend", "uring", "agent://h/r", "agent://i/r"}), HasSubstr("private agent"));
  EXPECT_THAT(Refusal({"sync", "--connections", "2", "/a", "/b"}), HasSubstr("--connections"));
}

TEST(OptionsTest, ValuesOutOfRangeAreRefused) {
  EXPECT_THAT(Refusal({"sync", "--durability", "disk", "/a", "/b"}), HasSubstr("--durability"));
  EXPECT_THAT(Refusal({"sync", "--io-backend", "aio", "/a", "/b"}), HasSubstr("--io-backend"));
  EXPECT_THAT(Refusal({"sync", "--jobs", "0", "/a", "/b"}), HasSubstr("--jobs"));
  EXPECT_THAT(Refusal({"sync", "--timeout", "x", "/a", "/b"}), HasSubstr("--timeout"));
  EXPECT_THAT(Refusal({"sync", "--connections", "65", "/a", "agent://h/r"}), HasSubstr("--connections"));
}

TEST(OptionsTest, OfOppositesTheLastOneCounts) {
  EXPECT_FALSE(RunOf({"sync", "--owner", "--no-owner", "/a", "/b"}).request.selection.owner);
  EXPECT_TRUE(RunOf({"sync", "--no-owner", "--owner", "/a", "/b"}).request.selection.explicit_owner);
  EXPECT_FALSE(RunOf({"sync", "--devices", "--no-devices", "/a", "/b"}).request.explicit_devices);
  EXPECT_EQ(RunOf({"sync", "--progress", "--no-progress", "/a", "/b"}).output.progress, false);
}

TEST(OptionsTest, ContradictionsAreRefused) {
  Refusal({"sync", "--xattr=lustre.lov", "--no-xattrs", "/a", "/b"});
  Refusal({"sync", "-q", "-v", "/a", "/b"});
  Refusal({"sync", "--json", "--stats", "/a", "/b"});
}

TEST(OptionsTest, ProgressIsUndecidedUnlessSaid) {
  EXPECT_EQ(RunOf({"sync", "/a", "/b"}).output.progress, std::nullopt);
  EXPECT_EQ(RunOf({"sync", "--progress", "/a", "/b"}).output.progress, true);
  EXPECT_EQ(RunOf({"sync", "--no-progress", "/a", "/b"}).output.progress, false);
}

TEST(OptionsTest, VerifyCountsExtraObjectsUnlessAllowed) {
  const RunOptions run = RunOf({"verify", "/a", "/b"});
  EXPECT_EQ(run.request.mode, SyncMode::kVerify);
  EXPECT_TRUE(run.request.delete_extraneous);
  EXPECT_FALSE(RunOf({"verify", "--allow-extra", "/a", "/b"}).request.delete_extraneous);
}

TEST(OptionsTest, CommandsHaveOnlyOptionsThatMeanSomethingThere) {
  EXPECT_THAT(Refusal({"verify", "--delete", "/a", "/b"}), HasSubstr("unknown option '--delete'"));
  EXPECT_THAT(Refusal({"plan", "--durability", "none", "/a", "/b"}), HasSubstr("unknown option"));
}

TEST(OptionsTest, UnknownOptionIsAnsweredWithTheNearestOne) {
  EXPECT_THAT(Refusal({"sync", "--delte", "/a", "/b"}), HasSubstr("did you mean '--delete'?"));
  EXPECT_THAT(Refusal({"sync", "--checksums=1", "/a", "/b"}), HasSubstr("did you mean '--checksum'?"));
  EXPECT_THAT(Refusal({"sync", "--no-hardlinks", "/a", "/b"}), HasSubstr("did you mean '--no-hard-links'?"));
  EXPECT_THAT(Refusal({"sync", "--dry", "/a"}), HasSubstr("did you mean '--dry-run'?"));
  EXPECT_THAT(Refusal({"verify", "-c", "/a", "/b"}), testing::Not(HasSubstr("did you mean")));
  const std::string far = Refusal({"sync", "--frobnicate-everything", "/a", "/b"});
  EXPECT_THAT(far, HasSubstr("unknown option"));
  EXPECT_THAT(far, testing::Not(HasSubstr("did you mean")));
  EXPECT_THAT(far, HasSubstr("uringsync sync --help"));
}

TEST(OptionsTest, OptionBeforeItsCommandIsToldWhereItBelongs) {
  const std::string early = Refusal({"-q", "sync", "/a", "/b"});
  EXPECT_THAT(early, HasSubstr("option '-q' must come after the command: 'uringsync sync -q ...'"));
  EXPECT_THAT(early, testing::Not(HasSubstr("did you mean")));
}

TEST(OptionsTest, UnknownCommandIsAnsweredWithTheNearestOne) {
  EXPECT_THAT(Refusal({"snyc", "/a", "/b"}), HasSubstr("unknown command 'snyc'; did you mean 'sync'?"));
  EXPECT_THAT(Refusal({"certs", "inti", "d"}), HasSubstr("did you mean 'init'?"));
}

TEST(OptionsTest, MissingAndSurplusArgumentsAreTold) {
  EXPECT_THAT(Refusal({}), HasSubstr("a command is missing"));
  EXPECT_THAT(Refusal({"certs"}), HasSubstr("init"));
  EXPECT_THAT(Refusal({"sync", "/a"}), HasSubstr("DST"));
  EXPECT_THAT(Refusal({"sync", "/a", "/b", "/c"}), HasSubstr("unexpected argument '/c'"));
  EXPECT_THAT(Refusal({"sync", "host::a", "/b"}), HasSubstr("agent://HOST/"));
}

TEST(OptionsTest, PathsThatLookLikeOptionsGoBehindTwoDashes) {
  const RunOptions run = RunOf({"sync", "-v", "--", "-a", "--b"});
  EXPECT_EQ(run.source.local().path, "-a");
  EXPECT_EQ(run.destination.local().path, "--b");
}

TEST(OptionsTest, CertificatesComeFromTheEnvironmentUnlessGiven) {
  ::setenv("URINGSYNC_CERT", "/e/c", 1);
  ::setenv("URINGSYNC_KEY", "/e/k", 1);
  ::setenv("URINGSYNC_CA", "/e/a", 1);
  const RunOptions run = RunOf({"sync", "--key", "/o/k", "/a", "agent://h/r"});
  ::unsetenv("URINGSYNC_CERT");
  ::unsetenv("URINGSYNC_KEY");
  ::unsetenv("URINGSYNC_CA");
  EXPECT_EQ(run.tls.cert, "/e/c");
  EXPECT_EQ(run.tls.key, "/o/k");
  EXPECT_EQ(run.tls.ca, "/e/a");
}

TEST(OptionsTest, CertsInitTakesHostsAndDays) {
  absl::StatusOr<CommandLine> line =
      Parse({"certs", "init", "dir", "--host", "a,10.0.0.1", "--host=b", "--days", "30"});
  ASSERT_OK(line);
  const CertsOptions& certs = std::get<CertsOptions>(*line);
  EXPECT_EQ(certs.directory, "dir");
  EXPECT_THAT(certs.hosts, ElementsAre("a,10.0.0.1", "b"));
  EXPECT_EQ(certs.days, 30);
  EXPECT_FALSE(certs.force);
  Refusal({"certs", "init", "dir"});
  Refusal({"certs", "init", "dir", "--host", "a", "--days", "0"});
}

TEST(OptionsTest, DoctorTakesPaths) {
  absl::StatusOr<CommandLine> line = Parse({"doctor", "/a", "/b", "--json"});
  ASSERT_OK(line);
  EXPECT_THAT(std::get<DoctorOptions>(*line).paths, ElementsAre("/a", "/b"));
  EXPECT_TRUE(std::get<DoctorOptions>(*line).json);
}

TEST(OptionsTest, HelpAndVersionAreTexts) {
  EXPECT_THAT(Answer({"--version"}), HasSubstr("uringsync "));
  EXPECT_THAT(Answer({"--help"}), HasSubstr("sync"));
  const std::string help = Answer({"sync", "--help"});
  EXPECT_THAT(help, HasSubstr("uringsync sync"));
  EXPECT_THAT(help, HasSubstr("already the default"));
  EXPECT_THAT(help, HasSubstr("Exit codes"));
  EXPECT_THAT(Answer({"certs", "init", "--help"}), HasSubstr("uringsync certs init"));
}

}  // namespace
}  // namespace uringsync

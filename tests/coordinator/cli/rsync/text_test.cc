#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <string>

#include "coordinator/cli/rsync/info_levels.h"
#include "coordinator/cli/rsync/item.h"
#include "coordinator/cli/rsync/messages.h"
#include "coordinator/cli/rsync/numbers.h"
#include "coordinator/cli/rsync/out_format.h"
#include "coordinator/cli/rsync/stop_time.h"
#include "coordinator/cli/rsync/totals.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Differences Of(std::initializer_list<Attribute> attributes) {
  Differences differences;
  for (const Attribute attribute : attributes) differences.Add(attribute);
  return differences;
}

Action Make(ActionKind kind, FileType type) {
  Action action;
  action.kind = kind;
  action.wanted.type = type;
  return action;
}

TEST(ItemTest, LettersAreRsyncs) {
  const ItemRules all{.selection = MetadataSelection()};
  MetadataSelection nothing;
  nothing.mtime = nothing.xattrs = nothing.acls = false;
  const ItemRules bare{.selection = nothing};
  const Action put = Make(ActionKind::kPutFile, FileType::kRegular);
  EXPECT_EQ(ItemCode(put, Of({Attribute::kExistence}), all), ">f+++++++++");
  EXPECT_EQ(ItemCode(put, Of({Attribute::kSize, Attribute::kMtime}), all), ">f.st......");
  EXPECT_EQ(ItemCode(put, Of({Attribute::kSize, Attribute::kMtime}), bare), ">f.sT......");
  EXPECT_EQ(ItemCode(put, Of({Attribute::kContent}), all), ">fc........");
  EXPECT_EQ(ItemCode(put, Of({}), all), ">f.........");
  EXPECT_EQ(ItemCode(put, Of({Attribute::kSize}), ItemRules{.selection = {}, .sends = true}), "<f.s.......");
  EXPECT_EQ(ItemCode(Make(ActionKind::kMakeDirectory, FileType::kDirectory), Of({Attribute::kExistence}), all),
            "cd+++++++++");
  EXPECT_EQ(
      ItemCode(Make(ActionKind::kPutSymlink, FileType::kSymlink), Of({Attribute::kTarget, Attribute::kMtime}), all),
      "cLc.t......");
  EXPECT_EQ(ItemCode(Make(ActionKind::kPutSpecial, FileType::kFifo), Of({Attribute::kExistence}), all), "cS+++++++++");
  EXPECT_EQ(ItemCode(Make(ActionKind::kSetMetadata, FileType::kDirectory), Of({Attribute::kMtime}), all),
            ".d..t......");
  EXPECT_EQ(
      ItemCode(Make(ActionKind::kSetMetadata, FileType::kRegular),
               Of({Attribute::kMode, Attribute::kOwner, Attribute::kGroup, Attribute::kAtime, Attribute::kXattrs}),
               all),
      ".f...pogu.x");
  EXPECT_EQ(ItemCode(Make(ActionKind::kLink, FileType::kRegular), Of({Attribute::kHardLink}), all), "hf         ");
  EXPECT_EQ(ItemCode(Make(ActionKind::kLink, FileType::kRegular), Of({Attribute::kHardLink, Attribute::kMtime}), all),
            "hf..t......");
  EXPECT_EQ(ItemCode(Make(ActionKind::kDelete, FileType::kRegular), Of({Attribute::kExtraneous}), all), "*deleting  ");
}

TEST(ItemTest, OfFilesThatRanAsSomebodyTheModeIsToldWhereTheOwnerIsSet) {
  const ItemRules rules{.selection = MetadataSelection()};
  Action action = Make(ActionKind::kSetMetadata, FileType::kRegular);
  action.wanted.mode = 04755;
  action.existing.emplace();
  action.existing->mode = 0755;
  EXPECT_EQ(ToldDifferences(action, Of({Attribute::kOwner}), rules), Of({Attribute::kOwner}));
  action.existing->mode = 04755;
  EXPECT_EQ(ToldDifferences(action, Of({Attribute::kOwner}), rules), Of({Attribute::kMode}));
  EXPECT_EQ(ToldDifferences(action, Of({Attribute::kMtime}), rules), Of({Attribute::kMtime}));
  EXPECT_EQ(ToldDifferences(action, Of({Attribute::kOwner}), {.selection = rules.selection, .planned = true}),
            Of({Attribute::kOwner}));
  MetadataSelection modeless;
  modeless.mode = false;
  EXPECT_TRUE(ToldDifferences(action, Of({Attribute::kGroup}), {.selection = modeless}).empty());
}

TEST(ItemTest, NamesAreEscapedAsRsyncDoes) {
  EXPECT_EQ(PrintableText("a\tb c", {}), "a\tb c");
  EXPECT_EQ(PrintableText("n\n\xff", {}), "n\\#012\\#377");
  EXPECT_EQ(PrintableText("\x7f\x80", {}), "\x7f\\#200");
  EXPECT_EQ(PrintableText("n\n\xff\x7f", {.eight_bit = true}), "n\\#012\xff\x7f");
  EXPECT_EQ(PrintableText("\xc3\xa4\xc3", {.utf8 = true}), "\xc3\xa4\\#303");
  EXPECT_EQ(PrintableText("\xc3\xa4", {}), "\\#303\\#244");
  EXPECT_EQ(PrintableText("\\#012x \\#01", {}), "\\#134#012x \\#01");
}

TEST(NumbersTest, LevelsAreRsyncs) {
  EXPECT_EQ(HumanNumber(1234567, 0), "1234567");
  EXPECT_EQ(HumanNumber(1234567, 1), "1,234,567");
  EXPECT_EQ(HumanNumber(999, 1), "999");
  EXPECT_EQ(HumanNumber(1234567, 2), "1.23M");
  EXPECT_EQ(HumanNumber(4096, 2), "4.10K");
  EXPECT_EQ(HumanNumber(4096, 3), "4.00K");
  EXPECT_EQ(HumanNumber(999, 2), "999");
  EXPECT_EQ(HumanDecimal(1066, 1, 2), "1,066.00");
  EXPECT_EQ(HumanDecimal(1066, 0, 2), "1066.00");
  EXPECT_EQ(HumanDecimal(1066, 2, 2), "1.07K");
  EXPECT_EQ(PermissionText(04755), "rwsr-xr-x");
  EXPECT_EQ(PermissionText(01666), "rw-rw-rwT");
  EXPECT_EQ(PermissionText(02640), "rw-r-S---");
}

TEST(OutFormatTest, EscapesAreFilledIn) {
  ItemFacts facts;
  facts.code = ">f+++++++++";
  facts.name = "dir/a";
  facts.long_name = "src/dir/a";
  facts.arrow = " -> t";
  facts.operation = "send";
  facts.size = 1234567;
  facts.moved = 7;
  facts.mode = 0644;
  facts.pid = 42;
  const auto fill = [&facts](const char* text) {
    const absl::StatusOr<OutFormat> format = OutFormat::Parse(text);
    EXPECT_OK(format);
    return format.ok() ? format->Fill(facts) : "";
  };
  EXPECT_EQ(fill("%i %n%L"), ">f+++++++++ dir/a -> t");
  EXPECT_EQ(fill("[%f] %o %p %B"), "[src/dir/a] send 42 rw-r--r--");
  EXPECT_EQ(fill("%l %'l %''l %b"), "1234567 1,234,567 1.23M 7");
  EXPECT_EQ(fill("%-8n|%8b|%08b|"), "dir/a   |       7|00000007|");
  EXPECT_EQ(fill("100%% %h %a %u %q %m %"), "100% %h %a %u %q  %") << "what only a daemon knows stays as it is";
  EXPECT_FALSE(OutFormat::Parse("%c").ok());
  EXPECT_TRUE(OutFormat::Parse("%i")->itemizes());
  EXPECT_TRUE(OutFormat::Parse("%o")->tells_operation());
  EXPECT_FALSE(OutFormat::Parse("%o %n")->itemizes());
}

TEST(TotalsTest, TablesHaveRsyncsLabels) {
  RsyncTotals totals;
  for (const FileType type :
       {FileType::kRegular, FileType::kRegular, FileType::kDirectory, FileType::kSymlink, FileType::kFifo}) {
    totals.source.Add(type);
  }
  totals.total_bytes = 1500;
  totals.sent_bytes = 1000;
  totals.received_bytes = 66;
  EXPECT_THAT(
      StatsLines(totals, 1),
      testing::IsSupersetOf({"Number of files: 5 (reg: 2, dir: 1, link: 1, special: 1)", "Number of created files: 0",
                             "Total file size: 1,500 bytes", "Total bytes sent: 1,000", "File list size: 0"}));
  EXPECT_THAT(ClosingLines(totals, 1), ElementsAre("sent 1,000 bytes  received 66 bytes  2,132.00 bytes/sec",
                                                   "total size is 1,500  speedup is 1.41"));
  totals.dry_run = true;
  EXPECT_THAT(ClosingLines(totals, 2)[1], "total size is 1.50K  speedup is 1.41 (DRY RUN)");
}

TEST(InfoLevelsTest, FlagsAreReadInOrder) {
  InfoLevels levels = InfoLevels::OfVerbosity(1);
  EXPECT_EQ(levels.of(Info::kName), 1);
  EXPECT_OK(levels.Apply("name0,PROGRESS2,stats"));
  EXPECT_EQ(levels.of(Info::kName), 0);
  EXPECT_EQ(levels.of(Info::kProgress), 2);
  EXPECT_OK(levels.Apply("none,del9"));
  EXPECT_EQ(levels.of(Info::kDelete), 1);
  EXPECT_EQ(levels.of(Info::kProgress), 0);
  EXPECT_THAT(std::string(levels.Apply("foo").message()), HasSubstr("unknown --info item: \"foo\""));
  EXPECT_OK(levels.Apply("name2,backup,remove"));
  EXPECT_EQ(levels.of(Info::kName), 2);
  EXPECT_EQ(InfoLevels::OfVerbosity(2).of(Info::kBackup), 1);
  EXPECT_EQ(InfoLevels::OfVerbosity(1).of(Info::kRemove), 0);
  EXPECT_THAT(std::string(levels.Apply("stats3").message()), HasSubstr("nothing is told about stats3"));
}

TEST(MessagesTest, ErrorsAreRsyncs) {
  Problem problem;
  problem.side = Side::kSource;
  problem.operation = "open";
  problem.error = EACCES;
  EXPECT_EQ(ProblemText(problem, "/s/a"),
            "ursync: [sender] send_files failed to open \"/s/a\": Permission denied (13)");
  problem.kind = ProblemKind::kVanished;
  EXPECT_EQ(ProblemText(problem, "/s/a"), "file has vanished: \"/s/a\"");
  Problem moving;
  moving.kind = ProblemKind::kUnstable;
  moving.side = Side::kSource;
  EXPECT_EQ(ProblemText(moving, "/s/log"), "ursync: \"/s/log\" kept changing while it was read; copied as it was");
  moving.kind = ProblemKind::kChanged;
  moving.operation = "read";
  EXPECT_EQ(ProblemText(moving, "/s/log"),
            "ursync: [sender] read \"/s/log\" failed: the file kept changing; it was not copied");
  moving.operation = "remove";
  EXPECT_EQ(
      ProblemText(moving, "/s/log"),
      "ursync: [sender] remove \"/s/log\" failed: it was written to while or after it was copied; it stays, and the "
      "next run copies it again");
  Problem made;
  made.operation = "mkdir";
  made.error = ENOSPC;
  EXPECT_EQ(ProblemText(made, "/d/a"), "ursync: [Receiver] mkdir \"/d/a\" failed: No space left on device (28)");
  EXPECT_EQ(ExitLine("ursync", 23),
            "ursync error: some files/attrs were not transferred (see previous errors) (code 23)");
  EXPECT_EQ(ExitLine("ursync", 24), "ursync warning: some files vanished before they could be transferred (code 24)");
  EXPECT_EQ(ExitLine("ursync", 0), "");
  EXPECT_EQ(ExitLine("ursync", 25), "ursync error: the --max-delete limit stopped deletions (code 25)");
  EXPECT_EQ(ExitLine("ursync", 25, "no disk"), "ursync error: no disk (code 25)");
}

TEST(MessagesTest, AListIsMadeHereOrReceivedAndCountedWhereThatIsKnown) {
  const auto line = [](const std::string& text, bool here, bool counts, std::optional<uint64_t> count = std::nullopt) {
    const ListLine line = ListLineOf(text, here, counts, count);
    return line.told + "|" + line.logged;
  };
  EXPECT_EQ(line("sending incremental file list", true, false), "sending incremental file list|");
  EXPECT_EQ(line("sending incremental file list", false, true), "receiving incremental file list|");
  EXPECT_EQ(line("building file list ... done", true, false), "building file list ... done|done");
  EXPECT_EQ(line("building file list ... done", true, true), "building file list ... |");
  EXPECT_EQ(line("building file list ... done", false, true, 0),
            "receiving file list ... 0 files to consider|0 files to consider");
}

class StopTimeTest : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
  // 2024-05-15 10:30:00
  static constexpr std::time_t kNow = 1715769000;
  static std::string At(const char* text) {
    const absl::StatusOr<std::time_t> when = ParseStopTime(text, kNow);
    return when.ok() ? HumanTime(*when, ' ') : "refused";
  }
};

TEST_F(StopTimeTest, TheNextTimeThatFitsIsMeant) {
  EXPECT_EQ(At("2030-12-31T23:59"), "2030/12/31 23:59:00");
  EXPECT_EQ(At("30/12/31T23:59"), "2030/12/31 23:59:00");
  EXPECT_EQ(At("1-30"), "2025/01/30 00:00:00");
  EXPECT_EQ(At("14:00"), "2024/05/15 14:00:00");
  EXPECT_EQ(At("9:00"), "2024/05/16 09:00:00");
  EXPECT_EQ(At("1"), "2024/06/01 00:00:00");
  EXPECT_EQ(At("31"), "2024/05/31 00:00:00");
  EXPECT_EQ(At(":59"), "2024/05/15 10:59:00");
  EXPECT_EQ(At(":10"), "2024/05/15 11:10:00");
  EXPECT_EQ(At("16T8:00"), "2024/05/16 08:00:00");
  EXPECT_EQ(At("2-29"), "2028/02/29 00:00:00");
  for (const char* bad :
       {"", "x", "2020-01-01", "13-40", "25:00", "10:60", "1-2-3-4", "T", "-", ":", "2-30", "1:2:3"}) {
    EXPECT_EQ(At(bad), "refused") << bad;
  }
}

}  // namespace
}  // namespace uringsync

// Suggestions, units, progress and console: what turns numbers and names into text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "coordinator/cli/console.h"
#include "coordinator/cli/progress.h"
#include "coordinator/cli/rsync/suggest.h"
#include "coordinator/cli/units.h"

namespace uringsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(SuggestTest, DistanceCountsEditsAndSwaps) {
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("sync", "snyc"), 1u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("same", "same"), 0u);
}

TEST(SuggestTest, NearestWordIsNearOrNothing) {
  const std::vector<std::string> known = {"--delete", "--devices", "--dry-run"};
  EXPECT_EQ(NearestWord("--delte", known), "--delete");
  EXPECT_EQ(NearestWord("--dry", known), "--dry-run");
  EXPECT_EQ(NearestWord("--bandwidth", known), std::nullopt);
  EXPECT_EQ(NearestWord("", known), std::nullopt);
  EXPECT_EQ(NearestWord(std::string(100000, 'x'), known), std::nullopt);
}

TEST(UnitsTest, BytesHaveThreeDigits) {
  EXPECT_EQ(FormatBytes(0), "0 bytes");
  EXPECT_EQ(FormatBytes(1), "1 byte");
  EXPECT_EQ(FormatBytes(999), "999 bytes");
  EXPECT_EQ(FormatBytes(1000), "1.00 kB");
  EXPECT_EQ(FormatBytes(1234567), "1.23 MB");
  EXPECT_EQ(FormatBytes(45600000), "45.6 MB");
  EXPECT_EQ(FormatBytes(999499), "999 kB");
  EXPECT_EQ(FormatBytes(999500), "1.00 MB");
  EXPECT_EQ(FormatBytes(UINT64_MAX), "18.4 EB");
}

TEST(UnitsTest, DurationsChangeTheirForm) {
  EXPECT_EQ(FormatDuration(milliseconds(42)), "0.042 s");
  EXPECT_EQ(FormatDuration(milliseconds(12340)), "12.3 s");
  EXPECT_EQ(FormatDuration(seconds(60)), "1:00");
  EXPECT_EQ(FormatDuration(milliseconds(59960)), "1:00");
  EXPECT_EQ(FormatDuration(seconds(3723)), "1:02:03");
}

TEST(UnitsTest, CountsAgreeWithTheirNoun) {
  EXPECT_EQ(Count(1, "file"), "1 file");
  EXPECT_EQ(Count(0, "file"), "0 files");
  EXPECT_EQ(Count(1, "directory"), "1 directory");
  EXPECT_EQ(Count(2, "directory"), "2 directories");
}

TEST(UnitsTest, ColumnsAreNeverUnderestimated) {
  EXPECT_EQ(DisplayColumns("abc"), 3u);
  EXPECT_EQ(DisplayColumns("é"), 1u);
  EXPECT_EQ(DisplayColumns("日本"), 4u);
  EXPECT_EQ(DisplayColumns("…"), 1u);
}

TEST(UnitsTest, FittingCutsTheMiddleAtWholeCharacters) {
  EXPECT_EQ(FitColumns("short", 10), "short");
  EXPECT_EQ(FitColumns("abcdefghij", 7), "abc…hij");
  EXPECT_EQ(FitColumns("abcdefghij", 1), "…");
  EXPECT_EQ(FitColumns("abcdefghij", 0), "");
  for (size_t columns = 1; columns < 12; ++columns)
    EXPECT_LE(DisplayColumns(FitColumns("日本語の名前", columns)), columns);
}

ProgressState SomeProgress() {
  ProgressState state;
  state.objects_found = 5678;
  state.objects_done = 1234;
  state.bytes_planned = 3'400'000'000;
  state.bytes_done = 1'000'000'000;
  state.discovering = false;
  return state;
}

TEST(ProgressTest, LineShowsCountsRateAndTimeLeft) {
  const ProgressMeter::Clock::time_point start{};
  ProgressMeter meter(start);
  meter.Add(start + seconds(2), 1'000'000'000, 1234);
  const std::string line = FormatProgress(SomeProgress(), meter, 200);
  EXPECT_EQ(line, "1234/5678 objects  1.00 GB of 3.40 GB  500 MB/s  ETA 0:08");
}

TEST(ProgressTest, TotalsAreOpenAndTimeUnknownWhileDiscovering) {
  const ProgressMeter::Clock::time_point start{};
  ProgressMeter meter(start);
  ProgressState state = SomeProgress();
  state.discovering = true;
  const std::string line = FormatProgress(state, meter, 200);
  EXPECT_THAT(line, HasSubstr("1234/5678+ objects"));
  EXPECT_THAT(line, HasSubstr("3.40 GB+"));
  EXPECT_THAT(line, EndsWith("ETA …"));
}

TEST(ProgressTest, NoTimeIsPromisedWhileNothingMoves) {
  const ProgressMeter::Clock::time_point start{};
  ProgressMeter meter(start);
  meter.Add(start + seconds(3), 0, 0);
  EXPECT_EQ(meter.TimeLeft(SomeProgress()), std::nullopt);
}

TEST(ProgressTest, RateForgetsWhatIsOlderThanTheWindow) {
  const ProgressMeter::Clock::time_point start{};
  ProgressMeter meter(start);
  for (int i = 1; i <= 100; ++i) meter.Add(start + seconds(i), 1'000'000u * static_cast<unsigned>(i), 0);
  for (int i = 1; i <= 20; ++i) meter.Add(start + seconds(100 + i), 100'000'000, 0);
  EXPECT_EQ(meter.rate(), 0);
}

TEST(ProgressTest, LongNameIsCutAndTheLineFits) {
  const ProgressMeter::Clock::time_point start{};
  ProgressMeter meter(start);
  meter.Add(start + seconds(2), 1'000'000'000, 1234);
  ProgressState state = SomeProgress();
  state.current_file = std::string(300, 'd') + "/disk.img";
  state.current_bytes = 45;
  state.current_size = 100;
  for (size_t columns : {20u, 60u, 66u, 80u, 120u}) {
    EXPECT_LE(DisplayColumns(FormatProgress(state, meter, columns)), columns);
  }
  EXPECT_THAT(FormatProgress(state, meter, 100), EndsWith("disk.img 45%"));
  EXPECT_THAT(FormatProgress(state, meter, 62), Not(HasSubstr("45%")));
}

// A console whose streams are files that can be read back.
class ConsoleTest : public testing::Test {
 protected:
  ConsoleTest() : out_(std::tmpfile()), err_(std::tmpfile()) {}
  ~ConsoleTest() override {
    std::fclose(out_);
    std::fclose(err_);
  }
  ConsoleOptions Options(bool terminal) {
    return {.out = out_, .err = err_, .err_is_terminal = terminal, .out_is_terminal = terminal, .columns = [] {
              return 30;
            }};
  }
  static std::string Content(FILE* file) {
    std::fflush(file);
    std::rewind(file);
    std::string text;
    int c;
    while ((c = std::fgetc(file)) != EOF) text.push_back(static_cast<char>(c));
    return text;
  }
  FILE* out_;
  FILE* err_;
};

TEST_F(ConsoleTest, ProgressIsRedrawnInPlaceAndGivesWayToLines) {
  {
    Console console(Options(true));
    console.Progress("1 of 2");
    console.Progress("2 of 2");
    console.Line("done");
    console.Error("oops");
  }
  EXPECT_EQ(Content(out_), "done\n");
  EXPECT_EQ(Content(err_), "\r\x1b[K1 of 2\r\x1b[K2 of 2\r\x1b[Koops\n");
}

TEST_F(ConsoleTest, ProgressIsTakenAwayAtTheEnd) {
  {
    Console console(Options(true));
    console.Progress("half");
  }
  EXPECT_THAT(Content(err_), EndsWith("\r\x1b[K"));
}

TEST_F(ConsoleTest, ProgressNeverFillsTheLastColumn) {
  {
    Console console(Options(true));
    console.Progress(std::string(500, 'x'));
  }
  const std::string text = Content(err_);
  EXPECT_THAT(text, StartsWith("\r\x1b[K"));
  const size_t end = text.find('\r', 1);
  EXPECT_EQ(DisplayColumns(text.substr(4, end - 4)), 29u);
}

TEST_F(ConsoleTest, WithoutATerminalProgressIsPlainLines) {
  {
    Console console(Options(false));
    console.Progress("1 of 2");
    console.Line("a");
  }
  EXPECT_EQ(Content(err_), "1 of 2\n");
  EXPECT_EQ(Content(out_), "a\n");
}

TEST_F(ConsoleTest, FlushTellsThatOutputIsLost) {
  FILE* full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  ConsoleOptions options = Options(false);
  options.out = full;
  {
    Console console(options);
    console.Line("text");
    EXPECT_FALSE(console.Flush());
    EXPECT_FALSE(console.Flush());
  }
  std::fclose(full);
}

}  // namespace
}  // namespace uringsync

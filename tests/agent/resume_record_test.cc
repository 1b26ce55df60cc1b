#include "agent/resume_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/fs/state_name.h"

namespace uringsync {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr ResumeHeader kHeader{.session_tag = 7, .device = 0x801};

ResumeEntry EntryOf(const std::string& path, uint64_t serial) {
  ResumeEntry entry;
  entry.path = *RelPath::Parse(path);
  entry.temporary = StateNamer(7, serial).Next();
  entry.object = {0x801, 1000 + serial};
  entry.size_bytes = (uint64_t{5} << 30) + serial;
  entry.mtime = {-12345, 999999999};
  return entry;
}

std::string JournalOf(const std::vector<ResumeEntry>& entries) {
  std::string text = kHeader.Text();
  for (const ResumeEntry& entry : entries) text += ResumeRecordText(kHeader, entry);
  return text;
}

TEST(ResumeRecordTest, WhatIsWrittenIsRead) {
  const ResumeEntry first = EntryOf("a/b\nc/\xff", 1);
  ResumeEntry second = EntryOf("d", 2);
  second.whole = true;
  const std::optional<ResumeContents> read = DecodeResumeJournal(JournalOf({first, second}));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->header.session_tag, 7u);
  EXPECT_EQ(read->header.device, 0x801u);
  EXPECT_THAT(read->entries, ElementsAre(first, second));
}

TEST(ResumeRecordTest, ALaterRecordOfATemporaryTakesThePlaceOfAnEarlierOne) {
  const ResumeEntry first = EntryOf("a", 1);
  const ResumeEntry second = EntryOf("b", 2);
  ResumeEntry whole = first;
  whole.whole = true;
  const std::optional<ResumeContents> read = DecodeResumeJournal(JournalOf({first, second, whole}));
  ASSERT_TRUE(read.has_value());
  EXPECT_THAT(read->entries, ElementsAre(whole, second));
}

TEST(ResumeRecordTest, OfAJournalThatIsCutOffAnywhereWhatStandsBeforeCounts) {
  const std::vector<ResumeEntry> entries = {EntryOf("a", 1), EntryOf("b/c", 2), EntryOf("d", 3)};
  const std::string text = JournalOf(entries);
  for (size_t length = 0; length < text.size(); ++length) {
    const std::optional<ResumeContents> read = DecodeResumeJournal(text.substr(0, length));
    ASSERT_EQ(read.has_value(), length >= kHeader.Text().size()) << length;
    if (!read) continue;
    size_t whole = 0;
    while (JournalOf({entries.begin(), entries.begin() + static_cast<ptrdiff_t>(whole) + 1}).size() <= length) ++whole;
    EXPECT_EQ(read->entries.size(), whole) << length;
  }
}

TEST(ResumeRecordTest, EveryDamagedByteEndsTheRecordsBeforeIt) {
  const std::string text = JournalOf({EntryOf("a", 1), EntryOf("b", 2)});
  const size_t second = JournalOf({EntryOf("a", 1)}).size();
  for (size_t at = 0; at < text.size(); ++at) {
    std::string damaged = text;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    const std::optional<ResumeContents> read = DecodeResumeJournal(damaged);
    if (at < kHeader.Text().size()) {
      EXPECT_FALSE(read.has_value()) << at;
    } else {
      ASSERT_TRUE(read.has_value()) << at;
      EXPECT_EQ(read->entries.size(), at < second ? 0u : 1u) << at;
    }
  }
}

TEST(ResumeRecordTest, RecordsOfAnotherJournalDoNotCount) {
  const ResumeHeader other{.session_tag = 8, .device = 0x801};
  const std::optional<ResumeContents> read =
      DecodeResumeJournal(kHeader.Text() + ResumeRecordText(other, EntryOf("a", 1)));
  ASSERT_TRUE(read.has_value());
  EXPECT_THAT(read->entries, IsEmpty());
}

TEST(ResumeRecordTest, AnotherVersionAndForeignBytesAreNoJournal) {
  std::string text = JournalOf({EntryOf("a", 1)});
  EXPECT_FALSE(DecodeResumeJournal("").has_value());
  EXPECT_FALSE(DecodeResumeJournal(std::string(4096, '\0')).has_value());
  text[8] = 2;
  EXPECT_FALSE(DecodeResumeJournal(text).has_value());
}

TEST(ResumeRecordTest, ARecordMustNameATemporaryAndAPathBelowTheRoot) {
  const auto accepted = [](const ResumeEntry& entry) {
    return !DecodeResumeJournal(JournalOf({entry}))->entries.empty();
  };
  ResumeEntry entry = EntryOf("a", 1);
  EXPECT_TRUE(accepted(entry));
  entry.temporary = "passwd";
  EXPECT_FALSE(accepted(entry));
  entry.temporary = JournalName(1);
  EXPECT_FALSE(accepted(entry));
  entry = EntryOf("a", 1);
  entry.path = RelPath();
  EXPECT_FALSE(accepted(entry));
  entry = EntryOf("a", 1);
  entry.mtime.nanoseconds = 1000000000;
  EXPECT_FALSE(accepted(entry));
}

TEST(ResumeRecordTest, AJournalBeyondItsBoundIsReadUpToIt) {
  std::vector<ResumeEntry> entries;
  const std::string path(4000, 'x');
  std::string text = kHeader.Text();
  size_t within = 0;
  for (uint64_t serial = 1; text.size() <= kMaxResumeJournalBytes; ++serial) {
    std::string deep;
    for (size_t at = 0; at < path.size(); at += 200) deep += (deep.empty() ? "" : "/") + path.substr(at, 199);
    text += ResumeRecordText(kHeader, EntryOf(deep, serial));
    within += text.size() <= kMaxResumeJournalBytes ? 1 : 0;
  }
  EXPECT_EQ(DecodeResumeJournal(text)->entries.size(), within);
}

}  // namespace
}  // namespace uringsync

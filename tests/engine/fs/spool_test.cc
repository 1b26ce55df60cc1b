#include "engine/fs/spool.h"

#include <algorithm>
#include <random>

#include "engine/fs/external_sorter.h"
#include "tests/engine/fs/fs_test_support.h"

namespace uringsync {
namespace {

std::vector<std::string> Drain(Spool::Reader reader) {
  std::vector<std::string> records;
  std::string record;
  while (true) {
    const absl::StatusOr<bool> more = reader.Next(&record);
    EXPECT_OK(more);
    if (!more.ok() || !*more) return records;
    records.push_back(record);
  }
}

// Records of 0 to 300 bytes, any byte, one larger than every buffer among them.
std::vector<std::string> RandomRecords(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::string> records;
  for (size_t i = 0; i < count; ++i) {
    std::string record(random() % 300, '\0');
    for (char& c : record) c = static_cast<char>(random());
    records.push_back(record);
  }
  records.push_back(std::string(200'000, 'L'));
  return records;
}

class SpoolTest : public testing::Test {
 protected:
  TempDir dir_;
  std::unique_ptr<Driver> driver_ = MakeTestDriver();
};

TEST_F(SpoolTest, RecordsComeForwardsAndBackwardsFromMemory) {
  Spool spool(driver_.get(), {});
  EXPECT_TRUE(Drain(spool.Forward()).empty());
  EXPECT_TRUE(Drain(spool.Backward()).empty());
  for (const char* record : {"one", "", "three"}) ASSERT_OK(spool.Append(record));
  EXPECT_EQ(Drain(spool.Forward()), (std::vector<std::string>{"one", "", "three"}));
  EXPECT_EQ(Drain(spool.Backward()), (std::vector<std::string>{"three", "", "one"}));
  EXPECT_EQ(spool.spilled_bytes(), 0u);
}

TEST_F(SpoolTest, RecordsComeForwardsAndBackwardsFromDisk) {
  const std::vector<std::string> records = RandomRecords(3000, 1);
  Spool spool(driver_.get(), {.memory_bytes = 1000, .directory = dir_.path()});
  for (const std::string& record : records) ASSERT_OK(spool.Append(record));
  EXPECT_GT(spool.spilled_bytes(), 100'000u);
  EXPECT_EQ(Drain(spool.Forward()), records);
  std::vector<std::string> reversed(records.rbegin(), records.rend());
  EXPECT_EQ(Drain(spool.Backward()), reversed);
  DirectoryReader reader(driver_.get(), MustOpenRoot(driver_.get(), dir_.path())->fd());
}

TEST_F(SpoolTest, AReaderSeesWhatWasThereWhenItWasMade) {
  Spool spool(driver_.get(), {.memory_bytes = 64, .directory = dir_.path()});
  ASSERT_OK(spool.Append("a"));
  Spool::Reader early = spool.Forward();
  for (int i = 0; i < 100; ++i) ASSERT_OK(spool.Append("later"));
  EXPECT_EQ(Drain(early), (std::vector<std::string>{"a"}));
}

TEST_F(SpoolTest, TheFileHasNoName) {
  Spool spool(driver_.get(), {.memory_bytes = 16, .directory = dir_.path()});
  for (int i = 0; i < 10; ++i) ASSERT_OK(spool.Append("0123456789"));
  const DirectoryPtr place = MustOpenRoot(driver_.get(), dir_.path());
  DirectoryReader reader(driver_.get(), place->fd());
  DirectoryItem item;
  EXPECT_EQ(reader.Next(&item), 0);
}

TEST_F(SpoolTest, AMissingDirectoryIsNamedInTheError) {
  Spool spool(driver_.get(), {.memory_bytes = 16, .directory = dir_ / "missing"});
  absl::Status status;
  for (int i = 0; i < 10 && status.ok(); ++i) status = spool.Append("0123456789");
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound, testing::HasSubstr("TMPDIR")));
}

class ExternalSorterTest : public SpoolTest {
 protected:
  static bool Less(std::string_view a, std::string_view b) { return a < b; }
  std::vector<std::string> Sorted(const std::vector<std::string>& records, size_t memory_bytes, bool* spilled) {
    ExternalSorter sorter(driver_.get(), Less, {.memory_bytes = memory_bytes, .directory = dir_.path()});
    for (const std::string& record : records) EXPECT_OK(sorter.Add(record));
    EXPECT_OK(sorter.Finish());
    *spilled = sorter.spilled();
    std::vector<std::string> out;
    std::string record;
    while (true) {
      const absl::StatusOr<bool> more = sorter.Next(&record);
      EXPECT_OK(more);
      if (!more.ok() || !*more) return out;
      out.push_back(record);
    }
  }
};

TEST_F(ExternalSorterTest, SortsInMemoryAndOnDiskAlike) {
  std::vector<std::string> records = RandomRecords(5000, 2);
  std::vector<std::string> expected = records;
  std::sort(expected.begin(), expected.end());
  bool spilled = false;
  EXPECT_EQ(Sorted(records, size_t{64} << 20, &spilled), expected);
  EXPECT_FALSE(spilled);
  EXPECT_EQ(Sorted(records, 50'000, &spilled), expected);
  EXPECT_TRUE(spilled);
  // 5000 records in runs of a few: many more runs than are merged at once, so several passes.
  EXPECT_EQ(Sorted(records, 600, &spilled), expected);
}

TEST_F(ExternalSorterTest, EqualRecordsKeepTheirOrder) {
  const auto by_first = [](std::string_view a, std::string_view b) { return a[0] < b[0]; };
  for (const size_t memory : {size_t{1} << 20, size_t{100}}) {
    ExternalSorter sorter(driver_.get(), by_first, {.memory_bytes = memory, .directory = dir_.path()});
    for (int i = 0; i < 1000; ++i)
      ASSERT_OK(sorter.Add(std::string(1, static_cast<char>('a' + i % 3)) + std::to_string(i)));
    ASSERT_OK(sorter.Finish());
    int previous = -1;
    char letter = 'a';
    std::string record;
    for (int i = 0; i < 1000; ++i) {
      ASSERT_TRUE(*sorter.Next(&record));
      if (record[0] != letter) letter = record[0], previous = -1;
      const int serial = std::stoi(record.substr(1));
      EXPECT_GT(serial, previous);
      previous = serial;
    }
    EXPECT_FALSE(*sorter.Next(&record));
  }
}

TEST_F(ExternalSorterTest, NothingSortsToNothing) {
  bool spilled = true;
  EXPECT_TRUE(Sorted({}, 100, &spilled).empty());
  EXPECT_FALSE(spilled);
}

}  // namespace
}  // namespace uringsync

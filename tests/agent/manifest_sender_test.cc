#include <gtest/gtest.h>

#include "agent/listing_folder.h"
#include "proto/wire_size.h"

namespace uringsync {
namespace {

DirectoryBatch BatchOfLinks(size_t count, size_t target_bytes) {
  DirectoryBatch batch;
  batch.error = 5;
  for (size_t i = 0; i < count; ++i) {
    Entry entry;
    entry.name = "link" + std::to_string(1000 + i);
    entry.type = FileType::kSymlink;
    entry.symlink_target.assign(target_bytes, 't');
    batch.entries.push_back(entry);
  }
  return batch;
}

TEST(SplitForWire, ABatchOfLongLinksTravelsInPartsBelowTheTarget) {
  const std::vector<DirectoryBatch> parts = SplitForWire(BatchOfLinks(1000, 4095));
  ASSERT_GT(parts.size(), 4u);
  size_t entries = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    size_t bytes = 0;
    for (const Entry& entry : parts[i].entries) bytes += WireBytesBound(entry);
    EXPECT_LE(bytes, kTargetBatchBytes);
    EXPECT_EQ(parts[i].last, i + 1 == parts.size());
    EXPECT_EQ(parts[i].error, 5);
    for (const Entry& entry : parts[i].entries) EXPECT_EQ(entry.name, "link" + std::to_string(1000 + entries++));
  }
  EXPECT_EQ(entries, 1000u);
}

TEST(SplitForWire, ASmallOrEmptyBatchStaysOne) {
  EXPECT_EQ(SplitForWire(BatchOfLinks(3, 10)).size(), 1u);
  const std::vector<DirectoryBatch> empty = SplitForWire(DirectoryBatch{});
  ASSERT_EQ(empty.size(), 1u);
  EXPECT_TRUE(empty[0].last);
}

}  // namespace
}  // namespace uringsync

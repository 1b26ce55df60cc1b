#include "agent/listing_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

Entry FileNamed(std::string name) {
  Entry entry;
  entry.name = std::move(name);
  entry.size_bytes = 7;
  return entry;
}

DirectoryBatch Files(size_t count, size_t from = 0, bool last = true) {
  DirectoryBatch batch;
  batch.self.type = FileType::kDirectory;
  batch.last = last;
  for (size_t i = 0; i < count; ++i) batch.entries.push_back(FileNamed("f" + std::to_string(100000 + from + i)));
  return batch;
}

FoldedListing Folded(ListingBuilder* builder, DirectoryBatch batch) {
  ListingBuilder::Output output = builder->Add(std::move(batch), true);
  EXPECT_TRUE(output.folded.has_value());
  return output.folded ? std::move(*output.folded) : FoldedListing();
}

TEST(ListingBuilderTest, DirectoriesSharedInodesErrorsAndUnsettledFilesTravelThemselves) {
  DirectoryBatch batch = Files(6);
  batch.entries[0].type = FileType::kDirectory;
  batch.entries[1].nlink = 2;
  batch.entries[2].error = 13;
  batch.entries[3].unsettled = true;
  ListingBuilder builder({});
  const FoldedListing listing = Folded(&builder, batch);
  EXPECT_EQ(listing.message.entries.size(), 4u);
  EXPECT_EQ(listing.message.folded->entries, 2u);
  EXPECT_EQ(listing.message.folded->bytes, 14u);
  EXPECT_EQ(listing.entries, 6u);
}

TEST(ListingBuilderTest, BatchesOfOneDirectoryAreFoldedTogether) {
  ListingBuilder builder({});
  ListingBuilder::Output first = builder.Add(Files(1000, 0, false), true);
  EXPECT_FALSE(first.folded);
  EXPECT_TRUE(first.plain.empty());
  const FoldedListing listing = Folded(&builder, Files(500, 1000));
  EXPECT_EQ(listing.message.folded->entries, 1500u);
  EXPECT_EQ(listing.message.folded->digest, Folded(&builder, Files(1500)).message.folded->digest);
}

TEST(ListingBuilderTest, AHugeDirectoryIsSentAsItComes) {
  ListingBuilder builder({});
  size_t plain = 0;
  for (size_t i = 0; i < 20; ++i) {
    const ListingBuilder::Output output = builder.Add(Files(1000, i * 1000, i + 1 == 20), true);
    EXPECT_FALSE(output.folded);
    plain += output.plain.size();
    if (i > kMaxFoldedEntries / 1000) EXPECT_EQ(output.plain.size(), 1u);
  }
  EXPECT_EQ(plain, 20u);
  Folded(&builder, Files(10));
}

TEST(ListingBuilderTest, AListingWithAnErrorAndASwitchedOffBuilderFoldNothing) {
  ListingBuilder builder({});
  DirectoryBatch broken = Files(10);
  broken.error = 5;
  EXPECT_EQ(builder.Add(broken, true).plain.size(), 1u);
  EXPECT_EQ(builder.Add(Files(10), false).plain.size(), 1u);
}

TEST(ListingBuilderTest, EveryAttributeAndTheSeedChangeTheDigest) {
  const Digest128 digest = Xxh128("x");
  const std::vector<std::function<void(Entry*)>> changes = {
      [](Entry* e) { e->name = "f2"; },
      [](Entry* e) { e->mode = 0600; },
      [](Entry* e) { e->uid = 1; },
      [](Entry* e) { e->gid = 1; },
      [](Entry* e) { e->size_bytes = 8; },
      [](Entry* e) { e->mtime.seconds = 1; },
      [](Entry* e) { e->mtime.nanoseconds = 1; },
      [&](Entry* e) { e->xattr_digest = digest; },
      [&](Entry* e) { e->capability_digest = digest; },
      [&](Entry* e) { e->trusted_digest = digest; },
      [](Entry* e) { e->type = FileType::kFifo; },
      [](Entry* e) { e->type = FileType::kCharDevice; },
      [](Entry* e) { e->type = FileType::kCharDevice, e->rdev_minor = 1; },
      [](Entry* e) { e->type = FileType::kSymlink, e->symlink_target = "a"; },
      [](Entry* e) { e->type = FileType::kSymlink, e->symlink_target = "b"; }};
  std::vector<Digest128> seen;
  const auto digest_of = [](uint64_t seed, const std::function<void(Entry*)>& change) {
    ListingBuilder builder({.seed = seed});
    DirectoryBatch batch = Files(2);
    change(&batch.entries[1]);
    return Folded(&builder, batch).message.folded->digest;
  };
  seen.push_back(digest_of(0, [](Entry*) {}));
  seen.push_back(digest_of(1, [](Entry*) {}));
  for (const auto& change : changes) seen.push_back(digest_of(0, change));
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end());
  EXPECT_EQ(digest_of(0, [](Entry* e) { e->id = {3, 4}, e->ctime = {5, 6}, e->allocated_bytes = 9; }),
            digest_of(0, [](Entry*) {}));
}

TEST(FoldWindowTest, WantedListingsComeBackWholeAndTheOthersAreForgotten) {
  ListingBuilder builder({});
  FoldWindow window;
  for (size_t i = 0; i < 4; ++i) window.Keep(Folded(&builder, Files(10 + i)));
  auto wanted = window.Judge({.through = 3, .expand = {2}});
  ASSERT_OK(wanted);
  ASSERT_EQ(wanted->size(), 1u);
  EXPECT_EQ(wanted->front().entries.size(), 11u);
  EXPECT_TRUE(wanted->front().expanded);
  EXPECT_FALSE(window.Judge({.through = 2}).ok());
  EXPECT_FALSE(window.Judge({.through = 5}).ok());
  EXPECT_FALSE(window.Judge({.through = 4, .expand = {3}}).ok());
  EXPECT_OK(window.Judge({.through = 4}));
}

TEST(FoldWindowTest, TheWindowIsBoundedButOneListingAlwaysFits) {
  ListingBuilder builder({});
  FoldWindow window;
  EXPECT_TRUE(window.HasRoom(FoldWindow::kMaxEntries * 2, 1));
  size_t kept = 0;
  while (window.HasRoom(1000, 150'000)) {
    window.Keep(Folded(&builder, Files(1000)));
    ++kept;
  }
  EXPECT_LE(kept, FoldWindow::kMaxEntries / 1000);
  EXPECT_GT(kept, 10u);
  EXPECT_OK(window.Judge({.through = kept}));
  EXPECT_TRUE(window.HasRoom(1000, 150'000));
}

}  // namespace
}  // namespace uringsync

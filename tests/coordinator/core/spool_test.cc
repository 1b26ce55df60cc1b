// What the planner writes to its own temporary files comes back as it was.
#include <random>

#include "coordinator/core/pending_directories.h"
#include "coordinator/core/spool_record.h"
#include "tests/coordinator/core/plan_fixture.h"

namespace uringsync {
namespace {

Entry FullEntry() {
  Entry entry = MakeEntry("name", FileType::kBlockDevice, 77);
  entry.mode = 07777;
  entry.uid = 0xffffffff;
  entry.size_bytes = ~uint64_t{0};
  entry.mtime = {-5, 999'999'999};
  entry.ctime = {INT64_MIN, 1};
  entry.atime = FileTime{INT64_MAX, 2};
  entry.nlink = 3;
  entry.rdev_major = 8;
  entry.rdev_minor = 1;
  entry.allocated_bytes = 512;
  entry.symlink_target = std::string("t\n\xff", 3);
  entry.xattr_digest = {1, 2};
  entry.capability_digest = {3, 4};
  entry.trusted_digest = {5, 6};
  entry.content_digest = Digest128{7, 8};
  entry.mapped_from = OwnerIds{1000, 0};
  entry.error = 13;
  entry.not_entered = true;
  return entry;
}

void ExpectSame(const Entry& a, const Entry& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.mode, b.mode);
  EXPECT_EQ(a.uid, b.uid);
  EXPECT_EQ(a.gid, b.gid);
  EXPECT_EQ(a.size_bytes, b.size_bytes);
  EXPECT_EQ(a.mtime, b.mtime);
  EXPECT_EQ(a.ctime, b.ctime);
  EXPECT_EQ(a.atime, b.atime);
  EXPECT_EQ(a.nlink, b.nlink);
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.rdev_major, b.rdev_major);
  EXPECT_EQ(a.rdev_minor, b.rdev_minor);
  EXPECT_EQ(a.allocated_bytes, b.allocated_bytes);
  EXPECT_EQ(a.symlink_target, b.symlink_target);
  EXPECT_EQ(a.xattr_digest, b.xattr_digest);
  EXPECT_EQ(a.capability_digest, b.capability_digest);
  EXPECT_EQ(a.trusted_digest, b.trusted_digest);
  EXPECT_EQ(a.content_digest, b.content_digest);
  EXPECT_EQ(a.mapped_from, b.mapped_from);
  EXPECT_EQ(a.error, b.error);
  EXPECT_EQ(a.not_entered, b.not_entered);
}

TEST(SpoolRecordTest, ActionsComeBackWhole) {
  Action action;
  action.id = 300;
  action.kind = ActionKind::kLink;
  action.path = PathOf("a/b");
  action.wanted = FullEntry();
  action.existing = File("x", 1);
  action.link_target = PathOf("c");
  action.xattrs_differ = true;
  RecordWriter writer;
  writer.PutAction(action);
  RecordReader reader(writer.bytes());
  const Action back = reader.GetAction();
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(back.id, action.id);
  EXPECT_EQ(back.kind, action.kind);
  EXPECT_EQ(back.path, action.path);
  ExpectSame(back.wanted, action.wanted);
  ExpectSame(*back.existing, *action.existing);
  EXPECT_EQ(back.link_target, action.link_target);
  EXPECT_TRUE(back.xattrs_differ);
}

TEST(SpoolRecordTest, EveryTruncationIsNoticed) {
  RecordWriter writer;
  writer.PutEntry(FullEntry());
  for (size_t length = 0; length < writer.bytes().size(); ++length) {
    RecordReader reader(std::string_view(writer.bytes()).substr(0, length));
    reader.GetEntry();
    EXPECT_FALSE(reader.ok()) << length;
  }
}

TEST(SpoolRecordTest, KeysSortAsNumbersDo) {
  RecordWriter small;
  small.PutKey(255);
  RecordWriter large;
  large.PutKey(256);
  EXPECT_LT(small.bytes(), large.bytes());
}

// Against a plain string, with a memory so small that most of it lies in the file.
TEST(SpillStackTest, BehavesLikeAString) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  const std::unique_ptr<Driver> driver = MakePlanDriver();
  SpillStack stack(driver.get(), "", 256);
  std::string model;
  for (int step = 0; step < 5000; ++step) {
    switch (random() % 3) {
      case 0: {
        std::string bytes(random() % 200, static_cast<char>('a' + random() % 26));
        ASSERT_TRUE(stack.Append(bytes).ok());
        model += bytes;
        break;
      }
      case 1: {
        if (model.empty()) break;
        const size_t offset = random() % model.size();
        const size_t length = 1 + random() % std::min<size_t>(model.size() - offset, 300);
        std::string out;
        ASSERT_TRUE(stack.Read(offset, length, &out).ok());
        ASSERT_EQ(out, model.substr(offset, length));
        break;
      }
      default:
        if (random() % 4 != 0) break;
        model.resize(random() % (model.size() + 1));
        stack.Truncate(model.size());
    }
    ASSERT_EQ(stack.size(), model.size());
  }
}

TEST(PendingDirectoriesTest, HundredsOfThousandsOfNamesComeBackInOrderWithSmallerLevelsBetween) {
  const std::unique_ptr<Driver> driver = MakePlanDriver();
  PendingDirectories pending(driver.get(), "");
  constexpr int kCount = 200'000;
  pending.PushLevel(1);
  PendingDirectory directory;
  for (int i = 0; i < kCount; ++i) {
    directory.name = "directory-" + std::to_string(i);
    ASSERT_TRUE(pending.Add(directory).ok());
  }
  for (int i = 0; i < kCount; ++i) {
    absl::StatusOr<std::optional<PendingDirectory>> next = pending.Next();
    ASSERT_TRUE(next.ok() && *next);
    ASSERT_EQ((*next)->name, "directory-" + std::to_string(i));
    pending.PushLevel(2);
    if (i % 7 == 0) {
      directory.name = "inner";
      directory.source_entry = FullEntry();
      ASSERT_TRUE(pending.Add(directory).ok());
      absl::StatusOr<std::optional<PendingDirectory>> inner = pending.Next();
      ASSERT_TRUE(inner.ok() && *inner);
      ASSERT_EQ((*inner)->source_entry->error, 13);
    }
    ASSERT_FALSE(pending.Next()->has_value());
    pending.PopLevel();
  }
  EXPECT_FALSE(pending.Next()->has_value());
}

}  // namespace
}  // namespace uringsync

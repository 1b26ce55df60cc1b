#include "engine/tree/scanner.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <random>

#include "tests/engine/tree/scan_test_support.h"
#include "tests/support/fault_driver.h"

namespace uringsync {
namespace {

class ScannerTest : public testing::TestWithParam<size_t> {
 protected:
  ScanResult Scan(ScanOptions options = {}) {
    if (runtime_ == nullptr) runtime_ = StartTestRuntime(GetParam());
    return RunOn(runtime_->shard(0), ScanTree(runtime_.get(), path_, std::move(options)));
  }
  void ExpectSameAsReference(const ScanOptions& options) {
    std::vector<std::string> expected;
    ReferencePaths(dir_.path(), "", &expected);
    const ScanResult scan = Scan(options);
    ASSERT_OK(scan.status);
    EXPECT_EQ(scan.Paths(), expected);
    CheckOrder(scan);
  }
  // Directories ascending; the batches of one directory together, the last one marked; self in each.
  static void CheckOrder(const ScanResult& scan) {
    for (size_t i = 1; i < scan.batches.size(); ++i) {
      const DirectoryBatch& before = scan.batches[i - 1];
      const DirectoryBatch& batch = scan.batches[i];
      if (before.last) {
        EXPECT_LT(before.directory, batch.directory);
      } else {
        EXPECT_EQ(before.directory, batch.directory);
        EXPECT_LT(before.entries.back().name, batch.entries.front().name);
      }
      EXPECT_EQ(batch.self.name, batch.directory.name());
      EXPECT_EQ(batch.self.type, FileType::kDirectory);
      EXPECT_LE(batch.entries.size(), ManifestScanner::kBatchEntries);
    }
    if (!scan.batches.empty()) EXPECT_TRUE(scan.batches.back().last);
  }

  TempDir dir_;
  std::string path_ = dir_.path();  // what is scanned
  std::unique_ptr<Runtime> runtime_;
};

// A random tree: names that sort differently by whole path and by component, several levels, wide and narrow.
void MakeRandomTree(const std::string& root, uint32_t seed, int directories) {
  std::mt19937 random(seed);
  std::vector<std::string> places = {""};
  const char* const kParts[] = {"a", "a.b", "a b", "ab", "B", "\xc3\xa4", "\xff", "z\n", "-", "0"};
  for (int i = 0; i < directories; ++i) {
    const std::string parent = places[random() % places.size()];
    const std::string name =
        std::string(kParts[random() % 10]) + (random() % 3 == 0 ? std::to_string(random() % 50) : "");
    const std::string path = parent.empty() ? name : parent + "/" + name;
    if (::mkdir((root + "/" + path).c_str(), 0755) == 0) places.push_back(path);
    if (random() % 2 == 0) WriteFile(root + "/" + path + "/file" + std::to_string(random() % 9), "x");
  }
}

TEST_P(ScannerTest, AnEmptyRootIsOneEmptyBatch) {
  const ScanResult scan = Scan();
  ASSERT_OK(scan.status);
  ASSERT_EQ(scan.batches.size(), 1u);
  EXPECT_TRUE(scan.batches[0].directory.is_root());
  EXPECT_TRUE(scan.batches[0].last);
  EXPECT_EQ(scan.batches[0].self.mode, LStat(dir_.path()).st_mode & 07777);
  EXPECT_EQ(scan.totals.directories, 1u);
}

TEST_P(ScannerTest, ComponentsDecideTheOrder) {
  for (const char* path : {"a/x", "a.b/x", "a/b/c", "ab", "a b/q"}) MakeDirectories(dir_ / path);
  const ScanResult scan = Scan();
  std::vector<std::string> directories;
  for (const DirectoryBatch& batch : scan.batches) directories.push_back(batch.directory.text());
  EXPECT_EQ(directories,
            (std::vector<std::string>{"", "a", "a/b", "a/b/c", "a/x", "a b", "a b/q", "a.b", "a.b/x", "ab"}));
}

TEST_P(ScannerTest, RandomTreesMatchTheReferenceWithEveryBound) {
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(seed);
    MakeRandomTree(dir_.path(), seed, 400);
    ExpectSameAsReference({});
    // A window of four directories: everything goes over the stack, results are dropped and found again.
    ScanOptions tiny;
    tiny.window_nodes = 4;
    tiny.read_ahead_entries = 8;
    ExpectSameAsReference(tiny);
    tiny.window_nodes = 9;
    tiny.read_ahead_entries = 4000;
    tiny.names_in_memory = 3;
    ExpectSameAsReference(tiny);
    tiny.window_nodes = 30;
    ExpectSameAsReference(tiny);
  }
}

TEST_P(ScannerTest, EveryTypeIsDescribed) {
  WriteFile(dir_ / "file", "12345", 0751);
  ASSERT_EQ(::symlink("nowhere", (dir_ / "link").c_str()), 0);
  ASSERT_EQ(::mkfifo((dir_ / "fifo").c_str(), 0600), 0);
  ASSERT_EQ(::link((dir_ / "file").c_str(), (dir_ / "hard").c_str()), 0);
  const ScanResult scan = Scan();
  ASSERT_NE(scan.Find("file"), nullptr);
  EXPECT_EQ(scan.Find("file")->size_bytes, 5u);
  EXPECT_EQ(scan.Find("file")->mode, 0751u);
  EXPECT_EQ(scan.Find("file")->nlink, 2u);
  EXPECT_EQ(scan.Find("file")->id, scan.Find("hard")->id);
  EXPECT_EQ(scan.Find("link")->symlink_target, "nowhere");
  EXPECT_EQ(scan.Find("link")->size_bytes, 7u);
  EXPECT_EQ(scan.Find("fifo")->type, FileType::kFifo);
  EXPECT_FALSE(scan.Find("file")->atime.has_value());
  ScanOptions options;
  options.selection.atime = true;
  EXPECT_TRUE(Scan(options).Find("file")->atime.has_value());
}

TEST_P(ScannerTest, AttributesAreDigestedWhenTheyAreSelected) {
  WriteFile(dir_ / "f", "");
  MakeDirectories(dir_ / "d");
  if (::setxattr((dir_ / "f").c_str(), "user.k", "v", 1, 0) != 0) GTEST_SKIP() << "no user xattrs in $TMPDIR";
  ::setxattr((dir_ / "d").c_str(), "user.k", "v", 1, 0);
  const ScanResult scan = Scan();
  EXPECT_EQ(scan.Find("f")->xattr_digest, XattrDigest({{"user.k", "v"}}));
  EXPECT_EQ(scan.Find("d")->xattr_digest, scan.Find("f")->xattr_digest);
  EXPECT_EQ(scan.Batch("d")->self.xattr_digest, scan.Find("f")->xattr_digest);
  ScanOptions none;
  none.selection.xattrs = none.selection.acls = false;
  EXPECT_TRUE(Scan(none).Find("f")->xattr_digest.is_zero());
}

TEST_P(ScannerTest, ContentIsDigestedOnRequest) {
  WriteFile(dir_ / "a", "same");
  WriteFile(dir_ / "b", "same");
  WriteFile(dir_ / "c", "other");
  WriteFile(dir_ / "empty", "");
  EXPECT_FALSE(Scan().Find("a")->content_digest.has_value());
  ScanOptions options;
  options.checksum = true;
  const ScanResult scan = Scan(options);
  ASSERT_TRUE(scan.Find("a")->content_digest.has_value());
  EXPECT_EQ(scan.Find("a")->content_digest, scan.Find("b")->content_digest);
  EXPECT_NE(scan.Find("a")->content_digest, scan.Find("c")->content_digest);
  EXPECT_TRUE(scan.Find("empty")->content_digest.has_value());
}

TEST_P(ScannerTest, OurTemporariesAreHiddenAndThoseOfDeadSessionsRemoved) {
  const std::string mine = ".~uringsync~0000000000000007.1.tmp";
  const std::string dead = ".~uringsync~00000000000000aa.12.tmp";
  for (const std::string& name : {mine, dead, std::string(".~uringsync~x.tmp")}) WriteFile(dir_ / ("d/" + name), "");
  EXPECT_EQ(Scan().Paths(), (std::vector<std::string>{"d", "d/.~uringsync~x.tmp"}));
  EXPECT_TRUE(Exists(dir_ / ("d/" + dead)));
  ScanOptions options;
  options.remove_strays_but = 7;
  const ScanResult scan = Scan(options);
  EXPECT_EQ(scan.totals.strays_removed, 1u);
  EXPECT_TRUE(Exists(dir_ / ("d/" + mine)));
  EXPECT_FALSE(Exists(dir_ / ("d/" + dead)));
}

TEST_P(ScannerTest, WhatASourceLeavesOutForItsNameIsCountedAndWhatIsSomebodyElsesIsTold) {
  const std::string temporary = ".~uringsync~00000000000000aa.";
  for (const char* place : {"d/", "d/b/"}) {
    WriteFile(dir_ / (place + temporary + "12.tmp"), "x");
    WriteFile(dir_ / (place + temporary + "3.tmp"), "x");
    WriteFile(dir_ / (place + temporary + "4.tmp/precious"), "x");
    MakeDirectories(dir_ / (place + temporary + "5.tmp"));
    // An object that a dead process has displaced: neither its own nor the one that it meant.
    WriteFile(dir_ / (place + temporary + "6.x00000000000000010000000000000002.tmp"), "x");
  }
  EXPECT_EQ(Scan().totals.temporaries, 0u);
  ScanOptions options;
  options.tell_temporaries = true;
  const ScanResult scan = Scan(options);
  EXPECT_EQ(scan.totals.temporaries, 6u);
  EXPECT_EQ(scan.totals.first_temporary.text(), "d/" + temporary + "12.tmp");
  EXPECT_EQ(scan.totals.strays_removed, 0u);
  EXPECT_EQ(scan.totals.errors, 4u);
  for (const char* place : {"d/", "d/b/"}) {
    for (const char* rest : {"4.tmp", "6.x00000000000000010000000000000002.tmp"}) {
      ASSERT_NE(scan.Find(place + temporary + rest), nullptr) << place << rest;
      EXPECT_EQ(scan.Find(place + temporary + rest)->error, EUCLEAN);
    }
    EXPECT_TRUE(Exists(dir_ / (place + temporary + "4.tmp/precious")));
    EXPECT_TRUE(Exists(dir_ / (place + temporary + "5.tmp")));
  }
}

TEST_P(ScannerTest, EmptyStraysGoAndADirectoryKeepsTheTimeThatItIsListedWith) {
  WriteFile(dir_ / "d/.~uringsync~00000000000000aa.12.tmp", "");
  MakeDirectories(dir_ / "d/.~tmp~");
  WriteFile(dir_ / "e/.~tmp~/part", "");
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, {.tv_sec = 1500000000, .tv_nsec = 7}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir_ / "d").c_str(), times, 0), 0);
  ScanOptions options;
  options.remove_strays_but = 7;
  options.empty_stray = ".~tmp~";
  EXPECT_EQ(Scan(options).totals.strays_removed, 2u);
  EXPECT_FALSE(Exists(dir_ / "d/.~tmp~"));
  EXPECT_TRUE(Exists(dir_ / "e/.~tmp~/part"));
  struct stat found{};
  ASSERT_EQ(::stat((dir_ / "d").c_str(), &found), 0);
  EXPECT_EQ(found.st_mtim.tv_sec, 1500000000);
  EXPECT_EQ(found.st_mtim.tv_nsec, 7);
}

TEST_P(ScannerTest, LostAndFoundIsHiddenAtAMountRootOnly) {
  SKIP_UNLESS_ROOT();
  MakeDirectories(dir_ / "plain/lost+found");
  MakeDirectories(dir_ / "mnt");
  if (::mount("none", (dir_ / "mnt").c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "mounting is not allowed here";
  MakeDirectories(dir_ / "mnt/lost+found/inner");
  MakeDirectories(dir_ / "mnt/sub/lost+found");
  const ScanResult scan = Scan();
  EXPECT_NE(scan.Find("plain/lost+found"), nullptr);
  EXPECT_EQ(scan.Find("mnt/lost+found"), nullptr);
  EXPECT_NE(scan.Find("mnt/sub/lost+found"), nullptr);
  // The root of the scan being the mount root.
  const ScanResult inner = RunOn(runtime_->shard(0), ScanTree(runtime_.get(), dir_ / "mnt", {}));
  EXPECT_EQ(inner.Find("lost+found"), nullptr);
  // A file of that name is an ordinary file.
  RemoveTree(MustOpenRoot(MakeTestDriver().get(), dir_ / "mnt")->fd(), "lost+found");
  WriteFile(dir_ / "mnt/lost+found", "");
  EXPECT_NE(Scan().Find("mnt/lost+found"), nullptr);
  // --one-file-system: the mount point shows and is not entered.
  ScanOptions options;
  options.one_file_system = true;
  const ScanResult one = Scan(options);
  ASSERT_NE(one.Find("mnt"), nullptr);
  EXPECT_TRUE(one.Find("mnt")->not_entered);
  EXPECT_EQ(one.Batch("mnt"), nullptr);
  EXPECT_EQ(one.Find("mnt/sub"), nullptr);
  EXPECT_FALSE(one.Find("plain")->not_entered);
  ::umount((dir_ / "mnt").c_str());
}

TEST_P(ScannerTest, AnUnreadableDirectoryIsReportedAndTheRestGoesOn) {
  SKIP_UNLESS_ROOT();
  ::chmod(dir_.path().c_str(), 0755);
  MakeDirectories(dir_ / "shut/inner");
  MakeDirectories(dir_ / "open/inner");
  for (const char* path : {"open", "open/inner"}) ::chmod((dir_ / path).c_str(), 0755);
  ::chmod((dir_ / "shut").c_str(), 0700);
  const std::string path = dir_.path();
  EXPECT_TRUE(AsNobody([&] {
    const std::unique_ptr<Runtime> runtime = StartTestRuntime(GetParam(), IoBackend::kThreads);
    const ScanResult scan = RunOn(runtime->shard(0), ScanTree(runtime.get(), path, {}));
    const DirectoryBatch* shut = scan.Batch("shut");
    return scan.status.ok() && shut != nullptr && shut->error == EACCES && shut->last && shut->entries.empty() &&
           shut->self.mode == 0700 && scan.Batch("open/inner") != nullptr && scan.totals.errors == 1;
  }));
}

TEST_P(ScannerTest, AHugeDirectoryComesInSeveralBatches) {
  constexpr int kNames = 12000;  // more than are kept in memory
  MakeDirectories(dir_ / "huge");
  MakeDirectories(dir_ / "zz");
  UniqueFd huge(::open((dir_ / "huge").c_str(), O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < kNames; ++i) {
    const std::string name = "n" + std::to_string((i * 7919) % kNames);
    if (i % 8 == 0) {
      ASSERT_EQ(::mkdirat(huge.get(), name.c_str(), 0700), 0);
    } else {
      ASSERT_EQ(::mknodat(huge.get(), name.c_str(), S_IFREG | 0600, 0), 0);
    }
  }
  ScanOptions options;
  options.names_in_memory = 1000;
  const ScanResult scan = Scan(options);
  ASSERT_OK(scan.status);
  CheckOrder(scan);
  EXPECT_EQ(scan.totals.entries, kNames + 2u);
  EXPECT_EQ(scan.totals.directories, kNames / 8 + 3u);
  EXPECT_EQ(scan.batches.back().directory.text(), "zz");
}

TEST_P(ScannerTest, DepthBeyondPathMaxIsScannedWithFewDescriptors) {
  constexpr int kDepth = 3000;
  UniqueFd at(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_EQ(::mkdirat(at.get(), "level", 0700), 0);
    ASSERT_EQ(::mkdirat(at.get(), "side", 0700), 0);
    at.Reset(::openat(at.get(), "level", O_RDONLY | O_DIRECTORY));
    ASSERT_TRUE(at.valid());
  }
  at.Reset();
  rlimit old = {};
  ::getrlimit(RLIMIT_NOFILE, &old);
  const rlimit few = {256, old.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  const ScanResult scan = Scan();
  ::setrlimit(RLIMIT_NOFILE, &old);
  ASSERT_OK(scan.status);
  EXPECT_EQ(scan.totals.errors, 0u);
  EXPECT_EQ(scan.totals.directories, 2u * kDepth + 1);
  CheckOrder(scan);
}

TEST_P(ScannerTest, AScanMayBeGivenUpMidway) {
  MakeRandomTree(dir_.path(), 4, 300);
  runtime_ = StartTestRuntime(GetParam());
  for (const size_t take : {0, 1, 7}) {
    const ScanResult part = RunOn(runtime_->shard(0), ScanTree(runtime_.get(), dir_.path(), {}, take));
    EXPECT_OK(part.status);
    EXPECT_EQ(part.batches.size(), take);
  }
}

TEST_P(ScannerTest, ACancelledScanEndsWithItsReason) {
  MakeRandomTree(dir_.path(), 5, 50);
  CancelSource source;
  source.Cancel(absl::CancelledError("interrupted"));
  ScanOptions options;
  options.cancel = source.token();
  EXPECT_THAT(Scan(options).status, StatusIs(absl::StatusCode::kCancelled, "interrupted"));
}

class FaultyScanTest : public ScannerTest {
 protected:
  ScanResult ScanWithFaults(ScanOptions options = {}) {
    RuntimeOptions runtime_options;
    runtime_options.shards = GetParam();
    runtime_options.driver.backend = IoBackend::kThreads;
    runtime_options.wrap_driver = plan_->Wrapper();
    absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(std::move(runtime_options));
    if (!runtime.ok()) std::abort();
    runtime_ = *std::move(runtime);
    return Scan(std::move(options));
  }
  // A filter that fails `code` where its second argument is `name`.
  void FailByName(CallCode code, std::string name, int err) {
    plan_->FilterCalls([code, name, err](CallCode called, const long(&arguments)[6]) {
      if (called != code) return 0;
      return name == reinterpret_cast<const char*>(arguments[1]) ? err : 0;
    });
  }
  std::shared_ptr<FaultPlan> plan_ = std::make_shared<FaultPlan>();
};

TEST_P(FaultyScanTest, AnObjectThatCannotBeLookedAtHasItsErrnoAndTheRestGoesOn) {
  for (const char* name : {"a", "bad", "z"}) WriteFile(dir_ / name, "x");
  FailByName(CallCode::kStatx, "bad", EIO);
  const ScanResult scan = ScanWithFaults();
  ASSERT_OK(scan.status);
  EXPECT_EQ(scan.Paths(), (std::vector<std::string>{"a", "bad", "z"}));
  EXPECT_EQ(scan.Find("bad")->error, EIO);
  EXPECT_EQ(scan.Find("bad")->type, FileType::kRegular);
  EXPECT_EQ(scan.totals.errors, 1u);
}

TEST_P(FaultyScanTest, AnObjectThatVanishedIsLeftOut) {
  for (const char* name : {"a", "gone"}) WriteFile(dir_ / name, "x");
  FailByName(CallCode::kStatx, "gone", ENOENT);
  EXPECT_EQ(ScanWithFaults().Paths(), (std::vector<std::string>{"a"}));
}

TEST_P(FaultyScanTest, ADirectoryThatVanishedComesAsABatchWithItsErrno) {
  MakeDirectories(dir_ / "gone/inner");
  MakeDirectories(dir_ / "stays");
  FailByName(CallCode::kOpenat2, "gone", ENOENT);
  const ScanResult scan = ScanWithFaults();
  ASSERT_OK(scan.status);
  ASSERT_NE(scan.Batch("gone"), nullptr);
  EXPECT_EQ(scan.Batch("gone")->error, ENOENT);
  EXPECT_NE(scan.Batch("stays"), nullptr);
  EXPECT_EQ(scan.Batch("gone/inner"), nullptr);
}

TEST_P(FaultyScanTest, AListingThatBreaksOffShowsNoNames) {
  for (const char* name : {"d/a", "d/b"}) WriteFile(dir_ / name, "x");
  plan_->Fail(CallCode::kGetdents, 3, EIO);  // the root takes two: its names and the end
  const ScanResult scan = ScanWithFaults();
  ASSERT_OK(scan.status);
  ASSERT_NE(scan.Batch("d"), nullptr);
  EXPECT_EQ(scan.Batch("d")->error, EIO);
  EXPECT_TRUE(scan.Batch("d")->entries.empty());
  EXPECT_EQ(plan_->injected(), 1u);
}

TEST_P(FaultyScanTest, AHundredThousandNamesAreSortedOnDiskAndAFullDiskEndsTheScan) {
  constexpr int kNames = 100'000;
  const TempDir memory("/dev/shm");
  path_ = memory.path();
  for (int i = 0; i < kNames; ++i) {
    // Long enough that they do not fit into the sorter's memory.
    const std::string name = std::to_string((i * 7919L) % kNames) + std::string(40, 'n');
    ASSERT_EQ(::mknodat(memory.fd(), name.c_str(), S_IFREG | 0600, 0), 0);
  }
  ScanOptions options;
  options.names_in_memory = 1000;
  const ScanResult whole = ScanWithFaults(options);
  ASSERT_OK(whole.status);
  EXPECT_EQ(whole.totals.entries, 100'000u);
  CheckOrder(whole);
  plan_->FailFrom(CallCode::kPwrite, 1, ENOSPC);
  EXPECT_EQ(StatusErrno(ScanWithFaults(options).status), ENOSPC);
  EXPECT_GT(plan_->injected(), 0u);
}

TEST_P(FaultyScanTest, AReadErrorUnderChecksumIsTheFilesOwn) {
  WriteFile(dir_ / "a", "contents");
  WriteFile(dir_ / "b", "contents");
  plan_->Fail(OpCode::kRead, 1, EIO);
  ScanOptions options;
  options.checksum = true;
  const ScanResult scan = ScanWithFaults(options);
  ASSERT_OK(scan.status);
  EXPECT_EQ(scan.totals.errors, 1u);
  EXPECT_EQ(scan.Find("a")->error + scan.Find("b")->error, EIO);
}

INSTANTIATE_TEST_SUITE_P(Shards, ScannerTest, testing::Values(1, 3),
                         [](const auto& info) { return "On" + std::to_string(info.param); });
INSTANTIATE_TEST_SUITE_P(Shards, FaultyScanTest, testing::Values(1, 3),
                         [](const auto& info) { return "On" + std::to_string(info.param); });

}  // namespace
}  // namespace uringsync

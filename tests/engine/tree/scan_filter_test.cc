// Scans with filter rules: what a source and a destination tell of a tree.
#include "engine/tree/scan_filter.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>

#include "tests/engine/tree/scan_test_support.h"

namespace uringsync {
namespace {

using Paths = std::vector<std::string>;

class ScanFilterTest : public testing::TestWithParam<size_t> {
 protected:
  ScanOptions Options(const std::vector<std::string>& rules, FilterSide side) {
    absl::StatusOr<PathFilterPtr> compiled = PathFilter::Compile(rules, {});
    EXPECT_OK(compiled.status());
    ScanOptions options;
    options.filter.rules = *compiled;
    options.filter.side = side;
    options.filter.scope = (*compiled)->base();
    return options;
  }
  ScanResult ScanWith(ScanOptions options) {
    if (runtime_ == nullptr) runtime_ = StartTestRuntime(GetParam());
    return RunOn(runtime_->shard(0), ScanTree(runtime_.get(), dir_.path(), std::move(options)));
  }
  ScanResult Scan(const std::vector<std::string>& rules, FilterSide side = FilterSide::kSender) {
    return ScanWith(Options(rules, side));
  }
  void Make(const Paths& files) {
    for (const std::string& file : files) WriteFile(dir_ / file, "x");
  }

  TempDir dir_;
  std::unique_ptr<Runtime> runtime_;
};

TEST_P(ScanFilterTest, WhatASourceHidesIsNotToldAndNotEntered) {
  Make({"a.o", "b.c", "d/e.o", "d/f.c", "hidden/g/h"});
  const ScanResult scan = Scan({"- *.o", "H /hidden/", "P b.c"});
  ASSERT_OK(scan.status);
  EXPECT_EQ(scan.Paths(), (Paths{"b.c", "d", "d/f.c"}));
  EXPECT_EQ(scan.Batch("hidden"), nullptr);
  EXPECT_FALSE(scan.Batch("")->holds_excluded);
  EXPECT_EQ(scan.Find("b.c")->protection, Protection::kNone);
}

TEST_P(ScanFilterTest, ADestinationLeavesOutWhatBothSidesExcludeAndTellsWhatItAloneProtects) {
  Make({"both.o", "mine", "soft", "dir/both.o", "dir/x", "plain"});
  const ScanResult scan = Scan({"- *.o", "P mine", "-p soft", "H plain"}, FilterSide::kReceiver);
  ASSERT_OK(scan.status);
  EXPECT_EQ(scan.Paths(), (Paths{"dir", "mine", "plain", "soft", "dir/x"}));
  EXPECT_TRUE(scan.Batch("")->holds_excluded);
  EXPECT_TRUE(scan.Batch("dir")->holds_excluded);
  EXPECT_EQ(scan.Find("mine")->protection, Protection::kAlways);
  EXPECT_EQ(scan.Find("soft")->protection, Protection::kUnlessParentGoes);
  EXPECT_EQ(scan.Find("plain")->protection, Protection::kNone);
}

TEST_P(ScanFilterTest, WhatTheSourcesMergeFilesMayShowIsTold) {
  Make({"a.o"});
  const ScanResult scan = Scan({": .filter", "- *.o"}, FilterSide::kReceiver);
  EXPECT_EQ(scan.Paths(), (Paths{"a.o"}));
  EXPECT_EQ(scan.Find("a.o")->protection, Protection::kAlways);
  EXPECT_FALSE(scan.Batch("")->holds_excluded);
}

TEST_P(ScanFilterTest, FilesOfDirectoriesAreReadWhereTheyLie) {
  Make({"d/a", "d/b", "d/e/a", "d/e/b", "x/a"});
  WriteFile(dir_ / "d/.f", "- /a\n");
  WriteFile(dir_ / "d/e/.f", "- b\n");
  MakeDirectories(dir_ / "x/.f");
  const ScanResult scan = Scan({":e .f"});
  ASSERT_OK(scan.status);
  EXPECT_EQ(scan.Paths(), (Paths{"d", "x", "d/b", "d/e", "d/e/a", "x/a"}));
}

TEST_P(ScanFilterTest, AFileThatCannotBeReadIsItsDirectorysProblem) {
  Make({"link/a", "fifo/a", "good/a"});
  WriteFile(dir_ / "rules", "- a\n");
  ASSERT_EQ(::symlink("../rules", (dir_ / "link/.f").c_str()), 0);
  ASSERT_EQ(::mkfifo((dir_ / "fifo/.f").c_str(), 0600), 0);
  const ScanResult scan = Scan({": .f"});
  ASSERT_OK(scan.status);
  EXPECT_EQ(scan.Batch("link")->error, ELOOP);
  EXPECT_TRUE(scan.Batch("link")->entries.empty());
  EXPECT_EQ(scan.Batch("fifo")->error, EINVAL);
  EXPECT_EQ(scan.Batch("good")->entries.size(), 1u);
  WriteFile(dir_ / "good/.f", std::string(kMaxMergeFileBytes + 1, '#'));
  EXPECT_EQ(Scan({": .f"}).Batch("good")->error, EFBIG);
}

TEST_P(ScanFilterTest, AWrongRuleEndsTheScanAndIsNamed) {
  Make({"d/a"});
  WriteFile(dir_ / "d/.f", "- a\nnonsense\n");
  EXPECT_THAT(Scan({": .f"}).status,
              StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr("d/.f: Unknown filter rule: nonsense")));
}

TEST_P(ScanFilterTest, AScanBelowTheTransfersRootKnowsItsPath) {
  Make({"a", "d/a"});
  ScanOptions options = Options({"- /up/down/a", "- down/d"}, FilterSide::kSender);
  options.filter.path = "up/down";
  const ScanResult scan = ScanWith(std::move(options));
  EXPECT_TRUE(scan.Paths().empty());
}

// Directories that were read ahead and forgotten, huge ones that are sorted on disk, and merge files on the way.
TEST_P(ScanFilterTest, TightBoundsChangeNothing) {
  std::mt19937 random(7);
  Paths places = {""};
  for (int i = 0; i < 150; ++i) {
    const std::string parent = places[random() % places.size()];
    const std::string path = (parent.empty() ? "" : parent + "/") + "d" + std::to_string(random() % 40);
    MakeDirectories(dir_ / path);
    places.push_back(path);
    for (uint32_t n = random() % 12; n > 0; --n) WriteFile(dir_ / (path + "/f" + std::to_string(random() % 30)), "");
    if (random() % 4 == 0) WriteFile(dir_ / (path + "/.f"), random() % 2 == 0 ? "- f1*\n+ f2\n" : "!\n- /f2*\n- d1\n");
  }
  const std::vector<std::string> rules = {": .f", "- d3?", "- f[0-4]"};
  ScanOptions tight = Options(rules, FilterSide::kSender);
  tight.window_nodes = 8;
  tight.read_ahead_entries = 16;
  tight.names_in_memory = 3;
  const ScanResult wide = Scan(rules);
  const ScanResult narrow = ScanWith(std::move(tight));
  ASSERT_OK(wide.status);
  ASSERT_OK(narrow.status);
  EXPECT_EQ(wide.Paths(), narrow.Paths());
  EXPECT_GT(wide.Paths().size(), 50u);
  Paths all;
  ReferencePaths(dir_.path(), "", &all);
  EXPECT_LT(wide.Paths().size(), all.size());
}

INSTANTIATE_TEST_SUITE_P(Shards, ScanFilterTest, testing::Values(1, 3));

}  // namespace
}  // namespace uringsync

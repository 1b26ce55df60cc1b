// Scans that follow symlinks: which of them, what the manifest says then, and where that ends.
#include <unistd.h>

#include <cerrno>

#include "tests/engine/tree/scan_test_support.h"

namespace uringsync {
namespace {

using Paths = std::vector<std::string>;
constexpr LinkFollowing kAll{.all = true};
constexpr LinkFollowing kUnsafe{.unsafe = true};
constexpr LinkFollowing kDirectories{.directories = true};

class ScanLinksTest : public testing::TestWithParam<size_t> {
 protected:
  void Link(const std::string& target, const std::string& name) {
    ASSERT_EQ(::symlink(target.c_str(), (dir_ / name).c_str()), 0);
  }
  ScanOptions Options(LinkFollowing which, bool beneath = false) {
    absl::StatusOr<DirectoryPtr> root = OpenRoot(driver_.get(), dir_ / "t");
    EXPECT_OK(root.status());
    ScanOptions options;
    options.links = ScanLinks{.which = which, .base = {.directory = *root, .beneath = beneath}};
    return options;
  }
  ScanResult Scan(ScanOptions options) {
    if (runtime_ == nullptr) runtime_ = StartTestRuntime(GetParam());
    return RunOn(runtime_->shard(0), ScanTree(runtime_.get(), dir_ / "t", std::move(options)));
  }

  TempDir dir_;
  std::unique_ptr<Driver> driver_ = MakeTestDriver();
  std::unique_ptr<Runtime> runtime_;
};

TEST_P(ScanLinksTest, AllLinksAreWhatTheyLeadTo) {
  WriteFile(dir_ / "t/d/f", "contents");
  WriteFile(dir_ / "out/g", "x");
  Link("d/f", "t/file");
  Link("../out", "t/directory");
  ScanOptions options = Options(kAll);
  options.checksum = true;
  const ScanResult scan = Scan(std::move(options));
  EXPECT_OK(scan.status);
  EXPECT_EQ(scan.Paths(), (Paths{"d", "directory", "file", "d/f", "directory/g"}));
  EXPECT_EQ(scan.Find("directory")->type, FileType::kDirectory);
  const Entry& file = *scan.Find("file");
  EXPECT_EQ(file.type, FileType::kRegular);
  EXPECT_TRUE(file.symlink_target.empty());
  EXPECT_EQ(file.id, scan.Find("d/f")->id);
  EXPECT_EQ(file.size_bytes, 8u);
  ASSERT_TRUE(file.content_digest.has_value());
  EXPECT_EQ(file.content_digest, scan.Find("d/f")->content_digest);
}

TEST_P(ScanLinksTest, OnlyUnsafeLinksAreFollowedWhereThatIsAskedFor) {
  WriteFile(dir_ / "t/d/f", "x");
  WriteFile(dir_ / "out/g", "x");
  Link("d/f", "t/safe");
  Link("../out/g", "t/unsafe");
  Link("../d/f", "t/d/climbs-no-further");
  Link("../../out", "t/d/climbs");
  const ScanResult scan = Scan(Options(kUnsafe));
  EXPECT_EQ(scan.Find("safe")->type, FileType::kSymlink);
  EXPECT_EQ(scan.Find("unsafe")->type, FileType::kRegular);
  EXPECT_EQ(scan.Find("d/climbs-no-further")->type, FileType::kSymlink);
  EXPECT_EQ(scan.Find("d/climbs")->type, FileType::kDirectory);
  EXPECT_NE(scan.Find("d/climbs/g"), nullptr);
}

TEST_P(ScanLinksTest, OnlyLinksToDirectoriesAreFollowedWhereThatIsAskedFor) {
  WriteFile(dir_ / "t/d/f", "x");
  Link("d/f", "t/file");
  Link("d", "t/directory");
  Link("nowhere", "t/dangles");
  const ScanResult scan = Scan(Options(kDirectories));
  EXPECT_EQ(scan.Find("file")->type, FileType::kSymlink);
  EXPECT_EQ(scan.Find("dangles")->type, FileType::kSymlink);
  EXPECT_EQ(scan.Find("dangles")->error, 0);
  EXPECT_NE(scan.Find("directory/f"), nullptr);
}

TEST_P(ScanLinksTest, ALinkThatLeadsNowhereIsAnErrorOfItsOwn) {
  MakeDirectories(dir_ / "t");
  Link("nowhere", "t/dangles");
  Link("itself", "t/itself");
  const ScanResult scan = Scan(Options(kAll));
  EXPECT_EQ(scan.Find("dangles")->error, ENOENT);
  EXPECT_EQ(scan.Find("dangles")->type, FileType::kSymlink);
  EXPECT_EQ(scan.Find("itself")->error, ELOOP);
  EXPECT_EQ(scan.Batch("")->error, 0);
}

TEST_P(ScanLinksTest, ALoopEndsWhereTheKernelFollowsNoFurther) {
  WriteFile(dir_ / "t/f", "x");
  Link(".", "t/loop");
  const ScanResult scan = Scan(Options(kAll));
  ASSERT_OK(scan.status);
  // The tree itself and 40 times below the link; the next one cannot be listed.
  EXPECT_EQ(scan.batches.size(), 42u);
  EXPECT_EQ(scan.batches.back().error, ELOOP);
  EXPECT_EQ(scan.totals.errors, 1u);
}

TEST_P(ScanLinksTest, NoLinkLeadsOutOfABorder) {
  WriteFile(dir_ / "t/d/f", "x");
  WriteFile(dir_ / "out/g", "x");
  Link("d/f", "t/stays");
  Link("../out/g", "t/leaves");
  Link(dir_ / "t/d/f", "t/absolute");
  Link("../out", "t/directory");
  const ScanResult scan = Scan(Options(kAll, /*beneath=*/true));
  EXPECT_EQ(scan.Find("stays")->type, FileType::kRegular);
  for (const char* name : {"leaves", "absolute", "directory"}) {
    EXPECT_EQ(scan.Find(name)->error, EXDEV) << name;
    EXPECT_EQ(scan.Find(name)->type, FileType::kSymlink) << name;
  }
}

TEST_P(ScanLinksTest, RulesForDirectoriesHoldForLinksThatAreFollowedToThem) {
  WriteFile(dir_ / "t/d/f", "x");
  Link("d", "t/linked");
  Link("d/f", "t/file");
  Link("nowhere", "t/dangles");
  const auto filtered = [this](LinkFollowing which, const char* rule) {
    absl::StatusOr<PathFilterPtr> compiled = PathFilter::Compile({rule}, {});
    EXPECT_OK(compiled.status());
    ScanOptions options = Options(which);
    options.filter.rules = *compiled;
    options.filter.scope = (*compiled)->base();
    return Scan(std::move(options)).Paths();
  };
  EXPECT_EQ(filtered(kAll, "- linked/"), (Paths{"d", "dangles", "file", "d/f"}));
  EXPECT_EQ(filtered(kUnsafe, "- linked/"), (Paths{"d", "dangles", "file", "linked", "d/f"}));
  EXPECT_EQ(filtered(kAll, "- file/"), (Paths{"d", "dangles", "file", "linked", "d/f", "linked/f"}));
  // Nobody knows what it would be: either kind of rule hides it.
  EXPECT_EQ(filtered(kAll, "- dangles/"), (Paths{"d", "file", "linked", "d/f", "linked/f"}));
}

TEST_P(ScanLinksTest, ADestinationTellsOfLinksToDirectoriesAndOfWhatIsThere) {
  WriteFile(dir_ / "t/d/f", "x");
  Link("d", "t/linked");
  Link("d/f", "t/file");
  Link("/", "t/leaves");
  ScanOptions options = Options(kDirectories, /*beneath=*/true);
  options.links->stay_links = true;
  const ScanResult scan = Scan(std::move(options));
  EXPECT_EQ(scan.Find("linked")->type, FileType::kSymlink);
  EXPECT_TRUE(scan.Find("linked")->directory_link);
  EXPECT_FALSE(scan.Find("file")->directory_link);
  EXPECT_EQ(scan.Find("leaves")->error, EXDEV);
  EXPECT_NE(scan.Find("linked/f"), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Shards, ScanLinksTest, testing::Values(1, 2));

}  // namespace
}  // namespace uringsync

#include "agent/path_expansion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "agent/account_names.h"
#include "proto/messages.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

Task<absl::Status> ExpandThere(std::string pattern, std::vector<std::string>* paths) {
  co_return ExpandWildcards(Shard::Current()->driver(), pattern, paths);
}

class PathExpansionTest : public testing::Test {
 protected:
  // Without the directory of the test in front.
  std::vector<std::string> Expand(const std::string& pattern) {
    std::vector<std::string> paths;
    EXPECT_OK(ExpandInto(dir_ / pattern, &paths));
    for (std::string& path : paths) path = path.substr((dir_ / "").size());
    return paths;
  }
  absl::Status ExpandInto(const std::string& pattern, std::vector<std::string>* paths) {
    return RunOn(runtime_->shard(0), ExpandThere(pattern, paths));
  }
  void Files(const std::vector<std::string>& names) {
    for (const std::string& name : names) WriteFile(dir_ / name, "");
  }
  TempDir dir_;
  std::unique_ptr<Runtime> runtime_ = StartTestRuntime();
};

TEST_F(PathExpansionTest, PatternsStandForWhatIsThereSortedByBytes) {
  MakeDirectories(dir_ / "d1/sub");
  MakeDirectories(dir_ / "d2");
  Files({"b.txt", "a.txt", "B.txt", ".hidden", "d1/x.txt", "d1/sub/y", "na\nme"});
  EXPECT_THAT(Expand("*.txt"), ElementsAre("B.txt", "a.txt", "b.txt"));
  EXPECT_THAT(Expand("[ab].txt"), ElementsAre("a.txt", "b.txt"));
  EXPECT_THAT(Expand("d*/*"), ElementsAre("d1/sub", "d1/x.txt"));
  EXPECT_THAT(Expand("d*/sub/y"), ElementsAre("d1/sub/y"));
  EXPECT_THAT(Expand("d?/"), ElementsAre("d1/", "d2/"));
  EXPECT_THAT(Expand("na*"), ElementsAre("na\nme"));
  EXPECT_THAT(Expand(".h*"), ElementsAre(".hidden"));
}

TEST_F(PathExpansionTest, WhatNothingMatchesStandsForItself) {
  Files({"star*", "starry"});
  EXPECT_THAT(Expand("no*"), ElementsAre("no*"));
  EXPECT_THAT(Expand("no/such/*"), ElementsAre("no/such/*"));
  EXPECT_THAT(Expand("plain"), ElementsAre("plain"));
  EXPECT_THAT(Expand("star\\*"), ElementsAre("star*"));
  EXPECT_THAT(Expand("a\\b"), ElementsAre("a\\b"));
  std::vector<std::string> empty;
  EXPECT_OK(ExpandInto("", &empty));
  EXPECT_THAT(empty, ElementsAre(""));
}

TEST_F(PathExpansionTest, MoreThanAnAnswerHoldsIsRefused) {
  Files({"a", "b"});
  std::vector<std::string> paths(kMaxPathReply - 1, "x");
  EXPECT_THAT(ExpandInto(dir_ / "*", &paths), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(paths, SizeIs(kMaxPathReply));
}

TEST(ExpandTildeTest, OnlyInFrontAndOnlyOfUsersThatThereAre) {
  const auto expanded = [](std::string path) {
    ExpandTilde(&path);
    return path;
  };
  ASSERT_EQ(::setenv("HOME", "/home/of/test", 1), 0);
  EXPECT_EQ(expanded("~"), "/home/of/test");
  EXPECT_EQ(expanded("~/a/~"), "/home/of/test/a/~");
  EXPECT_EQ(expanded("a/~"), "a/~");
  EXPECT_EQ(expanded("~no-such-user-here/x"), "~no-such-user-here/x");
  EXPECT_EQ(expanded(""), "");
  if (const std::string root = HomeDirectory("root"); !root.empty()) EXPECT_EQ(expanded("~root/x"), root + "/x");
}

}  // namespace
}  // namespace uringsync

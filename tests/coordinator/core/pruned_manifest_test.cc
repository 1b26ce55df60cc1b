#include "coordinator/core/pruned_manifest.h"

#include <gmock/gmock.h>

#include <cerrno>

#include "tests/coordinator/core/plan_fixture.h"

namespace uringsync {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// "a: b/ c" for each batch that comes out.
std::vector<std::string> Pruned(std::vector<DirectoryBatch> batches) {
  VectorManifest source(std::move(batches));
  const std::unique_ptr<Driver> driver = MakePlanDriver();
  PrunedManifest pruned(&source, driver.get(), "");
  std::vector<std::string> lines;
  while (true) {
    absl::StatusOr<std::optional<DirectoryBatch>> batch = pruned.Next();
    EXPECT_TRUE(batch.ok()) << batch.status();
    if (!batch.ok() || !*batch) return lines;
    std::string line = (*batch)->directory.text() + ":";
    for (const Entry& entry : (*batch)->entries) {
      line += " " + entry.name + (entry.type == FileType::kDirectory ? "/" : "");
    }
    lines.push_back(std::move(line));
  }
}

TEST(PrunedManifestTest, DirectoriesWithNothingButDirectoriesBelowThemAreNotThere) {
  EXPECT_THAT(Pruned({Batch("", {Dir("a", 2), Dir("b", 3), Dir("c", 4), File("f", 5)}),
                      Batch("a", {Dir("x", 6), Dir("y", 7)}), Batch("a/x", {}), Batch("a/y", {Dir("z", 8)}),
                      Batch("a/y/z", {}), Batch("b", {Dir("deep", 9), Dir("empty", 10)}),
                      Batch("b/deep", {MakeEntry("l", FileType::kSymlink, 11)}), Batch("b/empty", {}), Batch("c", {})}),
              ElementsAre(": b/ f", "b: deep/", "b/deep: l"));
}

TEST(PrunedManifestTest, TheRootStaysHoweverEmpty) {
  EXPECT_THAT(Pruned({Batch("", {Dir("a", 2)}), Batch("a", {})}), ElementsAre(":"));
  EXPECT_THAT(Pruned({}), IsEmpty());
}

TEST(PrunedManifestTest, WhatCouldNotBeLookedAtMayHoldSomething) {
  Entry unknown = Dir("u", 2);
  unknown.error = EIO;
  DirectoryBatch unlisted = Batch("v", {});
  unlisted.error = EACCES;
  EXPECT_THAT(Pruned({Batch("", {unknown, Dir("v", 3)}), unlisted}), ElementsAre(": u/ v/", "v:"));
}

TEST(PrunedManifestTest, ADirectoryThatIsNotEnteredIsEmpty) {
  Entry mount = Dir("m", 2);
  mount.not_entered = true;
  EXPECT_THAT(Pruned({Batch("", {mount, Dir("n", 3)}), Batch("n", {File("f", 4)})}), ElementsAre(": n/", "n: f"));
}

TEST(PrunedManifestTest, PiecesOfOneDirectoryAreJudgedTogether) {
  DirectoryBatch first = Batch("d", {Dir("a", 3)});
  first.last = false;
  EXPECT_THAT(Pruned({Batch("", {Dir("d", 2)}), first, Batch("d", {File("z", 4)}), Batch("d/a", {})}),
              ElementsAre(": d/", "d:", "d: z"));
}

TEST(PrunedManifestTest, EntriesComeOutAsTheyWentIn) {
  Entry entry = File("f", 2);
  entry.unsettled = true;
  entry.atime = FileTime{7, 8};
  entry.content_digest = Digest128{1, 2};
  VectorManifest source({Batch("", {entry})});
  const std::unique_ptr<Driver> driver = MakePlanDriver();
  PrunedManifest pruned(&source, driver.get(), "");
  const absl::StatusOr<std::optional<DirectoryBatch>> batch = pruned.Next();
  ASSERT_TRUE(batch.ok() && *batch);
  ASSERT_EQ((*batch)->entries.size(), 1u);
  const Entry& out = (*batch)->entries[0];
  EXPECT_TRUE(out.unsettled);
  EXPECT_EQ(out.atime, entry.atime);
  EXPECT_EQ(out.content_digest, entry.content_digest);
  EXPECT_TRUE((*batch)->last);
}

TEST(PrunedManifestTest, AnErrorOfTheStreamIsHandedOn) {
  VectorManifest source({Batch("", {})});
  source.EndWith(absl::UnavailableError("gone"));
  const std::unique_ptr<Driver> driver = MakePlanDriver();
  PrunedManifest pruned(&source, driver.get(), "");
  EXPECT_EQ(pruned.Next().status().code(), absl::StatusCode::kUnavailable);
}

TEST(PrunedManifestTest, DeletesWhatIsEmptyAtTheSource) {
  PlanOptions options = AllAbilities();
  options.delete_extraneous = true;
  VectorManifest source({Batch("", {Dir("e", 2)}), Batch("e", {})});
  VectorManifest destination({Batch("", {Dir("e", 3)}), Batch("e", {File("z", 4)})});
  const std::unique_ptr<Driver> driver = MakePlanDriver();
  PrunedManifest pruned(&source, driver.get(), "");
  const PlanResult plan = PlanTrees(options, pruned, destination);
  ASSERT_TRUE(plan.status.ok()) << plan.status;
  EXPECT_THAT(plan.sink.Lines(), ElementsAre("delete e/z", "delete e", "metadata ."));
}

}  // namespace
}  // namespace uringsync

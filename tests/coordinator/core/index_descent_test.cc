#include "coordinator/core/index_descent.h"

#include <algorithm>
#include <map>

#include "engine/tree/listing_digest.h"
#include "tests/coordinator/core/plan_fixture.h"
#include "tests/coordinator/core/random_trees.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

// What an honest index would know of a manifest.
class ManifestIndex {
 public:
  explicit ManifestIndex(const std::vector<DirectoryBatch>& manifest) {
    for (const DirectoryBatch& batch : manifest) {
      Directory& directory = directories_[batch.directory.text()];
      directory.self = batch.self;
      directory.error = directory.error || batch.error != 0;
      directory.entries.insert(directory.entries.end(), batch.entries.begin(), batch.entries.end());
    }
  }

  TreeReply Answer(const TreeQuery& query, size_t rows) const {
    TreeReply reply{.valid = true};
    for (const RelPath& path : query.directories) {
      if (reply.rows.size() == rows) break;
      reply.rows.push_back(RowOf(path));
    }
    return reply;
  }

  TreeRow RowOf(const RelPath& path) const {
    TreeRow row;
    const auto found = directories_.find(path.text());
    if (found == directories_.end()) return row;
    row.found = true;
    ListingDigester digester({});
    digester.Begin();
    row.tree.certain = !found->second.error;
    std::string text;
    for (const Entry& entry : found->second.entries) {
      ++row.tree.below.entries;
      if (entry.type == FileType::kDirectory && entry.error == 0) {
        const TreeRow child = RowOf(path.Child(entry.name));
        row.children.push_back({entry.name, child.tree});
        row.tree.certain = row.tree.certain && child.found && child.tree.certain;
        row.tree.below.entries += child.tree.below.entries;
        row.tree.below.files += child.tree.below.files;
        row.tree.below.bytes += child.tree.below.bytes;
        text += entry.name + "=" + child.tree.digest.Hex();
        continue;
      }
      if (entry.type == FileType::kRegular) {
        ++row.tree.below.files;
        row.tree.below.bytes += entry.size_bytes;
      }
      row.tree.certain = digester.Add(entry) && row.tree.certain;
    }
    Entry self = found->second.self;
    self.name.clear();
    text += digester.Finish().digest.Hex();
    AppendCanonical(self, {}, &text);
    row.tree.digest = Xxh128(text);
    return row;
  }

 private:
  struct Directory {
    Entry self;
    bool error = false;
    std::vector<Entry> entries;
  };
  std::map<std::string, Directory> directories_;
};

// What an agent sends of `manifest` when it is asked for these directories alone.
std::vector<DirectoryBatch> Only(const std::vector<DirectoryBatch>& manifest, const std::vector<RelPath>& directories) {
  std::vector<DirectoryBatch> result;
  for (DirectoryBatch batch : manifest) {
    if (!std::binary_search(directories.begin(), directories.end(), batch.directory)) continue;
    for (Entry& entry : batch.entries) {
      entry.pruned = entry.type == FileType::kDirectory && entry.error == 0 &&
                     !std::binary_search(directories.begin(), directories.end(), batch.directory.Child(entry.name));
    }
    result.push_back(std::move(batch));
  }
  return result;
}

std::string Described(const PlanResult& plan, bool counters) {
  std::string text;
  for (const PlannedAction& planned : plan.sink.actions) {
    text += std::to_string(planned.action.id) + " " + ActionKindName(planned.action.kind) + " " +
            planned.action.path.text() + " " + std::to_string(planned.differences.mask()) + "\n";
  }
  for (const Problem& problem : plan.sink.problems)
    text += "problem " + problem.path.text() + " " + problem.operation + "\n";
  if (!counters) return text;
  const PlanCounters& c = plan.counters;
  for (const uint64_t count :
       {c.source_entries, c.source_files, c.source_bytes, c.destination_entries, c.unchanged, c.actions, c.creates,
        c.updates, c.metadata_only, c.links, c.deletes, c.problems, c.skipped_owner}) {
    text += std::to_string(count) + " ";
  }
  return text;
}

TEST(IndexDescentPropertyTest, TheSameIsPlannedAsWithEveryDirectoryCompared) {
  const auto [first, end] = Seeds(3000);
  uint64_t equal = 0;
  uint64_t pruned = 0;
  for (uint64_t seed = first; seed < end; ++seed) {
    SCOPED_TRACE("URINGSYNC_SEED=" + std::to_string(seed));
    RandomTrees random(seed);
    Trees trees;
    MakeTrees(&random, &trees);
    if (random.OneIn(5)) {
      // Equal but for the inodes.
      trees.destination = ModelTree(kDestinationDevice);
      std::vector<uint64_t> linkable;
      RandomTrees again(seed);
      Trees same;
      MakeTrees(&again, &same);
      trees.source = same.source;
      trees.destination = same.source;
    }
    ModelErrors errors;
    if (random.OneIn(4)) errors = RandomErrors(&random, trees.source);
    // No agent enters a directory that it could not look at.
    std::erase_if(errors.unlistable, [&errors](const std::string& path) {
      return std::any_of(errors.unreadable.begin(), errors.unreadable.end(),
                         [&path](const std::string& above) { return path.starts_with(above + "/"); });
    });
    const std::vector<DirectoryBatch> source = trees.source.Manifest(random.random(), 3, errors);
    const std::vector<DirectoryBatch> destination = trees.destination.Manifest(random.random(), 3);
    PlanOptions options = AllAbilities();
    options.delete_extraneous = random.OneIn(2);
    options.preserve_hard_links = !random.OneIn(3);
    options.omit_root_metadata = random.OneIn(4);
    const PlanResult plain = PlanTrees(options, source, destination);
    const ManifestIndex source_index(source);
    const ManifestIndex destination_index(destination);
    const auto ask = [&](const TreeQuery& query) -> absl::StatusOr<std::pair<TreeReply, TreeReply>> {
      return std::pair(source_index.Answer(query, 1 + random.random()() % 3),
                       destination_index.Answer(query, 1 + random.random()() % 3));
    };
    const absl::StatusOr<IndexDifference> difference = DescendIndexes(ask, !options.omit_root_metadata);
    ASSERT_OK(difference);
    ASSERT_TRUE(difference->usable);
    if (difference->directories.empty()) {
      ++equal;
      ASSERT_TRUE(plain.sink.actions.empty()) << Described(plain, true);
      ASSERT_TRUE(plain.sink.problems.empty());
      ASSERT_EQ(plain.counters.unchanged, difference->equal.entries + 1);
      ASSERT_EQ(plain.counters.source_bytes, difference->equal.bytes);
      continue;
    }
    pruned += difference->equal.entries;
    options.pruned = difference->equal;
    const PlanResult less =
        PlanTrees(options, Only(source, difference->directories), Only(destination, difference->directories));
    ASSERT_OK(less.status);
    // The model may list a directory that it could not look at, which an agent does not; then only what is counted
    // differs.
    const bool counters = errors.unreadable.empty();
    ASSERT_EQ(Described(less, counters), Described(plain, counters));
  }
  EXPECT_GT(equal, 10u);
  EXPECT_GT(pruned, 100u);
}

TEST(IndexDescentTest, AnInvalidIndexOrAMissingRootMeansThatEverythingIsCompared) {
  const auto invalid = [](const TreeQuery&) -> absl::StatusOr<std::pair<TreeReply, TreeReply>> {
    return std::pair(TreeReply{}, TreeReply{.valid = true, .rows = {TreeRow{.found = true}}});
  };
  EXPECT_FALSE(DescendIndexes(invalid, true)->usable);
  const auto missing = [](const TreeQuery&) -> absl::StatusOr<std::pair<TreeReply, TreeReply>> {
    return std::pair(TreeReply{.valid = true, .rows = {TreeRow{}}},
                     TreeReply{.valid = true, .rows = {TreeRow{.found = true}}});
  };
  EXPECT_FALSE(DescendIndexes(missing, true)->usable);
}

TEST(IndexDescentTest, EqualButUncertainDigestsProveNothing) {
  const auto ask = [](const TreeQuery&) -> absl::StatusOr<std::pair<TreeReply, TreeReply>> {
    const TreeReply reply{.valid = true, .rows = {TreeRow{.found = true}}};
    return std::pair(reply, reply);
  };
  const auto difference = DescendIndexes(ask, true);
  ASSERT_OK(difference);
  EXPECT_EQ(difference->directories.size(), 1u);
}

TEST(IndexDescentTest, TreesThatDifferInTooManyDirectoriesAreComparedWhole) {
  const auto ask = [](const TreeQuery& query) -> absl::StatusOr<std::pair<TreeReply, TreeReply>> {
    TreeReply reply{.valid = true};
    for (size_t i = 0; i < query.directories.size(); ++i) {
      TreeRow& row = reply.rows.emplace_back(TreeRow{.found = true});
      for (int child = 100; child < 200; ++child) row.children.push_back({std::to_string(child), {}});
    }
    return std::pair(reply, reply);
  };
  const auto difference = DescendIndexes(ask, true);
  ASSERT_OK(difference);
  EXPECT_FALSE(difference->usable);
}

TEST(IndexDescentTest, AnswersToWhatWasNotAskedBreakTheProtocol) {
  const auto ask = [](const TreeQuery&) -> absl::StatusOr<std::pair<TreeReply, TreeReply>> {
    return std::pair(TreeReply{.valid = true}, TreeReply{.valid = true, .rows = {TreeRow{}, TreeRow{}}});
  };
  EXPECT_EQ(DescendIndexes(ask, true).status().code(), absl::StatusCode::kInvalidArgument);
}

// A directory that only one side leaves out: it changed after the indexes were asked.
TEST(IndexDescentTest, ADirectoryThatChangedWhileItWasComparedIsAProblemAndIsNotTouched) {
  Entry pruned = Dir("d", 5);
  pruned.pruned = true;
  for (const bool at_source : {true, false}) {
    PlanOptions options = AllAbilities();
    options.delete_extraneous = true;
    const std::vector<DirectoryBatch> with = {Batch("", {pruned})};
    const std::vector<DirectoryBatch> without = {Batch("", {File("d", 6)})};
    const std::vector<DirectoryBatch> empty = {Batch("", {})};
    for (const auto& other : {without, empty}) {
      const PlanResult plan = at_source ? PlanTrees(options, with, other) : PlanTrees(options, other, with);
      ASSERT_OK(plan.status);
      EXPECT_TRUE(plan.sink.actions.empty());
      ASSERT_EQ(plan.sink.problems.size(), 1u);
      EXPECT_EQ(plan.sink.problems[0].kind, ProblemKind::kChanged);
    }
  }
}

}  // namespace
}  // namespace uringsync

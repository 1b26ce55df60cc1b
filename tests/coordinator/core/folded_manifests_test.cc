#include "coordinator/core/folded_manifests.h"

#include <sstream>

#include "engine/tree/listing_digest.h"
#include "tests/coordinator/core/plan_fixture.h"
#include "tests/coordinator/core/random_trees.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

// An honest agent with a small window and little credit, whose messages arrive when Deliver says so.
class FoldingAgent final : public FoldingLink {
 public:
  FoldingAgent(const std::vector<DirectoryBatch>& plain, DigestRules rules, uint64_t credit, size_t window)
      : credit_(credit), window_(window) {
    ListingDigester digester(std::move(rules));
    for (size_t i = 0; i < plain.size();) {
      size_t end = i + 1;
      while (!plain[end - 1].last) ++end;
      AddListing({plain.begin() + static_cast<long>(i), plain.begin() + static_cast<long>(end)}, &digester);
      i = end;
    }
  }

  // Lets one more message arrive; false when there is none that may be sent.
  bool Deliver() {
    if (!urgent_.empty()) {
      arrived_.push_back(std::move(urgent_.front()));
      urgent_.pop_front();
      return true;
    }
    if (next_ == listings_.size()) return false;
    Listing& listing = listings_[next_];
    if (listing.message) {
      if (sent_ - judged_ == window_) return false;
      ++sent_;
      arrived_.push_back(*listing.message);
      ++next_;
      return true;
    }
    if (credit_ == 0) return false;
    --credit_;
    arrived_.push_back(listing.batches[part_++]);
    if (part_ == listing.batches.size()) {
      part_ = 0;
      ++next_;
    }
    return true;
  }

  absl::StatusOr<Arrival> Take(DirectoryBatch* batch) override {
    if (arrived_.empty()) return next_ == listings_.size() ? Arrival::kEnd : Arrival::kNothingYet;
    *batch = std::move(arrived_.front());
    arrived_.pop_front();
    return Arrival::kBatch;
  }
  absl::Status GiveBack(size_t) override {
    ++credit_;
    return absl::OkStatus();
  }
  absl::Status Judge(const ListingVerdicts& verdicts) override {
    if (verdicts.through < judged_ || verdicts.through > sent_)
      return absl::InternalError("verdict on what was not sent");
    for (const uint64_t number : verdicts.expand) {
      if (number <= judged_ || number > verdicts.through) return absl::InternalError("verdict out of order");
      for (DirectoryBatch batch : *folded_[number - 1]) {
        batch.expanded = true;
        urgent_.push_back(std::move(batch));
      }
      ++expanded;
    }
    judged_ = verdicts.through;
    stopped = stopped || verdicts.stop_folding;
    return absl::OkStatus();
  }
  bool has_credit() const override { return credit_ > 0; }

  size_t expanded = 0;
  bool stopped = false;

 private:
  struct Listing {
    std::vector<DirectoryBatch> batches;
    std::optional<DirectoryBatch> message;
  };
  void AddListing(std::vector<DirectoryBatch> batches, ListingDigester* digester) {
    Listing& listing = listings_.emplace_back();
    listing.batches = std::move(batches);
    DirectoryBatch message;
    message.directory = listing.batches.front().directory;
    message.self = listing.batches.front().self;
    bool whole = true;
    digester->Begin();
    for (const DirectoryBatch& batch : listing.batches) {
      whole = whole && batch.error == 0;
      for (const Entry& entry : batch.entries) {
        if (!digester->Add(entry)) message.entries.push_back(entry);
      }
    }
    if (!whole || digester->entries() == 0) return;
    message.folded = digester->Finish();
    listing.message = std::move(message);
    folded_.push_back(&listing.batches);
  }

  uint64_t credit_;
  const size_t window_;
  std::deque<Listing> listings_;
  std::vector<const std::vector<DirectoryBatch>*> folded_;
  size_t next_ = 0;
  size_t part_ = 0;
  uint64_t sent_ = 0;
  uint64_t judged_ = 0;
  std::deque<DirectoryBatch> urgent_;
  std::deque<DirectoryBatch> arrived_;
};

struct FoldedPlan {
  PlanResult result;
  uint64_t matched = 0;
  size_t expanded = 0;
  bool stopped = false;
};

FoldedPlan PlanFolded(const PlanOptions& options, const std::vector<DirectoryBatch>& source,
                      const std::vector<DirectoryBatch>& destination, std::mt19937_64& random) {
  const DigestRules rules{.seed = random(),
                          .selection = options.policy.selection,
                          .time_granularity_ns = options.policy.time_granularity_ns,
                          .time_range = options.policy.time_range};
  FoldingAgent source_agent(source, rules, 1 + random() % 3, 1 + random() % 3);
  FoldingAgent destination_agent(destination, rules, 1 + random() % 3, 1 + random() % 3);
  ArrivalSignal arrivals;
  FoldedManifests manifests(&source_agent, &destination_agent, &arrivals, [&]() -> absl::Status {
    const bool first = random() % 2 == 0;
    const bool came =
        (first ? source_agent : destination_agent).Deliver() || (first ? destination_agent : source_agent).Deliver();
    if (!came) return absl::DeadlineExceededError("nobody can go on");
    arrivals.Notify();
    return absl::OkStatus();
  });
  FoldedPlan plan;
  plan.result = PlanTrees(options, manifests.source(), manifests.destination());
  plan.matched = manifests.matched();
  plan.expanded = source_agent.expanded + destination_agent.expanded;
  plan.stopped = source_agent.stopped && destination_agent.stopped;
  return plan;
}

std::string Everything(const PlanResult& plan) {
  std::ostringstream text;
  text << plan.status.ToString() << "\n";
  for (const PlannedAction& planned : plan.sink.actions) {
    const Action& action = planned.action;
    text << action.id << " " << static_cast<int>(planned.phase) << " " << ActionKindName(action.kind) << " "
         << action.path.text() << " " << action.link_target.text() << " " << planned.differences.mask() << " "
         << action.wanted.id.inode << " " << (action.existing ? action.existing->id.inode : 0) << "\n";
  }
  for (const Problem& problem : plan.sink.problems)
    text << problem.path.text() << " " << problem.operation << " " << problem.error << "\n";
  const PlanCounters& c = plan.counters;
  for (const uint64_t count :
       {c.source_entries, c.source_files, c.source_bytes, c.destination_entries, c.unchanged, c.actions, c.creates,
        c.updates, c.metadata_only, c.links, c.deletes, c.transfer_files, c.transfer_bytes, c.problems,
        c.skipped_options, c.skipped_devices, c.skipped_below_problem, c.skipped_owner, c.skipped_xattrs}) {
    text << count << " ";
  }
  return text.str();
}

PlanOptions RandomOptions(RandomTrees* random) {
  PlanOptions options = random->OneIn(3) ? PlanOptions() : AllAbilities();
  options.delete_extraneous = random->OneIn(2);
  options.force_delete = random->OneIn(3);
  options.preserve_hard_links = !random->OneIn(3);
  options.omit_root_metadata = random->OneIn(4);
  options.policy.selection.mode = !random->OneIn(4);
  options.policy.selection.owner = !random->OneIn(4);
  options.policy.selection.mtime = !random->OneIn(4);
  if (random->OneIn(3)) options.policy.time_granularity_ns = 2'000'000'000;
  if (random->OneIn(4)) options.policy.time_range = {.min_seconds = 0, .max_seconds = 1};
  return options;
}

TEST(FoldedManifestsPropertyTest, TheSameIsPlannedAsWithEveryEntrySent) {
  const auto [first, end] = Seeds(3000);
  uint64_t matched = 0;
  uint64_t expanded = 0;
  for (uint64_t seed = first; seed < end; ++seed) {
    SCOPED_TRACE("URINGSYNC_SEED=" + std::to_string(seed));
    RandomTrees random(seed);
    Trees trees;
    MakeTrees(&random, &trees);
    ModelErrors source_errors;
    ModelErrors destination_errors;
    if (random.OneIn(3)) source_errors = RandomErrors(&random, trees.source);
    if (random.OneIn(3)) destination_errors = RandomErrors(&random, trees.destination);
    const std::vector<DirectoryBatch> source = trees.source.Manifest(random.random(), 3, source_errors);
    const std::vector<DirectoryBatch> destination = trees.destination.Manifest(random.random(), 3, destination_errors);
    const PlanOptions options = RandomOptions(&random);
    const PlanResult plain = PlanTrees(options, source, destination);
    const FoldedPlan folded = PlanFolded(options, source, destination, random.random());
    ASSERT_EQ(Everything(folded.result), Everything(plain));
    matched += folded.matched;
    expanded += folded.expanded;
  }
  EXPECT_GT(matched, 100u);
  EXPECT_GT(expanded, 100u);
}

// The root's batch and `count` directories below it, each with three files of `size` bytes.
std::vector<DirectoryBatch> Wide(size_t count, uint64_t size) {
  std::vector<DirectoryBatch> batches(1);
  batches[0] = Batch("", {});
  for (size_t i = 0; i < count; ++i) {
    const std::string name = "d" + std::to_string(100000 + i);
    batches[0].entries.push_back(Dir(name, 1000 + i));
    DirectoryBatch below = Batch(name, {File("a", 1), File("b", 2), File("c", 3)}, 1000 + i);
    for (Entry& entry : below.entries) entry.size_bytes = size;
    batches.push_back(std::move(below));
  }
  return batches;
}

TEST(FoldedManifestsTest, EqualTreesAreToldByDigestsAlone) {
  std::mt19937_64 random(1);
  const FoldedPlan plan = PlanFolded(AllAbilities(), Wide(500, 10), Wide(500, 10), random);
  ASSERT_OK(plan.result.status);
  EXPECT_EQ(plan.matched, 500u);
  EXPECT_EQ(plan.expanded, 0u);
  EXPECT_FALSE(plan.stopped);
  EXPECT_TRUE(plan.result.sink.actions.empty());
  EXPECT_EQ(plan.result.counters.unchanged, 500u * 4 + 1);
  EXPECT_EQ(plan.result.counters.source_bytes, 500u * 30);
}

TEST(FoldedManifestsTest, FoldingEndsWhereMostDirectoriesDiffer) {
  std::mt19937_64 random(1);
  const FoldedPlan plan = PlanFolded(AllAbilities(), Wide(500, 10), Wide(500, 11), random);
  ASSERT_OK(plan.result.status);
  EXPECT_TRUE(plan.stopped);
  EXPECT_EQ(plan.result.counters.updates, 1500u);
}

TEST(FoldedManifestsTest, EntriesThatNobodyAskedForBreakTheProtocol) {
  std::mt19937_64 random(1);
  std::vector<DirectoryBatch> source = Wide(3, 10);
  source[2].expanded = true;
  source[2].entries.clear();
  const FoldedPlan plan = PlanFolded(AllAbilities(), source, Wide(3, 10), random);
  EXPECT_EQ(plan.result.status.code(), absl::StatusCode::kInvalidArgument) << plan.result.status.ToString();
}

TEST(FoldedManifestsTest, AFoldedListingOutsideOfFoldingBreaksTheProtocol) {
  std::vector<DirectoryBatch> source = Wide(1, 10);
  source[1].folded = FoldedEntries{.entries = 3};
  const PlanResult plan = PlanTrees(AllAbilities(), source, Wide(1, 10));
  EXPECT_EQ(plan.status.code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace uringsync

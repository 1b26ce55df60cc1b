// Plans that are carried out later: what is still as it was is done, what is not is a conflict.
#include "coordinator/core/plan_applier.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>

#include "tests/coordinator/core/plan_fixture.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

class VectorPlan final : public PlannedActions {
 public:
  explicit VectorPlan(std::vector<PlannedBatch> batches) : batches_(std::move(batches)) {}
  absl::StatusOr<std::optional<PlannedBatch>> Next() override {
    if (next_ == batches_.size()) return std::optional<PlannedBatch>();
    return std::optional<PlannedBatch>(batches_[next_++]);
  }

 private:
  std::vector<PlannedBatch> batches_;
  size_t next_ = 0;
};

class Sink final : public PlanSink {
 public:
  absl::Status OnAction(PlannedAction planned) override {
    actions.push_back(std::move(planned.action));
    return absl::OkStatus();
  }
  absl::Status OnProblem(Problem problem) override {
    problems.push_back(std::move(problem));
    return absl::OkStatus();
  }
  absl::Status OnSkipped(SkipReason, const RelPath&, FileType) override { return absl::OkStatus(); }
  std::vector<Action> actions;
  std::vector<Problem> problems;
};

class PlanApplierTest : public testing::Test {
 protected:
  using Tree = std::map<std::string, Entry>;

  void Add(Phase phase, PlannedAction planned) {
    planned.phase = phase;
    if (batches_.empty() || batches_.back().phase != phase) batches_.push_back({phase, {}});
    batches_.back().actions.push_back(std::move(planned));
  }
  void Apply() {
    PlanApplier::Hooks hooks;
    hooks.look = [this](std::vector<RelPath> source, std::vector<RelPath> destination) {
      return absl::StatusOr<std::pair<PlanApplier::Findings, PlanApplier::Findings>>(
          std::pair(Found(source_, source), Found(destination_, destination)));
    };
    hooks.drain = [this] {
      ++drains_;
      return absl::OkStatus();
    };
    PlanApplier::Options options;
    options.policy = ComparePolicy::For(MetadataSelection(), false, SessionOpened{.can_chown = true});
    options.dry_run = dry_run_;
    options.bases = bases_;
    options.plan_directory = plan_directory_;
    PlanApplier applier(options, hooks);
    VectorPlan plan(batches_);
    ASSERT_OK(applier.Run(plan, sink_));
    counters_ = applier.counters();
  }
  static PlanApplier::Findings Found(const Tree& tree, const std::vector<RelPath>& paths) {
    PlanApplier::Findings findings;
    for (const RelPath& path : paths) {
      const auto found = tree.find(path.text());
      EntryFinding& finding = findings.emplace_back();
      if (found != tree.end()) finding.entry = found->second;
    }
    return findings;
  }
  // One file at the source that the destination has an older version of.
  void PlanUpdate() {
    source_["f"] = File("f", 1);
    destination_["f"] = File("f", 11);
    destination_["f"].size_bytes = 3;
    Add(Phase::kCreate, PlanEmitter::Put(PathOf("f"), source_["f"], destination_["f"], {}));
  }
  void ExpectConflict(Side side, const char* text) {
    ASSERT_EQ(sink_.problems.size(), 1u);
    EXPECT_EQ(sink_.problems[0].kind, ProblemKind::kConflict);
    EXPECT_EQ(sink_.problems[0].side, side);
    EXPECT_THAT(sink_.problems[0].detail, HasSubstr(text));
    EXPECT_TRUE(sink_.actions.empty());
  }

  Tree source_;
  Tree destination_;
  std::vector<PlannedBatch> batches_;
  bool dry_run_ = false;
  size_t bases_ = 0;
  std::optional<FileId> plan_directory_;
  Sink sink_;
  int drains_ = 0;
  PlanCounters counters_;
};

TEST_F(PlanApplierTest, WhatIsAsItWasIsDoneWithWhatWasJustSeen) {
  PlanUpdate();
  // Mounted again meanwhile: other device numbers.
  source_["f"].id.device = 8;
  destination_["f"].id.device = 9;
  Apply();
  ASSERT_EQ(sink_.actions.size(), 1u);
  EXPECT_EQ(sink_.actions[0].id, 1u);
  EXPECT_EQ(sink_.actions[0].wanted.id.device, 8u);
  EXPECT_EQ(sink_.actions[0].existing->id.device, 9u);
  EXPECT_TRUE(sink_.problems.empty());
}

TEST_F(PlanApplierTest, ADestinationThatChangedIsAConflict) {
  PlanUpdate();
  destination_["f"].mtime = {101, 0};
  Apply();
  ExpectConflict(Side::kDestination, "changed since the plan was made: mtime");
}

TEST_F(PlanApplierTest, ContentsThatChangedUnderTheSameTimeAreAConflict) {
  PlanUpdate();
  source_["f"].ctime = {999, 1};
  Apply();
  ExpectConflict(Side::kSource, "ctime");
}

TEST_F(PlanApplierTest, AnotherObjectOfTheSameNameIsAConflict) {
  PlanUpdate();
  source_["f"].id.inode = 77;
  Apply();
  ExpectConflict(Side::kSource, "object");
}

TEST_F(PlanApplierTest, WhatVanishedIsAConflict) {
  PlanUpdate();
  source_.clear();
  Apply();
  ExpectConflict(Side::kSource, "gone");
}

TEST_F(PlanApplierTest, WhatIsNewWhereNothingWasIsAConflict) {
  source_["f"] = File("f", 1);
  Add(Phase::kCreate, PlanEmitter::Put(PathOf("f"), source_["f"], std::nullopt, {}));
  destination_["f"] = File("f", 5);
  destination_["f"].size_bytes = 4;
  Apply();
  ExpectConflict(Side::kDestination, "it was made since");
}

TEST_F(PlanApplierTest, WhatIsDoneAlreadyNeedsNothing) {
  PlanUpdate();
  Add(Phase::kDelete, PlanEmitter::Delete(PathOf("gone"), File("gone", 12)));
  destination_["f"] = source_["f"];
  destination_["f"].id.inode = 99;
  Apply();
  EXPECT_TRUE(sink_.actions.empty());
  EXPECT_TRUE(sink_.problems.empty());
  EXPECT_EQ(counters_.unchanged, 2u);
  EXPECT_EQ(counters_.source_entries, 2u);
}

TEST_F(PlanApplierTest, OnlyWhatThePlanSawIsDeleted) {
  destination_["f"] = File("f", 5);
  Add(Phase::kDelete, PlanEmitter::Delete(PathOf("f"), destination_["f"]));
  destination_["f"].size_bytes = 11;
  Apply();
  ExpectConflict(Side::kDestination, "size");
}

TEST_F(PlanApplierTest, EntriesThatCameAndWentChangeNoDirectoryOfTheDestination) {
  source_["d"] = Dir("d", 1);
  destination_["d"] = Dir("d", 2);
  destination_["d"].mode = 0500;
  Add(Phase::kDirectoryMetadata, PlanEmitter::SetMetadata(PathOf("d"), source_["d"], destination_["d"], {}));
  destination_["d"].mtime = {500, 0};
  destination_["d"].mode = 0700;  // made writable by a run that broke off
  Apply();
  EXPECT_EQ(sink_.actions.size(), 1u);
}

TEST_F(PlanApplierTest, OfSourceDirectoriesThePlansOwnAloneMayHaveAnotherTime) {
  for (const char* name : {"d", "e"}) {
    source_[name] = Dir(name, name[0]);
    destination_[name] = Dir(name, 100 + name[0]);
    destination_[name].mode = 0500;
    Add(Phase::kDirectoryMetadata, PlanEmitter::SetMetadata(PathOf(name), source_[name], destination_[name], {}));
    source_[name].mtime = {500, 0};
  }
  plan_directory_ = source_["d"].id;
  Apply();
  ASSERT_EQ(sink_.actions.size(), 1u);
  EXPECT_EQ(sink_.actions[0].path.text(), "d");
  ASSERT_EQ(sink_.problems.size(), 1u);
  EXPECT_THAT(sink_.problems[0].detail, HasSubstr("mtime"));
}

TEST_F(PlanApplierTest, ALinkNeedsTheNameThatItIsALinkOf) {
  source_["b"] = File("b", 1);
  destination_["a"] = File("a", 5);
  Add(Phase::kLink, PlanEmitter::Link(PathOf("b"), source_["b"], std::nullopt, PathOf("a"), {}));
  Apply();
  EXPECT_EQ(sink_.actions.size(), 1u);
  sink_ = Sink();
  destination_["a"].size_bytes = 77;
  Apply();
  ExpectConflict(Side::kDestination, "hard link");
  // A look changes nothing, so the first name may be missing.
  sink_ = Sink();
  destination_.clear();
  dry_run_ = true;
  Apply();
  EXPECT_EQ(sink_.actions.size(), 1u);
  EXPECT_TRUE(sink_.problems.empty());
}

TEST_F(PlanApplierTest, AFileTakesThePlaceOfADirectoryThatThePlanDeleted) {
  source_["x"] = File("x", 1);
  const Entry directory = Dir("x", 5);
  Add(Phase::kDelete, PlanEmitter::Delete(PathOf("x"), directory));
  Add(Phase::kCreate, PlanEmitter::Put(PathOf("x"), source_["x"], directory, {}));
  Apply();
  ASSERT_EQ(sink_.actions.size(), 1u);
  EXPECT_FALSE(sink_.actions[0].existing.has_value());
  EXPECT_EQ(drains_, 1);
}

TEST_F(PlanApplierTest, ABasisThatIsGoneIsDoneWithout) {
  source_["f"] = File("f", 1);
  PlannedAction planned = PlanEmitter::Put(PathOf("f"), source_["f"], std::nullopt, {});
  PlanEmitter::AddBasis(ActionBasis{0, File("f", 9)}, /*link=*/true, &planned);
  Add(Phase::kCreate, planned);
  Apply();
  ASSERT_EQ(sink_.actions.size(), 1u);
  EXPECT_EQ(sink_.actions[0].kind, ActionKind::kPutFile);
  EXPECT_FALSE(sink_.actions[0].basis.has_value());
}

TEST_F(PlanApplierTest, AnOriginIsUsedAsLongAsItIsWhatThePlanSaw) {
  for (const char* name : {"f", "g"}) {
    source_[name] = File(name, 1);
    const std::string old = std::string("old-") + name;
    destination_[old] = File(old, name[0]);
    PlannedAction planned = PlanEmitter::Put(PathOf(name), source_[name], std::nullopt, {});
    planned.action.origin = ActionOrigin{PathOf(old), destination_[old], ActionOrigin::Fate::kGoes};
    Add(Phase::kCreate, planned);
  }
  // Mounted again meanwhile.
  for (auto& [path, entry] : destination_) entry.id.device = 5;
  destination_["old-g"].mtime.seconds += 1;
  Apply();
  ASSERT_EQ(sink_.actions.size(), 2u);
  ASSERT_TRUE(sink_.actions[0].origin.has_value());
  EXPECT_EQ(sink_.actions[0].origin->object.id.device, 5u);
  EXPECT_FALSE(sink_.actions[1].origin.has_value());
}

TEST_F(PlanApplierTest, AWayThatLeadsNowhereIsAConflict) {
  PlanUpdate();
  source_["f"].error = EACCES;
  Apply();
  ExpectConflict(Side::kSource, "Permission denied");
}

}  // namespace
}  // namespace uringsync

// The planner against a reference model: random small trees, the plan applied in order by an applier that checks every
// assumption of every action, and the result compared with what was asked for. Seeds are printed; URINGSYNC_SEED
// repeats one.
#include <sstream>

#include "tests/coordinator/core/plan_fixture.h"
#include "tests/coordinator/core/random_trees.h"

namespace uringsync {
namespace {

// Times of objects that a run touches without setting them.
constexpr int64_t kTouched = 9999;

class Applier {
 public:
  Applier(const ModelTree& source, ModelTree* destination) : source_(source), destination_(*destination) {}

  // Empty, or what was wrong with the action.
  std::string Apply(const PlannedAction& planned) {
    const Action& action = planned.action;
    if (action.id != ++last_id_) return "ids are not consecutive";
    if (std::string wrong = CheckPhase(planned.phase); !wrong.empty()) return wrong;
    const uint64_t there = destination_.Find(action.path);
    const bool made_in_run = action.kind == ActionKind::kSetMetadata && action.wanted.type == FileType::kDirectory;
    const bool deletes = action.kind == ActionKind::kDelete;
    if (deletes && action.existing) return "the object to delete is told twice";
    const Entry* existing = deletes ? &action.wanted : action.existing ? &*action.existing : nullptr;
    if (existing && (there == 0 || there != existing->id.inode)) return "existing object is another one";
    if (!existing && there != 0 && !made_in_run) return "something is in the way";
    if (existing && destination_.at(there).type != existing->type) return "existing object has another type";
    // What an agent recognises an object by, directories excepted: their time moves with their entries.
    if (existing && existing->type != FileType::kDirectory && destination_.at(there).mtime != existing->mtime) {
      return "existing object has another time";
    }
    switch (action.kind) {
      case ActionKind::kMakeDirectory: return MakeDirectory(action, there);
      case ActionKind::kPutFile:
      case ActionKind::kPutSymlink:
      case ActionKind::kPutSpecial: return Put(action, there);
      case ActionKind::kLink: return Link(action, there);
      case ActionKind::kSetMetadata: return SetMetadata(action, there);
      case ActionKind::kDelete: return Delete(action, there);
    }
    return "unknown action";
  }

 private:
  std::string CheckPhase(Phase phase) {
    static constexpr Phase kOrder[] = {Phase::kCreate, Phase::kLink, Phase::kDelete,
                                       Phase::kCreate, Phase::kLink, Phase::kDirectoryMetadata};
    while (phase_ < std::size(kOrder) && kOrder[phase_] != phase) ++phase_;
    return phase_ < std::size(kOrder) ? "" : "phases go back";
  }
  ModelInode* Parent(const RelPath& path) {
    const uint64_t parent = destination_.Find(path.Parent());
    if (parent == 0 || destination_.at(parent).type != FileType::kDirectory) return nullptr;
    destination_.at(parent).mtime = {kTouched, 0};
    return &destination_.at(parent);
  }
  std::string MakeDirectory(const Action& action, uint64_t there) {
    ModelInode* parent = Parent(action.path);
    if (parent == nullptr) return "no parent";
    if (there != 0 && destination_.at(there).type == FileType::kDirectory) return "already a directory";
    const uint64_t made = destination_.Make({.type = FileType::kDirectory, .mode = 0700, .mtime = {kTouched, 0}});
    Parent(action.path)->children[std::string(action.path.name())] = made;
    return "";
  }
  std::string Put(const Action& action, uint64_t there) {
    if (there != 0 && destination_.at(there).type == FileType::kDirectory) return "put over a directory";
    if (Parent(action.path) == nullptr) return "no parent";
    ModelInode copy = source_.at(action.wanted.id.inode);
    const uint64_t made = destination_.Make(std::move(copy));
    Parent(action.path)->children[std::string(action.path.name())] = made;
    return "";
  }
  std::string Link(const Action& action, uint64_t there) {
    if (there != 0 && destination_.at(there).type == FileType::kDirectory) return "link over a directory";
    const uint64_t leader = destination_.Find(action.link_target);
    if (leader == 0) return "link target is not there";
    const ModelInode& wanted = source_.at(action.wanted.id.inode);
    if (destination_.at(leader).type != wanted.type || destination_.at(leader).content != wanted.content ||
        destination_.at(leader).mtime != wanted.mtime) {
      return "link target is another object";
    }
    if (Parent(action.path) == nullptr) return "no parent";
    Parent(action.path)->children[std::string(action.path.name())] = leader;
    return "";
  }
  std::string SetMetadata(const Action& action, uint64_t there) {
    if (there == 0) return "nothing there";
    ModelInode& inode = destination_.at(there);
    if (inode.type != action.wanted.type) return "another type";
    inode.mode = action.wanted.mode;
    inode.uid = action.wanted.uid;
    inode.gid = action.wanted.gid;
    inode.mtime = action.wanted.mtime;
    return "";
  }
  std::string Delete(const Action& action, uint64_t there) {
    if (there == 0) return "nothing there";
    if (!destination_.at(there).children.empty()) return "directory is not empty";
    Parent(action.path)->children.erase(std::string(action.path.name()));
    return "";
  }

  const ModelTree& source_;
  ModelTree& destination_;
  uint64_t last_id_ = 0;
  size_t phase_ = 0;
};

// Compares what a user can see. `strict`: nothing else may be there. Paths below `except` are left out.
class Comparison {
 public:
  Comparison(const ModelTree& source, const ModelTree& destination, bool strict, std::set<std::string> except)
      : source_(source), destination_(destination), strict_(strict), except_(std::move(except)) {}
  std::string Run() {
    Directory(RelPath(), source_.root(), destination_.root());
    return errors_.str();
  }

 private:
  void Directory(const RelPath& path, uint64_t source, uint64_t destination) {
    const ModelInode& wanted = source_.at(source);
    const ModelInode& found = destination_.at(destination);
    for (const auto& [name, child] : wanted.children) {
      const RelPath child_path = path.Child(name);
      if (except_.contains(child_path.text())) continue;
      const auto there = found.children.find(name);
      if (there == found.children.end()) {
        errors_ << child_path.text() << " is missing\n";
      } else {
        Object(child_path, child, there->second);
      }
    }
    for (const auto& [name, child] : found.children) {
      if (strict_ && !wanted.children.contains(name)) errors_ << path.Child(name).text() << " was not deleted\n";
    }
    Metadata(path, wanted, found);
  }
  void Object(const RelPath& path, uint64_t source, uint64_t destination) {
    const ModelInode& wanted = source_.at(source);
    const ModelInode& found = destination_.at(destination);
    if (wanted.type != found.type) {
      errors_ << path.text() << " has another type\n";
      return;
    }
    if (wanted.type == FileType::kDirectory) return Directory(path, source, destination);
    if (wanted.content != found.content) errors_ << path.text() << " has other contents\n";
    Metadata(path, wanted, found);
    const auto [group, first] = groups_.emplace(source, destination);
    if (!first && group->second != destination) errors_ << path.text() << " is not linked as it should be\n";
    const auto [back, fresh] = back_.emplace(destination, source);
    if (!fresh && back->second != source) errors_ << path.text() << " is linked and should not be\n";
  }
  void Metadata(const RelPath& path, const ModelInode& wanted, const ModelInode& found) {
    if (wanted.mode != found.mode || wanted.uid != found.uid || wanted.mtime != found.mtime) {
      errors_ << path.text() << " has other metadata\n";
    }
  }

  const ModelTree& source_;
  const ModelTree& destination_;
  const bool strict_;
  const std::set<std::string> except_;
  std::map<uint64_t, uint64_t> groups_;
  std::map<uint64_t, uint64_t> back_;
  std::ostringstream errors_;
};

std::string Listing(const PlanResult& plan) {
  std::string text;
  for (const std::string& line : plan.sink.Lines()) text += line + "\n";
  for (const Problem& problem : plan.sink.problems)
    text += "problem " + problem.path.text() + " " + problem.operation + "\n";
  return text;
}

// Plans and applies; false after a failure was recorded.
bool PlanAndApply(const PlanOptions& options, Trees* trees, std::mt19937_64& random, const ModelErrors& source_errors,
                  PlanResult* plan) {
  *plan = PlanTrees(options, trees->source.Manifest(random, 3, source_errors), trees->destination.Manifest(random, 3));
  if (!plan->status.ok()) {
    ADD_FAILURE() << plan->status.ToString();
    return false;
  }
  Applier applier(trees->source, &trees->destination);
  for (const PlannedAction& planned : plan->sink.actions) {
    const std::string wrong = applier.Apply(planned);
    if (!wrong.empty()) {
      ADD_FAILURE() << ActionKindName(planned.action.kind) << " " << planned.action.path.text() << ": " << wrong
                    << "\nplan:\n"
                    << Listing(*plan);
      return false;
    }
  }
  return true;
}

void CheckConverges(uint64_t seed, bool with_delete) {
  SCOPED_TRACE("URINGSYNC_SEED=" + std::to_string(seed));
  RandomTrees random(seed);
  Trees trees;
  MakeTrees(&random, &trees);
  PlanOptions options = AllAbilities();
  options.delete_extraneous = with_delete;
  options.force_delete = !with_delete && random.OneIn(2);
  PlanResult first;
  if (!PlanAndApply(options, &trees, random.random(), {}, &first)) return;
  std::set<std::string> except;
  for (const Problem& problem : first.sink.problems) except.insert(problem.path.text());
  if (with_delete || options.force_delete) EXPECT_TRUE(except.empty()) << Listing(first);
  const std::string wrong = Comparison(trees.source, trees.destination, with_delete, except).Run();
  ASSERT_EQ(wrong, "") << "plan:\n" << Listing(first);
  PlanResult second;
  if (!PlanAndApply(options, &trees, random.random(), {}, &second)) return;
  ASSERT_EQ(second.sink.actions.size(), 0u) << "first:\n" << Listing(first) << "second:\n" << Listing(second);
  EXPECT_EQ(second.sink.problems.size(), first.sink.problems.size());
}

TEST(PlannerPropertyTest, DestinationEqualsSourceAndASecondPlanIsEmpty) {
  const auto [first, end] = Seeds(1500);
  for (uint64_t seed = first; seed < end && !::testing::Test::HasFailure(); ++seed) CheckConverges(seed, true);
}

TEST(PlannerPropertyTest, WithoutDeleteEverythingOfTheSourceArrivesOrIsAProblem) {
  const auto [first, end] = Seeds(1500);
  for (uint64_t seed = first; seed < end && !::testing::Test::HasFailure(); ++seed) CheckConverges(seed, false);
}

// A delete is right only where the source's listing proved the absence: of the object itself or of a directory above
// it.
bool DeleteIsProven(const RelPath& path, const ModelTree& source, const ModelErrors& errors) {
  for (RelPath at = path; !at.is_root(); at = at.Parent()) {
    if (errors.unreadable.contains(at.text())) return false;
    const RelPath parent = at.Parent();
    const uint64_t listed = source.Find(parent);
    if (listed == 0 || source.at(listed).type != FileType::kDirectory) continue;
    if (source.at(listed).children.contains(std::string(at.name()))) {
      // There, as something else than a directory: it makes way.
      return source.at(source.Find(at)).type != FileType::kDirectory;
    }
    return !errors.unlistable.contains(parent.text());
  }
  return false;
}

void CheckDeletesUnderErrors(uint64_t seed) {
  SCOPED_TRACE("URINGSYNC_SEED=" + std::to_string(seed));
  RandomTrees random(seed);
  Trees trees;
  MakeTrees(&random, &trees);
  ModelErrors errors = RandomErrors(&random, trees.source);
  PlanOptions options = AllAbilities();
  options.delete_extraneous = true;
  PlanResult plan;
  if (!PlanAndApply(options, &trees, random.random(), errors, &plan)) return;
  for (const PlannedAction& planned : plan.sink.actions) {
    if (planned.action.kind != ActionKind::kDelete) continue;
    ASSERT_TRUE(DeleteIsProven(planned.action.path, trees.source, errors)) << planned.action.path.text() << "\n"
                                                                           << Listing(plan);
  }
  if (!errors.unlistable.empty() && errors.unlistable.contains("")) EXPECT_FALSE(plan.sink.problems.empty());
}

TEST(PlannerPropertyTest, NothingIsDeletedWhereTheSourceCouldNotBeRead) {
  const auto [first, end] = Seeds(1500);
  for (uint64_t seed = first; seed < end && !::testing::Test::HasFailure(); ++seed) CheckDeletesUnderErrors(seed);
}

TEST(PlannerPropertyTest, ManifestsWithPiecesMissingTwiceOrMovedNeverLeadToAWrongDelete) {
  const auto [first, end] = Seeds(1500);
  for (uint64_t seed = first; seed < end; ++seed) {
    SCOPED_TRACE("URINGSYNC_SEED=" + std::to_string(seed));
    RandomTrees random(seed);
    Trees trees;
    MakeTrees(&random, &trees);
    std::vector<DirectoryBatch> batches = trees.source.Manifest(random.random(), 3);
    const size_t at = random.random()() % batches.size();
    const size_t other = random.random()() % batches.size();
    switch (random.random()() % 4) {
      case 0: batches.erase(batches.begin() + static_cast<long>(at)); break;
      case 1: batches.insert(batches.begin() + static_cast<long>(at), batches[other]); break;
      case 2: std::swap(batches[at], batches[other]); break;
      default: batches.resize(at); break;
    }
    PlanOptions options = AllAbilities();
    options.delete_extraneous = true;
    const PlanResult plan = PlanTrees(options, std::move(batches), trees.destination.Manifest(random.random(), 3));
    if (plan.status.ok()) {
      // Swapping a batch with itself, or the like: then everything must still be proven, as far as batches could be
      // told apart.
      continue;
    }
    ASSERT_EQ(plan.status.code(), absl::StatusCode::kInvalidArgument) << plan.status.ToString();
    ASSERT_EQ(plan.counters.deletes, 0u) << Listing(plan);
  }
}

}  // namespace
}  // namespace uringsync

#include "coordinator/core/run.h"

#include <gmock/gmock.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "proto/handshake.h"
#include "tests/coordinator/core/fake_agent.h"
#include "tests/coordinator/core/plan_fixture.h"

namespace uringsync {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr size_t kWindow = 4;

class RecordingObserver final : public Observer {
 public:
  void OnOpened(const HelloReply&, const SessionOpened&, const HelloReply&, const SessionOpened&) override {
    Call("opened");
  }
  void OnAction(const Action& action, const Differences& differences, ActionOutcome outcome) override {
    const char* const outcomes[] = {"", "planned", "done", "skipped", "failed", "changing"};
    Call(std::string(outcomes[static_cast<int>(outcome)]) + " " + Itemize(action, differences) + " " +
         action.path.text());
  }
  void OnProblem(const Problem& problem) override { Call("problem " + problem.path.text() + " " + problem.operation); }
  void OnProgress(const SyncProgress& progress) override {
    EXPECT_EQ(std::this_thread::get_id(), thread_);
    last = progress;
  }
  void OnNotice(Side, std::string_view text) override { Call("notice " + std::string(text)); }
  void OnSkipped(SkipReason, const RelPath& path, FileType) override { Call("skipped " + path.text()); }
  std::vector<std::string> calls;
  SyncProgress last;

 private:
  void Call(std::string text) {
    EXPECT_EQ(std::this_thread::get_id(), thread_);
    calls.push_back(std::move(text));
  }
  const std::thread::id thread_ = std::this_thread::get_id();
};

// Two agents and a run between them.
struct Fixture {
  Fixture() {
    source.manifest = {Batch("", {Dir("d", 2), File("f", 3)}, 1), Batch("d", {File("x", 4)}, 2)};
    destination.manifest = {Batch("", {File("old", 9)}, 1)};
    request.choose_route = [](const HelloReply&, const HelloReply&) {
      return absl::StatusOr<RouteChoice>(RouteChoice{});
    };
    request.software = "test";
    request.source.root = request.destination.root = "data";
    request.source.session[0] = 1;
    request.destination.session[0] = 2;
  }
  SyncOutcome Run() {
    auto [source_client, source_end] = MakeInMemoryControlPair(kWindow);
    auto [destination_client, destination_end] = MakeInMemoryControlPair(kWindow);
    source_agent = std::make_unique<FakeAgent>(std::move(source_end), source);
    destination_agent = std::make_unique<FakeAgent>(std::move(destination_end), destination);
    SyncOutcome outcome = RunSync(request, *source_client, *destination_client, observer);
    source_agent->Join();
    destination_agent->Join();
    return outcome;
  }
  void GiveBoth(std::string_view feature) {
    for (FakeAgent::Behaviour* agent : {&source, &destination}) agent->hello.features.emplace_back(feature);
  }
  SyncRequest request;
  FakeAgent::Behaviour source;
  FakeAgent::Behaviour destination;
  std::unique_ptr<FakeAgent> source_agent;
  std::unique_ptr<FakeAgent> destination_agent;
  RecordingObserver observer;
};

TEST(RunSyncTest, SyncsAndTellsEveryActionOnce) {
  Fixture f;
  f.request.delete_extraneous = true;
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kOk) << outcome.error;
  EXPECT_TRUE(outcome.complete);
  EXPECT_THAT(f.observer.calls,
              ElementsAre("opened", "done cd+++++++++ d", "done >f+++++++++ f", "done >f+++++++++ d/x",
                          "done *deleting old", "done .d......... d", "done .d......... "));
  EXPECT_EQ(outcome.actions_done, 6u);
  EXPECT_EQ(outcome.durability, Durability::kBatch);
  EXPECT_TRUE(f.destination_agent->finished);
  EXPECT_TRUE(f.destination_agent->said_goodbye);
  EXPECT_TRUE(f.source_agent->said_goodbye);
  EXPECT_EQ(f.observer.last.actions_ended, 6u);
  EXPECT_FALSE(f.observer.last.discovering);
}

TEST(RunSyncTest, OpensTheSourceFirstAndTheDestinationWithTheRouteThatWasChosen) {
  Fixture f;
  std::atomic<int> opened{0};
  int destination_turn = 0;
  int source_turn = 0;
  f.destination.on_message = [&](const ClientMessage& m) {
    if (std::holds_alternative<OpenSession>(m)) destination_turn = ++opened;
  };
  f.source.on_message = [&](const ClientMessage& m) {
    if (std::holds_alternative<OpenSession>(m)) source_turn = ++opened;
  };
  f.source.hello.data_port = 77;
  f.request.choose_route = [](const HelloReply& source, const HelloReply&) -> absl::StatusOr<RouteChoice> {
    RouteChoice choice;
    choice.route = {.kind = DataRoute::Kind::kConnect, .host = "there", .port = source.data_port};
    return choice;
  };
  EXPECT_EQ(f.Run().exit_code, ExitCode::kOk);
  EXPECT_EQ(source_turn, 1);
  EXPECT_EQ(destination_turn, 2);
  EXPECT_EQ(f.destination_agent->opens.at(0).route.port, 77);
  EXPECT_EQ(f.destination_agent->opens.at(0).role, Role::kDestination);
  EXPECT_EQ(f.source_agent->opens.at(0).role, Role::kSource);
}

TEST(RunSyncTest, AsksTheSourceForItsSessionAlongWithTheGreeting) {
  Fixture f;
  f.source.late_hello = true;
  EXPECT_EQ(f.Run().exit_code, ExitCode::kOk);
  EXPECT_EQ(f.source_agent->opens.size(), 1u);
}

TEST(RunSyncTest, WaitsForTheGreetingsWhereTheSessionDependsOnThem) {
  Fixture f;
  f.request.compression.mode = CompressionMode::kAdaptive;
  EXPECT_EQ(f.Run().exit_code, ExitCode::kOk);
  // The destination is too old for compression, and the source was told in time.
  EXPECT_EQ(f.source_agent->opens.at(0).compression.mode, CompressionMode::kOff);
}

TEST(RunSyncTest, ResumingNeedsTheLeafDigestsOfBothAgentsAndIsLeftOutWithoutAWord) {
  for (const auto& [source, asked] : {std::pair(true, true), {true, false}, {false, true}}) {
    Fixture f;
    f.request.resume = asked;
    if (source) f.source.hello.features = {std::string(kDeltaFeature)};
    f.destination.hello.features = {std::string(kDeltaFeature)};
    EXPECT_EQ(f.Run().exit_code, ExitCode::kOk);
    EXPECT_EQ(f.destination_agent->opens.at(0).resume, source && asked);
  }
}

TEST(RunSyncTest, DirectIoReachesBothAgentsAndNeedsOnesThatKnowIt) {
  for (const bool known : {true, false}) {
    Fixture f;
    f.request.direct_io = DirectIoMode::kOn;
    if (known) f.source.hello.features = {std::string(kDirectIoFeature)};
    if (known) f.destination.hello.features = {std::string(kDirectIoFeature)};
    const SyncOutcome outcome = f.Run();
    EXPECT_EQ(outcome.exit_code, known ? ExitCode::kOk : ExitCode::kVersion);
    if (!known) EXPECT_THAT(outcome.error, HasSubstr("too old for direct I/O"));
    if (!known) continue;
    EXPECT_EQ(f.source_agent->opens.at(0).direct_io, DirectIoMode::kOn);
    EXPECT_EQ(f.destination_agent->opens.at(0).direct_io, DirectIoMode::kOn);
  }
}

TEST(RunSyncTest, ASourceThatTellsWhatNobodyAskedForEndsTheRunUnlessItIsTrusted) {
  for (const bool trusted : {false, true}) {
    Fixture f;
    f.source.hello.features = f.destination.hello.features = {std::string(kOperandsFeature)};
    f.request.operands = {{.base = "", .from = PathOf("d"), .at = PathOf("d")}};
    f.request.trust_source = trusted;
    const SyncOutcome outcome = f.Run();
    EXPECT_EQ(outcome.exit_code, trusted ? ExitCode::kOk : ExitCode::kProtocol) << outcome.error;
    const bool took = std::any_of(f.destination_agent->actions.begin(), f.destination_agent->actions.end(),
                                  [](const Action& action) { return action.path.text() == "f"; });
    EXPECT_EQ(took, trusted);
    if (!trusted) EXPECT_THAT(outcome.error, HasSubstr("\"f\", which nobody asked for"));
  }
}

TEST(RunSyncTest, FiltersReachBothAgentsAndNeedOnesThatKnowThem) {
  for (const bool known : {true, false}) {
    Fixture f;
    f.request.filters = {"- *.o", ": .f"};
    f.request.delete_excluded = f.request.delete_extraneous = true;
    if (known) f.source.hello.features = f.destination.hello.features = {std::string(kFiltersFeature)};
    if (!known) f.source.hello.features = {std::string(kFiltersFeature)};
    const SyncOutcome outcome = f.Run();
    EXPECT_EQ(outcome.exit_code, known ? ExitCode::kOk : ExitCode::kVersion);
    // An agent that knows none would tell everything: nobody is asked for anything before both are known.
    if (!known) EXPECT_THAT(outcome.error, HasSubstr("too old for filter rules"));
    if (!known) EXPECT_TRUE(f.source_agent->opens.empty());
    if (!known) continue;
    for (const FakeAgent* agent : {f.source_agent.get(), f.destination_agent.get()}) {
      EXPECT_EQ(agent->opens.at(0).filters, f.request.filters);
      EXPECT_TRUE(agent->opens.at(0).delete_excluded);
    }
  }
}

// An agent offers only what the greeting names.
TEST(RunSyncTest, TheGreetingNamesRulesOfMetadataAndNames) {
  Fixture f;
  std::vector<std::string> features;
  f.source.on_message = [&](const ClientMessage& m) {
    if (const auto* hello = std::get_if<Hello>(&m)) features = hello->features;
  };
  EXPECT_EQ(f.Run().exit_code, ExitCode::kOk);
  EXPECT_TRUE(HasFeature(features, kMetadataRulesFeature));
  EXPECT_TRUE(HasFeature(features, kNamesFeature));
}

TEST(RunSyncTest, RulesOfMetadataNeedAgentsThatKnowThem) {
  for (const bool known : {true, false}) {
    Fixture f;
    f.request.selection.modify_window_s = 0;
    if (known) f.source.hello.features = {std::string(kMetadataRulesFeature)};
    if (known) f.destination.hello.features = {std::string(kMetadataRulesFeature)};
    const SyncOutcome outcome = f.Run();
    EXPECT_EQ(outcome.exit_code, known ? ExitCode::kOk : ExitCode::kVersion);
    if (known) EXPECT_EQ(f.destination_agent->opens.at(0).selection.modify_window_s, 0u);
  }
}

TEST(RunSyncTest, ADeleteLimitThatWasReachedEndsWith25UnlessThereIsWorse) {
  for (const bool worse : {false, true}) {
    Fixture f;
    f.request.delete_extraneous = true;
    f.request.rules.max_delete = 0;
    Entry bad = File("z", 9);
    bad.error = EIO;
    f.source.manifest = {worse ? Batch("", {bad}) : Batch("", {})};
    f.destination.manifest = {Batch("", {File("extra", 3)})};
    const SyncOutcome outcome = f.Run();
    EXPECT_EQ(outcome.exit_code, worse ? ExitCode::kPartial : ExitCode::kDeleteLimit);
    EXPECT_EQ(outcome.plan.skipped_deletes, 1u);
    EXPECT_EQ(outcome.plan.deletes, 0u);
  }
}

TEST(RunSyncTest, EmptyDirectoriesArePrunedBeforeThePlan) {
  Fixture f;
  f.request.rules.prune_empty_directories = true;
  f.source.manifest = {Batch("", {Dir("e", 2), Dir("k", 3)}), Batch("e", {}), Batch("k", {File("f", 4)})};
  f.destination.manifest = {Batch("", {})};
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kOk) << outcome.error;
  EXPECT_EQ(outcome.plan.creates, 2u);
}

// A source that has lost what was mounted at /disk, and lacks what the destination has.
void LoseDisk(Fixture& f) {
  f.source.hello.features.emplace_back(kMountsFeature);
  f.source.mounts = [](const MountQuery& query) {
    MountReply reply{.mounts = {{"/", "root"}}};
    for (const MountedPlace& mount : query.recorded) reply.lost.push_back({mount.point});
    return reply;
  };
  f.request.delete_extraneous = true;
  f.request.recall_mounts = [](const SessionOpened&, const SessionOpened&) {
    return RecalledMounts{.mounts = {{"/disk", "disk"}}, .unusable = {}};
  };
}

TEST(RunSyncTest, NothingIsDeletedWhereTheSourceHasLostAMount) {
  Fixture f;
  LoseDisk(f);
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kDeleteLimit) << outcome.error;
  EXPECT_TRUE(outcome.deletes_held);
  EXPECT_EQ(outcome.plan.deletes, 0u);
  EXPECT_EQ(outcome.plan.skipped_deletes, 1u);
  EXPECT_EQ(outcome.plan.creates, 3u);
  EXPECT_THAT(f.observer.calls, testing::Contains(HasSubstr("notice source /disk: nothing is mounted there")));
}

TEST(RunSyncTest, NothingIsDeletedWhereAnotherFileSystemIsMountedAndBothAreNamed) {
  Fixture f;
  LoseDisk(f);
  f.source.mounts = [](const MountQuery&) {
    return MountReply{.mounts = {{"/disk", "xfs uuid 2"}}, .lost = {{"/disk", MountLoss::kReplaced}}};
  };
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kDeleteLimit) << outcome.error;
  EXPECT_TRUE(outcome.deletes_held);
  EXPECT_FALSE(outcome.source_in_doubt);
  EXPECT_EQ(outcome.plan.deletes, 0u);
  EXPECT_THAT(f.observer.calls, testing::Contains(testing::AllOf(HasSubstr("(disk then, xfs uuid 2 now)"),
                                                                 HasSubstr("--allow-empty-source"))));
}

TEST(RunSyncTest, NothingIsDeletedWhereTheRecordOfTheMountsIsOfNoUse) {
  for (const bool accepted : {false, true}) {
    Fixture f;
    LoseDisk(f);
    f.request.accept_lost_mounts = accepted;
    f.request.recall_mounts = [](const SessionOpened&, const SessionOpened&) {
      return RecalledMounts{.mounts = {}, .unusable = "/state/record: damaged"};
    };
    const SyncOutcome outcome = f.Run();
    EXPECT_EQ(outcome.exit_code, accepted ? ExitCode::kOk : ExitCode::kDeleteLimit) << outcome.error;
    EXPECT_EQ(outcome.deletes_held, !accepted);
    EXPECT_EQ(outcome.plan.deletes, accepted ? 1u : 0u);
    const auto told = testing::Contains(
        testing::AllOf(HasSubstr("notice /state/record: damaged"), HasSubstr("--allow-empty-source")));
    if (accepted) {
      EXPECT_THAT(f.observer.calls, testing::Not(told));
    } else {
      EXPECT_THAT(f.observer.calls, told);
    }
  }
}

TEST(RunSyncTest, ALostMountThatIsAcceptedOrThatNobodyCanTellOfHoldsNothingBack) {
  for (const bool accepted : {true, false}) {
    Fixture f;
    LoseDisk(f);
    f.request.accept_lost_mounts = accepted;
    if (!accepted) f.source.hello.features.clear();
    const SyncOutcome outcome = f.Run();
    EXPECT_EQ(outcome.exit_code, ExitCode::kOk) << outcome.error;
    EXPECT_EQ(outcome.plan.deletes, 1u);
    EXPECT_EQ(outcome.mounts.size(), accepted ? 1u : 0u);
  }
}

// Calls user 1000 "x" at the source and 70 "x" at the destination.
void NameUsers(Fixture& f) {
  for (FakeAgent::Behaviour* agent : {&f.source, &f.destination})
    agent->hello.features = {std::string(kNamesFeature), kFoldFeature};
  f.source.names = [](const NameQuery& query) {
    NameReply reply;
    for (const uint32_t uid : query.uids) reply.user_names.push_back(uid == 1000 ? "x" : "");
    reply.group_names.resize(query.gids.size());
    return reply;
  };
  f.destination.names = [](const NameQuery& query) {
    NameReply reply;
    for (const std::string& name : query.users)
      reply.user_ids.push_back(name == "x" ? std::optional<uint32_t>(70) : std::nullopt);
    return reply;
  };
  f.source.manifest = {Batch("", {File("f", 3)})};
  f.destination.manifest = {Batch("", {})};
}

TEST(RunSyncTest, OwnersAreMappedByNameBeforeThePlan) {
  Fixture f;
  NameUsers(f);
  f.request.numeric_ids = false;
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kOk) << outcome.error;
  ASSERT_FALSE(f.destination_agent->actions.empty());
  EXPECT_EQ(f.destination_agent->actions[0].wanted.uid, 70u);
  EXPECT_EQ(f.destination_agent->actions[0].wanted.gid, 1000u);
}

TEST(RunSyncTest, NobodyIsAskedForNamesWhereBothSidesHaveTheSame) {
  Fixture f;
  NameUsers(f);
  f.request.numeric_ids = false;
  f.source.opened.name_domain = f.destination.opened.name_domain = "here";
  bool asked = false;
  f.source.on_message = [&](const ClientMessage& m) { asked = asked || std::holds_alternative<NameQuery>(m); };
  EXPECT_EQ(f.Run().exit_code, ExitCode::kOk);
  EXPECT_EQ(f.destination_agent->actions.at(0).wanted.uid, 1000u);
  EXPECT_FALSE(asked);
}

TEST(RunSyncTest, ANameThatARuleLeadsToAndNobodyKnowsEndsTheRunBeforeItBegins) {
  Fixture f;
  NameUsers(f);
  f.request.owner_map = *IdRules::Parse("*:nosuch");
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kUsage);
  EXPECT_THAT(outcome.error, HasSubstr("nosuch"));
  EXPECT_TRUE(f.destination_agent->actions.empty());
}

TEST(RunSyncTest, NamesNeedAgentsThatKnowThem) {
  Fixture f;
  f.request.numeric_ids = false;
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kVersion);
  EXPECT_THAT(outcome.error, HasSubstr("--numeric-ids"));
}

TEST(RunSyncTest, ModesAreChangedBeforeThePlan) {
  Fixture f;
  NameUsers(f);
  f.request.mode_changes = *ModeChanges::Parse("F600", 0);
  EXPECT_EQ(f.Run().exit_code, ExitCode::kOk);
  EXPECT_EQ(f.destination_agent->actions.at(0).wanted.mode, 0600u);
}

TEST(RunSyncTest, PlanListsWithoutTouching) {
  Fixture f;
  f.request.mode = SyncMode::kPlan;
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kOk) << outcome.error;
  EXPECT_TRUE(f.destination_agent->actions.empty());
  EXPECT_TRUE(f.destination_agent->opens.at(0).dry_run);
  EXPECT_FALSE(f.destination_agent->finished);
  EXPECT_EQ(f.observer.calls.at(1), "planned cd+++++++++ d");
}

TEST(RunSyncTest, PlanIntoAMissingDirectoryIsAllNew) {
  Fixture f;
  f.request.mode = SyncMode::kPlan;
  f.destination.opened.exists = false;
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kOk) << outcome.error;
  EXPECT_EQ(f.observer.calls.at(1), "planned cd+++++++++ ");
  EXPECT_EQ(outcome.plan.creates, 4u);
}

TEST(RunSyncTest, VerifyComparesDigestsAndEndsWith23WhereTreesDiffer) {
  Fixture f;
  f.request.mode = SyncMode::kVerify;
  f.GiveBoth(kDigestKeyFeature);
  Entry one = File("f", 3);
  one.content_digest = Digest128{1, 1};
  Entry other = File("f", 8);
  other.content_digest = Digest128{2, 2};
  f.source.manifest = {Batch("", {one})};
  f.destination.manifest = {Batch("", {other})};
  SyncOutcome outcome = f.Run();
  EXPECT_TRUE(f.source_agent->opens.at(0).checksum);
  EXPECT_EQ(outcome.exit_code, ExitCode::kPartial);
  EXPECT_EQ(outcome.problems.differing, 1u);
  EXPECT_EQ(f.observer.calls.at(1), "planned >fc........ f");

  Fixture same;
  same.request.mode = SyncMode::kVerify;
  same.source.manifest = {Batch("", {one})};
  same.destination.manifest = {Batch("", {one})};
  outcome = same.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kOk);
  EXPECT_EQ(outcome.problems.differing, 0u);
}

// Keys that an agent was given with its manifest.
std::function<void(const ClientMessage&)> KeepKey(std::optional<DigestKey>* key) {
  return [key](const ClientMessage& message) {
    if (const auto* start = std::get_if<StartManifest>(&message)) *key = start->digest_key;
  };
}

TEST(RunSyncTest, BothAgentsDigestUnderOneKeyThatIsAnotherOneInEachRun) {
  std::optional<DigestKey> first;
  for (int run = 0; run < 2; ++run) {
    Fixture f;
    f.GiveBoth(kDigestKeyFeature);
    std::optional<DigestKey> at_source;
    std::optional<DigestKey> at_destination;
    f.source.on_message = KeepKey(&at_source);
    f.destination.on_message = KeepKey(&at_destination);
    EXPECT_EQ(f.Run().exit_code, ExitCode::kOk);
    ASSERT_TRUE(at_source.has_value());
    EXPECT_EQ(at_source, at_destination);
    EXPECT_NE(at_source, first);
    first = at_source;
  }
}

TEST(RunSyncTest, AnAgentThatKnowsNoKeysGetsNoneAndTheOtherNeither) {
  for (const bool old_source : {false, true}) {
    Fixture f;
    f.request.checksum = true;
    (old_source ? f.destination : f.source).hello.features.emplace_back(kDigestKeyFeature);
    std::optional<DigestKey> key = DigestKey{};
    (old_source ? f.destination : f.source).on_message = KeepKey(&key);
    EXPECT_EQ(f.Run().exit_code, ExitCode::kOk);
    EXPECT_FALSE(key.has_value());
    EXPECT_THAT(f.observer.calls, testing::Contains(testing::HasSubstr("too old for digests under a key")));
  }
}

TEST(RunSyncTest, ReadingBackNeedsADestinationThatKnowsIt) {
  for (const bool known : {false, true}) {
    Fixture f;
    f.request.readback = true;
    if (known) f.destination.hello.features.emplace_back(kReadbackFeature);
    EXPECT_EQ(f.Run().exit_code, known ? ExitCode::kOk : ExitCode::kVersion);
    if (known) EXPECT_TRUE(f.destination_agent->opens.at(0).readback);
  }
}

TEST(RunSyncTest, ASnapshotNeedsASourceThatKnowsItAndARunThatChangesSomething) {
  for (const bool known : {false, true}) {
    Fixture f;
    f.request.snapshot = SnapshotMode::kFiles;
    if (known) f.source.hello.features.emplace_back(kSnapshotFeature);
    EXPECT_EQ(f.Run().exit_code, known ? ExitCode::kOk : ExitCode::kVersion);
    if (known) EXPECT_EQ(f.source_agent->opens.at(0).snapshot, SnapshotMode::kFiles);
  }
  Fixture f;
  f.request.snapshot = SnapshotMode::kRequire;
  f.request.mode = SyncMode::kPlan;
  EXPECT_EQ(f.Run().exit_code, ExitCode::kOk);
  EXPECT_EQ(f.source_agent->opens.at(0).snapshot, SnapshotMode::kNone);
}

// A verify of two files "f" and "g" that differ; `now` is what both sides show at the second look.
SyncOutcome VerifyTwice(Fixture* f, std::function<EntryReply(const EntryQuery&, Side)> now) {
  f->request.mode = SyncMode::kVerify;
  f->GiveBoth(kDigestKeyFeature);
  f->GiveBoth(kEntryLooksFeature);
  f->source.looks = [now](const EntryQuery& query) { return now(query, Side::kSource); };
  f->destination.looks = [now](const EntryQuery& query) { return now(query, Side::kDestination); };
  std::vector<Entry> here = {File("f", 3), File("g", 4)};
  std::vector<Entry> there = {File("f", 5), File("g", 6)};
  for (Entry& entry : here) entry.content_digest = Digest128{1, 1};
  for (Entry& entry : there) entry.content_digest = Digest128{2, 2};
  f->source.manifest = {Batch("", here)};
  f->destination.manifest = {Batch("", there)};
  return f->Run();
}

TEST(RunSyncTest, VerifyTellsWhatChangedMeanwhileApart) {
  Fixture f;
  const SyncOutcome outcome = VerifyTwice(&f, [](const EntryQuery& query, Side side) {
    EntryReply reply;
    for (const RelPath& path : query.paths) {
      const bool source = side == Side::kSource;
      Entry entry = path.text() == "f" ? File("f", source ? 3 : 5) : File("g", source ? 4 : 6);
      entry.content_digest = source ? Digest128{1, 1} : Digest128{2, 2};
      if (path.text() == "g" && source) entry.ctime.seconds += 1;
      reply.findings.push_back({entry, 0});
    }
    return reply;
  });
  EXPECT_EQ(outcome.exit_code, ExitCode::kPartial) << outcome.error;
  EXPECT_EQ(outcome.problems.differing, 1u);
  EXPECT_EQ(outcome.problems.changing, 1u);
  EXPECT_THAT(f.observer.calls, testing::Contains(testing::StartsWith("planned >fc")));
  EXPECT_THAT(f.observer.calls, testing::Contains(testing::StartsWith("changing >fc")));
}

TEST(RunSyncTest, VerifyDoesNotTellWhatIsEqualAtTheSecondLook) {
  Fixture f;
  const SyncOutcome outcome = VerifyTwice(&f, [](const EntryQuery& query, Side) {
    EntryReply reply;
    for (const RelPath& path : query.paths) {
      reply.findings.push_back({File(std::string(path.name()), 7), 0});
      reply.findings.back().entry->content_digest = Digest128{3, 3};
    }
    return reply;
  });
  EXPECT_EQ(outcome.exit_code, ExitCode::kOk) << outcome.error;
  EXPECT_EQ(outcome.problems.differing + outcome.problems.changing, 0u);
  EXPECT_EQ(outcome.problems.settled, 2u);
  EXPECT_THAT(f.observer.calls, testing::Not(testing::Contains(testing::HasSubstr(">f"))));
}

TEST(RunSyncTest, ProblemsOfActionsEndWith23AndAreToldBeforeTheAction) {
  Fixture f;
  f.destination.apply = [](const ActionBatch& batch) {
    ApplyProgress progress;
    progress.completed_sequence = batch.sequence;
    for (const Action& action : batch.actions) {
      if (action.path.text() != "f") continue;
      Problem problem;
      problem.path = action.path;
      problem.operation = "write";
      problem.action = action.id;
      progress.problems.push_back(problem);
    }
    return std::optional(progress);
  };
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kPartial);
  EXPECT_TRUE(outcome.error.empty());
  EXPECT_EQ(outcome.actions_failed, 1u);
  const auto problem = std::find(f.observer.calls.begin(), f.observer.calls.end(), "problem f write");
  const auto action = std::find(f.observer.calls.begin(), f.observer.calls.end(), "failed >f+++++++++ f");
  ASSERT_NE(problem, f.observer.calls.end());
  ASSERT_NE(action, f.observer.calls.end());
  EXPECT_LT(problem, action);
}

TEST(RunSyncTest, VanishedSourceObjectsAloneEndWith24) {
  Fixture f;
  Entry gone = File("f", 3);
  gone.error = ENOENT;
  f.source.manifest = {Batch("", {gone})};
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kVanished);
  EXPECT_EQ(outcome.problems.vanished, 1u);
}

TEST(RunSyncTest, SkippedActionsAreNoProblem) {
  Fixture f;
  f.destination.apply = [](const ActionBatch& batch) {
    ApplyProgress progress;
    progress.completed_sequence = batch.sequence;
    progress.skipped_actions = {batch.actions.front().id};
    return std::optional(progress);
  };
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kOk);
  EXPECT_GT(outcome.actions_skipped, 0u);
  EXPECT_EQ(f.observer.calls.at(1), "skipped cd+++++++++ d");
}

TEST(RunSyncTest, AFileThatWasCopiedWhileItMovedIsToldAndDone) {
  Fixture f;
  f.request.unstable = UnstableFiles::kCopyIfKnown;
  f.destination.apply = [](const ActionBatch& batch) {
    ApplyProgress progress;
    progress.completed_sequence = batch.sequence;
    Problem& told = progress.problems.emplace_back();
    told.kind = ProblemKind::kUnstable;
    told.action = batch.actions.front().id;
    return std::optional(progress);
  };
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kOk);
  EXPECT_EQ(outcome.actions_failed, 0u);
  EXPECT_GT(outcome.problems.unstable, 0u);
  EXPECT_EQ(outcome.problems.failed, 0u);
}

TEST(RunSyncTest, AgentThatDiesDuringTheScanIsNamed) {
  for (const Side side : {Side::kSource, Side::kDestination}) {
    Fixture f;
    f.request.delete_extraneous = true;
    (side == Side::kSource ? f.source : f.destination).die_at_batch = side == Side::kSource ? 1 : 0;
    const SyncOutcome outcome = f.Run();
    EXPECT_EQ(outcome.exit_code, ExitCode::kProtocol);
    EXPECT_EQ(outcome.error_side, side);
    EXPECT_THAT(outcome.error, HasSubstr(side == Side::kSource ? "source agent" : "destination agent"));
    EXPECT_FALSE(outcome.complete);
    for (const Action& action : f.destination_agent->actions) EXPECT_NE(action.kind, ActionKind::kDelete);
  }
}

TEST(RunSyncTest, AgentThatDiesBeforeTheEndOfItsManifestDeletesNothing) {
  Fixture f;
  f.request.delete_extraneous = true;
  f.source.die_at_batch = f.source.manifest.size();
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kProtocol);
  for (const Action& action : f.destination_agent->actions) EXPECT_NE(action.kind, ActionKind::kDelete);
}

TEST(RunSyncTest, DestinationThatDiesWhileApplyingIsNamed) {
  Fixture f;
  f.destination.apply = [](const ActionBatch&) { return std::optional<ApplyProgress>(); };
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kProtocol);
  EXPECT_EQ(outcome.error_side, Side::kDestination);
}

TEST(RunSyncTest, RefusalsDecideTheExitCode) {
  const std::pair<ErrorKind, ExitCode> cases[] = {{ErrorKind::kSelection, ExitCode::kSelection},
                                                  {ErrorKind::kLocked, ExitCode::kFileIo},
                                                  {ErrorKind::kUsage, ExitCode::kUsage},
                                                  {ErrorKind::kVersion, ExitCode::kVersion},
                                                  {ErrorKind::kInterrupted, ExitCode::kInterrupted}};
  for (const auto& [kind, code] : cases) {
    Fixture f;
    f.destination.refuse_open = SessionError{kind, "because\n"};
    const SyncOutcome outcome = f.Run();
    EXPECT_EQ(outcome.exit_code, code);
    EXPECT_EQ(outcome.error, "destination agent: because\\012");
  }
}

TEST(RunSyncTest, AgentOfAnotherVersionEndsWith2NamingBoth) {
  Fixture f;
  f.source.hello.version = 7;
  f.source.hello.min_version = 7;
  f.source.hello.max_version = 9;
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kVersion);
  EXPECT_THAT(outcome.error, HasSubstr("7 to 9"));
}

TEST(RunSyncTest, MissingSourceEndsWith3) {
  Fixture f;
  f.source.opened.exists = false;
  EXPECT_EQ(f.Run().exit_code, ExitCode::kSelection);
}

TEST(RunSyncTest, RouteThatCannotBeChosenEndsTheRun) {
  Fixture f;
  f.request.choose_route = [](const HelloReply&, const HelloReply&) {
    return absl::StatusOr<RouteChoice>(absl::UnavailableError("no way between the agents"));
  };
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kProtocol);
  EXPECT_THAT(outcome.error, HasSubstr("no way"));
}

TEST(RunSyncTest, SilentAgentEndsWithATimeout) {
  Fixture f;
  f.source.stuck_at_batch = 1;
  f.request.idle_timeout = absl::Milliseconds(50);
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kTimeout);
  EXPECT_THAT(outcome.error, HasSubstr("50ms"));
}

TEST(RunSyncTest, SilentAgentEndsWithATimeoutAlthoughTheOtherOneTalks) {
  for (const Side silent : {Side::kSource, Side::kDestination}) {
    Fixture f;
    FakeAgent::Behaviour& dumb = silent == Side::kSource ? f.source : f.destination;
    FakeAgent::Behaviour& lively = silent == Side::kSource ? f.destination : f.source;
    dumb.hello.features = lively.hello.features = {kAliveFeature};
    dumb.stuck_at_batch = 1;
    lively.signs_of_life = true;
    f.request.idle_timeout = absl::Milliseconds(200);
    f.request.total_timeout = absl::Seconds(20);
    const SyncOutcome outcome = f.Run();
    EXPECT_EQ(outcome.exit_code, ExitCode::kTimeout);
    EXPECT_EQ(outcome.error_side, silent);
    EXPECT_THAT(outcome.error, HasSubstr("sent nothing for 200ms"));
  }
}

TEST(RunSyncTest, AgentsThatOnlySayThatTheyLiveAreNoTimeout) {
  Fixture f;
  f.source.hello.features = f.destination.hello.features = {kAliveFeature};
  f.source.signs_of_life = f.destination.signs_of_life = true;
  f.source.stuck_at_batch = 1;
  f.request.idle_timeout = absl::Milliseconds(200);
  f.request.total_timeout = absl::Milliseconds(600);
  EXPECT_THAT(f.Run().error, HasSubstr("longer than 600ms"));
}

TEST(RunSyncTest, AgentOfAnOlderProgramThatSendsNoSignsOfLifeIsNotBlamed) {
  Fixture f;
  f.destination.signs_of_life = true;
  f.source.stuck_at_batch = 1;
  f.request.idle_timeout = absl::Milliseconds(200);
  f.request.total_timeout = absl::Milliseconds(600);
  EXPECT_THAT(f.Run().error, HasSubstr("longer than 600ms"));
}

// A connection whose peer takes nothing any more once everything is done.
class DeafAtTheEnd final : public ClientStream {
 public:
  explicit DeafAtTheEnd(std::unique_ptr<ClientStream> stream) : stream_(std::move(stream)) {}
  absl::Status Send(const ClientMessage& message) override {
    if (!std::holds_alternative<CloseSession>(message)) return stream_->Send(message);
    std::unique_lock lock(mutex_);
    closing_.wait(lock, [this] { return closed_; });
    return absl::UnavailableError("closed");
  }
  absl::StatusOr<AgentMessage> Receive() override { return stream_->Receive(); }
  void Close() override {
    stream_->Close();
    std::lock_guard lock(mutex_);
    closed_ = true;
    closing_.notify_all();
  }

 private:
  std::unique_ptr<ClientStream> stream_;
  std::mutex mutex_;
  std::condition_variable closing_;
  bool closed_ = false;
};

TEST(RunSyncTest, AgentThatDoesNotTakeTheGoodbyeHoldsNobodyUp) {
  Fixture f;
  auto [source_client, source_end] = MakeInMemoryControlPair(kWindow);
  auto [destination_client, destination_end] = MakeInMemoryControlPair(kWindow);
  FakeAgent source(std::move(source_end), f.source);
  FakeAgent destination(std::move(destination_end), f.destination);
  DeafAtTheEnd deaf(std::move(source_client));
  const SyncOutcome outcome = RunSync(f.request, deaf, *destination_client, f.observer);
  EXPECT_EQ(outcome.exit_code, ExitCode::kOk);
  EXPECT_TRUE(outcome.complete);
}

TEST(RunSyncTest, AgentThatNeverFinishesEndsWithTheTotalTimeout) {
  Fixture f;
  f.destination.silent_at_finish = true;
  f.request.total_timeout = absl::Milliseconds(50);
  EXPECT_EQ(f.Run().exit_code, ExitCode::kTimeout);
}

TEST(RunSyncTest, CancellationEndsWith20) {
  Fixture f;
  CancelSource cancel;
  f.request.cancel = cancel.token();
  f.destination.silent_at_finish = true;
  f.destination.on_message = [&](const ClientMessage& m) {
    if (std::holds_alternative<FinishApply>(m)) cancel.Cancel(absl::CancelledError("Ctrl-C"));
  };
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kInterrupted);
  EXPECT_FALSE(outcome.complete);
}

TEST(RunSyncTest, MoreManifestThanCreditIsAProtocolError) {
  Fixture f;
  f.source.ignore_credit = true;
  std::vector<Entry> entries;
  f.source.manifest.clear();
  for (int i = 0; i < 2000; ++i) {
    DirectoryBatch batch = Batch("", {File("f" + std::to_string(10000 + i), 10 + static_cast<uint64_t>(i))});
    batch.last = i == 1999;
    f.source.manifest.push_back(std::move(batch));
  }
  // The destination gives nothing, so nothing of the source's is consumed.
  f.destination.stuck_at_batch = 0;
  f.request.total_timeout = absl::Seconds(20);
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kProtocol);
  EXPECT_THAT(outcome.error, HasSubstr("more of its manifest than it was asked for"));
}

TEST(RunSyncTest, ManifestThatLiesIsAProtocolError) {
  Fixture f;
  f.source.manifest = {Batch("", {File("b", 2)}), Batch("never", {})};
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kProtocol);
  EXPECT_THAT(outcome.error, HasSubstr("manifest of the source: \"never\" comes out of order"));
}

TEST(RunSyncTest, BatchThatWasNeverSentCannotBeReturned) {
  Fixture f;
  f.destination.apply = [](const ActionBatch& batch) {
    ApplyProgress progress;
    progress.completed_sequence = batch.sequence + 5;
    return std::optional(progress);
  };
  EXPECT_EQ(f.Run().exit_code, ExitCode::kProtocol);
}

TEST(RunSyncTest, NoticesOfBothSidesAreTold) {
  Fixture f;
  f.source.hello.fallback_reason = "no ring";
  f.destination.opened.notices = {"no exchange"};
  f.Run();
  EXPECT_EQ(f.observer.calls.at(1), "notice no ring");
  EXPECT_EQ(f.observer.calls.at(2), "notice no exchange");
}

// Thousands of batches in every direction through windows of four messages: would hang if receiving ever waited for
// sending.
TEST(RunSyncTest, ManySmallMessagesThroughSmallWindowsDoNotDeadlock) {
  Fixture f;
  f.source.manifest.clear();
  DirectoryBatch root = Batch("", {});
  for (int i = 0; i < 3000; ++i)
    root.entries.push_back(Dir("d" + std::to_string(10000 + i), 10 + static_cast<uint64_t>(i)));
  f.source.manifest.push_back(root);
  for (const Entry& entry : root.entries) {
    DirectoryBatch batch = Batch(entry.name, {File("x", entry.id.inode + 100000), File("y", entry.id.inode + 200000)});
    f.source.manifest.push_back(std::move(batch));
  }
  const SyncOutcome outcome = f.Run();
  EXPECT_EQ(outcome.exit_code, ExitCode::kOk) << outcome.error;
  EXPECT_EQ(f.destination_agent->actions.size(), 3000u * 4 + 1);
  EXPECT_EQ(outcome.actions_done, 3000u * 4 + 1);
}

}  // namespace
}  // namespace uringsync

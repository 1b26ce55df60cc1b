#include "tests/sim/history.h"

#include <cstdio>
#include <utility>

namespace uringsync::sim {
namespace {

constexpr HostId kSource = 1;
constexpr HostId kDestination = 2;
constexpr HostId kCoordinator = 3;
// No run takes longer, whatever is done to it: no time limit of the product is above two minutes.
constexpr Nanos kRunLimit = 1200 * kSecond;
constexpr Nanos kHistoryLimit = 24 * 3600 * kSecond;
constexpr uint64_t kMagics[] = {0xEF53, 0x58465342, 0x9123683E};  // ext4, xfs, btrfs

FileSystemOptions FilesOf(HostId host, SeededRandom* random, const Defects& defects) {
  FileSystemOptions options;
  options.device = static_cast<uint64_t>(host);
  options.magic = kMagics[random->Below(3)];
  options.promises = random->Chance(700) ? FsPromises::kWeak : FsPromises::kOrdered;
  options.acks_lost_syncs = defects.lost_syncs && host == kDestination;
  return options;
}

}  // namespace

History::History(HistoryOptions options)
    : options_(options),
      scheduler_({.seed = options.seed, .trace = options.trace, .limit = kHistoryLimit}),
      weather_(&scheduler_),
      network_(&scheduler_, &weather_),
      control_(&scheduler_, &weather_),
      kernel_(&scheduler_, &network_, options.defects),
      faults_(&scheduler_, &kernel_),
      source_files_(FilesOf(kSource, &scheduler_.random(), options.defects)),
      destination_files_(FilesOf(kDestination, &scheduler_.random(), options.defects)) {
  for (FileSystem* files : {&source_files_, &destination_files_}) files->SetClock([this] { return scheduler_.now(); });
  kernel_.AddHost(kSource, &source_files_);
  kernel_.AddHost(kDestination, &destination_files_);
  if (options.defects.lost_problems) control_.LoseProblems();
  control_.OnAgentMessage([this](ProcessId agent, const AgentMessage& message) {
    // From here on the run knows what the destination has, and what it has not seen is not its own.
    if (agent == destination_agent_->process() && std::holds_alternative<ManifestEnd>(message)) PlanStranger();
  });
}

History::~History() = default;

void History::OnStuck(std::function<void(const Verdict& verdict)> stuck) {
  scheduler_.OnStuck([this, stuck = std::move(stuck)](const std::string& why) {
    verdict_.wrong = why + "\n" + scheduler_.Describe();
    verdict_.digest = scheduler_.digest();
    verdict_.steps = scheduler_.steps();
    stuck(verdict_);
  });
}

void History::Say(const std::string& text) const {
  if (options_.trace) std::printf("%12.6f ---- %s\n", static_cast<double>(scheduler_.now()) / kSecond, text.c_str());
}

void History::DrawHabits() {
  SeededRandom& random = scheduler_.random();
  habits_.route = random.Chance(700) ? DataRoute::Kind::kConnect : DataRoute::Kind::kAccept;
  habits_.durability =
      random.Of(std::vector<Durability>{Durability::kBatch, Durability::kBatch, Durability::kFile, Durability::kNone});
  habits_.delta = random.Of(std::vector<DeltaPolicy>{DeltaPolicy::kAuto, DeltaPolicy::kForce, DeltaPolicy::kOff});
  habits_.delete_extraneous = random.Chance(700);
  habits_.hard_links = random.Chance(700);
  habits_.checksum = random.Chance(100);
  habits_.fold = random.Chance(700);
  habits_.resume = random.Chance(800);
  habits_.readback = random.Chance(80);
  habits_.compress = random.Chance(200);
  habits_.delete_timing = random.Chance(800) ? DeleteTiming::kAfter : DeleteTiming::kBefore;
}

void History::BuildTrees() {
  SeededRandom& random = scheduler_.random();
  TreeLimits limits;
  limits.objects = random.Of(std::vector<uint32_t>{6, 20, 60});
  limits.large_files = random.Chance(300);
  for (FileSystem* files : {&source_files_, &destination_files_})
    files->Link(files->top().get(), "data", files->MakeInode(0040755));
  source_ = std::make_unique<Gardener>(&source_files_, "data", &random, limits);
  source_->Plant();
  destination_ = std::make_unique<Gardener>(&destination_files_, "data", &random, limits);
  if (random.Chance(800)) destination_->PlantLike(*source_);
  source_files_.SyncAll();
  destination_files_.SyncAll();
  source_->TakeChanged();
}

void History::StartAgents() {
  for (SimulatedAgent* agent : {source_agent_.get(), destination_agent_.get()}) {
    if (!agent->running()) agent->Start();
  }
}

Evidence History::Look(const Tree& source_before, const Tree& before) const {
  Evidence evidence;
  evidence.source_before = source_before;
  evidence.source_after = sim::Look(source_files_, "data");
  evidence.before = before;
  evidence.after = sim::Look(destination_files_, "data");
  evidence.source_changed = round_.source_changed;
  evidence.strangers = round_.strangers;
  evidence.power_lost = round_.power_lost;
  evidence.settled = round_.settled;
  evidence.history = &source_->history();
  evidence.ever = &ever_;
  evidence.habits = &habits_;
  evidence.record = &sync_->record();
  return evidence;
}

std::string History::Judge(const Evidence& evidence) const {
  for (const auto check : {CheckWhole, CheckNothingLost, CheckStrangers, CheckReport, CheckDurable}) {
    const std::string wrong = check(evidence);
    if (!wrong.empty()) return wrong + "(the run: " + evidence.record->Text() + ")";
  }
  return {};
}

std::string History::Misuse() const {
  return kernel_.misuse();
}

void History::RememberDestination() {
  for (const auto& [path, shown] : sim::Look(destination_files_, "data")) ever_[path].insert(shown.contents);
}

std::string History::FaultyRun() {
  round_ = Round();
  round_.faulty = true;
  faults_.Clear();
  StartAgents();
  const Tree source_before = sim::Look(source_files_, "data");
  destination_before_ = sim::Look(destination_files_, "data");
  RememberDestination();
  round_.settled = scheduler_.random().Chance(500);
  if (round_.settled) destination_files_.Settle();
  Say("a run with faults");
  PlanFaults();
  sync_->Start(habits_, source_agent_.get(), destination_agent_.get(), next_run_++);
  ++verdict_.runs;
  if (!sync_->Await(kRunLimit)) return "a run did not end:\n" + scheduler_.Describe();
  faults_.Clear();
  for (SimulatedAgent* agent : {source_agent_.get(), destination_agent_.get()}) {
    if (!agent->AwaitIdle(kRunLimit)) return "sessions of a run that is over do not end:\n" + scheduler_.Describe();
  }
  destination_files_.SetRoom(uint64_t{1} << 40);
  verdict_.runs_ok += sync_->record().ok();
  round_.source_changed.merge(source_->TakeChanged());
  Say("it is over: " + sync_->record().Text());
  const Evidence evidence = Look(source_before, destination_before_);
  verdict_.runs_with_strays += !Strays(evidence.after).empty();
  const std::string wrong = Judge(evidence);
  return wrong.empty() ? Misuse() : wrong;
}

std::string History::CleanRuns() {
  faults_.Clear();
  round_ = Round();
  scheduler_.Wait(this, scheduler_.now() + 30 * kSecond);  // times of changes are old by now, partitions over
  settled_ = scheduler_.random().Chance(500);
  if (settled_) destination_files_.Settle();
  StartAgents();
  for (int turn = 0; turn < 2; ++turn) {
    Say(turn == 0 ? "a run without faults" : "another one");
    const Tree source_before = sim::Look(source_files_, "data");
    const Tree before = sim::Look(destination_files_, "data");
    RememberDestination();
    sync_->Start(habits_, source_agent_.get(), destination_agent_.get(), next_run_++);
    ++verdict_.runs;
    if (!sync_->Await(kRunLimit)) return "a run without faults did not end:\n" + scheduler_.Describe();
    if (!sync_->record().ok()) return "a run without faults failed: " + sync_->record().Text();
    ++verdict_.runs_ok;
    for (SimulatedAgent* agent : {source_agent_.get(), destination_agent_.get()}) {
      if (!agent->AwaitIdle(kRunLimit)) return "sessions of a run that is over do not end:\n" + scheduler_.Describe();
    }
    const Evidence evidence = Look(source_before, before);
    const std::string wrong = Judge(evidence);
    if (!wrong.empty()) return wrong;
    const std::string strays = Strays(evidence.after);
    if (!strays.empty()) return "after a run without faults:\n" + strays;
    const std::string touched = turn == 0 ? std::string() : Touched(before, evidence.after);
    if (!touched.empty()) return "a run with nothing to do:\n" + touched;
    call_range_ = std::max<uint64_t>(faults_.calls(), 100);
    scheduler_.Wait(this, scheduler_.now() + 5 * kSecond);
  }
  return Misuse();
}

// All was told to be on disk.
std::string History::PowerCutAtRest() {
  if (habits_.durability == Durability::kNone) return {};
  Say("the destination's host loses its power");
  ++verdict_.faults.power_cuts;
  destination_agent_->Kill(/*power=*/true, &scheduler_.random());
  Tree source = sim::Look(source_files_, "data");
  Tree destination = sim::Look(destination_files_, "data");
  // Attributes that a run set in place before it was killed are taken for granted by the next one.
  if (!settled_) source = WithoutAttributes(std::move(source)), destination = WithoutAttributes(std::move(destination));
  // The removal of a temporary need not be on disk: the next run removes it again.
  std::erase_if(destination, [](const auto& entry) { return IsTemporary(entry.first); });
  const std::string differences = Differences(source, destination, habits_, {});
  return differences.empty() ? std::string() : "after exit code 0, durable, and a loss of power:\n" + differences;
}

Verdict History::Live() {
  scheduler_.Activate();
  kernel_.Place(0, kCoordinator);
  DrawHabits();
  BuildTrees();
  SeededRandom& random = scheduler_.random();
  const Machines machines{&scheduler_, &kernel_, &network_, &control_, &faults_};
  const size_t shards = 1 + random.Below(2);
  source_agent_ = std::make_unique<SimulatedAgent>(machines, kSource, shards);
  destination_agent_ = std::make_unique<SimulatedAgent>(machines, kDestination, shards);
  sync_ = std::make_unique<SyncProcess>(machines, kCoordinator);
  std::string wrong;
  const uint64_t lives = 1 + random.Below(2);
  for (uint64_t life = 0; life < lives && wrong.empty(); ++life) {
    const uint64_t rounds = 1 + random.Below(3);
    for (uint64_t round = 0; round < rounds && wrong.empty(); ++round) {
      wrong = FaultyRun();
      if (random.Chance(500)) scheduler_.Wait(this, scheduler_.now() + static_cast<Nanos>(random.Below(30)) * kSecond);
    }
    if (wrong.empty()) wrong = CleanRuns();
    if (wrong.empty() && random.Chance(500)) wrong = PowerCutAtRest();
    for (uint64_t change = random.Below(5); change > 0 && wrong.empty(); --change) source_->Change();
    source_->TakeChanged();
  }
  for (SimulatedAgent* agent : {source_agent_.get(), destination_agent_.get()}) {
    if (wrong.empty()) wrong = agent->Stop();
  }
  if (wrong.empty()) wrong = Misuse();
  verdict_.wrong = wrong;
  verdict_.digest = scheduler_.digest();
  verdict_.steps = scheduler_.steps();
  verdict_.faults.errors = faults_.injected();
  return verdict_;
}

}  // namespace uringsync::sim

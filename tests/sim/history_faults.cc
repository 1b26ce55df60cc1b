// History: what is done to a run.
#include <algorithm>
#include <cerrno>
#include <iterator>

#include "tests/sim/history.h"

namespace uringsync::sim {
namespace {

constexpr HostId kSource = 1;
constexpr HostId kDestination = 2;
constexpr HostId kCoordinator = 3;
constexpr uint64_t kKinds = 11;

}  // namespace

void History::PlanFaults() {
  SeededRandom& random = scheduler_.random();
  const uint64_t count = random.Below(4);
  for (uint64_t i = 0; i < count; ++i) PlanOne(random.Below(kKinds));
  if (random.Chance(600)) PlanChanges();
}

void History::PlanOne(uint64_t kind) {
  SeededRandom& random = scheduler_.random();
  SimulatedAgent* const one = random.Chance(300) ? source_agent_.get() : destination_agent_.get();
  const auto pair = random.Of(std::vector<std::pair<HostId, HostId>>{
      {kSource, kDestination}, {kSource, kCoordinator}, {kDestination, kCoordinator}});
  // Without syncs a loss of power may tear what it likes.
  if (habits_.durability == Durability::kNone && (kind == 2 || kind == 3)) kind = 0;
  switch (kind) {
    case 0:
    case 1:
      faults_.AtCallOf(one->process(), SomeCall(), [this, one] {
        ++verdict_.faults.kills;
        one->Kill(false, &scheduler_.random());
      });
      break;
    case 2:
    case 3:
      faults_.AtCallOf(destination_agent_->process(), SomeCall(), [this] {
        ++verdict_.faults.power_cuts;
        round_.power_lost = true;
        destination_agent_->Kill(true, &scheduler_.random());
      });
      break;
    case 4:
      faults_.AtCall(SomeCall(), [this] {
        ++verdict_.faults.kills;
        sync_->Kill();
      });
      break;
    case 5:
      faults_.AtCall(SomeCall(), [this, pair] {
        ++verdict_.faults.network_cuts;
        network_.Cut(pair.first, pair.second);
        control_.Cut(pair.first, pair.second);
      });
      break;
    case 6:
      // Data connections alone, again and again.
      for (uint64_t times = 1 + random.Below(4); times > 0; --times) {
        faults_.AtCall(SomeCall(), [this] {
          ++verdict_.faults.network_cuts;
          network_.Cut(kSource, kDestination);
        });
      }
      break;
    case 7: {
      const auto length = static_cast<Nanos>(random.Below(40000)) * kMillisecond;
      faults_.AtCall(SomeCall(), [this, pair, length] {
        ++verdict_.faults.partitions;
        weather_.Part(pair.first, pair.second, scheduler_.now() + length);
      });
      break;
    }
    case 8:
      ++verdict_.faults.full_disks;
      destination_files_.SetRoom(destination_files_.used_bytes() + random.Below(300000));
      break;
    case 9: faults_.FailListing(one->process(), 1 + random.Below(40), random.Chance(500) ? EIO : ENOENT); break;
    default: PlanErrors(one); break;
  }
}

void History::PlanErrors(SimulatedAgent* agent) {
  SeededRandom& random = scheduler_.random();
  static const std::vector<int> kErrors = {EIO, EIO, EACCES, ENOSPC, ENOMEM};
  for (uint64_t i = 1 + random.Below(3); i > 0; --i) {
    const uint64_t times = random.Chance(300) ? 1 + random.Below(30) : 1;
    faults_.FailCall(agent->process(), SomeCall(), random.Of(kErrors), times);
  }
}

void History::PlanChanges() {
  SeededRandom& random = scheduler_.random();
  for (uint64_t i = 1 + random.Below(5); i > 0; --i) {
    faults_.AtCall(SomeCall(), [this] {
      const std::string what = source_->Change();
      if (what.empty()) return;
      ++verdict_.faults.changes;
      Say("the source: " + what);
      round_.source_changed.merge(source_->TakeChanged());
    });
  }
}

void History::PlanStranger() {
  SeededRandom& random = scheduler_.random();
  if (round_.faulty && !sync_->record().over && random.Chance(300)) {
    const auto delay = static_cast<Nanos>(random.Below(random.Chance(500) ? 50 : 5000)) * 10 * kMicrosecond;
    scheduler_.After(delay, [this, run = next_run_] {
      if (round_.faulty && run == next_run_ && !sync_->record().over) MoveStranger();
    });
  }
}

// Puts a file over one that the run is about to replace, or where there is none. What a run deletes it looks at one
// call before, which docs/consistency.md says: strangers keep away from that.
void History::MoveStranger() {
  SeededRandom& random = scheduler_.random();
  if (round_.power_lost || destination_before_.empty()) return;
  const Tree source = sim::Look(source_files_, "data");
  std::vector<std::string> places;
  for (const auto& [path, shown] : destination_before_) {
    const auto wanted = source.find(path);
    if (shown.is_file() && wanted != source.end() && wanted->second.is_file() && shown.links.empty() &&
        !round_.source_changed.contains(path))
      places.push_back(path);
  }
  places.push_back("stranger" + std::to_string(random.Below(1000)));
  const std::string path = random.Of(places);
  if (round_.strangers.contains(path)) return;
  const std::string contents = destination_->PutStranger(path);
  if (contents.empty()) return;
  ++verdict_.faults.strangers;
  Say("a stranger: " + path);
  round_.strangers[path] = contents;
}

}  // namespace uringsync::sim

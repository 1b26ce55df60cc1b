#include "tests/sim/sync_process.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace uringsync::sim {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(60);

class Recorder final : public Observer {
 public:
  explicit Recorder(SyncRecord* record) : record_(record) {}
  void OnOpened(const HelloReply&, const SessionOpened&, const HelloReply&, const SessionOpened&) override {
    record_->opened = true;
  }
  void OnAction(const Action& action, const Differences&, ActionOutcome outcome) override {
    record_->actions.push_back({action.id, action.kind, action.path.text(), action.wanted, outcome});
  }
  void OnDurable(uint64_t through_action, uint64_t actions) override {
    record_->durable_through = through_action;
    record_->durable_actions = actions;
  }
  void OnProblem(const Problem& problem) override { record_->problems.push_back(problem); }
  void OnProgress(const SyncProgress&) override {}
  void OnNotice(Side, std::string_view) override {}
  void OnSkipped(SkipReason, const RelPath&, FileType) override {}

 private:
  SyncRecord* const record_;
};

SessionId IdOf(uint64_t number) {
  SessionId id{};
  const uint64_t word = number * 0x9e3779b97f4a7c15ULL | 1;
  std::memcpy(id.data(), &word, sizeof(word));
  id.back() = 1;
  return id;
}

}  // namespace

uint64_t SyncRecord::CountOf(ActionOutcome outcome) const {
  return static_cast<uint64_t>(std::count_if(actions.begin(), actions.end(),
                                             [outcome](const Ended& ended) { return ended.outcome == outcome; }));
}

std::string SyncRecord::Text() const {
  if (!over) return "it did not end";
  std::string text = "exit " + std::to_string(static_cast<int>(outcome.exit_code)) + " " + outcome.error;
  for (size_t i = 0; i < problems.size() && i < 3; ++i) {
    const Problem& problem = problems[i];
    text += "; " + problem.path.text() + ": " + problem.operation + " " + std::to_string(problem.error) + " " +
            problem.detail;
  }
  return text;
}

void SyncProcess::Start(const SyncHabits& habits, SimulatedAgent* source, SimulatedAgent* destination,
                        uint64_t number) {
  dead_ = false;
  record_ = std::make_shared<SyncRecord>();
  process_ =
      machines_.scheduler->StartProcess("coordinator", [this, habits, source, destination, number, record = record_] {
        Main(habits, source, destination, number, record.get());
      });
  machines_.kernel->Place(process_, host_);
}

void SyncProcess::Main(const SyncHabits& habits, SimulatedAgent* source, SimulatedAgent* destination, uint64_t number,
                       SyncRecord* record) {
  const ProcessId self = machines_.scheduler->process();
  const std::unique_ptr<ClientStream> from = source->Connect(host_, self);
  const std::unique_ptr<ClientStream> to = destination->Connect(host_, self);
  if (from == nullptr || to == nullptr) {
    record->outcome.exit_code = ExitCode::kProtocol;
    record->outcome.error = "an agent cannot be reached";
  } else {
    SyncRequest request;
    request.source.root = request.destination.root = "data";
    request.source.session = request.destination.session = IdOf(number);
    request.source.token.fill(static_cast<uint8_t>(number));
    request.destination.token = request.source.token;
    request.durability = habits.durability;
    request.delta = habits.delta;
    request.delete_extraneous = habits.delete_extraneous;
    // Else a directory stays where the source has something else.
    request.force_delete = !habits.delete_extraneous;
    request.preserve_hard_links = habits.hard_links;
    request.checksum = habits.checksum;
    request.fold_listings = habits.fold;
    request.resume = habits.resume;
    request.readback = habits.readback;
    request.compression.mode = habits.compress ? CompressionMode::kAdaptive : CompressionMode::kOff;
    request.rules.delete_timing = habits.delete_timing;
    request.trust_source = true;
    request.wait_for_lock = true;
    request.idle_timeout = kPatience;
    request.choose_route = [&](const HelloReply&, const HelloReply&) {
      RouteChoice choice;
      choice.route.kind = habits.route;
      choice.route.peer_session = request.source.session;
      const auto address = [](const SimulatedAgent* agent) { return "127.0.0." + std::to_string(agent->host()); };
      if (habits.route == DataRoute::Kind::kConnect) {
        choice.route.host = address(source);
        choice.route.port = kDataPort;
      } else {
        choice.source_connects = ConnectData{address(destination), kDataPort};
      }
      return choice;
    };
    Recorder recorder(record);
    record->outcome = RunSync(request, *from, *to, recorder);
  }
  record->over = true;
  machines_.scheduler->WakeAll(record);
}

bool SyncProcess::Await(Nanos limit) {
  const Nanos until = machines_.scheduler->now() + limit;
  while (!record_->over && !dead_) {
    if (machines_.scheduler->now() >= until) return false;
    machines_.scheduler->Wait(record_.get(), until);
  }
  return true;
}

void SyncProcess::Kill() {
  if (dead_ || record_->over) return;
  dead_ = true;
  machines_.control->ProcessDied(process_, false);
  machines_.kernel->ProcessDied(process_);
  machines_.scheduler->WakeAll(record_.get());
  machines_.scheduler->Kill(process_);
}

}  // namespace uringsync::sim

#include "tests/sim/agent.h"

#include <cstdio>
#include <cstdlib>
#include <list>
#include <thread>
#include <utility>

#include "agent/data_server.h"
#include "agent/roots.h"
#include "agent/session.h"
#include "agent/session_table.h"
#include "engine/ring/runtime.h"

namespace uringsync::sim {
namespace {

template <typename T>
T Need(absl::StatusOr<T> value, const char* what) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "simulated agent: %s: %s\n", what, std::string(value.status().ToString()).c_str());
  std::abort();
}

}  // namespace

void SimulatedAgent::Main(std::shared_ptr<State> state) {
  RuntimeOptions options;
  options.shards = shards_;
  options.driver.backend = IoBackend::kThreads;
  // The driver that was made has started nothing yet, and is dropped.
  options.wrap_driver = [this](std::unique_ptr<Driver>) {
    return std::make_unique<SimulatedDriver>(machines_.scheduler, machines_.kernel, machines_.network,
                                             machines_.watcher);
  };
  const std::unique_ptr<Runtime> runtime = Need(Runtime::Start(std::move(options)), "runtime");
  SessionTable table;
  {
    const std::string path = kPathPrefix + std::to_string(host_) + "/data";
    const Roots roots = Need(Roots::Open({RootSpec{"data", path, false}}), "roots");
    DataServerOptions data;
    data.runtime = runtime.get();
    data.table = &table;
    data.host = "127.0.0." + std::to_string(host_);
    data.port = kDataPort;
    const std::unique_ptr<DataServer> server = Need(DataServer::Start(std::move(data)), "data server");
    AgentContext context;
    context.runtime = runtime.get();
    context.roots = &roots;
    context.table = &table;
    context.data_port = server->port();
    state->listening = true;
    machines_.scheduler->WakeAll(state.get());
    std::list<std::thread> threads;
    while (!state->stopping || !state->incoming.empty()) {
      if (state->incoming.empty()) {
        machines_.scheduler->Wait(state.get());
        continue;
      }
      ++state->sessions;
      threads.emplace_back([this, state, context, stream = std::move(state->incoming.front())] {
        ControlPeer peer;
        peer.is_private = true;
        CancelSource shutdown;
        static_cast<void>(SessionRunner(context).Run(stream.get(), peer, shutdown.token()));
        stream->Close();
        --state->sessions;
        machines_.scheduler->WakeAll(state.get());
      });
      state->incoming.pop_front();
    }
    for (std::thread& thread : threads) thread.join();
    server->Stop();
  }
  state->ended = true;
  machines_.scheduler->WakeAll(state.get());
}

void SimulatedAgent::Start() {
  state_ = std::make_shared<State>();
  running_ = true;
  process_ = machines_.scheduler->StartProcess("agent of host " + std::to_string(host_),
                                               [this, state = state_] { Main(state); });
  machines_.kernel->Place(process_, host_);
  while (!state_->listening && running_) machines_.scheduler->Wait(state_.get(), machines_.scheduler->now() + kSecond);
}

void SimulatedAgent::Kill(bool power, SeededRandom* random) {
  if (!running_) return;
  running_ = false;
  machines_.network->ProcessDied(process_, power);
  machines_.control->ProcessDied(process_, power);
  machines_.kernel->ProcessDied(process_);
  if (power) machines_.kernel->files(host_)->LosePower(random);
  machines_.scheduler->WakeAll(state_.get());
  // The last: when it is the caller that dies, it ends here.
  machines_.scheduler->Kill(process_);
}

std::string SimulatedAgent::Stop() {
  if (!running_) return {};
  state_->stopping = true;
  machines_.scheduler->WakeAll(state_.get());
  const Nanos limit = machines_.scheduler->now() + 300 * kSecond;
  while (!state_->ended && machines_.scheduler->now() < limit) machines_.scheduler->Wait(state_.get(), limit);
  if (!state_->ended) return "an agent does not end";
  // The last of its threads ends a moment later.
  while (machines_.scheduler->threads(process_) > 0 && machines_.scheduler->now() < limit)
    machines_.scheduler->Wait(this, machines_.scheduler->now() + kMillisecond);
  running_ = false;
  const size_t left = machines_.kernel->descriptors(process_);
  return left == 0 ? std::string() : "an agent that has ended left " + std::to_string(left) + " descriptors open";
}

bool SimulatedAgent::AwaitIdle(Nanos limit) {
  const Nanos until = machines_.scheduler->now() + limit;
  while (running_ && (state_->sessions > 0 || !state_->incoming.empty())) {
    if (machines_.scheduler->now() >= until) return false;
    machines_.scheduler->Wait(state_.get(), until);
  }
  return true;
}

std::unique_ptr<ClientStream> SimulatedAgent::Connect(HostId from, ProcessId client) {
  if (!running_ || !state_->listening) return nullptr;
  ControlNetwork::Pair pair = machines_.control->Connect(from, client, host_, process_);
  state_->incoming.push_back(std::move(pair.second));
  machines_.scheduler->WakeAll(state_.get());
  return std::move(pair.first);
}

}  // namespace uringsync::sim

#include "tests/sim/control.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <type_traits>
#include <variant>

#include "proto/wire_codec.h"

namespace uringsync::sim {
namespace {

constexpr size_t kWindow = 64;  // messages
constexpr Nanos kGiveUp = 25 * kSecond;

const char* kClosedHere = "the stream was closed at this end";

template <typename Out, typename In>
class SimulatedStream final : public MessageStream<Out, In> {
 public:
  SimulatedStream(ControlNetwork* network, std::shared_ptr<ControlConnection> connection, ControlLane* out,
                  ControlLane* in)
      : network_(network), scheduler_(network->scheduler()), connection_(std::move(connection)), out_(out), in_(in) {}
  ~SimulatedStream() override { Close(); }

  absl::Status Send(const Out& message) override {
    if constexpr (std::is_same_v<Out, AgentMessage>) {
      network_->Tell(connection_->agent, message);
      if (const auto* progress = std::get_if<ApplyProgress>(&message);
          progress != nullptr && network_->loses_problems()) {
        ApplyProgress cut = *progress;
        cut.problems.clear();
        return Post(cut);
      }
    }
    return Post(message);
  }

  absl::StatusOr<In> Receive() override {
    while (true) {
      if (closed_) return absl::UnavailableError(kClosedHere);
      if (in_->broken) return absl::UnavailableError("the connection broke");
      if (in_->letters.empty() && in_->ended) return absl::OutOfRangeError("the peer ended the stream");
      if (!in_->letters.empty() && in_->letters.front().arrival <= scheduler_->now()) break;
      scheduler_->Wait(in_, in_->letters.empty() ? kNever : in_->letters.front().arrival);
    }
    const std::string bytes = std::move(in_->letters.front().bytes);
    in_->letters.pop_front();
    scheduler_->WakeAll(in_);
    scheduler_->Note("receive", static_cast<int64_t>(bytes.size()));
    google::protobuf::io::ArrayInputStream input(bytes.data(), static_cast<int>(bytes.size()));
    absl::StatusOr<In> message = decoder_.Decode(&input, bytes.size());
    if (!message.ok()) in_->ended = true;
    return message;
  }

  void Close() override {
    if (closed_) return;
    closed_ = true;
    out_->ended = true;
    in_->refused = true;
    in_->letters.clear();
    scheduler_->WakeAll(out_);
    scheduler_->WakeAll(in_);
  }

 private:
  absl::Status Post(const Out& message) {
    std::string bytes;
    const absl::Status encoded = encoder_.Encode(message, [&bytes](size_t size) {
      bytes.resize(size);
      return reinterpret_cast<uint8_t*>(bytes.data());
    });
    if (!encoded.ok()) return encoded;
    scheduler_->Note("send", static_cast<int64_t>(bytes.size()));
    while (true) {
      if (closed_ || out_->broken || out_->refused || out_->ended)
        return absl::UnavailableError("the stream has ended");
      if (out_->letters.size() < kWindow) break;
      scheduler_->Wait(out_);
    }
    const Nanos arrival =
        std::max(out_->last_arrival, scheduler_->now() + network_->weather()->Delay(out_->from, out_->to));
    out_->last_arrival = arrival;
    out_->letters.push_back({arrival, std::move(bytes)});
    scheduler_->WakeAll(out_);
    return absl::OkStatus();
  }

  ControlNetwork* const network_;
  Scheduler* const scheduler_;
  const std::shared_ptr<ControlConnection> connection_;
  ControlLane* const out_;
  ControlLane* const in_;
  WireEncoder<Out> encoder_;
  WireDecoder<In> decoder_;
  bool closed_ = false;
};

}  // namespace

void ControlConnection::Break(Scheduler* scheduler) {
  for (ControlLane* lane : {&to_agent, &to_client}) {
    lane->broken = true;
    scheduler->WakeAll(lane);
  }
}

ControlNetwork::Pair ControlNetwork::Connect(HostId client_host, ProcessId client, HostId agent_host, ProcessId agent) {
  auto connection = std::make_shared<ControlConnection>();
  connection->to_agent.from = connection->to_client.to = client_host;
  connection->to_agent.to = connection->to_client.from = agent_host;
  connection->client = client;
  connection->agent = agent;
  connections_.push_back(connection);
  return {std::make_unique<SimulatedStream<ClientMessage, AgentMessage>>(this, connection, &connection->to_agent,
                                                                         &connection->to_client),
          std::make_unique<SimulatedStream<AgentMessage, ClientMessage>>(this, connection, &connection->to_client,
                                                                         &connection->to_agent)};
}

void ControlNetwork::Cut(HostId a, HostId b) {
  for (const auto& weak : connections_) {
    const auto connection = weak.lock();
    if (connection == nullptr) continue;
    const HostId one = connection->to_agent.from;
    const HostId other = connection->to_agent.to;
    if ((one == a && other == b) || (one == b && other == a)) connection->Break(scheduler_);
  }
}

void ControlNetwork::ProcessDied(ProcessId process, bool silent) {
  for (const auto& weak : connections_) {
    const auto connection = weak.lock();
    if (connection == nullptr || (connection->client != process && connection->agent != process)) continue;
    const Nanos delay = silent ? kGiveUp : weather_->Delay(connection->to_agent.from, connection->to_agent.to);
    scheduler_->After(delay, [connection, scheduler = scheduler_] { connection->Break(scheduler); });
  }
}

}  // namespace uringsync::sim

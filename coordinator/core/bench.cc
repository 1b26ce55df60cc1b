#include "coordinator/core/bench.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "coordinator/core/stream_watch.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

// What nobody waits for beyond a step's own time when there is no idle time-out: fsync of what was written may take
// long.
constexpr absl::Duration kForever = absl::InfiniteDuration();
// How long an agent has to end its session after everything is measured.
constexpr absl::Duration kPoliteEnd = absl::Seconds(5);

class Benchmark {
 public:
  Benchmark(const SyncRequest& request, const BenchPlan& plan, ClientStream& source, ClientStream& destination,
            const std::function<void(Side, BenchStep)>& on_step)
      : request_(request),
        plan_(plan),
        source_(&source),
        destination_(&destination),
        on_step_(on_step),
        watch_({&source, &destination}, request.cancel) {}

  BenchOutcome Run() {
    if (SayHello() && Open() && Measure()) {
      for (const Side side : {Side::kSource, Side::kDestination}) SayGoodbye(side);
    }
    return std::move(outcome_);
  }

 private:
  ClientStream* stream(Side side) const { return side == Side::kSource ? source_ : destination_; }
  static std::string Name(Side side) { return side == Side::kSource ? "source agent" : "destination agent"; }

  bool Fail(ExitCode code, std::optional<Side> side, std::string text) {
    outcome_.exit_code = code;
    outcome_.error_side = side;
    outcome_.error = std::move(text);
    return false;
  }
  bool FailFor(Side side, const absl::Status& status) {
    if (const auto reason = watch_.reason()) {
      const bool silent = reason->first == ExitCode::kTimeout;
      return Fail(reason->first, silent ? std::optional(side) : std::nullopt,
                  silent ? Name(side) + ": " + reason->second : reason->second);
    }
    const bool version = absl::IsFailedPrecondition(status);
    outcome_.broke = !version;
    return Fail(version ? ExitCode::kVersion : ExitCodeForStatus(status), side,
                Name(side) + ": " + EscapeName(ToStd(status.message())));
  }

  // The next message of `side`, which must be a T.
  template <typename T>
  std::optional<T> Expect(Side side, absl::Duration time, const char* what) {
    watch_.Arm(request_.idle_timeout == absl::InfiniteDuration() ? kForever : time + request_.idle_timeout);
    absl::StatusOr<AgentMessage> message = stream(side)->Receive();
    watch_.Arm(kForever);
    if (!message.ok()) {
      FailFor(side, message.status());
    } else if (auto* wanted = std::get_if<T>(&*message)) {
      return std::move(*wanted);
    } else if (const auto* error = std::get_if<SessionError>(&*message)) {
      Fail(ExitCodeForSessionError(error->kind), side, Name(side) + ": " + EscapeName(error->message));
    } else {
      Fail(ExitCode::kProtocol, side, Name(side) + ": another message in place of " + what);
    }
    return std::nullopt;
  }

  // Until the agent has ended the stream: then the lock is free for the next run. One that does not is left to itself.
  void SayGoodbye(Side side) {
    if (!stream(side)->Send(CloseSession{}).ok()) return;
    watch_.Arm(kPoliteEnd);
    while (stream(side)->Receive().ok()) {
    }
    watch_.Arm(kForever);
  }

  bool SayHello() {
    Hello hello;
    hello.software = request_.software;
    hello.features = {kBenchFeature};
    for (const Side side : {Side::kSource, Side::kDestination}) {
      watch_.Arm(request_.idle_timeout);
      absl::StatusOr<HelloReply> reply = ClientHandshake(stream(side), hello);
      watch_.Arm(kForever);
      if (!reply.ok()) return FailFor(side, reply.status());
      if (!HasFeature(reply->features, kBenchFeature)) {
        return Fail(ExitCode::kVersion, side,
                    Name(side) + ": " + EscapeName(reply->software) + " cannot measure; " +
                        EscapeName(request_.software) + " can: update the agent over there");
      }
      (side == Side::kSource ? outcome_.source_agent : outcome_.destination_agent) = *std::move(reply);
    }
    return true;
  }

  bool OpenSide(Side side, const DataRoute& route, SessionOpened* opened) {
    const SessionTarget& target = side == Side::kSource ? request_.source : request_.destination;
    OpenSession open;
    open.session = target.session;
    open.token = target.token;
    open.role = side == Side::kSource ? Role::kSource : Role::kDestination;
    open.root = target.root;
    open.path = target.path;
    open.selection = request_.selection;
    open.create_root = request_.create_root;
    open.wait_for_lock = request_.wait_for_lock;
    open.route = route;
    open.data_connections = request_.data_connections;
    open.jobs = request_.jobs;
    if (absl::Status sent = stream(side)->Send(open); !sent.ok()) return FailFor(side, sent);
    // A lock may be waited for as long as it takes.
    std::optional<SessionOpened> answer =
        Expect<SessionOpened>(side, request_.wait_for_lock ? kForever : absl::ZeroDuration(), "SessionOpened");
    if (!answer) return false;
    *opened = *std::move(answer);
    return opened->exists || Fail(ExitCode::kSelection, side, Name(side) + ": the directory does not exist");
  }

  bool Open() {
    if (!OpenSide(Side::kSource, {}, &outcome_.source)) return false;
    absl::StatusOr<RouteChoice> route = request_.choose_route(outcome_.source_agent, outcome_.destination_agent);
    if (!route.ok()) return Fail(ExitCode::kUsage, std::nullopt, std::string(route.status().message()));
    route_ = *std::move(route);
    outcome_.one_agent = route_.route.kind == DataRoute::Kind::kLocal;
    return OpenSide(Side::kDestination, route_.route, &outcome_.destination);
  }

  bool Step(Side side, BenchStep step) {
    if (on_step_) on_step_(side, step);
    RunBench run;
    run.step = step;
    run.milliseconds = static_cast<uint32_t>(
        std::clamp<int64_t>(absl::ToInt64Milliseconds(plan_.step_time), 1, int64_t{kMaxBenchMilliseconds}));
    run.max_bytes = std::clamp(plan_.max_bytes, kMinBenchBytes, kMaxBenchBytes);
    if (absl::Status sent = stream(side)->Send(run); !sent.ok()) return FailFor(side, sent);
    std::optional<BenchReport> report = Expect<BenchReport>(side, plan_.step_time, "BenchReport");
    if (!report) return false;
    if (report->step != step) return Fail(ExitCode::kProtocol, side, Name(side) + ": a report of another step");
    outcome_.steps.push_back({side, *std::move(report)});
    return true;
  }

  // The source gets ready, the destination fetches, the source tells what it cost.
  bool MeasureNetwork() {
    if (outcome_.one_agent) return true;
    if (!Step(Side::kSource, BenchStep::kNetwork)) return false;
    outcome_.steps.pop_back();
    if (route_.source_connects) {
      if (absl::Status sent = source_->Send(*route_.source_connects); !sent.ok()) return FailFor(Side::kSource, sent);
    }
    return Step(Side::kDestination, BenchStep::kNetwork) && Step(Side::kSource, BenchStep::kNetwork);
  }

  bool Measure() {
    return Step(Side::kSource, BenchStep::kScan) && Step(Side::kSource, BenchStep::kRead) &&
           Step(Side::kDestination, BenchStep::kScan) && MeasureNetwork() &&
           Step(Side::kDestination, BenchStep::kWrite) && Step(Side::kDestination, BenchStep::kMetadata) &&
           Step(Side::kDestination, BenchStep::kSync);
  }

  const SyncRequest& request_;
  const BenchPlan& plan_;
  ClientStream* const source_;
  ClientStream* const destination_;
  const std::function<void(Side, BenchStep)>& on_step_;
  BenchOutcome outcome_;
  RouteChoice route_;
  StreamWatch watch_;
};

}  // namespace

BenchOutcome RunBenchmark(const SyncRequest& request, const BenchPlan& plan, ClientStream& source,
                          ClientStream& destination, const std::function<void(Side, BenchStep)>& on_step) {
  return Benchmark(request, plan, source, destination, on_step).Run();
}

}  // namespace uringsync

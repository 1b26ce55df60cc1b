// Memory of the coordinator on trees of any size: two made-up manifests through the whole of RunSync, over the
// in-memory control streams (everything is encoded and decoded as on a wire), with a destination that says that all
// actions are done.
//
//   bench_synthetic [--entries N] [--limit MIB] [SHAPE...]       default: 10,000,000 entries, every shape, no limit
//
// Each shape runs in a process of its own. Prints seconds, nanoseconds for each entry, actions and peak memory, the
// manifests' makers and the streams included; exits with 1 when a run fails or a peak is above the limit. The spool is
// in $TMPDIR, else /tmp.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "coordinator/core/run.h"
#include "engine/base/errno_status.h"
#include "tests/bench/synthetic_manifest.h"

namespace uringsync {
namespace {

constexpr size_t kWindow = 8;
constexpr uint64_t kDestinationInodes = uint64_t{1} << 40;

// Sends its manifest under credit and calls everything done that it is told to do.
class MadeUpAgent {
 public:
  MadeUpAgent(std::unique_ptr<AgentStream> stream, SyntheticShape shape)
      : stream_(std::move(stream)), manifest_(shape), thread_([this] { Serve(); }) {}
  ~MadeUpAgent() { thread_.join(); }

 private:
  void Serve() {
    while (true) {
      absl::StatusOr<ClientMessage> message = stream_->Receive();
      if (!message.ok() || !Handle(*message)) break;
    }
    stream_->Close();
  }
  bool Send(const AgentMessage& message) { return stream_->Send(message).ok(); }

  bool Handle(const ClientMessage& message) {
    if (std::holds_alternative<Hello>(message)) {
      return Send(HelloReply{.version = kProtocolVersion,
                             .min_version = 1,
                             .max_version = kProtocolVersion,
                             .software = "synthetic",
                             .features = {},
                             .io_backend = "none",
                             .fallback_reason = {}});
    }
    if (std::holds_alternative<OpenSession>(message)) {
      SessionOpened opened;
      opened.exists = opened.can_chown = opened.can_mknod = true;
      opened.root.type = FileType::kDirectory;
      return Send(opened);
    }
    if (const auto* credit = std::get_if<ManifestCredit>(&message)) {
      for (uint32_t i = 0; i < credit->batches && !ended_; ++i) {
        std::optional<DirectoryBatch> batch = manifest_.Next();
        ended_ = !batch.has_value();
        if (!(ended_ ? Send(ManifestEnd{}) : Send(*std::move(batch)))) return false;
      }
      return true;
    }
    if (const auto* batch = std::get_if<ActionBatch>(&message)) {
      counters_.actions_done += batch->actions.size();
      ApplyProgress progress;
      progress.completed_sequence = batch->sequence;
      progress.counters = counters_;
      return Send(progress);
    }
    if (std::holds_alternative<FinishApply>(message))
      return Send(ApplyDone{.counters = counters_, .durability = Durability::kBatch});
    return !std::holds_alternative<CloseSession>(message);
  }

  const std::unique_ptr<AgentStream> stream_;
  SyntheticManifest manifest_;
  bool ended_ = false;
  ApplyCounters counters_;
  std::thread thread_;
};

class SilentObserver final : public Observer {
 public:
  void OnOpened(const HelloReply&, const SessionOpened&, const HelloReply&, const SessionOpened&) override {}
  void OnAction(const Action&, const Differences&, ActionOutcome) override {}
  void OnProblem(const Problem&) override {}
  void OnProgress(const SyncProgress&) override {}
  void OnNotice(Side, std::string_view) override {}
  void OnSkipped(SkipReason, const RelPath&, FileType) override {}
};

struct Case {
  std::string name;
  SyntheticShape source;
  SyntheticShape destination;
};

std::vector<Case> Cases(uint64_t entries) {
  const SyntheticShape empty{.objects = 0, .per_directory = 0};
  const auto both = [entries](std::string name, SyntheticShape shape) {
    shape.objects = entries;
    SyntheticShape destination = shape;
    destination.first_inode = kDestinationInodes;
    return Case{std::move(name), shape, destination};
  };
  const auto fresh = [&](std::string name, SyntheticShape shape) {
    Case made = both(std::move(name), shape);
    made.destination = empty;
    return made;
  };
  const auto gone = [&](std::string name, SyntheticShape shape) {
    Case made = both(std::move(name), shape);
    made.source = empty;
    return made;
  };
  return {both("unchanged", {}),
          fresh("new", {}),
          gone("deleted", {}),
          both("hard-linked-pairs", {.names_per_inode = 2}),
          fresh("hard-linked-pairs-new", {.names_per_inode = 2}),
          both("one-inode", {.names_per_inode = entries}),
          fresh("one-inode-new", {.names_per_inode = entries}),
          both("directories", {.directories = true}),
          fresh("directories-new", {.directories = true}),
          gone("directories-deleted", {.directories = true}),
          both("long-names", {.name_bytes = 255}),
          fresh("long-names-new", {.name_bytes = 255}),
          gone("long-names-deleted", {.name_bytes = 255}),
          both("one-directory", {.per_directory = 0}),
          fresh("one-directory-new", {.per_directory = 0}),
          gone("one-directory-deleted", {.per_directory = 0}),
          fresh("one-directory-of-directories-new", {.per_directory = 0, .directories = true})};
}

// In the child.
int RunCase(const Case& run) {
  auto source = MakeInMemoryControlPair(kWindow);
  auto destination = MakeInMemoryControlPair(kWindow);
  MadeUpAgent source_agent(std::move(source.second), run.source);
  MadeUpAgent destination_agent(std::move(destination.second), run.destination);
  SyncRequest request;
  request.choose_route = [](const HelloReply&, const HelloReply&) {
    return absl::StatusOr<RouteChoice>(RouteChoice{});
  };
  request.software = "bench_synthetic";
  request.source.root = request.destination.root = "synthetic";
  request.source.session[0] = 1;
  request.destination.session[0] = 2;
  request.delete_extraneous = true;
  SilentObserver observer;
  const auto start = std::chrono::steady_clock::now();
  const SyncOutcome outcome = RunSync(request, *source.first, *destination.first, observer);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const uint64_t entries = outcome.plan.source_entries + outcome.plan.destination_entries;
  std::printf("%-34s %8.2f s %7.0f ns/entry %10llu actions", run.name.c_str(), seconds,
              seconds * 1e9 / static_cast<double>(std::max<uint64_t>(entries, 1)),
              static_cast<unsigned long long>(outcome.plan.actions));
  if (!outcome.error.empty()) std::printf("  %s", outcome.error.c_str());
  std::fflush(stdout);
  return outcome.exit_code == ExitCode::kOk ? 0 : 1;
}

// False when it failed or took more than `limit_mib` (0: no limit).
bool Measure(const Case& run, uint64_t limit_mib) {
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child == 0) _exit(RunCase(run));
  int status = 0;
  rusage usage{};
  if (wait4(child, &status, 0, &usage) != child) std::abort();
  const uint64_t peak = static_cast<uint64_t>(usage.ru_maxrss) / 1024;
  const bool within = limit_mib == 0 || peak <= limit_mib;
  std::printf("  peak %4llu MiB%s\n", static_cast<unsigned long long>(peak), within ? "" : "  ABOVE THE LIMIT");
  std::fflush(stdout);
  return status == 0 && within;
}

}  // namespace
}  // namespace uringsync

int main(int argc, char** argv) {
  uint64_t entries = 10'000'000;
  uint64_t limit = 0;
  std::vector<std::string> wanted;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--entries") == 0 && i + 1 < argc) {
      entries = std::strtoull(argv[++i], nullptr, 10) / 1000 * 1000;
    } else if (std::strcmp(argv[i], "--limit") == 0 && i + 1 < argc) {
      limit = std::strtoull(argv[++i], nullptr, 10);
    } else {
      wanted.emplace_back(argv[i]);
    }
  }
  bool good = entries > 0;
  size_t run = 0;
  for (const uringsync::Case& one : uringsync::Cases(entries)) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), one.name) == wanted.end()) continue;
    ++run;
    good = uringsync::Measure(one, limit) && good;
  }
  if (run == 0 || !good) {
    std::fprintf(stderr, "bench_synthetic: %s\n",
                 run == 0 ? "no such shape" : "something failed or was above the limit");
    return 1;
  }
  return 0;
}

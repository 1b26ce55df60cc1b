// Two sessions of one agent (or of two) in this process, driven by hand over in-memory control streams.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "agent/roots.h"
#include "agent/session.h"
#include "agent/session_table.h"
#include "engine/base/errno_status.h"
#include "engine/ring/runtime.h"
#include "proto/handshake.h"
#include "tests/support/fault_driver.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {

inline SessionId TestSessionId(uint8_t n) {
  SessionId id{};
  id[0] = n;
  id[15] = 1;
  return id;
}

// An agent with one root, "data".
class TestAgent {
 public:
  explicit TestAgent(const std::string& path, std::shared_ptr<FaultPlan> plan = nullptr, bool read_only = false) {
    RuntimeOptions options;
    options.shards = 2;
    if (plan != nullptr) options.wrap_driver = plan->Wrapper();
    absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(std::move(options));
    if (!runtime.ok()) std::abort();
    runtime_ = *std::move(runtime);
    absl::StatusOr<Roots> roots = Roots::Open({RootSpec{"data", path, read_only}});
    if (!roots.ok()) std::abort();
    roots_ = std::make_unique<Roots>(*std::move(roots));
    context_.runtime = runtime_.get();
    context_.roots = roots_.get();
    context_.table = &table_;
  }
  AgentContext& context() { return context_; }
  SessionTable& table() { return table_; }
  Runtime* runtime() { return runtime_.get(); }

 private:
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<Roots> roots_;
  SessionTable table_;
  AgentContext context_;
};

// The coordinator's end of one control stream, and the thread that serves the agent's.
class TestSession {
 public:
  explicit TestSession(TestAgent* agent, OpeningLimits limits = {}) {
    auto pair = MakeInMemoryControlPair(64);
    client_ = std::move(pair.first);
    server_ = std::move(pair.second);
    thread_ = std::thread([this, limits, context = agent->context()] {
      ControlPeer peer;
      peer.is_private = true;
      outcome_ = SessionRunner(context, limits).Run(server_.get(), peer, shutdown_.token());
      server_->Close();
    });
  }
  ~TestSession() { static_cast<void>(End()); }

  absl::Status Handshake() {
    Hello hello;
    hello.software = "test";
    return ClientHandshake(client_.get(), hello).status();
  }
  void Send(ClientMessage message) { static_cast<void>(client_->Send(message)); }
  // The next message of type T; progress in between is collected. Aborts at the end of the stream.
  template <typename T>
  T Expect() {
    while (true) {
      absl::StatusOr<AgentMessage> message = client_->Receive();
      if (!message.ok()) {
        ADD_FAILURE() << "the stream ended: " << std::string(message.status().ToString());
        return T{};
      }
      if (auto* wanted = std::get_if<T>(&*message)) return std::move(*wanted);
      if (auto* progress = std::get_if<ApplyProgress>(&*message)) {
        completed = progress->completed_sequence;
        durable = progress->durable_sequence;
        for (Problem& problem : progress->problems) problems.push_back(std::move(problem));
        for (uint64_t skipped : progress->skipped_actions) skipped_actions.push_back(skipped);
      } else if (auto* error = std::get_if<SessionError>(&*message)) {
        ADD_FAILURE() << "session error: " << error->message;
        return T{};
      }
    }
  }
  // Until every batch up to this one has ended.
  void ExpectCompleted(uint64_t sequence) {
    while (completed < sequence) {
      absl::StatusOr<AgentMessage> message = client_->Receive();
      auto* progress = message.ok() ? std::get_if<ApplyProgress>(&*message) : nullptr;
      if (progress == nullptr) {
        ADD_FAILURE() << "no progress";
        return;
      }
      completed = progress->completed_sequence;
      for (Problem& problem : progress->problems) problems.push_back(std::move(problem));
    }
  }
  // Ends the stream and waits for the session. Idempotent.
  absl::Status End() {
    client_->Close();
    if (thread_.joinable()) thread_.join();
    return outcome_;
  }
  ClientStream* stream() { return client_.get(); }

  uint64_t completed = 0;
  uint64_t durable = 0;
  std::vector<Problem> problems;
  std::vector<uint64_t> skipped_actions;

 private:
  std::unique_ptr<ClientStream> client_;
  std::unique_ptr<AgentStream> server_;
  CancelSource shutdown_;
  std::thread thread_;
  absl::Status outcome_;
};

inline OpenSession OpenFor(Role role, uint8_t id, const std::string& path) {
  OpenSession open;
  open.session = TestSessionId(id);
  open.token.fill(0x5a);
  open.role = role;
  open.root = "data";
  open.path = *RelPath::Parse(path);
  return open;
}

// The whole manifest of a session whose root is open.
inline std::vector<DirectoryBatch> ReadManifest(TestSession* session) {
  session->Send(StartManifest{});
  session->Send(ManifestCredit{1000});
  std::vector<DirectoryBatch> batches;
  while (true) {
    absl::StatusOr<AgentMessage> message = session->stream()->Receive();
    if (!message.ok() || std::holds_alternative<SessionError>(*message)) {
      ADD_FAILURE() << "no manifest";
      return batches;
    }
    if (std::holds_alternative<ManifestEnd>(*message)) return batches;
    if (auto* batch = std::get_if<DirectoryBatch>(&*message)) batches.push_back(std::move(*batch));
  }
}

}  // namespace uringsync

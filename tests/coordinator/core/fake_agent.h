// FakeAgent: an agent for RunSync's tests, honest unless told otherwise. Runs on a thread of its own over an in-memory
// stream.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "proto/transport.h"

namespace uringsync {

class FakeAgent {
 public:
  // What goes wrong. Hooks run on the agent's thread.
  struct Behaviour {
    HelloReply hello{
        .version = kProtocolVersion, .min_version = 1, .max_version = kProtocolVersion, .software = "fake"};
    SessionOpened opened{.exists = true, .can_chown = true, .can_mknod = true};
    std::optional<SessionError> refuse_open;
    std::vector<DirectoryBatch> manifest;
    // Dies (closes the stream) instead of sending this batch of the manifest.
    std::optional<size_t> die_at_batch;
    // Says nothing more from this batch on, but keeps reading.
    std::optional<size_t> stuck_at_batch;
    bool ignore_credit = false;
    // Answers to one batch of actions; the default completes it. nullopt: die now.
    std::function<std::optional<ApplyProgress>(const ActionBatch&)> apply;
    bool silent_at_finish = false;
    // Answers the greeting when it is asked for a session, and not before.
    bool late_hello = false;
    bool ignore_goodbye = false;
    // Says that it lives, from the opening of its session on.
    bool signs_of_life = false;
    std::function<void(const ClientMessage&)> on_message;
    // Answers to questions for names; none: they stay without an answer.
    std::function<NameReply(const NameQuery&)> names;
    // The same for mounts.
    std::function<MountReply(const MountQuery&)> mounts;
    // The same for single objects.
    std::function<EntryReply(const EntryQuery&)> looks;
  };

  FakeAgent(std::unique_ptr<AgentStream> stream, Behaviour behaviour)
      : stream_(std::move(stream)), behaviour_(std::move(behaviour)), thread_([this] { Serve(); }) {}
  ~FakeAgent() { Join(); }
  void Join() {
    if (thread_.joinable()) thread_.join();
    if (alive_.joinable()) alive_.join();
  }
  // After Join.
  std::vector<Action> actions;
  std::vector<Phase> phases;
  std::vector<OpenSession> opens;
  bool finished = false;
  bool said_goodbye = false;

 private:
  void Serve() {
    while (true) {
      absl::StatusOr<ClientMessage> message = stream_->Receive();
      if (!message.ok()) break;
      if (behaviour_.on_message) behaviour_.on_message(*message);
      if (!Handle(*message)) break;
    }
    stream_->Close();
  }

  bool Handle(const ClientMessage& message) {
    if (std::holds_alternative<Hello>(message)) return behaviour_.late_hello || Send(behaviour_.hello);
    if (const auto* open = std::get_if<OpenSession>(&message)) {
      opens.push_back(*open);
      if (behaviour_.late_hello && !Send(behaviour_.hello)) return false;
      behaviour_.opened.root.type = FileType::kDirectory;
      if (behaviour_.signs_of_life) alive_ = std::thread([this] { SayAlive(); });
      if (!behaviour_.refuse_open) return Send(behaviour_.opened);
      Send(*behaviour_.refuse_open);
      return false;
    }
    if (const auto* credit = std::get_if<ManifestCredit>(&message)) {
      credit_ += credit->batches;
      return SendManifest();
    }
    if (const auto* query = std::get_if<NameQuery>(&message); query != nullptr && behaviour_.names) {
      return Send(behaviour_.names(*query));
    }
    if (const auto* query = std::get_if<MountQuery>(&message); query != nullptr && behaviour_.mounts) {
      return Send(behaviour_.mounts(*query));
    }
    if (const auto* query = std::get_if<EntryQuery>(&message); query != nullptr && behaviour_.looks) {
      return Send(behaviour_.looks(*query));
    }
    if (const auto* batch = std::get_if<ActionBatch>(&message)) return Apply(*batch);
    if (std::holds_alternative<FinishApply>(message)) {
      finished = true;
      if (behaviour_.silent_at_finish) return true;
      ApplyDone done;
      done.counters = counters_;
      done.durability = Durability::kBatch;
      return Send(done);
    }
    if (std::holds_alternative<CloseSession>(message)) {
      said_goodbye = true;
      return behaviour_.ignore_goodbye;
    }
    return true;
  }

  bool SendManifest() {
    while (next_ < behaviour_.manifest.size() && (credit_ > 0 || behaviour_.ignore_credit)) {
      if (behaviour_.die_at_batch == next_) return false;
      if (behaviour_.stuck_at_batch == next_) return true;
      if (!Send(behaviour_.manifest[next_])) return false;
      ++next_;
      --credit_;
    }
    if (next_ == behaviour_.manifest.size() && !ended_ && behaviour_.stuck_at_batch != next_) {
      if (behaviour_.die_at_batch == next_) return false;
      ended_ = true;
      return Send(ManifestEnd{});
    }
    return true;
  }

  bool Apply(const ActionBatch& batch) {
    phases.push_back(batch.phase);
    for (const Action& action : batch.actions) actions.push_back(action);
    counters_.actions_done += batch.actions.size();
    ApplyProgress progress;
    if (behaviour_.apply) {
      std::optional<ApplyProgress> answer = behaviour_.apply(batch);
      if (!answer) return false;
      progress = *std::move(answer);
    } else {
      progress.completed_sequence = batch.sequence;
    }
    progress.counters = counters_;
    return Send(progress);
  }

  bool Send(const AgentMessage& message) {
    std::lock_guard lock(send_mutex_);
    return stream_->Send(message).ok();
  }
  // Until the stream has ended. What a peer of real time would do ten times a second.
  void SayAlive() {
    while (Send(ApplyProgress{})) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }

  std::unique_ptr<AgentStream> stream_;
  Behaviour behaviour_;
  uint64_t credit_ = 0;
  size_t next_ = 0;
  bool ended_ = false;
  ApplyCounters counters_;
  std::mutex send_mutex_;
  std::thread alive_;
  std::thread thread_;
};

}  // namespace uringsync

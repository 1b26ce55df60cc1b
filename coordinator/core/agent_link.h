// AgentLink: one agent as a run sees it. Owns the thread that receives, sorts what arrives, and hands manifests out
// under credit.
//
// The receiving thread never sends and waits for nothing but the observer's queue, so no agent can stall the other one.
// What it holds is bounded by the credit: a batch beyond it is a protocol error.
//
// Thread rule: Start and the destructor on the thread that runs; Send, the Await calls and Next on the one planning
// thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "coordinator/core/folded_manifests.h"
#include "coordinator/core/run_events.h"
#include "proto/transport.h"

namespace uringsync {

class AgentLink final : public ManifestStream, public FoldingLink {
 public:
  // Credit in batches: few while batches are large, more while they are small, so that neither memory nor round trips
  // hurt.
  static constexpr uint32_t kMinCredit = 8;
  static constexpr uint32_t kMaxCredit = 128;
  static constexpr uint32_t kCreditEntries = 16384;  // aimed at
  // Folded and expanded batches that may wait here. An honest agent's window is a quarter of it.
  static constexpr size_t kMaxUncredited = 4 * kMaxFoldedListings;

  // `on_apply` gets ApplyProgress and ApplyDone on the receiving thread (null: they are protocol errors); not OK is one
  // too.
  using ApplyHandler = std::function<absl::Status(AgentMessage)>;
  AgentLink(Side side, ClientStream* stream, RunEvents* events, ApplyHandler on_apply)
      : side_(side), stream_(stream), events_(events), on_apply_(std::move(on_apply)) {}
  ~AgentLink() override { Join(); }

  // Called by the receiving thread whenever Take may have something new, and by Stop; to be set before Start.
  void SetOnArrival(std::function<void()> on_arrival) { on_arrival_ = std::move(on_arrival); }
  // Under which this agent digests what it tells from now on; before StartManifest and the first look.
  void SetDigestKey(const std::optional<DigestKey>& key) { digest_key_ = key; }
  const std::optional<DigestKey>& digest_key() const { return digest_key_; }
  // Starts to receive.
  void Start();
  // Ends every wait with Cancelled; called when the run has failed. Any thread.
  void Stop();
  // From now on the agent may end the stream.
  void ExpectEnd();
  // CloseSession; whether it arrives changes nothing any more.
  void SayGoodbye() { (void)stream_->Send(CloseSession{}); }
  // Closes the stream and waits for the receiving thread.
  void Join();
  // True once the receiving thread saw the stream's end.
  bool ended() const;

  // Sends; a failure becomes the run's, told by what the receiving thread learns where that is better.
  absl::Status Send(const ClientMessage& message);
  absl::StatusOr<HelloReply> AwaitHello();
  // From here on the agent owes signs of life. May be called before AwaitHello.
  absl::Status Open(OpenSession open);
  absl::StatusOr<SessionOpened> AwaitOpened();
  absl::StatusOr<TreeReply> AwaitTree();
  // Asks, also while the manifest comes, and waits for the answer.
  absl::StatusOr<NameReply> AskNames(const NameQuery& query);
  absl::StatusOr<MountReply> AskMounts(const MountQuery& query);
  // The answer to an EntryQuery that was sent; to be asked again for the paths that it leaves out.
  absl::StatusOr<EntryReply> AwaitEntries();
  // Asks for the manifest, to be read by Next, or with `start.fold` by Take.
  absl::Status StartManifest(const uringsync::StartManifest& start);
  // ManifestStream. `before_waiting` is called when the next batch is not there yet.
  absl::StatusOr<std::optional<DirectoryBatch>> Next() override;
  void SetBeforeWaiting(std::function<absl::Status()> before_waiting) { before_waiting_ = std::move(before_waiting); }
  // FoldingLink.
  absl::StatusOr<Arrival> Take(DirectoryBatch* batch) override;
  absl::Status GiveBack(size_t entries) override;
  absl::Status Judge(const ListingVerdicts& verdicts) override { return Send(verdicts); }
  bool has_credit() const override;
  // As received; valid after Next() gave nullopt or Take kEnd.
  const ManifestEnd& manifest_end() const { return manifest_end_; }

  // "source agent" or "destination agent".
  const char* name() const { return side_ == Side::kSource ? "source agent" : "destination agent"; }
  void FailProtocol(const std::string& text);

 private:
  void ReceiveLoop();
  // False: nothing more is to be received.
  bool Handle(AgentMessage message);
  const char* AcceptBatch(DirectoryBatch batch);
  void OnStreamError(const absl::Status& status);
  template <typename Reply>
  absl::StatusOr<Reply> AwaitReply(const char* what);
  absl::Status GrantCredit(size_t entries);

  const Side side_;
  ClientStream* const stream_;
  RunEvents* const events_;
  const ApplyHandler on_apply_;
  std::function<void()> on_arrival_ = [] {};
  std::function<absl::Status()> before_waiting_;
  std::thread thread_;
  size_t notices_ = 0;                    // of the receiving thread
  std::atomic<bool> awaits_lock_{false};  // what it has to say until the session is open is why the run does not begin

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<AgentMessage> replies_;  // HelloReply, SessionOpened: one each
  std::deque<DirectoryBatch> batches_;
  std::optional<ManifestEnd> end_;
  bool manifest_asked_ = false;
  uint64_t granted_ = 0;  // batches the agent may have sent
  uint64_t received_ = 0;
  size_t uncredited_ = 0;  // of batches_: folded or expanded
  bool folding_ = false;
  bool stopped_ = false;
  bool end_expected_ = false;
  bool ended_ = false;

  // Planning thread.
  std::optional<DigestKey> digest_key_;
  bool asked_to_open_ = false;
  ManifestEnd manifest_end_;
  uint64_t taken_ = 0;
  uint64_t offered_ = 0;
  size_t average_entries_ = kCreditEntries / 16;
};

}  // namespace uringsync

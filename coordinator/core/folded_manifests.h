// FoldedManifests: two manifests whose listings come folded, as the planner wants to read them: a directory that both
// sides folded equally is marked as matched, of every other one all entries are asked for and handed out in its place.
//
// Both streams are read ahead of the planner, so the verdicts of many directories travel together and their entries are
// on the way while others are planned: a difference costs no round trip of its own.
//
// Memory: what the agents may send unasked (their windows and credit), and kMaxQueued listings that match. No deadlock:
// the smaller head of both streams can always be judged; where the other side can say nothing because the planner has
// to go on first, the verdict is to send the entries, which is right whatever comes.
//
// Thread rule: one thread, the planning one; ArrivalSignal::Notify from any.
// Use:  FoldedManifests folded(&source_link, &destination_link, &arrivals, before_waiting);
//       planner.Run(folded.source(), folded.destination(), sink);
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "coordinator/core/planner.h"
#include "proto/messages.h"

namespace uringsync {

// Tells a waiting planner that something came on either link.
class ArrivalSignal {
 public:
  void Notify();
  uint64_t count() const;
  // Until count() is no longer `seen`.
  void Wait(uint64_t seen);

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t count_ = 0;
};

// One side's link as FoldedManifests uses it. AgentLink is one.
class FoldingLink {
 public:
  virtual ~FoldingLink() = default;
  enum class Arrival : uint8_t { kBatch, kNothingYet, kEnd };
  // Takes what has arrived, without waiting. After kEnd expanded batches may still come.
  virtual absl::StatusOr<Arrival> Take(DirectoryBatch* batch) = 0;
  // A batch that took credit has been handed on.
  virtual absl::Status GiveBack(size_t entries) = 0;
  virtual absl::Status Judge(const ListingVerdicts& verdicts) = 0;
  // The agent has credit for a batch with all entries.
  virtual bool has_credit() const = 0;
};

class FoldedManifests {
 public:
  // Listings that wait for the planner, of one side, beyond which nothing is judged ahead.
  static constexpr size_t kMaxQueued = 4096;
  // Folding ends when more than half of so many directories differ: then entries cost less when they come unasked.
  static constexpr uint64_t kTrial = 128;

  // `before_waiting` is called before the planner waits. Everything outlives this object.
  FoldedManifests(FoldingLink* source, FoldingLink* destination, ArrivalSignal* arrivals,
                  std::function<absl::Status()> before_waiting);
  ManifestStream& source() { return source_; }
  ManifestStream& destination() { return destination_; }

  // For tests and statistics.
  uint64_t matched() const { return matched_; }
  uint64_t wanted() const { return wanted_; }
  bool stopped_folding() const { return stopped_folding_; }

 private:
  enum class State : uint8_t { kPlain, kUndecided, kMatched, kWanted };
  struct Item {
    DirectoryBatch batch;
    State state = State::kPlain;
    std::deque<DirectoryBatch> expansion;  // kWanted: what has come of it
  };
  class SideStream final : public ManifestStream {
   public:
    SideStream(FoldedManifests* owner, FoldingLink* link) : owner_(owner), link_(link) {}
    absl::StatusOr<std::optional<DirectoryBatch>> Next() override { return owner_->Next(this); }

   private:
    friend class FoldedManifests;
    Item* head() { return joined_ < queue_.size() ? &queue_[joined_] : nullptr; }
    void PopFront();
    FoldedManifests* const owner_;
    FoldingLink* const link_;
    std::deque<Item> queue_;       // in the order of the stream
    size_t joined_ = 0;            // how many of them the comparison has passed
    std::deque<Item*> expanding_;  // in the order in which they were asked for
    bool ended_ = false;
    ListingVerdicts verdicts_;  // not sent yet
    uint64_t sent_through_ = 0;
  };

  absl::StatusOr<std::optional<DirectoryBatch>> Next(SideStream* side);
  absl::Status Pump(SideStream* side);
  absl::Status Expand(SideStream* side, DirectoryBatch batch);
  // Judges what can be judged. `side`: whose front is asked for.
  void Join(SideStream* side);
  void JudgePair(Item* source, Item* destination);
  void JudgeAlone(SideStream* side);
  void Decide(SideStream* side, Item* item, State state);
  absl::Status SendVerdicts(bool all);
  // The front as far as it can be handed out now.
  absl::StatusOr<std::optional<DirectoryBatch>> TakeFront(SideStream* side);

  SideStream source_;
  SideStream destination_;
  ArrivalSignal* const arrivals_;
  const std::function<absl::Status()> before_waiting_;
  uint64_t matched_ = 0;  // directories
  uint64_t wanted_ = 0;   // listings of either side
  uint64_t trial_judged_ = 0;
  uint64_t trial_wanted_ = 0;
  bool stopped_folding_ = false;
};

}  // namespace uringsync

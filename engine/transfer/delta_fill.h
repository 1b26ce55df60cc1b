// DeltaFill: fills a staged file from the old file and what differs in the source's, where that is worth it.
//
//   samples → in place | in place and shifted | content-defined chunks | give up   (engine/delta/decision.h)
//   clone of the old file's extents where the file system can: only what differs is written
//   ranges of leaves over all shards, each leaf proven by its tag (delta_leaf.h)
//
// Thread rule: Run on the shard of lanes[0], once; everything it is given lives until it ends.
// Use:  DeltaFill fill(shared, lanes, request, basis, {staged->fd()});
//       DeltaResult result = co_await fill.Run();
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/coro/task.h"
#include "engine/transfer/delta_job.h"

namespace uringsync {

struct DeltaResult {
  enum class Outcome : uint8_t {
    kDone,       // the staged file has its contents and size
    kSendWhole,  // nothing was written; a delta is not worth it
    kFailed
  };
  Outcome outcome = Outcome::kSendWhole;
  FetchOutcome failure;
};

class DeltaFill {
 public:
  // `request` has the identity of the source's file; `file` is an empty file.
  DeltaFill(ReceiveShared* shared, std::vector<DeltaLane> lanes, FileRequest request, const DeltaBasis* basis,
            DataFile file);
  Task<DeltaResult> Run();

  // For a basis that is a part of the new file (DeltaBasis::part), or may be one: the first `end` bytes alone, a
  // multiple of kLeafBytes or the whole file. `basis` null: the part is `file` itself, of which the first `present`
  // bytes count.
  DeltaFill(ReceiveShared* shared, std::vector<DeltaLane> lanes, FileRequest request, const DeltaBasis* basis,
            DataFile file, uint64_t end, uint64_t present);
  // Hears what the leaves are; may be null. Before it runs.
  void NoteWritten(WrittenContents* written) { job_.written = written; }
  // Whether most samples of it are where they are in the source's file.
  Task<bool> IsPart();
  // Never kSendWhole.
  Task<DeltaResult> RunPart();
  // After a failure: how much of the beginning of the file is right.
  uint64_t arrived_bytes() const { return job_.arrived.bytes(); }

 private:
  struct Sample {
    uint64_t offset = 0;
    bool same = false;
    bool shifted = false;
  };
  Driver* driver() const { return lanes_[0].shard->driver(); }
  // Whether a delta is expected to be faster; measures the link where it is not known yet.
  Task<bool> Pays(double matched_share);
  Task<void> MeasureLink();
  Task<void> FetchForMeasure(uint64_t offset, uint64_t length);
  Task<DeltaSamples> TakeSamples();
  Task<void> TakeAll(std::vector<Sample>* samples);
  Task<void> TakeSample(Sample* sample);
  // Finds where the part that lies as before ends and where the shifted one begins, and plans to copy both.
  Task<void> PlanShift();
  Task<bool> OldBlockIs(uint64_t offset, uint64_t wanted);
  Task<DeltaMode> Choose();
  Task<bool> Prepare(DeltaMode mode);
  DeltaResult ResultOf(bool prepared);
  Task<void> CloneInPlace();
  void CloneRuns();
  Task<void> Place();
  Task<void> RangeWorker(DeltaLane lane);
  Task<void> PlaceRange(DeltaLane lane, uint64_t offset, uint64_t length);
  Task<bool> LeavesOf(DeltaLane lane, uint64_t offset, uint64_t length, std::vector<LeafRecord>* leaves);

  const std::vector<DeltaLane> lanes_;
  DeltaJob job_;
  uint64_t present_ = 0;  // of the file itself
  std::vector<Sample> samples_;
};

}  // namespace uringsync

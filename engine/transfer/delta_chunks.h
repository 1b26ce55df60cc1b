// ChunkSearch: which bytes of the source's file lie anywhere in the old file, by content-defined chunks.
//
// The old file is cut here, the source's there, both in ranges over all shards; the lists of the ranges overlap, so
// that they meet. Memory: one index (kMaxIndexedChunks) and the lists, bounded by kMaxIndexedChunks as well; a larger
// file is none for this.
//
// Thread rule: Run on lanes[0].shard.
// Use:  ChunkSearch search(&job, lanes);
//       bool worth_it = co_await search.Run();   // job.copies and job.leaves are filled
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "engine/coro/task.h"
#include "engine/transfer/delta_job.h"

namespace uringsync {

// What is looked at before the whole of a file of which nothing is known to match.
constexpr uint64_t kChunkWindowBytes = uint64_t{8} << 20;

class ChunkSearch {
 public:
  ChunkSearch(DeltaJob* job, std::vector<DeltaLane> lanes);
  // Whether the files are not too large for it.
  bool possible() const;
  // Whether enough of the source's first window lies in the old file's.
  Task<bool> TryWindow();
  // Whether enough of the whole lies there. False after a failure too: job->failed says so.
  Task<bool> Run();

 private:
  struct Range {
    bool ours = false;
    uint64_t offset = 0;
    uint64_t length = 0;
    ChunkList list;
  };
  Task<void> Work(DeltaLane lane);
  Task<void> CutOurs(DeltaLane lane, Range* range);
  Task<void> AskTheirs(DeltaLane lane, Range* range);
  Task<void> WorkAll();
  void AddRanges(uint64_t length_limit);

  DeltaJob* const job_;
  const std::vector<DeltaLane> lanes_;
  const uint32_t average_;
  std::vector<Range> ranges_;
  std::atomic<size_t> next_{0};
};

}  // namespace uringsync

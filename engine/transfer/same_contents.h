// SameContents: whether a file of the destination has the contents of a file of the source, without sending them: leaf
// tags of both (engine/base/leaf_digest.h) are compared, so that the answer holds against whoever makes up files.
//
// Thread rule: one shard; everything it is given lives until it ends.
// Use:  SameContents compare(shard, shared, source, FileRequest::Of(path, wanted), file);
//       const bool same = co_await compare.Run();
#pragma once

#include <cstdint>

#include "engine/coro/task.h"
#include "engine/fs/direct_io.h"
#include "engine/ring/runtime.h"
#include "engine/transfer/content_source.h"
#include "engine/transfer/data_channel.h"
#include "engine/transfer/receive_shared.h"

namespace uringsync {

class SameContents {
 public:
  // What is asked for at once, and how many such ranges of one file are under way: one is read while the source reads
  // the next.
  static constexpr uint64_t kRangeBytes = 8 * kLeafBytes;
  static constexpr size_t kRanges = 3;

  // `request` has the identity of the source's file; `file` has its size.
  SameContents(Shard* shard, ReceiveShared* shared, ContentSource* source, FileRequest request, DataFile file);
  // False as well where it cannot be told: the source's file changed, a read failed, the session is over.
  Task<bool> Run();

 private:
  Task<void> Worker();
  Task<bool> RangeIsSame(uint64_t offset, uint64_t length);

  Shard* const shard_;
  ReceiveShared* const shared_;
  ContentSource* const source_;
  const FileRequest request_;
  const DataFile file_;
  const LeafKey key_;
  uint64_t next_ = 0;
  bool same_ = true;
};

}  // namespace uringsync

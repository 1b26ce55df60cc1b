// SignatureReader: reads a range of an open source file once and says what it is instead of sending it.
//
// Thread rule: one shard; several at once, each with a descriptor or not (the descriptor's position is moved for files
// with holes, within one call without suspension). Use:  SignatureReader reader(driver, buffers, {fd}, {.digest_seed =
// seed, .may_have_holes = true});
//       absl::StatusOr<SignatureBytes> payload = co_await reader.Read(request);
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "engine/coro/task.h"
#include "engine/delta/signature.h"
#include "engine/fs/direct_io.h"
#include "engine/fs/file_system_facts.h"
#include "engine/ring/buffer_pool.h"
#include "engine/ring/driver.h"
#include "engine/transfer/data_channel.h"

namespace uringsync {

struct SignatureReaderOptions {
  uint64_t digest_seed = 0;
  LeafKey leaf_key{};
  bool may_have_holes = false;
  FileSystemFacts* system = nullptr;  // as for ExtentIterator
};

// What is read at once: it is digested while it lies in the core's second-level cache.
constexpr size_t kSignatureReadBytes = size_t{256} << 10;

class SignatureReader {
 public:
  SignatureReader(Driver* driver, BufferPool* buffers, DataFile file, SignatureReaderOptions options)
      : driver_(driver), buffers_(buffers), file_(file), options_(options) {}

  // The payload that answers `request`, which passed CheckSignatureRequest. OutOfRange: the file is shorter than the
  // request says; else the read's error.
  Task<absl::StatusOr<SignatureBytes>> Read(FileRequest request);
  // The chunks from `offset` of a file of `size_bytes` to the first cut that lies the overlap behind `length` bytes,
  // with or without the leaves of those bytes. Errors as above.
  struct ChunkRange {
    uint64_t offset = 0;
    uint64_t length = 0;
    uint64_t size_bytes = 0;
    uint32_t average_bytes = 0;
    bool with_leaves = false;
  };
  Task<absl::StatusOr<ChunkList>> Chunks(ChunkRange range);

 private:
  // Gets the next bytes; false: enough.
  using Consumer = std::function<bool(std::span<const std::byte>)>;
  Task<absl::Status> Walk(uint64_t offset, uint64_t end, Consumer consume);
  Task<absl::StatusOr<std::vector<LeafRecord>>> Leaves(uint64_t offset, uint64_t end);
  absl::StatusOr<LeafKind> KindOf(uint64_t offset, uint64_t end);

  Driver* const driver_;
  BufferPool* const buffers_;
  const DataFile file_;
  const SignatureReaderOptions options_;
};

}  // namespace uringsync

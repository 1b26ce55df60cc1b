// WrittenContents: what was handed to the file system as the contents of one staged file, so that what it gives back
// can be compared with it.
//
// Ranges with an XXH3-128 each: it is storage that is doubted here, not somebody's intent. Where nothing was written a
// hole is, or zeros are, to be found. About 100 bytes for each MiB of a file that is written.
//
// Thread rule: thread-safe; all shards write to one file.
// Use:  written.Add(offset, bytes);  ...  for (const WrittenRange& range : written.Ranges(size_bytes)) ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/digest.h"

namespace uringsync {

struct WrittenRange {
  enum class Kind : uint8_t {
    kData,     // has `digest`
    kZeros,    // nothing was written
    kUnknown,  // was there before, and taken on trust
  };
  Kind kind = Kind::kZeros;
  uint64_t offset = 0;
  uint64_t length = 0;
  Digest128 digest;
};

class WrittenContents {
 public:
  // `bytes` are what lies at `offset` now, whatever was said of it before.
  void Add(uint64_t offset, std::span<const std::byte> bytes);
  // [0, size_bytes) is not judged, but for what is added later.
  void Trust(uint64_t size_bytes);
  // The file was emptied.
  void Clear();
  // The first `size_bytes` bytes, in order and without a gap; ranges that begin beyond them are left out.
  std::vector<WrittenRange> Ranges(uint64_t size_bytes) const;

 private:
  struct Piece {
    uint64_t length = 0;
    std::optional<Digest128> digest;  // none: unknown
  };
  void Put(uint64_t offset, Piece piece);

  mutable std::mutex mutex_;
  std::map<uint64_t, Piece> pieces_;  // by offset; they do not overlap
};

}  // namespace uringsync

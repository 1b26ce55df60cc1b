#include "engine/transfer/signature_reader.h"

#include <algorithm>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/fs/extents.h"
#include "engine/fs/file.h"
#include "engine/fs/syscalls.h"
#include "engine/transfer/extent_list.h"

namespace uringsync {
namespace {

// Collects leaves from bytes that come in order.
class LeafCollector {
 public:
  LeafCollector(const LeafKey& key, uint64_t end) : end_(end), hasher_(key) {}
  void Feed(uint64_t offset, std::span<const std::byte> bytes, std::vector<LeafTag>* digests) {
    while (!bytes.empty() && offset < end_) {
      const uint64_t leaf_end = std::min(end_, (offset / kLeafBytes + 1) * kLeafBytes);
      const size_t part = static_cast<size_t>(std::min<uint64_t>(bytes.size(), leaf_end - offset));
      if (offset % kLeafBytes == 0) hasher_.Begin(offset / kLeafBytes);
      hasher_.Update(bytes.first(part));
      offset += part;
      bytes = bytes.subspan(part);
      if (offset == leaf_end) digests->push_back(hasher_.Finish());
    }
  }

 private:
  const uint64_t end_;
  LeafHasher hasher_;
};

}  // namespace

Task<absl::Status> SignatureReader::Walk(uint64_t offset, uint64_t end, Consumer consume) {
  Buffer buffer = co_await buffers_->Get();
  const size_t step = std::min(buffer.size(), kSignatureReadBytes);
  bool more = true;
  while (more && offset < end) {
    const size_t want = static_cast<size_t>(std::min<uint64_t>(end - offset, step));
    absl::StatusOr<size_t> got =
        co_await ReadData(driver_, file_, buffer.data(), want, offset, buffer.registered_index());
    if (!got.ok()) co_return got.status();
    if (*got < want) co_return absl::OutOfRangeError("the file is shorter than it was");
    more = consume(buffer.span().first(want));
    offset += want;
  }
  co_return absl::OkStatus();
}

absl::StatusOr<LeafKind> SignatureReader::KindOf(uint64_t offset, uint64_t end) {
  if (!options_.may_have_holes) return LeafKind::kData;
  ExtentIterator extents(driver_, file_.fd, offset, end, end, options_.system);
  Extent extent;
  bool data = false;
  bool hole = false;
  int more = 0;
  while (!(data && hole) && (more = extents.Next(&extent)) > 0) (extent.is_data ? data : hole) = true;
  if (more < 0) return sys::SysStatus(more, "lseek");
  if (!hole) return LeafKind::kData;
  return data ? LeafKind::kSparse : LeafKind::kHole;
}

Task<absl::StatusOr<std::vector<LeafRecord>>> SignatureReader::Leaves(uint64_t offset, uint64_t end) {
  std::vector<LeafRecord> leaves;
  LeafHasher hasher(options_.leaf_key);
  for (uint64_t at = offset; at < end; at += kLeafBytes) {
    const uint64_t leaf_end = std::min<uint64_t>(at + kLeafBytes, end);
    LeafRecord leaf;
    US_CO_ASSIGN_OR_RETURN(leaf.kind, KindOf(at, leaf_end));
    if (leaf.kind != LeafKind::kHole) {
      hasher.Begin(at / kLeafBytes);
      US_CO_RETURN_IF_ERROR(co_await Walk(at, leaf_end, [&hasher](std::span<const std::byte> bytes) {
        hasher.Update(bytes);
        return true;
      }));
      leaf.digest = hasher.Finish();
    }
    leaves.push_back(leaf);
  }
  co_return leaves;
}

Task<absl::StatusOr<ChunkList>> SignatureReader::Chunks(ChunkRange range) {
  const uint64_t range_end = range.offset + range.length;
  const uint64_t list_end = range_end + kChunkOverlapAverages * range.average_bytes;
  ChunkList list;
  Chunker chunker(ParametersFor(range.average_bytes), options_.digest_seed);
  LeafCollector collector(options_.leaf_key, range_end);
  std::vector<LeafTag> digests;
  uint64_t at = range.offset;
  uint64_t cut = range.offset;  // end of the last chunk of the list
  US_CO_RETURN_IF_ERROR(co_await Walk(range.offset, range.size_bytes, [&](std::span<const std::byte> bytes) {
    if (range.with_leaves) collector.Feed(at, bytes, &digests);
    at += bytes.size();
    const size_t before = list.chunks.size();
    chunker.Feed(bytes, &list.chunks);
    for (size_t i = before; i < list.chunks.size(); ++i) {
      cut += list.chunks[i].length;
      if (cut < list_end) continue;
      list.chunks.resize(i + 1);
      return false;
    }
    return true;
  }));
  if (cut < list_end) chunker.Finish(&list.chunks);
  for (const LeafTag& digest : digests) {
    const uint64_t leaf = range.offset + list.leaves.size() * kLeafBytes;
    LeafRecord record;
    US_CO_ASSIGN_OR_RETURN(record.kind, KindOf(leaf, std::min<uint64_t>(leaf + kLeafBytes, range_end)));
    if (record.kind != LeafKind::kHole) record.digest = digest;
    list.leaves.push_back(record);
  }
  co_return list;
}

Task<absl::StatusOr<SignatureBytes>> SignatureReader::Read(FileRequest request) {
  const uint64_t end = request.offset + request.length;
  switch (request.kind) {
    case RequestKind::kContents: break;
    case RequestKind::kLeaves: {
      US_CO_ASSIGN_OR_RETURN(std::vector<LeafRecord> leaves, co_await Leaves(request.offset, end));
      co_return EncodeLeaves(leaves);
    }
    case RequestKind::kBlocks: {
      std::vector<uint64_t> digests;
      // A step is a multiple of every block size.
      US_CO_RETURN_IF_ERROR(co_await Walk(request.offset, end, [&](std::span<const std::byte> bytes) {
        std::vector<uint64_t> part = BlockDigests(bytes, request.unit_bytes, options_.digest_seed);
        digests.insert(digests.end(), part.begin(), part.end());
        return true;
      }));
      co_return EncodeBlocks(digests);
    }
    case RequestKind::kChunks: {
      US_CO_ASSIGN_OR_RETURN(ChunkList list, co_await Chunks({.offset = request.offset,
                                                              .length = request.length,
                                                              .size_bytes = request.size_bytes,
                                                              .average_bytes = request.unit_bytes,
                                                              .with_leaves = true}));
      co_return EncodeChunkList(list);
    }
    case RequestKind::kExtents: {
      US_CO_ASSIGN_OR_RETURN(ExtentList list, ListExtents(driver_, file_.fd, request.offset, end, request.size_bytes,
                                                          options_.may_have_holes));
      co_return EncodeExtents(list);
    }
  }
  co_return absl::InvalidArgumentError("no signature request");
}

}  // namespace uringsync

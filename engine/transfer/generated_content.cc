#include "engine/transfer/generated_content.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/transfer/source_reader.h"

namespace uringsync {
namespace {

// One block that all pieces are copied from: making the numbers would cost more than reading a cached file does.
std::span<const std::byte> Block() {
  static const std::vector<std::byte> block = [] {
    std::vector<std::byte> bytes(kPieceBytes);
    FillIncompressible(bytes, 1);
    return bytes;
  }();
  return block;
}

}  // namespace

void FillIncompressible(std::span<std::byte> bytes, uint64_t seed) {
  uint64_t state = seed;
  for (size_t at = 0; at < bytes.size(); at += sizeof(uint64_t)) {
    // splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    state += 0x9e3779b97f4a7c15;
    uint64_t value = state;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    value ^= value >> 31;
    std::memcpy(bytes.data() + at, &value, std::min(sizeof(value), bytes.size() - at));
  }
}

Task<absl::Status> ServeGenerated(FileRequest request, uint64_t digest_seed, BufferPool* buffers, ReplySink* sink) {
  uint64_t done = 0;
  while (true) {
    const size_t length = static_cast<size_t>(std::min<uint64_t>(request.length - done, kPieceBytes));
    Piece piece;
    if (length > kHeapPieceBytes) {
      Buffer buffer = co_await buffers->Get();
      piece = Piece::InBuffer(std::move(buffer), length);
    } else {
      piece = Piece::OnHeap(length);
    }
    if (length > 0) std::memcpy(piece.data(), Block().data(), length);
    ReplyItem item;
    item.id = request.id;
    item.offset = request.offset + done;
    item.data_length = static_cast<uint32_t>(length);
    item.digest = Xxh128(piece.bytes(), digest_seed);
    done += length;
    item.end = done == request.length;
    const bool end = item.end;
    const absl::Status taken = co_await sink->OnItem(std::move(item), std::move(piece));
    if (!taken.ok() || end) co_return taken;
  }
}

}  // namespace uringsync

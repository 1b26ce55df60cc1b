// Lists of extents as a source that lies could send them. The first two bytes choose what was asked for. What is
// accepted must be what encoding gives back, in order and within its range, and a queue that believes it must hand out
// every byte outside of its holes once.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "engine/transfer/extent_list.h"
#include "engine/transfer/range_queue.h"

namespace {

void Expect(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace uringsync;
  if (size < 2) return 0;
  constexpr uint64_t kMiB = uint64_t{1} << 20;
  const uint64_t begin = data[0] * kMiB;
  const uint64_t end = begin + (data[1] + uint64_t{1}) * kMiB;
  const std::span<const std::byte> payload = std::as_bytes(std::span<const uint8_t>(data + 2, size - 2));
  const absl::StatusOr<ExtentList> list = DecodeExtents(payload, begin, end);
  if (!list.ok()) return 0;
  const std::vector<std::byte> again = EncodeExtents(*list);
  Expect(std::equal(again.begin(), again.end(), payload.begin(), payload.end()));
  RangeQueue queue(end, 4 * kMiB);
  const uint64_t holes = queue.AddHoles(*list, begin);
  uint64_t asked = 0;
  uint64_t last = 0;
  while (const std::optional<FileRange> range = queue.Take()) {
    Expect(range->length > 0 && range->offset >= last && range->offset + range->length <= end);
    last = range->offset + range->length;
    asked += range->length;
  }
  Expect(queue.empty() && queue.skipped_bytes() == holes && asked + holes == end);
  return 0;
}

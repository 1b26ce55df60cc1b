#include "engine/transfer/extent_list.h"

#include <bit>
#include <cstring>

#include "engine/base/errno_status.h"
#include "engine/fs/syscalls.h"

namespace uringsync {
namespace {

static_assert(std::endian::native == std::endian::little, "payloads are little-endian");

// Extents of a file that one list looks at, data and holes: what a shard may do without a pause.
constexpr int kMaxSteps = 2 * kMaxExtents;

void Put(uint64_t value, std::vector<std::byte>* out) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  out->insert(out->end(), bytes, bytes + sizeof(value));
}

uint64_t Get(std::span<const std::byte> payload, size_t index) {
  uint64_t value = 0;
  std::memcpy(&value, payload.data() + index * sizeof(value), sizeof(value));
  return value;
}

absl::Status Invalid(const char* text) {
  return absl::InvalidArgumentError(std::string("a list of extents ") + text);
}

}  // namespace

std::vector<std::byte> EncodeExtents(const ExtentList& list) {
  std::vector<std::byte> payload;
  payload.reserve(8 + 16 * list.extents.size());
  Put(list.covered, &payload);
  for (const Extent& extent : list.extents) {
    Put(extent.offset, &payload);
    Put(extent.length, &payload);
  }
  return payload;
}

absl::StatusOr<ExtentList> DecodeExtents(std::span<const std::byte> payload, uint64_t begin, uint64_t end) {
  if (payload.size() % 16 != 8 || payload.size() > kMaxExtentListBytes) return Invalid("has a length that none has");
  ExtentList list;
  list.covered = Get(payload, 0);
  if (list.covered <= begin || list.covered > end) return Invalid("covers nothing of its range, or more");
  uint64_t at = begin;
  for (size_t i = 1; i < payload.size() / sizeof(uint64_t); i += 2) {
    const Extent extent{.offset = Get(payload, i), .length = Get(payload, i + 1), .is_data = true};
    if (extent.offset < at || extent.offset >= list.covered) return Invalid("is not in order");
    if (extent.length == 0 || extent.length > list.covered - extent.offset) return Invalid("reaches beyond its range");
    at = extent.offset + extent.length;
    list.extents.push_back(extent);
  }
  return list;
}

absl::StatusOr<ExtentList> ListExtents(Driver* driver, int fd, uint64_t begin, uint64_t end, uint64_t size_bytes,
                                       bool may_have_holes) {
  ExtentList list;
  if (!may_have_holes) {
    list.covered = end;
    list.extents.push_back({.offset = begin, .length = end - begin, .is_data = true});
    return list;
  }
  ExtentIterator found(driver, fd, begin, end, size_bytes);
  list.covered = begin;
  Extent extent;
  for (int step = 0; step < kMaxSteps; ++step) {
    const int more = found.Next(&extent);
    if (more < 0) return sys::SysStatus(more, "lseek");
    if (more == 0) break;
    const bool data = extent.is_data || extent.length < kMinToldHole;
    const bool joins =
        !list.extents.empty() && list.extents.back().offset + list.extents.back().length == extent.offset;
    if (data && !joins && list.extents.size() == kMaxExtents) break;
    if (data && joins) list.extents.back().length += extent.length;
    if (data && !joins) list.extents.push_back({.offset = extent.offset, .length = extent.length, .is_data = true});
    list.covered = extent.offset + extent.length;
  }
  return list;
}

}  // namespace uringsync

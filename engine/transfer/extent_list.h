// Extent lists: where the data of a large file lies, so that a destination asks for that and not for every piece of a
// hole.
//
//   extents = covered *( offset length )     8 bytes each, little-endian
//
// `covered` is where the list ends: it tells all data between the request's offset and there, ascending, and what it
// does not tell is a hole. Short holes may be told as data. A list is bounded (kMaxExtents), and so is the work for
// one: it may end before the range does.
//
// Thread rule: functions and values; any thread.
// Use:  absl::StatusOr<ExtentList> list = DecodeExtents(payload, request.offset, request.offset + request.length);
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/fs/extents.h"

namespace uringsync {

// Told in one list. The list of a file with a hole in every block is short of its range by far: such a file is asked
// for as it is.
constexpr size_t kMaxExtents = 4096;
// Holes below this are told as data: a request costs about as much as the reply to one of them. Bytes.
constexpr uint64_t kMinToldHole = uint64_t{1} << 20;
constexpr uint64_t kMaxExtentListBytes = 8 + 16 * uint64_t{kMaxExtents};

struct ExtentList {
  uint64_t covered = 0;         // end of what is told
  std::vector<Extent> extents;  // of data, ascending, with a hole between two
};

std::vector<std::byte> EncodeExtents(const ExtentList& list);
// InvalidArgument for a payload of another form, extents that are empty or not ascending, or that lie outside of
// [begin, covered), or a list that covers nothing of the range [begin, end) or more than it.
absl::StatusOr<ExtentList> DecodeExtents(std::span<const std::byte> payload, uint64_t begin, uint64_t end);

// The list of [begin, end) of an open file that has `size_bytes`; -errno of lseek as a Status. The descriptor's
// position is moved. `may_have_holes` false: the range is one extent, and nothing is asked.
absl::StatusOr<ExtentList> ListExtents(Driver* driver, int fd, uint64_t begin, uint64_t end, uint64_t size_bytes,
                                       bool may_have_holes);

}  // namespace uringsync

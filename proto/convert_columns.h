// The column forms of the wire (see uringsync/v1/agent.proto), checked readers and compact writers. For convert_*.cc
// only.
//
// Readers borrow the message they read.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/rel_path.h"
#include "uringsync/v1/agent.pb.h"

namespace uringsync::convert_internal {

constexpr size_t kNoRow = std::numeric_limits<size_t>::max();

// Where in a message something is wrong: "DirectoryBatch.entries" and a field of it.
struct Where {
  std::string_view message;
  std::string_view field;
};
// InvalidArgument "<message>.<field>[<row>]: <what>"; no row for kNoRow.
absl::Status Bad(Where where, size_t row, std::string_view what);
// `bytes` quoted, escaped and clipped, for such texts.
std::string Quoted(std::string_view bytes);

// OK when `size` ≤ `bound`.
absl::Status CheckBound(Where where, size_t size, size_t bound, std::string_view unit);
// A path from the wire, with the place in the error.
absl::StatusOr<RelPath> ParsePath(Where where, size_t row, std::string_view text);
// A name from the wire.
absl::Status CheckName(Where where, size_t row, std::string_view name);
// `bytes` cut to `bound`.
inline std::string_view Clip(std::string_view bytes, size_t bound) {
  return bytes.substr(0, bound);
}

// A plain column: 0, 1 or `rows` elements.
template <typename T>
class Column {
 public:
  absl::Status Init(const google::protobuf::RepeatedField<T>& field, size_t rows, Where where) {
    const size_t size = static_cast<size_t>(field.size());
    if (size == 0) return absl::OkStatus();
    if (size != rows && !(size == 1 && rows > 0)) {
      return Bad(where, kNoRow, std::to_string(size) + " elements for " + std::to_string(rows) + " rows");
    }
    data_ = field.data();
    stride_ = size == 1 ? 0 : 1;
    return absl::OkStatus();
  }
  T operator[](size_t row) const { return data_[row * stride_]; }

 private:
  static constexpr T kDefault{};
  const T* data_ = &kDefault;
  size_t stride_ = 0;
};

// Writes a plain column in its shortest form. `get(row)` gives the value.
template <typename T, typename Get>
void WriteColumn(google::protobuf::RepeatedField<T>* field, size_t rows, Get get) {
  if (rows == 0) return;
  const T first = static_cast<T>(get(0));
  size_t same = 1;
  while (same < rows && static_cast<T>(get(same)) == first) ++same;
  if (same == rows) {
    if (first != T{}) field->Add(first);
    return;
  }
  field->Reserve(static_cast<int>(rows));
  for (size_t row = 0; row < rows; ++row) field->AddAlreadyReserved(static_cast<T>(get(row)));
}

// A row list: strictly ascending, below `rows`.
absl::Status CheckRows(const google::protobuf::RepeatedField<uint32_t>& list, size_t rows, Where where);
// OK when `size` is `expected`, for a column that goes with a row list or has one element a row.
absl::Status CheckCount(Where where, size_t size, size_t expected);

// Reads Strings front to back.
class StringsReader {
 public:
  // `count` strings of at most `max_bytes` each.
  absl::Status Init(const v1::Strings& strings, size_t count, size_t max_bytes, Where where);
  std::string_view Next() {
    const size_t length = lengths_[next_++];
    const std::string_view result(text_ + offset_, length);
    offset_ += length;
    return result;
  }

 private:
  const char* text_ = nullptr;
  const uint32_t* lengths_ = nullptr;
  size_t next_ = 0;
  size_t offset_ = 0;
};
void AddString(v1::Strings* strings, std::string_view value);

}  // namespace uringsync::convert_internal

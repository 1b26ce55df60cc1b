#include "proto/convert_columns.h"

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync::convert_internal {
namespace {

constexpr size_t kQuotedBytes = 128;

}  // namespace

absl::Status Bad(Where where, size_t row, std::string_view what) {
  std::string text(where.message);
  if (!where.field.empty()) {
    text += '.';
    text += where.field;
  }
  if (row != kNoRow) text += '[' + std::to_string(row) + ']';
  text += ": ";
  text += what;
  return MakeStatus(absl::StatusCode::kInvalidArgument, text);
}

std::string Quoted(std::string_view bytes) {
  std::string text = "\"" + EscapeName(bytes.substr(0, kQuotedBytes));
  text += bytes.size() > kQuotedBytes ? "\" (" + std::to_string(bytes.size()) + " bytes)" : "\"";
  return text;
}

absl::Status CheckBound(Where where, size_t size, size_t bound, std::string_view unit) {
  if (size <= bound) return absl::OkStatus();
  return Bad(where, kNoRow,
             std::to_string(size) + " " + std::string(unit) + ", at most " + std::to_string(bound) + " allowed");
}

absl::StatusOr<RelPath> ParsePath(Where where, size_t row, std::string_view text) {
  absl::StatusOr<RelPath> path = RelPath::Parse(text);
  if (!path.ok()) return Bad(where, row, ToStd(path.status().message()));
  return path;
}

absl::Status CheckName(Where where, size_t row, std::string_view name) {
  const absl::Status status = ValidateName(name);
  if (!status.ok()) return Bad(where, row, ToStd(status.message()));
  return absl::OkStatus();
}

absl::Status CheckRows(const google::protobuf::RepeatedField<uint32_t>& list, size_t rows, Where where) {
  int64_t previous = -1;
  for (int i = 0; i < list.size(); ++i) {
    const uint32_t row = list.Get(i);
    if (row <= previous) return Bad(where, static_cast<size_t>(i), "row " + std::to_string(row) + " is out of order");
    if (row >= rows) {
      return Bad(where, static_cast<size_t>(i), "row " + std::to_string(row) + " of " + std::to_string(rows));
    }
    previous = row;
  }
  return absl::OkStatus();
}

absl::Status CheckCount(Where where, size_t size, size_t expected) {
  if (size == expected) return absl::OkStatus();
  return Bad(where, kNoRow, std::to_string(size) + " elements where " + std::to_string(expected) + " belong");
}

absl::Status StringsReader::Init(const v1::Strings& strings, size_t count, size_t max_bytes, Where where) {
  const size_t size = static_cast<size_t>(strings.lengths_size());
  if (absl::Status status = CheckCount(where, size, count); !status.ok()) return status;
  uint64_t total = 0;
  for (size_t i = 0; i < size; ++i) {
    const uint32_t length = strings.lengths(static_cast<int>(i));
    if (length > max_bytes) {
      return Bad(where, i, std::to_string(length) + " bytes, at most " + std::to_string(max_bytes) + " allowed");
    }
    total += length;
  }
  if (total != strings.text().size()) {
    return Bad(
        where, kNoRow,
        "lengths add up to " + std::to_string(total) + " bytes, the text has " + std::to_string(strings.text().size()));
  }
  text_ = strings.text().data();
  lengths_ = strings.lengths().data();
  next_ = 0;
  offset_ = 0;
  return absl::OkStatus();
}

void AddString(v1::Strings* strings, std::string_view value) {
  strings->mutable_text()->append(value);
  strings->add_lengths(static_cast<uint32_t>(value.size()));
}

}  // namespace uringsync::convert_internal

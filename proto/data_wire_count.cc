#include "proto/data_wire_count.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/errno_status.h"

namespace uringsync {

namespace {

constexpr int kMaxVarintBytes = 10;
constexpr size_t kMaxCountedFields = 4;

absl::Status NoMessage() {
  return absl::InvalidArgumentError("a frame header is no protobuf message");
}

absl::Status TooMany(int field, size_t limit) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, "more than " + std::to_string(limit) + " elements in field " +
                                                            std::to_string(field) + " of one message");
}

// Walks the fields of one message (https://protobuf.dev/programming-guides/encoding/).
class WireWalker {
 public:
  explicit WireWalker(ConstBytes bytes) : bytes_(bytes) {}

  struct Field {
    int number = 0;
    bool delimited = false;
    ConstBytes content;  // of a delimited field
  };
  bool done() const { return bytes_.empty(); }
  // nullopt for malformed bytes.
  std::optional<Field> Next() {
    const std::optional<uint64_t> tag = Varint();
    if (!tag || (*tag >> 3) == 0 || (*tag >> 3) > kMaxFieldNumber) return std::nullopt;
    Field field{.number = static_cast<int>(*tag >> 3), .delimited = false, .content = {}};
    switch (*tag & 7) {
      case 0:
        if (!Varint()) return std::nullopt;
        return field;
      case 1: return Skip(8) ? std::optional(field) : std::nullopt;
      case 5: return Skip(4) ? std::optional(field) : std::nullopt;
      case 2: {
        const std::optional<uint64_t> length = Varint();
        if (!length || *length > bytes_.size()) return std::nullopt;
        field.delimited = true;
        field.content = bytes_.first(static_cast<size_t>(*length));
        Skip(static_cast<size_t>(*length));
        return field;
      }
      default:
        // Groups have no place in these messages, and could hide elements from the count.
        return std::nullopt;
    }
  }

 private:
  static constexpr uint64_t kMaxFieldNumber = (uint64_t{1} << 29) - 1;

  bool Skip(size_t n) {
    if (n > bytes_.size()) return false;
    bytes_ = bytes_.subspan(n);
    return true;
  }
  std::optional<uint64_t> Varint() {
    uint64_t value = 0;
    for (int i = 0; i < kMaxVarintBytes && !bytes_.empty(); ++i) {
      const auto byte = static_cast<uint8_t>(bytes_.front());
      bytes_ = bytes_.subspan(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if ((byte & 0x80) == 0) return value;
    }
    return std::nullopt;
  }

  ConstBytes bytes_;
};

absl::Status CountNested(ConstBytes message, std::span<const int> path, size_t limit, size_t* count) {
  WireWalker walker(message);
  while (!walker.done()) {
    const std::optional<WireWalker::Field> field = walker.Next();
    if (!field) return NoMessage();
    if (field->number != path.front() || !field->delimited) continue;
    if (path.size() > 1) {
      US_RETURN_IF_ERROR(CountNested(field->content, path.subspan(1), limit, count));
    } else if (++*count > limit) {
      return TooMany(path.front(), limit);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckWireCounts(ConstBytes message, std::initializer_list<WireCountLimit> limits) {
  size_t counts[kMaxCountedFields] = {};
  if (limits.size() > kMaxCountedFields) return absl::InternalError("too many fields to count");
  WireWalker walker(message);
  while (!walker.done()) {
    const std::optional<WireWalker::Field> field = walker.Next();
    if (!field) return NoMessage();
    size_t at = 0;
    for (const WireCountLimit& limit : limits) {
      if (limit.field == field->number && ++counts[at] > limit.limit) return TooMany(limit.field, limit.limit);
      ++at;
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNestedWireCount(ConstBytes message, std::initializer_list<int> path, size_t limit) {
  size_t count = 0;
  return CountNested(message, std::span<const int>(path.begin(), path.size()), limit, &count);
}

}  // namespace uringsync

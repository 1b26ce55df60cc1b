// Single fields of control messages: short texts, hosts, ports, ids, lists of names, counters. For convert_*.cc only.
#pragma once

#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "proto/convert.h"
#include "proto/convert_columns.h"
#include "proto/messages.h"

namespace uringsync::convert_internal {

// A text for people: any bytes up to `bound`.
absl::StatusOr<std::string> DecodeText(Where where, std::string_view bytes, size_t bound);
// A label: 1 to `bound` bytes, none of them a control byte.
absl::StatusOr<std::string> DecodeLabel(Where where, std::string_view bytes, size_t bound);
// DNS name or address: printable ASCII without space, 1 to kMaxHostBytes.
absl::StatusOr<std::string> DecodeHost(Where where, std::string_view bytes);
// 1 to 65535, or also 0 when `none_allowed`.
absl::StatusOr<uint16_t> DecodePort(Where where, uint32_t port, bool none_allowed);
// Protocol versions: from 1, `max` not below `min`.
absl::Status CheckVersions(std::string_view message, uint32_t min, uint32_t max);

// At most `count_bound` strings of at most `byte_bound` bytes each; empty ones are refused when `labels`.
absl::StatusOr<std::vector<std::string>> DecodeList(Where where, const v1::Strings& list, size_t count_bound,
                                                    size_t byte_bound, bool labels);
absl::Status EncodeList(Where where, const std::vector<std::string>& list, size_t count_bound, size_t byte_bound,
                        v1::Strings* wire);

// A fixed number of bytes, such as ids and tokens.
template <size_t N>
absl::Status DecodeBytes(Where where, std::string_view bytes, std::array<uint8_t, N>* out) {
  if (bytes.size() != N) {
    return Bad(where, kNoRow, std::to_string(bytes.size()) + " bytes where " + std::to_string(N) + " belong");
  }
  std::memcpy(out->data(), bytes.data(), N);
  return absl::OkStatus();
}
template <size_t N>
std::string EncodeBytes(const std::array<uint8_t, N>& bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), N);
}

void EncodeCounters(const ApplyCounters& counters, v1::ApplyCounters* wire);
ApplyCounters DecodeCounters(const v1::ApplyCounters& wire);

}  // namespace uringsync::convert_internal

#include "proto/convert_fields.h"

#include <algorithm>

#include "engine/base/errno_status.h"

namespace uringsync::convert_internal {
namespace {

bool IsControlByte(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

}  // namespace

absl::StatusOr<std::string> DecodeText(Where where, std::string_view bytes, size_t bound) {
  US_RETURN_IF_ERROR(CheckBound(where, bytes.size(), bound, "bytes"));
  return std::string(bytes);
}

absl::StatusOr<std::string> DecodeLabel(Where where, std::string_view bytes, size_t bound) {
  if (bytes.empty()) return Bad(where, kNoRow, "empty");
  US_RETURN_IF_ERROR(CheckBound(where, bytes.size(), bound, "bytes"));
  if (std::any_of(bytes.begin(), bytes.end(), IsControlByte)) {
    return Bad(where, kNoRow, "control bytes in " + Quoted(bytes));
  }
  return std::string(bytes);
}

absl::StatusOr<std::string> DecodeHost(Where where, std::string_view bytes) {
  US_ASSIGN_OR_RETURN(std::string host, DecodeLabel(where, bytes, kMaxHostBytes));
  if (std::any_of(host.begin(), host.end(), [](char c) { return c == ' ' || static_cast<unsigned char>(c) >= 0x7f; })) {
    return Bad(where, kNoRow, Quoted(host) + " is no host");
  }
  return host;
}

absl::StatusOr<uint16_t> DecodePort(Where where, uint32_t port, bool none_allowed) {
  if (port > 65535 || (port == 0 && !none_allowed)) return Bad(where, kNoRow, std::to_string(port) + " is no port");
  return static_cast<uint16_t>(port);
}

absl::Status CheckVersions(std::string_view message, uint32_t min, uint32_t max) {
  if (min >= 1 && min <= max) return absl::OkStatus();
  return Bad({message, "min_version"}, kNoRow,
             "versions " + std::to_string(min) + " to " + std::to_string(max) + " are no range");
}

absl::StatusOr<std::vector<std::string>> DecodeList(Where where, const v1::Strings& list, size_t count_bound,
                                                    size_t byte_bound, bool labels) {
  const size_t count = static_cast<size_t>(list.lengths_size());
  US_RETURN_IF_ERROR(CheckBound(where, count, count_bound, "elements"));
  StringsReader reader;
  US_RETURN_IF_ERROR(reader.Init(list, count, byte_bound, where));
  std::vector<std::string> result;
  result.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const std::string_view element = reader.Next();
    if (labels && (element.empty() || std::any_of(element.begin(), element.end(), IsControlByte))) {
      return Bad(where, i, Quoted(element) + " is no name");
    }
    result.emplace_back(element);
  }
  return result;
}

absl::Status EncodeList(Where where, const std::vector<std::string>& list, size_t count_bound, size_t byte_bound,
                        v1::Strings* wire) {
  US_RETURN_IF_ERROR(CheckBound(where, list.size(), count_bound, "elements"));
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].size() > byte_bound) return Bad(where, i, Quoted(list[i]) + " is too long");
    AddString(wire, list[i]);
  }
  return absl::OkStatus();
}

void EncodeCounters(const ApplyCounters& counters, v1::ApplyCounters* wire) {
  wire->set_actions_done(counters.actions_done);
  wire->set_files_published(counters.files_published);
  wire->set_bytes_received(counters.bytes_received);
  wire->set_bytes_written(counters.bytes_written);
  wire->set_wire_bytes(counters.wire_bytes);
  wire->set_retries(counters.retries);
  wire->set_skipped_owner(counters.skipped_owner);
  wire->set_skipped_devices(counters.skipped_devices);
  wire->set_skipped_xattrs(counters.skipped_xattrs);
  wire->set_bytes_matched(counters.bytes_matched);
  wire->set_bytes_cloned(counters.bytes_cloned);
  wire->set_files_renamed(counters.files_renamed);
  wire->set_files_verified(counters.files_verified);
  wire->set_files_restaged(counters.files_restaged);
}

ApplyCounters DecodeCounters(const v1::ApplyCounters& wire) {
  return {.actions_done = wire.actions_done(),
          .files_published = wire.files_published(),
          .bytes_received = wire.bytes_received(),
          .bytes_written = wire.bytes_written(),
          .wire_bytes = wire.wire_bytes(),
          .retries = wire.retries(),
          .skipped_owner = wire.skipped_owner(),
          .skipped_devices = wire.skipped_devices(),
          .skipped_xattrs = wire.skipped_xattrs(),
          .bytes_matched = wire.bytes_matched(),
          .bytes_cloned = wire.bytes_cloned(),
          .files_renamed = wire.files_renamed(),
          .files_verified = wire.files_verified(),
          .files_restaged = wire.files_restaged()};
}

}  // namespace uringsync::convert_internal

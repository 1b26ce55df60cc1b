// Plans, as files that anybody may have written: "0" and a document; or "1" and what is inside one record (its kind,
// its payload), around which a document is made, so that checksums keep nobody out.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "coordinator/core/plan_document.h"
#include "coordinator/core/plan_header.h"
#include "engine/base/digest.h"

namespace uringsync {
namespace {

void Append(uint64_t value, size_t bytes, std::string* text) {
  for (size_t i = 0; i < bytes; ++i) text->push_back(static_cast<char>(value >> (8 * i)));
}

std::string Around(std::string_view inside) {
  std::string text =
      PlanHeaderText({.software = "s", .made = "m", .program = "sync", .source = "/a", .destination = "/b"});
  std::string record(1, inside.front());
  Append(inside.size() - 1, 4, &record);
  record += inside.substr(1);
  const Digest128 digest = Xxh128(record, Xxh128(text).low);
  Append(digest.low, 8, &record);
  Append(digest.high, 8, &record);
  return text + record;
}

void Decode(const std::string& text) {
  const auto check = [](const absl::Status& status) {
    if (!absl::IsNotFound(status) && !absl::IsUnimplemented(status) && !absl::IsDataLoss(status)) std::abort();
  };
  auto decoder = PlanDecoder::Open([&text, at = size_t{0}](std::span<char> buffer) mutable -> absl::StatusOr<size_t> {
    const size_t count = std::min(buffer.size(), text.size() - at);
    std::memcpy(buffer.data(), text.data() + at, count);
    at += count;
    return count;
  });
  if (!decoder.ok()) return check(decoder.status());
  if (PlanHeaderText((*decoder)->header()) != text.substr(0, PlanHeaderText((*decoder)->header()).size())) std::abort();
  while (true) {
    const auto batch = (*decoder)->Next();
    if (!batch.ok()) return check(batch.status());
    if (!batch->has_value()) return;
  }
}

}  // namespace
}  // namespace uringsync

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string input(reinterpret_cast<const char*>(data), size);
  uringsync::Decode(input.front() == '1' ? uringsync::Around(std::string_view(input).substr(1)) : input.substr(1));
  return 0;
}

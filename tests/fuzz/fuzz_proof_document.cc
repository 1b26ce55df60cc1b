// Proofs, as files that anybody may have written: "0" and a document; or "1" and the lines between the header and the
// end, which are added, so that the digest keeps nobody out.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "coordinator/core/proof_document.h"
#include "coordinator/core/proof_line.h"

namespace uringsync {
namespace {

std::string Around(std::string_view lines) {
  std::string text = ProofHeaderText({.software = "s", .made = "m", .tree = "/a"});
  text += lines;
  size_t objects = 0;
  // Every line but those of directories counts.
  for (size_t at = 0; at < lines.size();) {
    objects += lines[at] != '/' ? 1 : 0;
    const size_t end = lines.find('\n', at);
    at = end == std::string_view::npos ? lines.size() : end + 1;
  }
  return text + "end " + std::to_string(objects) + " sha256 " + Hex(Sha256::Of(text)) + "\n";
}

void Decode(const std::string& text) {
  const auto check = [](const absl::Status& status) {
    if (!absl::IsNotFound(status) && !absl::IsUnimplemented(status) && !absl::IsDataLoss(status)) std::abort();
  };
  auto decoder = ProofDecoder::Open([&text, at = size_t{0}](std::span<char> buffer) mutable -> absl::StatusOr<size_t> {
    const size_t count = std::min(buffer.size(), text.size() - at);
    std::memcpy(buffer.data(), text.data() + at, count);
    at += count;
    return count;
  });
  if (!decoder.ok()) return check(decoder.status());
  ProofEncoder again((*decoder)->header());
  std::string written = again.Begin();
  while (true) {
    const auto item = (*decoder)->Next();
    if (!item.ok()) return check(item.status());
    if (!item->has_value()) break;
    written += (*item)->object ? again.Object(*(*item)->object) : again.Directory((*item)->directory);
  }
  // What is accepted has one form.
  if (written + again.End() != text) std::abort();
}

}  // namespace
}  // namespace uringsync

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string input(reinterpret_cast<const char*>(data), size);
  uringsync::Decode(input.front() == '1' ? uringsync::Around(std::string_view(input).substr(1)) : input.substr(1));
  return 0;
}

// Resume journals, as whoever may write into a destination could leave them: "0" and a journal; or "1" and what is
// inside one record, around which a journal is made, so that checksums keep nobody out.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "agent/resume_record.h"
#include "engine/base/digest.h"
#include "engine/fs/state_name.h"

namespace uringsync {
namespace {

constexpr ResumeHeader kHeader{.session_tag = 1, .device = 2};

void Append(uint64_t value, size_t bytes, std::string* text) {
  for (size_t i = 0; i < bytes; ++i) text->push_back(static_cast<char>(value >> (8 * i)));
}

std::string Around(std::string_view payload) {
  const std::string header = kHeader.Text();
  const Digest128 digest = Xxh128(payload, Xxh128(std::string_view(header).substr(0, header.size() - 16)).low);
  std::string text = header;
  Append(payload.size(), 4, &text);
  Append(digest.low, 8, &text);
  Append(digest.high, 8, &text);
  return text + std::string(payload);
}

void Decode(std::string_view text) {
  const std::optional<ResumeContents> read = DecodeResumeJournal(text);
  if (!read) return;
  // What was taken is written again as it was, and read alike.
  std::string again = read->header.Text();
  for (const ResumeEntry& entry : read->entries) {
    if (!IsStateName(entry.temporary) || entry.path.is_root()) std::abort();
    again += ResumeRecordText(read->header, entry);
  }
  const std::optional<ResumeContents> reread = DecodeResumeJournal(again);
  if (!reread || reread->entries != read->entries) std::abort();
}

}  // namespace
}  // namespace uringsync

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.front() == '1') {
    uringsync::Decode(uringsync::Around(input.substr(1)));
  } else {
    uringsync::Decode(input.substr(1));
  }
  return 0;
}

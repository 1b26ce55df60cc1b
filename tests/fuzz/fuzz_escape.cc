// Anything may stand in a file name; what is printed of it can be undone and holds no control byte.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/base/escape.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace uringsync;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string escaped = EscapeName(bytes);
  for (const char c : escaped) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) std::abort();
  }
  bool ok = false;
  if (UnescapeName(escaped, &ok) != bytes || !ok) std::abort();
  UnescapeName(bytes, &ok);
  return 0;
}

// A pattern and a path (parted by a newline): the compiled pattern against the plain matcher.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "engine/tree/filter_pattern.h"
#include "tests/support/reference_filter.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace uringsync;
  constexpr size_t kLargest = 160;  // the plain matcher is slow
  const std::string input(reinterpret_cast<const char*>(data), size);
  const size_t newline = input.find('\n');
  if (size > kLargest || newline == std::string::npos || newline == 0 || newline + 1 == size) return 0;
  const std::string pattern = input.substr(0, newline);
  const std::string path = input.substr(newline + 1);
  if (input.find('\0') != std::string::npos || path.front() == '/' || path.back() == '/') return 0;
  const FilterPattern compiled(pattern);
  for (const bool directory : {false, true}) {
    if (compiled.Matches(path, directory) != ReferenceMatches(pattern, path, directory)) std::abort();
  }
  return 0;
}

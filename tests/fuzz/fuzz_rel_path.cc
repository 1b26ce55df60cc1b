// Paths from peers: what Parse accepts holds only valid names and is written back as it was.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/base/rel_path.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace uringsync;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<RelPath> path = RelPath::Parse(text);
  if (!path.ok()) return 0;
  if (path->text() != text) std::abort();
  size_t depth = 0;
  for (RelPath p = *path; !p.is_root() && depth < 1000; p = p.Parent(), ++depth) {
    if (!ValidateName(p.name()).ok() || !path->IsWithin(p)) std::abort();
    if (!(p.Parent() < p)) std::abort();
  }
  if (depth < 1000 && depth != path->depth()) std::abort();
  return 0;
}

// What keeps streams alive beyond their connections: metadata of calls and notes, as they come from the network. What is
// accepted must survive another round unchanged.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proto/resumable_wire.h"

namespace {

template <typename Value>
void RoundTrip(const absl::StatusOr<Value>& value, absl::StatusOr<Value> (*decode)(std::string_view)) {
  if (!value.ok()) {
    if (!absl::IsInvalidArgument(value.status())) std::abort();
    return;
  }
  const absl::StatusOr<Value> again = decode(Encode(*value));
  if (!again.ok() || !(*again == *value)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace uringsync;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  RoundTrip(DecodeResumeOffer(bytes), &DecodeResumeOffer);
  RoundTrip(DecodeResumeGrant(bytes), &DecodeResumeGrant);
  RoundTrip(DecodeResumeRequest(bytes), &DecodeResumeRequest);
  RoundTrip(DecodeStreamNote(bytes), &DecodeStreamNote);
  return 0;
}

// Control messages of the coordinator, as they come from the network. What is accepted must survive another round
// unchanged.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "proto/convert.h"
#include "uringsync/v1/agent.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace uringsync;
  v1::ClientMessage wire;
  if (!wire.ParseFromArray(data, static_cast<int>(size))) return 0;
  const absl::StatusOr<ClientMessage> message = DecodeMessage(wire);
  if (!message.ok()) {
    if (!absl::IsInvalidArgument(message.status())) std::abort();
    return 0;
  }
  v1::ClientMessage once;
  if (!EncodeMessage(*message, &once).ok()) std::abort();
  const absl::StatusOr<ClientMessage> again = DecodeMessage(once);
  if (!again.ok()) std::abort();
  v1::ClientMessage twice;
  if (!EncodeMessage(*again, &twice).ok()) std::abort();
  if (once.SerializeAsString() != twice.SerializeAsString()) std::abort();
  return 0;
}

// A control message as bytes outside of any stream: for files that keep some.
//
// Thread rule: free functions without state.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "proto/messages.h"

namespace uringsync {

// The wire form of `message`. InvalidArgument for what EncodeMessage refuses, and beyond kMaxControlMessageBytes.
absl::StatusOr<std::string> MessageBytes(const ClientMessage& message);

// The message of `bytes`, validated as one from a peer. InvalidArgument for everything else.
absl::StatusOr<ClientMessage> MessageOfBytes(std::string_view bytes);

}  // namespace uringsync

// Connect: resolve a host and connect to the first of its addresses that answers.
//
// Thread rule: a shard's coroutine.
// Use:  US_CO_ASSIGN_OR_RETURN(std::unique_ptr<Stream> stream, co_await Connect(driver, {.host = "b", .port = 7441}));
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/coro/cancel.h"
#include "engine/net/address.h"
#include "engine/net/stream.h"
#include "engine/ring/driver.h"

namespace uringsync {

constexpr Timeout kDefaultConnectTimeout = std::chrono::seconds(20);

struct ConnectOptions {
  std::string host;  // name, literal, or "unix:/path"
  uint16_t port = 0;
  Timeout timeout = kDefaultConnectTimeout;  // over all addresses; the resolver's own limits come on top
  // Completed for the user on a refusal, e.g. "is uringsync-agent running there?"; may be empty.
  std::string hint = "is uringsync-agent running there, and is this its port?";
  // Ends the call soon, with the token's reason.
  CancelToken cancel;
};

// Errors: NotFound (unknown name), Unavailable (refused, unreachable: every address tried is named), DeadlineExceeded.
Task<absl::StatusOr<std::unique_ptr<Stream>>> Connect(Driver* driver, ConnectOptions options);

// The same for addresses that were resolved before; `name` is for messages.
Task<absl::StatusOr<std::unique_ptr<Stream>>> ConnectTo(Driver* driver, std::vector<SocketAddress> addresses,
                                                        std::string name, Timeout timeout, CancelToken cancel = {});

}  // namespace uringsync

// The data plane over a Stream: opening handshake, then a RequestChannel or a ReplyChannel
// (engine/transfer/data_channel.h).
//
// Either side may be the one that connects; DataHello tells the acceptor which role the connecting side has.
//   destination connects:  OpenRequestChannel(stream, hello)   ↔  AcceptDataConnection gives a ReplyChannel
//   source connects:       OpenReplyChannel(stream, hello)     ↔  AcceptDataConnection gives a RequestChannel
// Dial* do connect, TLS and handshake in one.
//
// Thread rule: a channel belongs to the shard that made it. A channel owns its stream. Destroy it when no Send or
// Receive runs. Orderly end: co_await channel->End(), then Close(). A Close() without End() may look like a broken
// connection to the peer.
//
// Use:  US_CO_ASSIGN_OR_RETURN(auto channel, co_await DialRequestChannel(driver, dial));
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/coro/cancel.h"
#include "engine/coro/task.h"
#include "engine/net/stream.h"
#include "engine/net/tls.h"
#include "engine/ring/driver.h"
#include "engine/transfer/data_channel.h"
#include "proto/messages.h"

namespace uringsync {

struct DataTimeouts {
  Timeout handshake = std::chrono::seconds(15);  // TLS, and again DataHello with its reply
  // Of a RequestChannel, before the next answer: one that brings none for so long, asked or not, is of no use any more.
  // A dead network is found by keepalive.
  Timeout idle = kNoTimeout;
  Timeout message = std::chrono::seconds(120);  // from the first byte of a message to its last
  Timeout send = std::chrono::seconds(300);     // one message into a peer that may be slow to take it
};

// For DataTimeouts::idle where a connection is made again when it is lost: whatever stands between two hosts and takes
// everything without passing it on looks alive to TCP.
constexpr Timeout kAnswerIdle = std::chrono::seconds(60);

// What the connecting side says of itself.
struct DataHello {
  uint32_t version = kProtocolVersion;
  SessionId session{};
  SessionToken token{};
  Role role = Role::kDestination;
};

// Handshake on a fresh connection; role is set by the function. PermissionDenied with the acceptor's words when it
// refuses, FailedPrecondition for another protocol version, InvalidArgument for what is no reply, else as Stream.
Task<absl::StatusOr<std::unique_ptr<RequestChannel>>> OpenRequestChannel(std::unique_ptr<Stream> stream,
                                                                         DataHello hello, DataTimeouts timeouts = {});
Task<absl::StatusOr<std::unique_ptr<ReplyChannel>>> OpenReplyChannel(std::unique_ptr<Stream> stream, DataHello hello,
                                                                     DataTimeouts timeouts = {});

struct DataDial {
  // Where the way to the peer is no address: makes a stream to it, and host and port are only for messages.
  std::function<absl::StatusOr<std::unique_ptr<Stream>>()> open;
  std::string host;
  uint16_t port = 0;
  std::shared_ptr<const TlsContext> tls;  // nullptr: plain; over the loopback and unix sockets alone
  std::string tls_host;                   // name that the certificate must have; empty: `host`
  DataHello hello;
  DataTimeouts timeouts;
  // Ends the dial soon, with the token's reason, whatever it waits for. The channel does not listen to it.
  CancelToken cancel;
};
Task<absl::StatusOr<std::unique_ptr<RequestChannel>>> DialRequestChannel(Driver* driver, DataDial dial);
Task<absl::StatusOr<std::unique_ptr<ReplyChannel>>> DialReplyChannel(Driver* driver, DataDial dial);

// Decides about a connection: looks up the session, compares the token with TokensEqual, checks that the role fits.
// `peer` is nullptr without TLS. An error's message is told to the peer as it is: do not tell an unknown session from a
// wrong token.
using DataAdmission = std::function<absl::Status(const DataHello& hello, const PeerIdentity* peer)>;
// Constant time.
bool TokensEqual(const SessionToken& a, const SessionToken& b);

// Exactly one of the channels is set, by the connecting side's role.
struct AcceptedData {
  DataHello hello;
  std::string peer_address;
  std::unique_ptr<ReplyChannel> reply_channel;      // the destination connected: serve it
  std::unique_ptr<RequestChannel> request_channel;  // the source connected: request from it
};
// The acceptor's half of the handshake. With `tls` it does TlsAccept first. `cancel` ends it soon, as in DataDial.
// timeouts.handshake covers all of it (but for a hello that is under way then, which gets kHelloRest more).
constexpr Timeout kHelloRest = std::chrono::seconds(2);
Task<absl::StatusOr<AcceptedData>> AcceptDataConnection(std::unique_ptr<Stream> stream,
                                                        std::shared_ptr<const TlsContext> tls, DataAdmission admit,
                                                        DataTimeouts timeouts = {}, CancelToken cancel = {});

// A connected pair in memory, past the handshake, over the same code (memory_stream.h). Both ends may be on one shard
// or on two, or on a ManualExecutor.
std::pair<std::unique_ptr<RequestChannel>, std::unique_ptr<ReplyChannel>> MakeInMemoryDataPair();

}  // namespace uringsync

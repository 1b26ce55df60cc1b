// The first exchange on a control stream: Hello, HelloReply, and the choice of a protocol version.
//
// Use (coordinator):  US_ASSIGN_OR_RETURN(HelloReply agent, ClientHandshake(stream.get(), hello));
// Use (agent):        US_ASSIGN_OR_RETURN(AgentHello hello, AgentHandshake(stream, reply));
//
// Thread rule: blocks the calling thread; nobody else uses the stream meanwhile.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/transport.h"

namespace uringsync {

// Program name and version for Hello::software, e.g. SoftwareName("uringsync-agent") is "uringsync-agent 0.1.0".
std::string SoftwareName(std::string_view program);
// The version alone, "0.1.0".
std::string_view SoftwareVersion();

// Feature: an open session that has nothing to tell says so now and then, with an ApplyProgress that holds nothing,
// whatever its role.
constexpr char kAliveFeature[] = "alive";

// A version range, both ends included.
struct VersionRange {
  uint32_t min = kMinProtocolVersion;
  uint32_t max = kProtocolVersion;
};
// Highest version in both ranges. FailedPrecondition names both ranges when they do not overlap (exit 2);
// InvalidArgument when a range is empty or starts at 0. `mine_name` and `peer_name` are program names for the text.
absl::StatusOr<uint32_t> ChooseVersion(VersionRange mine, std::string_view mine_name, VersionRange peer,
                                       std::string_view peer_name);

// Whether `features`, those of a Hello or of its reply, name `feature`.
bool HasFeature(const std::vector<std::string>& features, std::string_view feature);
// Features named by both sides, in `mine`'s order.
std::vector<std::string> CommonFeatures(const std::vector<std::string>& mine, const std::vector<std::string>& peer);

// Sends `hello` and waits for the reply. FailedPrecondition: no version in common (exit 2). Otherwise the stream's own
// error, or InvalidArgument when the agent answers with something else.
absl::StatusOr<HelloReply> ClientHandshake(ClientStream* stream, const Hello& hello);

struct AgentHello {
  Hello hello;                        // as the coordinator sent it
  uint32_t version = 0;               // chosen
  std::vector<std::string> features;  // in common
};
// Waits for Hello and answers with `reply`, whose version fields and features are filled here: reply.features goes in
// as what this agent offers. On failure the coordinator has been sent a SessionError (kVersion or kProtocol) and the
// session is over. FailedPrecondition: no version in common; InvalidArgument: the first message was no Hello; else the
// stream's error.
absl::StatusOr<AgentHello> AgentHandshake(AgentStream* stream, HelloReply reply);

}  // namespace uringsync

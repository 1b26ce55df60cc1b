#include "proto/handshake.h"

#include <algorithm>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

constexpr std::string_view kVersion = "0.1.0";

std::string RangeText(VersionRange range) {
  if (range.min == range.max) return "protocol " + std::to_string(range.min);
  return "protocol " + std::to_string(range.min) + " to " + std::to_string(range.max);
}

// Ends a failed handshake with an answer that the coordinator can print.
absl::Status Refuse(AgentStream* stream, ErrorKind kind, absl::Status reason) {
  // Best effort: the reason goes to our own caller whether or not the peer still listens.
  (void)stream->Send(SessionError{.kind = kind, .message = std::string(reason.message())});
  return reason;
}

}  // namespace

std::string SoftwareName(std::string_view program) {
  return std::string(program) + " " + std::string(kVersion);
}

std::string_view SoftwareVersion() {
  return kVersion;
}

bool HasFeature(const std::vector<std::string>& features, std::string_view feature) {
  return std::ranges::find(features, feature) != features.end();
}

absl::StatusOr<uint32_t> ChooseVersion(VersionRange mine, std::string_view mine_name, VersionRange peer,
                                       std::string_view peer_name) {
  for (const VersionRange& range : {mine, peer}) {
    if (range.min == 0 || range.min > range.max) {
      return MakeStatus(absl::StatusCode::kInvalidArgument, RangeText(range) + " is no range of versions");
    }
  }
  const uint32_t lowest = std::max(mine.min, peer.min);
  const uint32_t highest = std::min(mine.max, peer.max);
  if (lowest <= highest) return highest;
  const bool peer_is_older = peer.max < mine.min;
  return MakeStatus(absl::StatusCode::kFailedPrecondition,
                    EscapeName(peer_name) + " speaks " + RangeText(peer) + ", this " + EscapeName(mine_name) +
                        " speaks " + RangeText(mine) + "; update " + EscapeName(peer_is_older ? peer_name : mine_name) +
                        (peer_is_older ? " over there" : " here"));
}

std::vector<std::string> CommonFeatures(const std::vector<std::string>& mine, const std::vector<std::string>& peer) {
  std::vector<std::string> common;
  for (const std::string& feature : mine) {
    if (HasFeature(peer, feature)) common.push_back(feature);
  }
  return common;
}

absl::StatusOr<HelloReply> ClientHandshake(ClientStream* stream, const Hello& hello) {
  // When the agent has hung up already, Receive knows why.
  (void)stream->Send(hello);
  US_ASSIGN_OR_RETURN(AgentMessage answer, stream->Receive());
  if (const auto* error = std::get_if<SessionError>(&answer)) {
    const absl::StatusCode code =
        error->kind == ErrorKind::kVersion ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kUnavailable;
    return MakeStatus(code, EscapeName(error->message));
  }
  auto* reply = std::get_if<HelloReply>(&answer);
  if (reply == nullptr) return absl::InvalidArgumentError("the agent answered the greeting with another message");
  if (reply->version < hello.min_version || reply->version > hello.max_version) {
    const VersionRange mine{hello.min_version, hello.max_version};
    const VersionRange agent{reply->min_version, reply->max_version};
    US_RETURN_IF_ERROR(ChooseVersion(mine, hello.software, agent, reply->software).status());
    return absl::InvalidArgumentError("the agent chose a version that was not offered");
  }
  return std::move(*reply);
}

absl::StatusOr<AgentHello> AgentHandshake(AgentStream* stream, HelloReply reply) {
  absl::StatusOr<ClientMessage> first = stream->Receive();
  if (!first.ok()) {
    if (!absl::IsInvalidArgument(first.status())) return first.status();
    return Refuse(stream, ErrorKind::kProtocol, first.status());
  }
  auto* hello = std::get_if<Hello>(&*first);
  if (hello == nullptr) {
    return Refuse(stream, ErrorKind::kProtocol,
                  absl::InvalidArgumentError("the first message of a session must be Hello"));
  }
  const VersionRange mine{};
  const VersionRange client{hello->min_version, hello->max_version};
  // Named from the coordinator's side: it prints the text.
  absl::StatusOr<uint32_t> version = ChooseVersion(client, hello->software, mine, reply.software);
  if (!version.ok()) return Refuse(stream, ErrorKind::kVersion, version.status());
  AgentHello result;
  result.version = *version;
  result.features = CommonFeatures(reply.features, hello->features);
  result.hello = std::move(*hello);
  reply.version = *version;
  reply.min_version = mine.min;
  reply.max_version = mine.max;
  reply.features = result.features;
  US_RETURN_IF_ERROR(stream->Send(reply));
  return result;
}

}  // namespace uringsync

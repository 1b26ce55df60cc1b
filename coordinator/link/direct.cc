// Links: direct connections between the agents of a run whose control goes through remote shells.
#include <netdb.h>

#include <memory>
#include <utility>

#include "coordinator/link/link_error.h"
#include "coordinator/link/links.h"
#include "engine/base/errno_status.h"
#include "engine/net/certificates.h"

namespace uringsync {
namespace {

bool HasAddress(const std::string& host) {
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, nullptr, &found) != 0) return false;
  ::freeaddrinfo(found);
  return true;
}

}  // namespace

// As routes of a remote shell: whoever is local connects, or the destination, to the other one.
absl::StatusOr<ConnectData> Links::TryDirect(const std::string& software) {
  const Side listener = targets_.source.endpoint.is_shell() ? Side::kSource : Side::kDestination;
  const Side dialer = listener == Side::kSource ? Side::kDestination : Side::kSource;
  DirectQuery query;
  US_ASSIGN_OR_RETURN(query.keys, MakeOneTimeKeys());
  US_ASSIGN_OR_RETURN(PathQuestions* const dialing, QuestionsOf(dialer, software));
  US_RETURN_IF_ERROR(dialing->AskDirect(query).status());
  query.listen = true;
  query.port = direct_port_;
  US_ASSIGN_OR_RETURN(PathQuestions* const listening, QuestionsOf(listener, software));
  US_ASSIGN_OR_RETURN(DirectReply reply, listening->AskDirect(query));
  const std::string& host = TargetOf(listener).endpoint.shell().host;
  // A host is dialled by the name that the user gave it, where that is one here and not only the shell's. What it tells
  // of itself may be its address in another network.
  const bool by_name = TargetOf(dialer).endpoint.is_local() && HasAddress(host);
  return ConnectData{by_name || reply.address.empty() ? host : std::move(reply.address), reply.port, /*direct=*/true};
}

std::optional<ConnectData> Links::OfferDirect(const std::string& software) {
  if (!direct_ || SameAgent(targets_.source.endpoint, targets_.destination.endpoint)) return std::nullopt;
  absl::StatusOr<ConnectData> way = TryDirect(software);
  if (way.ok()) return *std::move(way);
  if (on_notice_)
    on_notice_("no direct connections (" + std::string(ToStd(way.status().message())) +
               "): contents go through the remote shell");
  return std::nullopt;
}

}  // namespace uringsync

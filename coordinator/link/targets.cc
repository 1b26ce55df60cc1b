#include <sys/random.h>

#include <cerrno>
#include <utility>

#include "coordinator/link/link_error.h"
#include "coordinator/link/links.h"
#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

absl::Status CheckOverlap(Overlap overlap, const Endpoint& source, const Endpoint& destination,
                          const LinkOptions& options) {
  switch (overlap) {
    case Overlap::kNone: return absl::OkStatus();
    case Overlap::kSame:
      return LinkError(ErrorKind::kSelection, "source " + source.Display() + " and destination " +
                                                  destination.Display() + " are the same directory");
    case Overlap::kDestinationInsideSource:
      if (!options.writes || options.hidden) return absl::OkStatus();
      return LinkError(ErrorKind::kSelection, "destination " + destination.Display() + " lies inside the source " +
                                                  source.Display() +
                                                  ": the copy would contain itself; choose a destination outside, or "
                                                  "exclude it");
    case Overlap::kSourceInsideDestination:
      if (!options.writes || !options.deletes) return absl::OkStatus();
      return LinkError(ErrorKind::kSelection, "source " + source.Display() + " lies inside the destination " +
                                                  destination.Display() +
                                                  ": --delete would remove it; leave --delete out or choose "
                                                  "another destination");
  }
  return absl::OkStatus();
}

Overlap AgentOverlap(const AgentEndpoint& source, const AgentEndpoint& destination) {
  if (source.Address() != destination.Address() || source.root != destination.root) return Overlap::kNone;
  if (source.path == destination.path) return Overlap::kSame;
  if (destination.path.IsWithin(source.path)) return Overlap::kDestinationInsideSource;
  if (source.path.IsWithin(destination.path)) return Overlap::kSourceInsideDestination;
  return Overlap::kNone;
}

template <size_t N>
absl::Status FillRandom(std::array<uint8_t, N>* out) {
  // Up to 256 bytes come whole once the kernel's generator is ready.
  static_assert(N <= 256);
  ssize_t n;
  do {
    n = ::getrandom(out->data(), N, 0);
  } while (n < 0 && errno == EINTR);
  if (n != static_cast<ssize_t>(N)) return ErrnoStatus(n < 0 ? errno : EIO, "getrandom");
  return absl::OkStatus();
}

}  // namespace

bool SameAgent(const Endpoint& source, const Endpoint& destination) {
  if (source.where.index() != destination.where.index()) return false;
  if (source.is_shell()) {
    return source.shell().user == destination.shell().user && source.shell().host == destination.shell().host;
  }
  return source.is_local() || source.agent().Address() == destination.agent().Address();
}

absl::StatusOr<LinkTargets> ResolveTargets(const Endpoint& source, const Endpoint& destination,
                                           const LinkOptions& options) {
  LinkTargets targets;
  targets.source.endpoint = source;
  targets.destination.endpoint = destination;
  if (source.is_local() && options.operands) {
    targets.source.host_path = source.local().path;
  } else if (source.is_local()) {
    US_ASSIGN_OR_RETURN(targets.source.local, ResolveSource(source.local().path));
    targets.source.root = std::string(kPrivateSourceRoot);
    targets.source.path = targets.source.local.path;
  } else if (source.is_shell()) {
    targets.source.host_path = source.shell().path;
  } else {
    targets.source.root = source.agent().root;
    targets.source.path = source.agent().path;
  }
  if (destination.is_local() && options.host_destination) {
    targets.destination.host_path = destination.local().path;
    targets.destination.local.create_root = true;
  } else if (destination.is_local()) {
    US_ASSIGN_OR_RETURN(targets.destination.local, ResolveDestination(destination.local().path));
    targets.destination.root = std::string(kPrivateDestinationRoot);
    targets.destination.path = targets.destination.local.path;
  } else if (destination.is_shell()) {
    targets.destination.host_path = destination.shell().path;
  } else {
    targets.destination.root = destination.agent().root;
    targets.destination.path = destination.agent().path;
  }
  // What operands name, and what is still to be made, is compared by the run itself.
  if (options.operands || (destination.is_local() && options.host_destination)) return targets;
  Overlap overlap = Overlap::kNone;
  if (source.is_local() && destination.is_local()) {
    overlap = FindOverlap(targets.source.local, targets.destination.local);
  } else if (source.is_agent() && destination.is_agent()) {
    overlap = AgentOverlap(source.agent(), destination.agent());
  }
  US_RETURN_IF_ERROR(CheckOverlap(overlap, source, destination, options));
  return targets;
}

absl::StatusOr<RouteChoice> ChooseRoute(const Endpoint& source, const Endpoint& destination,
                                        const SessionId& source_session, const HelloReply& source_agent,
                                        const HelloReply& destination_agent, const std::optional<ConnectData>& direct) {
  RouteChoice choice;
  choice.route.peer_session = source_session;
  if (SameAgent(source, destination)) {
    choice.route.kind = DataRoute::Kind::kLocal;
    return choice;
  }
  // A data stream of a remote shell's channel needs no address. Whoever is local opens it, or the destination, towards
  // the source.
  if (source.is_shell() || destination.is_shell()) {
    const ConnectData where = direct.value_or(ConnectData{std::string(kShellRouteHost), kDefaultDataPort});
    const bool destination_opens = source.is_shell();
    choice.route.kind = destination_opens ? DataRoute::Kind::kConnect : DataRoute::Kind::kAccept;
    if (destination_opens) {
      choice.route.host = where.host;
      choice.route.port = where.port;
      choice.route.direct = where.direct;
    } else {
      choice.source_connects = where;
    }
    return choice;
  }
  // Whoever has a running agent listens: a private agent has no port. Of two running ones the destination connects.
  const bool source_listens = !source.is_local();
  const Endpoint& listener = source_listens ? source : destination;
  const uint16_t port = source_listens ? source_agent.data_port : destination_agent.data_port;
  if (port == 0) {
    return LinkError(ErrorKind::kUsage,
                     listener.Display() + ": this agent has no data port; start it with --data-port");
  }
  if (source_listens) {
    choice.route.kind = DataRoute::Kind::kConnect;
    choice.route.host = source.agent().host;
    choice.route.port = port;
  } else {
    choice.route.kind = DataRoute::Kind::kAccept;
    choice.source_connects = ConnectData{destination.agent().host, port};
  }
  return choice;
}

absl::Status Links::Prepare(SyncRequest* request) {
  US_RETURN_IF_ERROR(ExpandHomes(request->software));
  if (targets_.destination.root.empty()) US_RETURN_IF_ERROR(PlaceBesideDestination(request->software));
  US_RETURN_IF_ERROR(ResolveStaging());
  // Questions come before the sessions' streams: the first word on a shell's channel is on the first stream that was
  // taken.
  const std::optional<ConnectData> direct = OfferDirect(request->software);
  US_RETURN_IF_ERROR(OpenShellStreams());
  const LinkTarget& from = targets_.source;
  const LinkTarget& to = targets_.destination;
  request->source.root = from.root;
  request->source.path = from.path;
  request->destination.root = to.root;
  request->destination.path = to.path;
  request->source.host_path = from.host_path;
  request->destination.host_path = to.host_path;
  request->create_root = to.endpoint.is_local() ? to.local.create_root : to.root.empty() || !to.path.is_root();
  US_RETURN_IF_ERROR(FillRandom(&request->source.session));
  US_RETURN_IF_ERROR(FillRandom(&request->destination.session));
  // One secret for both, and between two agents one id too: whichever side accepts data connections looks up what the
  // other one shows. In one agent the two sessions need ids of their own, and no connection is made.
  if (!SameAgent(from.endpoint, to.endpoint)) request->destination.session = request->source.session;
  US_RETURN_IF_ERROR(FillRandom(&request->source.token));
  request->destination.token = request->source.token;
  request->choose_route = [source = from.endpoint, destination = to.endpoint, session = request->source.session,
                           direct](const HelloReply& source_agent, const HelloReply& destination_agent) {
    return ChooseRoute(source, destination, session, source_agent, destination_agent, direct);
  };
  if (request->backup && backup_) {
    request->backup->directory = backup_->place;
    request->backup->inside = backup_inside_;
  }
  request->staging.partial_place = partial_place_;
  request->staging.temporaries = temporaries_;
  request->basis.clear();
  for (const Basis& basis : bases_) {
    request->basis.push_back({basis.place, {}, basis.shown});
    US_RETURN_IF_ERROR(FillRandom(&request->basis.back().session));
  }
  request->open_destination_stream = [this] { return OpenDestinationStream(); };
  return absl::OkStatus();
}

}  // namespace uringsync

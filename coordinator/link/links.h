// Links: from two endpoints to two connected control streams, and the way contents will take between the agents.
//
// One private agent serves every local side, and carries what a remote shell brings: the shells are started here,
// greeted here, and then read and written by that agent alone (agent/private_shells.h). Two endpoints on one agent
// share its channel (two streams) and no content crosses a socket. Before anything is started the endpoints are checked
// against each other: a sync into its own source is refused here.
//
// Thread rule: Open, Prepare and destruction on one thread (see PrivateAgent); Open blocks until both agents answer.
// Use:  US_ASSIGN_OR_RETURN(std::unique_ptr<Links> links, Links::Open(source, destination, options));
//       US_RETURN_IF_ERROR(links->Prepare(&request));
//       SyncOutcome outcome = RunSync(request, links->source(), links->destination(), observer);
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/run.h"
#include "coordinator/link/destination_path.h"
#include "coordinator/link/endpoint.h"
#include "coordinator/link/local_path.h"
#include "coordinator/link/path_questions.h"
#include "coordinator/link/private_agent.h"
#include "coordinator/link/remote_shell.h"
#include "coordinator/link/shell_command.h"
#include "proto/grpc_control.h"
#include "proto/transport.h"

namespace uringsync {

// Names of a private agent's roots.
constexpr std::string_view kPrivateSourceRoot = "source";
constexpr std::string_view kPrivateDestinationRoot = "destination";
// What stands for an address where contents go through a remote shell.
constexpr std::string_view kShellRouteHost = "remote-shell";

struct LinkOptions {
  // The run writes (sync) or shows what would be written (plan); false for verify, which only compares.
  bool writes = true;
  bool deletes = false;          // with writes: --delete
  bool writes_source = false;  // with writes: --remove-source-files, --snapshot
  bool hidden = false;           // rules leave out a destination that lies in the source
  // The source is what the request's operands name: a local one is not looked at here, and their bases are paths of
  // this host; of a running agent they lie below the endpoint's path. Whether the destination lies inside one of them
  // is seen when both sessions are open.
  bool operands = false;
  // A local destination is a path that its agent opens: directories above it may be missing (SyncRequest::make_path),
  // and it may still be settled (Links::SetHostPath).
  bool host_destination = false;
  // rsync's --compare-dest, --copy-dest, --link-dest, as written: relative to the destination, or absolute where that
  // is local.
  std::vector<std::string> basis_directories;
  BasisUse basis_use = BasisUse::kNone;  // for what is said of those that cannot be used
  std::string backup_directory;          // likewise; empty: none
  std::string partial_directory;         // likewise: StagingSettings::partial_place
  std::string temporary_directory;       // likewise: StagingSettings::temporaries
  ControlTlsFiles tls;  // for agents that listen; a private agent gets them too, for its data connections
  std::chrono::milliseconds connect_timeout = std::chrono::seconds(10);
  absl::Duration idle_timeout = absl::InfiniteDuration();  // a remote shell silent for so long has no agent
  // Program of the private agent, asked only when one is needed.
  std::function<absl::StatusOr<std::string>()> find_agent;
  ShellOptions shell;  // for HOST:PATH endpoints
  // Contents past the channel of a remote shell, over connections of their own under keys of this run, where that can
  // be.
  bool direct = false;
  uint16_t direct_port = 0;  // on which the far agent listens; 0: any
  std::function<void(std::string_view)>
      on_notice;  // what is done without: direct connections, a basis that is no directory
  std::function<void(std::string_view)>
      on_shell_line;                         // each line that a remote shell writes to its standard error, escaped
  std::vector<std::string> agent_arguments;  // further ones, e.g. {"--io-backend", "threads"}
  std::function<void(std::string_view)> on_agent_warning;  // see PrivateAgentOptions::on_warning
};

// Where one side is, after local paths are resolved.
struct LinkTarget {
  Endpoint endpoint;
  ResolvedPath local;  // local endpoints only
  std::string root;    // of the agent; "": a path of its host
  RelPath path;
  std::string host_path;  // with an empty `root`
  bool settled = false;   // host_path as its agent takes it: no '~' in front that means anything
};

// Resolves both endpoints and checks them against each other. LinkError(kSelection): what ResolveSource and
// ResolveDestination refuse; both name one directory; the run writes and the destination lies inside the source; it
// deletes and the source lies inside the destination. Paths of running agents are compared by address, root and path as
// written.
struct LinkTargets {
  LinkTarget source;
  LinkTarget destination;
};
absl::StatusOr<LinkTargets> ResolveTargets(const Endpoint& source, const Endpoint& destination,
                                           const LinkOptions& options);

// How contents move between two sides (proto/messages.h, DataRoute). `direct`: where the far agent of a remote shell
// listens under the run's keys. LinkError(kUsage) when the agent that would have to listen has no data port.
absl::StatusOr<RouteChoice> ChooseRoute(const Endpoint& source, const Endpoint& destination,
                                        const SessionId& source_session, const HelloReply& source_agent,
                                        const HelloReply& destination_agent,
                                        const std::optional<ConnectData>& direct = std::nullopt);
// Both sides are served by one agent.
bool SameAgent(const Endpoint& source, const Endpoint& destination);

class Links {
 public:
  // LinkError with the kind of what failed: a check (kSelection), missing certificates or no agent program (kUsage), an
  // agent that does not answer or refuses the certificate (kProtocol), a remote shell silent for too long
  // (kTimeout), a private agent that does not start (kFileIo).
  // One that starts and dies shows when its stream is used: see Explain.
  static absl::StatusOr<std::unique_ptr<Links>> Open(const Endpoint& source, const Endpoint& destination,
                                                     LinkOptions options);
  // Closes.
  ~Links();
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  // Closes the streams and ends the private agent, which gets `grace` to clean up by itself. Idempotent.
  void Close(std::chrono::milliseconds grace);
  ClientStream& source() { return *source_; }
  ClientStream& destination() { return *destination_; }
  // What is at paths of a side's host, before Prepare: of this one, or asked over the remote shell. Errors as
  // PathQuestions::Ask, with the side named. Patterns and lists are asked of remote shells only.
  absl::StatusOr<PathReply> Look(Side side, const PathQuery& query, const std::string& software);
  // A file of names on the host of a side that a remote shell serves. As PathQuestions::ReadList.
  absl::StatusOr<std::string> ReadList(Side side, const std::string& file, const std::string& software);
  // Where a side that is a path of its host is in the end; before Prepare.
  void SetHostPath(Side side, std::string path);
  // Fills both targets (with fresh ids and a token), create_root, choose_route, basis and open_destination_stream; only
  // the last one needs this object to live on. Over a remote shell it may ask (Look's errors), and the streams are
  // there from now on.
  absl::Status Prepare(SyncRequest* request);
  // "source /srv/data", "destination agent://backup/pool": how messages name a side. Escaped.
  std::string Name(Side side) const;
  // Why a side broke off: "source agent (agent://backup/pool): <reason>", `reason` being RunSync's text, and for a
  // private agent that has ended, how. `broke`: the connection is gone, so an agent that is just ending is waited for a
  // moment.
  std::string Explain(Side side, std::string_view reason, bool broke);
  // Of a run that ended with `code`: where a connection broke because a remote shell ended by itself, that one's exit
  // status if it is higher, as with rsync (255: ssh lost its connection). Before Close; waits a moment for a shell that
  // is just ending.
  ExitCode CodeOfShells(ExitCode code);

 private:
  Links() = default;
  absl::Status ResolveBackup(const std::string& directory);
  absl::Status ResolveStaging();
  // A directory of the destination's host, seen from the destination.
  absl::StatusOr<TreePlace> PlaceAtDestination(const std::string& directory) const;
  absl::Status ResolveBases(const std::vector<std::string>& directories);
  absl::Status StartShells(const LinkOptions& options);
  absl::Status StartPrivateAgent(LinkOptions* options);
  absl::Status GreetShells(const LinkOptions& options);
  // A connection with a stream on it.
  struct Opened {
    std::unique_ptr<ControlChannel> channel;
    std::unique_ptr<ClientStream> stream;
  };
  absl::Status Connect(const LinkOptions& options);
  // One side's; any thread.
  absl::StatusOr<Opened> OpenLink(const LinkTarget& target, Side side, const LinkOptions& options);

  // A remote shell of the run, in the hands of the private agent once it has greeted.
  struct Shell {
    Side side = Side::kSource;  // of both sides, the source's
    std::unique_ptr<RemoteShell> process;
    std::vector<UniqueFd> near;  // our ends of its control streams that are not in use
    std::vector<UniqueFd> far;   // the private agent's
    std::unique_ptr<ClientStream> asked;
    std::unique_ptr<PathQuestions> questions;  // on `asked`
  };
  // The one that serves `side`; null where none does.
  Shell* ShellOf(Side side);
  absl::StatusOr<std::unique_ptr<ClientStream>> OpenShellStream(Shell* shell, const Endpoint& endpoint);
  absl::StatusOr<std::unique_ptr<ClientStream>> OpenDestinationStream();
  absl::Status OpenShellStreams();
  absl::StatusOr<PathQuestions*> QuestionsOf(Side side, const std::string& software);
  // Gives both agents keys for this run, and has one of them listen; nullopt where that is not wanted or, as was told,
  // not possible.
  std::optional<ConnectData> OfferDirect(const std::string& software);
  absl::StatusOr<ConnectData> TryDirect(const std::string& software);
  LinkTarget& TargetOf(Side side) { return side == Side::kSource ? targets_.source : targets_.destination; }
  absl::Status ExpandHomes(const std::string& software);
  // Finds the basis directories and the backup directory of a destination that is a path of its host.
  absl::Status PlaceBesideDestination(const std::string& software);
  // Leaves out the basis directories that something else is in the place of, as those that are missing are later.
  // `found`: one row each.
  void KeepDirectories(const PathReply& found);
  absl::Status PlaceBackup(bool is_there, const std::string& working_directory, const std::string& software);

  LinkTargets targets_;
  bool direct_ = false;
  uint16_t direct_port_ = 0;
  std::function<void(std::string_view)> on_notice_;
  // Of the private agent, for a side that is local.
  std::unique_ptr<ClientStream> local_asked_;
  std::unique_ptr<PathQuestions> local_questions_;
  struct Basis {
    std::string shown;
    TreePlace place;
    std::string private_root;  // of a private agent: the directory that place.root names
  };
  std::vector<Basis> bases_;
  BasisUse basis_use_ = BasisUse::kNone;
  std::optional<Basis> backup_;
  std::optional<TreePlace> partial_place_;
  std::string partial_directory_;    // as written
  std::string temporary_directory_;  // likewise
  std::optional<TreePlace> temporaries_;
  std::optional<RelPath> backup_inside_;           // where it is in the destination, if it is there
  ControlChannel* destination_channel_ = nullptr;  // of channels_
  std::vector<Shell> shells_;
  std::unique_ptr<PrivateAgent> agent_;
  std::vector<std::unique_ptr<ControlChannel>> channels_;
  std::unique_ptr<ClientStream> source_;
  std::unique_ptr<ClientStream> destination_;
};

}  // namespace uringsync

#include "coordinator/link/links.h"

#include <sys/socket.h>

#include <cerrno>
#include <thread>
#include <utility>

#include "coordinator/core/basis_notice.h"
#include "coordinator/link/basis_path.h"
#include "coordinator/link/link_error.h"
#include "coordinator/link/reconnecting.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/fs/host_path.h"
#include "proto/socket_control.h"

namespace uringsync {
namespace {

// How long a private agent that broke off may take to show how it ended.
constexpr std::chrono::milliseconds kEndingPatience{1000};
constexpr std::chrono::milliseconds kShellPatience{300};

absl::Status RequireTls(const Endpoint& endpoint, const ControlTlsFiles& tls) {
  if (tls.insecure) return absl::OkStatus();
  std::string missing;
  const auto need = [&missing](const std::string& file, const char* option) {
    if (file.empty()) missing += std::string(missing.empty() ? "" : ", ") + option;
  };
  need(tls.cert, "--cert");
  need(tls.key, "--key");
  need(tls.ca, "--ca");
  if (missing.empty()) return absl::OkStatus();
  return LinkError(ErrorKind::kUsage, endpoint.Display() + ": agents are reached over mutual TLS, and " + missing +
                                          " is missing (or set URINGSYNC_CERT, URINGSYNC_KEY, URINGSYNC_CA); "
                                          "'uringsync certs init' makes certificates");
}

// How long a private agent may take to clean up and end.
constexpr std::chrono::milliseconds kGrace{5000};
constexpr std::chrono::milliseconds kSilentGrace{100};

}  // namespace

absl::Status Links::ResolveBases(const std::vector<std::string>& directories) {
  const LinkTarget& destination = targets_.destination;
  for (const std::string& directory : directories) {
    Basis basis;
    basis.shown = directory;
    if (destination.root.empty()) {
      // Found when it is settled where the destination is.
    } else if (destination.endpoint.is_local()) {
      absl::StatusOr<LocalBasis> resolved = ResolveLocalBasis(destination.local, directory);
      if (!resolved.ok() || !MayBeDirectory(*resolved)) {
        // As one that is missing.
        if (on_notice_) on_notice_(EscapeName(UnusableBasis(basis_use_, directory, false)));
        continue;
      }
      LocalBasis local = *std::move(resolved);
      // A missing name is as missing as what would be below it.
      const std::string_view missing = local.path.text();
      basis.place.root = "basis" + std::to_string(bases_.size());
      if (!missing.empty()) basis.place.path = RelPath().Child(missing.substr(0, missing.find('/')));
      basis.private_root = std::move(local.root);
    } else {
      basis.place.root = destination.root;
      US_ASSIGN_OR_RETURN(basis.place.path, ResolveAgentBasis(destination.path, directory));
    }
    bases_.push_back(std::move(basis));
  }
  return absl::OkStatus();
}

absl::Status Links::ResolveBackup(const std::string& directory) {
  if (directory.empty()) return absl::OkStatus();
  const LinkTarget& destination = targets_.destination;
  Basis& backup = backup_.emplace();
  backup.shown = directory;
  if (destination.root.empty()) return absl::OkStatus();
  std::string here = destination.path.text();
  std::string there;
  const std::optional<RelPath> inside =
      destination.endpoint.is_local() ? InsideOf(destination.local.Canonical(), directory) : std::optional<RelPath>();
  if (inside) {
    // Whoever may write to the destination must not lead backups out of it by a link there.
    const std::string above = destination.path.text() + (destination.path.is_root() ? "" : "/");
    backup.place.root = destination.root;
    US_ASSIGN_OR_RETURN(backup.place.path, RelPath::Parse(above + inside->text()));
    here = destination.local.Canonical();
    there = here + (here == "/" ? "" : "/") + inside->text();
  } else if (destination.endpoint.is_local()) {
    US_ASSIGN_OR_RETURN(LocalBasis local, ResolveLocalBasis(destination.local, directory));
    if (!MayBeDirectory(local))
      return LinkError(ErrorKind::kUsage, "the backup-dir is no directory that can be used: " + EscapeName(directory));
    here = destination.local.Canonical();
    there = local.root + (local.path.is_root() ? "" : "/" + local.path.text());
    backup.place = {"backup", std::move(local.path)};
    backup.private_root = std::move(local.root);
  } else {
    backup.place.root = destination.root;
    US_ASSIGN_OR_RETURN(backup.place.path, ResolveAgentBasis(destination.path, directory));
    there = backup.place.path.text();
  }
  if (!here.empty() && here != "/") here += "/";
  if (there + "/" == here) return LinkError(ErrorKind::kUsage, "the backup directory is the destination itself");
  if (there.size() > here.size() && there.starts_with(here)) {
    US_ASSIGN_OR_RETURN(backup_inside_, RelPath::Parse(std::string_view(there).substr(here.size())));
  }
  return absl::OkStatus();
}

absl::StatusOr<TreePlace> Links::PlaceAtDestination(const std::string& directory) const {
  const LinkTarget& destination = targets_.destination;
  if (destination.endpoint.is_agent()) {
    US_ASSIGN_OR_RETURN(RelPath path, ResolveAgentBasis(destination.path, directory));
    return TreePlace{destination.root, std::move(path)};
  }
  // The agent has the working directory of this program, or of the shell that started it.
  const std::string base = destination.root.empty() ? destination.host_path : destination.local.Canonical();
  const std::string here = base.empty() ? "." : base;
  // Whoever may write to the destination must not lead anything out of it by a link there.
  std::optional<RelPath> inside = InsideOf(here, directory);
  if (inside) return TreePlace{.path = *std::move(inside), .host_path = here};
  return TreePlace{.host_path = directory.starts_with('/') ? directory : here + "/" + directory};
}

absl::Status Links::ResolveStaging() {
  if (!temporary_directory_.empty()) {
    US_ASSIGN_OR_RETURN(temporaries_, PlaceAtDestination(temporary_directory_));
  }
  if (partial_directory_.empty()) return absl::OkStatus();
  US_ASSIGN_OR_RETURN(TreePlace place, PlaceAtDestination(partial_directory_));
  // It need not be there: what is above it does.
  if (place.root.empty() && place.path.is_root()) {
    const std::string name = NameOfHostPath(place.host_path);
    if (!ValidateName(name).ok())
      return LinkError(ErrorKind::kUsage, "no directory for parts of files: " + EscapeName(partial_directory_));
    place.path = RelPath().Child(name);
    place.host_path = ParentOfHostPath(place.host_path);
  }
  partial_place_ = std::move(place);
  return absl::OkStatus();
}

Links::Shell* Links::ShellOf(Side side) {
  const Endpoint& endpoint = side == Side::kSource ? targets_.source.endpoint : targets_.destination.endpoint;
  if (!endpoint.is_shell()) return nullptr;
  for (Shell& shell : shells_) {
    if (shell.side == side) return &shell;
  }
  return &shells_.front();  // one for both
}

absl::Status Links::StartShells(const LinkOptions& options) {
  const bool one_agent = SameAgent(targets_.source.endpoint, targets_.destination.endpoint);
  for (Side side : {Side::kSource, Side::kDestination}) {
    const Endpoint& endpoint = side == Side::kSource ? targets_.source.endpoint : targets_.destination.endpoint;
    if (!endpoint.is_shell() || (one_agent && side == Side::kDestination)) continue;
    Shell shell;
    shell.side = side;
    // The basis directories are sessions of their own at the destination's agent.
    const bool is_destination = side == Side::kDestination || one_agent;
    const size_t controls = 1 + (one_agent ? 2 : 1) + (is_destination ? bases_.size() : 0);  // the first for questions
    for (size_t i = 0; i < controls; ++i) {
      int pair[2];
      if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return AsLinkError(ErrnoStatus(errno, "socketpair"), Name(side));
      }
      shell.near.emplace_back(pair[0]);
      shell.far.push_back(AboveChildDescriptors(UniqueFd(pair[1])));
    }
    US_ASSIGN_OR_RETURN(std::vector<std::string> words, ShellCommand(options.shell, endpoint.shell()));
    US_ASSIGN_OR_RETURN(shell.process,
                        RemoteShell::Start(std::move(words), endpoint.shell().Login(), options.on_shell_line));
    shells_.push_back(std::move(shell));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ClientStream>> Links::OpenShellStream(Shell* shell, const Endpoint& endpoint) {
  if (shell->near.empty()) return LinkError(ErrorKind::kProtocol, endpoint.Display() + ": no further control stream");
  UniqueFd socket = std::move(shell->near.back());
  shell->near.pop_back();
  return MakeSocketClientStream(std::move(socket), endpoint.shell().Login());
}

absl::StatusOr<std::unique_ptr<ClientStream>> Links::OpenDestinationStream() {
  if (Shell* const shell = ShellOf(Side::kDestination)) return OpenShellStream(shell, targets_.destination.endpoint);
  return destination_channel_->OpenStream();
}

absl::Status Links::GreetShells(const LinkOptions& options) {
  std::optional<std::chrono::milliseconds> silence;
  if (options.idle_timeout != absl::InfiniteDuration()) silence = absl::ToChronoMilliseconds(options.idle_timeout);
  for (Shell& shell : shells_) {
    const absl::Status greeted = shell.process->Greet(silence);
    // What has been silent for so long does not end by itself either.
    if (!greeted.ok() && LinkErrorKind(greeted) == ErrorKind::kTimeout) Close(kSilentGrace);
    US_RETURN_IF_ERROR(greeted);
    shell.process->ReleasePipes();
  }
  return absl::OkStatus();
}

absl::Status Links::StartPrivateAgent(LinkOptions* options) {
  PrivateAgentOptions start;
  US_ASSIGN_OR_RETURN(start.program, options->find_agent());
  if (targets_.source.endpoint.is_local() && !targets_.source.root.empty()) {
    start.arguments.insert(start.arguments.end(),
                           {"--root", std::string(kPrivateSourceRoot) + "=" + targets_.source.local.root +
                                          (options->writes_source ? ":rw" : ":ro")});
  }
  if (targets_.destination.endpoint.is_local() && !targets_.destination.root.empty()) {
    // ":rw" is the default; it is written so that a path that ends in ":ro" keeps its name.
    start.arguments.insert(start.arguments.end(), {"--root", std::string(kPrivateDestinationRoot) + "=" +
                                                                 targets_.destination.local.root + ":rw"});
  }
  for (const Basis& basis : bases_) {
    if (!basis.private_root.empty())
      start.arguments.insert(start.arguments.end(), {"--root", basis.place.root + "=" + basis.private_root + ":ro"});
  }
  if (backup_ && !backup_->private_root.empty())
    start.arguments.insert(start.arguments.end(),
                           {"--root", backup_->place.root + "=" + backup_->private_root + ":rw"});
  const bool calls_agents = targets_.source.endpoint.is_agent() || targets_.destination.endpoint.is_agent();
  if (calls_agents && !options->tls.insecure) {
    start.arguments.insert(start.arguments.end(),
                           {"--cert", options->tls.cert, "--key", options->tls.key, "--ca", options->tls.ca});
    if (!options->tls.crl.empty()) start.arguments.insert(start.arguments.end(), {"--crl", options->tls.crl});
  }
  if (!targets_.source.endpoint.is_local() && !targets_.destination.endpoint.is_local())
    start.arguments.push_back("--carry-only");
  int number = kPrivateFd;
  for (const Shell& shell : shells_) {
    std::string spec;
    const auto inherit = [&](int fd) {
      start.descriptors.emplace_back(++number, fd);
      spec += (spec.empty() ? "" : ":") + std::to_string(number);
    };
    inherit(shell.process->input());
    inherit(shell.process->output());
    for (const UniqueFd& control : shell.far) inherit(control.get());
    start.arguments.insert(start.arguments.end(), {"--shell", spec});
  }
  for (const std::string& argument : options->agent_arguments) start.arguments.push_back(argument);
  start.on_warning = options->on_agent_warning;
  US_ASSIGN_OR_RETURN(agent_, PrivateAgent::Start(std::move(start)));
  for (Shell& shell : shells_) shell.far.clear();
  return absl::OkStatus();
}

absl::StatusOr<Links::Opened> Links::OpenLink(const LinkTarget& target, Side side, const LinkOptions& options) {
  // Its streams are opened one after the other, when they are used: the first word on one starts the channel.
  if (ShellOf(side) != nullptr) return Opened();
  ChannelSpec spec;
  spec.connect_timeout = options.connect_timeout;
  if (target.endpoint.is_local()) {
    spec.fd = agent_->TakeSocket();
  } else {
    spec.host = target.endpoint.agent().host;
    spec.port = target.endpoint.agent().port;
    spec.tls = options.tls;
    spec.reconnecting = ReconnectingFor(options.idle_timeout);
  }
  Opened opened;
  absl::StatusOr<std::unique_ptr<ControlChannel>> channel = ControlChannel::Connect(std::move(spec));
  if (!channel.ok()) return AsLinkError(channel.status(), Name(side));
  opened.channel = *std::move(channel);
  absl::StatusOr<std::unique_ptr<ClientStream>> stream = opened.channel->OpenStream();
  if (!stream.ok()) return AsLinkError(stream.status(), Name(side));
  opened.stream = *std::move(stream);
  return opened;
}

absl::Status Links::Connect(const LinkOptions& options) {
  const bool one_agent = SameAgent(targets_.source.endpoint, targets_.destination.endpoint);
  absl::StatusOr<Opened> destination = Opened();
  std::thread beside;
  // Connecting to an agent far away takes several round trips: both at once.
  if (!one_agent) {
    beside = std::thread([&] { destination = OpenLink(targets_.destination, Side::kDestination, options); });
  }
  absl::StatusOr<Opened> source = OpenLink(targets_.source, Side::kSource, options);
  if (beside.joinable()) beside.join();
  US_RETURN_IF_ERROR(source.status());
  US_RETURN_IF_ERROR(destination.status());
  if (one_agent && !targets_.source.endpoint.is_shell()) {
    absl::StatusOr<std::unique_ptr<ClientStream>> second = source->channel->OpenStream();
    if (!second.ok()) return AsLinkError(second.status(), Name(Side::kDestination));
    destination->stream = *std::move(second);
  }
  destination_channel_ = one_agent ? source->channel.get() : destination->channel.get();
  for (Opened* opened : {&*source, &*destination}) {
    if (opened->channel != nullptr) channels_.push_back(std::move(opened->channel));
  }
  source_ = std::move(source->stream);
  destination_ = std::move(destination->stream);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Links>> Links::Open(const Endpoint& source, const Endpoint& destination,
                                                   LinkOptions options) {
  for (const Endpoint* endpoint : {&source, &destination}) {
    if (endpoint->is_agent()) US_RETURN_IF_ERROR(RequireTls(*endpoint, options.tls));
  }
  if (options.tls.insecure && options.on_agent_warning && (source.is_agent() || destination.is_agent())) {
    options.on_agent_warning(
        "INSECURE: no TLS, no certificates. Whoever is on this host can pose as the agent, and read and change what is "
        "transferred. For tests alone");
  }
  if ((source.is_shell() && destination.is_agent()) || (source.is_agent() && destination.is_shell())) {
    return LinkError(
        ErrorKind::kUsage,
        "HOST:PATH and agent:// do not go together in one run: use agents on both sides, or a remote shell on both");
  }
  std::unique_ptr<Links> links(new Links());
  US_ASSIGN_OR_RETURN(links->targets_, ResolveTargets(source, destination, options));
  links->on_notice_ = options.on_notice;
  links->basis_use_ = options.basis_use;
  US_RETURN_IF_ERROR(links->ResolveBases(options.basis_directories));
  US_RETURN_IF_ERROR(links->ResolveBackup(options.backup_directory));
  links->partial_directory_ = options.partial_directory;
  links->temporary_directory_ = options.temporary_directory;
  links->direct_ = options.direct;
  links->direct_port_ = options.direct_port;
  US_RETURN_IF_ERROR(links->StartShells(options));
  if (!source.is_agent() || !destination.is_agent()) US_RETURN_IF_ERROR(links->StartPrivateAgent(&options));
  US_RETURN_IF_ERROR(links->GreetShells(options));
  US_RETURN_IF_ERROR(links->Connect(options));
  return links;
}

Links::~Links() {
  Close(kGrace);
}

void Links::Close(std::chrono::milliseconds grace) {
  for (ClientStream* stream : {source_.get(), destination_.get()}) {
    if (stream != nullptr) stream->Close();
  }
  source_.reset();
  destination_.reset();
  local_questions_.reset();
  local_asked_.reset();
  channels_.clear();  // ends a private agent: its socket closes
  for (Shell& shell : shells_) {
    shell.questions.reset();
    shell.asked.reset();
    shell.near.clear();
  }
  // The private agent says goodbye to the far ones, whose shells end then.
  if (agent_) agent_->Stop(grace);
  for (Shell& shell : shells_) shell.process->Stop(grace);
}

std::string Links::Name(Side side) const {
  if (side == Side::kSource) return "source " + targets_.source.endpoint.Display();
  if (side == Side::kDestination) return "destination " + targets_.destination.endpoint.Display();
  return "coordinator";
}

ExitCode Links::CodeOfShells(ExitCode code) {
  if (code != ExitCode::kProtocol) return code;
  for (Shell& shell : shells_) {
    const std::optional<int> status = shell.process->ExitStatus(kShellPatience);
    if (status && *status > static_cast<int>(code)) code = static_cast<ExitCode>(*status);
  }
  return code;
}

std::string Links::Explain(Side side, std::string_view reason, bool broke) {
  if (side == Side::kCoordinator) return std::string(reason);
  const std::string agent = side == Side::kSource ? "source agent" : "destination agent";
  const Endpoint& endpoint = side == Side::kSource ? targets_.source.endpoint : targets_.destination.endpoint;
  // The run and the agent name the side too; the endpoint goes behind that name, once.
  for (const std::string& prefix : {agent + ": ", std::string(side == Side::kSource ? "source: " : "destination: ")}) {
    if (reason.substr(0, prefix.size()) == prefix) reason.remove_prefix(prefix.size());
  }
  std::string text = agent + " (" + endpoint.Display() + "): " + std::string(reason);
  if (!broke || endpoint.is_agent()) return text;
  if (Shell* const shell = ShellOf(side)) {
    if (const std::string ending = shell->process->Ending(kEndingPatience); !ending.empty())
      return text + " (its remote shell " + ending + ")";
  }
  if (const std::string ending = agent_->Ending(kEndingPatience); !ending.empty())
    text += " (the private agent " + ending + ")";
  return text;
}

}  // namespace uringsync

// uringsync-agent: wires the parts of the daemon together and takes them apart again.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/config.h"
#include "agent/confinement.h"
#include "agent/control_listener.h"
#include "agent/control_service.h"
#include "agent/data_server.h"
#include "agent/direct_data.h"
#include "agent/identity_watch.h"
#include "agent/logging.h"
#include "agent/private_shells.h"
#include "agent/process.h"
#include "agent/root_index.h"
#include "agent/roots.h"
#include "agent/session.h"
#include "agent/session_table.h"
#include "agent/stdio_agent.h"
#include "engine/base/errno_status.h"
#include "engine/base/exhaustion.h"
#include "engine/base/kill_point.h"
#include "engine/fs/fake_super.h"
#include "engine/fs/pinned_ancestors.h"
#include "engine/net/tls_identity.h"
#include "engine/ring/runtime.h"
#include "proto/control_peer.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

constexpr int kExitUsage = 1;
constexpr int kExitFileIo = 11;
// An agent without a peer ends after this, whatever holds its sessions up: nobody would ever end it.
constexpr unsigned kEndLimitSeconds = 60;

// Everything that runs, in the order of its start.
struct Daemon {
  std::optional<ScratchDirectory> scratch;
  std::optional<PinnedAncestors> ancestors;
  std::unique_ptr<Runtime> runtime;
  std::optional<Roots> roots;
  AccessList access;
  std::optional<RootIndexes> indexes;
  std::shared_ptr<TlsIdentity> tls;
  SessionTable table;
  std::unique_ptr<DataServer> data;
  std::optional<DirectData> direct;
  std::unique_ptr<SessionRunner> runner;
  std::unique_ptr<ControlServer> control;
  std::unique_ptr<PrivateShells> shells;
  std::unique_ptr<StdioAgent> stdio;
  std::unique_ptr<IdentityWatch> identity_watch;
};

// Before the first thread. What a private agent works on is known only later, and a remote shell's serves its whole
// host: their files are not confined.
absl::Status ConfineAgent(const AgentConfig& config, Daemon* daemon) {
  const bool is_private = config.private_fd >= 0 || config.stdio;
  std::vector<std::string> written;
  for (const RootSpec& root : config.roots) {
    if (!root.read_only) written.push_back(root.path);
  }
  if (config.confinement != ConfinementMode::kOff) daemon->ancestors.emplace(written);
  ConfinementPlan plan;
  plan.mode = config.confinement;
  if (config.private_fd < 0) plan.roots = config.roots;
  if (plan.mode != ConfinementMode::kOff && !plan.roots.empty()) {
    daemon->scratch.emplace();
    plan.scratch = daemon->scratch->path();
  }
  plan.read_beside = {config.tls.cert, config.tls.key, config.tls.ca, config.tls.crl};
  plan.device_data = config.device_data;
  US_ASSIGN_OR_RETURN(const ConfinementReport report, Confine(plan));
  for (const std::string& missing : report.missing)
    LogEvent(is_private ? LogLevel::kInfo : LogLevel::kWarn, "not confined", {{"reason", missing}});
  LogEvent(LogLevel::kInfo, "confinement",
           {{"landlock", report.landlock_abi > 0 ? std::to_string(report.landlock_abi) : "off"},
            {"seccomp", report.system_calls ? "on" : "off"},
            {"capabilities", report.capabilities}});
  return absl::OkStatus();
}

absl::Status StartEngine(const AgentConfig& config, Daemon* daemon) {
  RuntimeOptions options;
  options.shards = config.jobs;
  // An operator may give a daemon any number of threads; a run never gets more than the cores it may use.
  const bool is_private = config.private_fd >= 0 || config.stdio;
  if (is_private && config.jobs > 0) options.shards = std::min<size_t>(config.jobs, UsableCores());
  if (config.background) options.shards = 1;
  options.driver.backend = config.io_backend;
  if (config.fake_super) options.wrap_driver = FakeSuper;
  US_ASSIGN_OR_RETURN(daemon->runtime, Runtime::Start(options));
  const std::string& fallback = daemon->runtime->fallback_reason();
  // The command that started a private agent says it itself.
  if (!fallback.empty()) LogEvent(is_private ? LogLevel::kInfo : LogLevel::kWarn, fallback);
  US_ASSIGN_OR_RETURN(daemon->roots, Roots::Open(config.roots));
  daemon->access = AccessList(config.grants);
  if (config.index) {
    RootIndexOptions defaults;
    defaults.max_memory_bytes = size_t{config.index_memory_mib} << 20;
    defaults.max_age = std::chrono::seconds(config.index_max_age_seconds);
    daemon->indexes.emplace(*daemon->roots, defaults);
  }
  if (config.tls.cert.empty()) return absl::OkStatus();
  US_ASSIGN_OR_RETURN(daemon->tls, TlsIdentity::Load({.certificate = config.tls.cert,
                                                      .key = config.tls.key,
                                                      .authority = config.tls.ca,
                                                      .revocations = config.tls.crl}));
  for (const std::string& warning : daemon->tls->current()->warnings()) LogEvent(LogLevel::kWarn, warning);
  return absl::OkStatus();
}

AgentContext ContextOf(const AgentConfig& config, Daemon* daemon) {
  return {.runtime = daemon->runtime.get(),
          .roots = &*daemon->roots,
          .access = config.private_fd >= 0 || config.stdio ? nullptr : &daemon->access,
          .table = &daemon->table,
          .indexes = daemon->indexes ? &*daemon->indexes : nullptr,
          .data_client_tls = daemon->tls,
          .data_port = daemon->data ? daemon->data->port() : uint16_t{0},
          .open_peer = daemon->shells  ? daemon->shells->PeerOpener()
                       : daemon->stdio ? daemon->stdio->PeerOpener()
                                       : OpenPeer(),
          .direct = daemon->direct ? &*daemon->direct : nullptr,
          .ancestors = daemon->ancestors ? &*daemon->ancestors : nullptr,
          .host_paths = config.private_fd >= 0 || config.stdio,
          .fake_super = config.fake_super,
          .device_data = config.private_fd >= 0 || config.stdio || config.device_data};
}

absl::Status StartServers(const AgentConfig& config, UniqueFd private_socket, Daemon* daemon) {
  if (!private_socket.valid()) {
    US_ASSIGN_OR_RETURN(daemon->data, DataServer::Start({.runtime = daemon->runtime.get(),
                                                         .table = &daemon->table,
                                                         .tls = daemon->tls,
                                                         .host = config.data_listen.host,
                                                         .port = config.data_listen.port,
                                                         .max_handshakes = UnprovenLimit()}));
  }
  if (!config.shells.empty()) {
    US_ASSIGN_OR_RETURN(
        daemon->shells,
        PrivateShells::Start({.runtime = daemon->runtime.get(), .shells = config.shells, .table = &daemon->table}));
  }
  if (daemon->shells)
    daemon->direct.emplace(DirectDataOptions{.runtime = daemon->runtime.get(), .table = &daemon->table});
  // Nobody would greet gRPC on the socket, and it hangs up on those who do not.
  if (config.carry_only) return absl::OkStatus();
  daemon->runner = std::make_unique<SessionRunner>(ContextOf(config, daemon));
  US_ASSIGN_OR_RETURN(daemon->control,
                      ControlServer::Start({.handler = daemon->runner.get(),
                                            .host = config.listen.host,
                                            .port = config.listen.port,
                                            .tls = daemon->tls,
                                            .private_socket = std::move(private_socket),
                                            .health = config.health,
                                            .reflection = config.reflection,
                                            .session_hold = std::chrono::seconds(config.session_hold_seconds)}));
  return absl::OkStatus();
}

// Certificates and revocation lists as their files become.
void WatchIdentity(Daemon* daemon) {
  if (daemon->tls == nullptr) return;
  daemon->identity_watch = std::make_unique<IdentityWatch>(daemon->tls, [daemon](const TlsContext& now, bool renewed) {
    size_t broken = 0;
    if (renewed) {
      const auto revoked = [&now](const std::string& certificate) { return now.Revokes(certificate); };
      broken = (daemon->control ? daemon->control->BreakRevoked(now) : 0) + daemon->table.BreakRevoked(revoked);
    }
    if (broken > 0) LogEvent(LogLevel::kWarn, "revoked peers", {{"sessions", std::to_string(broken)}});
    if (daemon->control) daemon->control->CutOverdue();
  });
}

absl::Status TellReady(const AgentConfig& config, const Daemon& daemon) {
  const std::string control = std::to_string(daemon.control ? daemon.control->port() : 0);
  const std::string data = std::to_string(daemon.data ? daemon.data->port() : 0);
  if (config.tls.insecure) {
    LogEvent(LogLevel::kWarn, "INSECURE: no TLS, no certificates. Everybody on this host is '" +
                                  std::string(kInsecurePeer) +
                                  "' and may do what --allow gives to that name. For tests alone");
  }
  LogEvent(LogLevel::kInfo, "listening",
           {{"control", control},
            {"data", data},
            {"address", config.listen.host},
            {"roots", std::to_string(daemon.roots->all().size())},
            {"backend", std::string(daemon.runtime->backend())},
            {"jobs", std::to_string(daemon.runtime->size())}});
  if (config.ready_fd < 0) return absl::OkStatus();
  const UniqueFd ready(config.ready_fd);
  const std::string line = "control=" + control + " data=" + data + "\n";
  if (::write(ready.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    return ErrnoStatus(errno, "--ready-fd " + std::to_string(config.ready_fd));
  }
  return absl::OkStatus();
}

// Ends sessions first: they use everything else.
void StopAll(Daemon* daemon) {
  daemon->identity_watch.reset();
  if (daemon->control) daemon->control->Stop();
  if (daemon->stdio) daemon->stdio->Stop();
  if (daemon->shells) daemon->shells->Stop();
  if (daemon->data) daemon->data->Stop();
  if (daemon->direct) daemon->direct->Stop();
}

// What it serves: its whole host, and where the shell began.
absl::Status AddFarRoots(AgentConfig* config) {
  if (!config->roots.empty()) return absl::OkStatus();
  char directory[PATH_MAX];
  if (::getcwd(directory, sizeof(directory)) == nullptr) return ErrnoStatus(errno, "the working directory");
  config->roots = {{.name = std::string(kFarHostRoot), .path = "/"},
                   {.name = std::string(kFarHomeRoot), .path = directory}};
  return absl::OkStatus();
}

// The agent that a remote shell has started: it lives as long as its standard input.
absl::Status RunOnStdio(AgentConfig config) {
  US_ASSIGN_OR_RETURN(PipeEnds ends, GreetOnStdio());
  RaiseFileLimit();
  if (config.background) RunInBackground();
  Daemon daemon;
  US_RETURN_IF_ERROR(ConfineAgent(config, &daemon));
  US_RETURN_IF_ERROR(AddFarRoots(&config));
  US_RETURN_IF_ERROR(StartEngine(config, &daemon));
  US_ASSIGN_OR_RETURN(
      daemon.stdio,
      StdioAgent::Start({.runtime = daemon.runtime.get(), .table = &daemon.table, .ends = std::move(ends)}));
  daemon.direct.emplace(DirectDataOptions{.runtime = daemon.runtime.get(), .table = &daemon.table});
  daemon.runner = std::make_unique<SessionRunner>(ContextOf(config, &daemon));
  US_RETURN_IF_ERROR(daemon.stdio->Serve(daemon.runner.get()));
  const absl::StatusOr<StopReason> reason = WaitForStop(daemon.stdio->ended_fd());
  ::alarm(kEndLimitSeconds);
  StopAll(&daemon);
  US_RETURN_IF_ERROR(reason.status());
  return *reason == StopReason::kPeerGone ? daemon.stdio->end() : absl::OkStatus();
}

absl::Status RunDaemon(const AgentConfig& config) {
  UniqueFd private_socket(config.private_fd);
  // A second descriptor of the inherited socket tells when its other end has hung up; gRPC owns the first.
  UniqueFd watched;
  if (private_socket.valid()) {
    EndWithParent(ParentEnd::kAtOnce);
    watched.Reset(::fcntl(private_socket.get(), F_DUPFD_CLOEXEC, 0));
    if (!watched.valid()) return ErrnoStatus(errno, "--private-fd " + std::to_string(config.private_fd));
    ::fcntl(private_socket.get(), F_SETFD, FD_CLOEXEC);
  }
  RaiseFileLimit();
  if (config.background) RunInBackground();
  Daemon daemon;
  US_RETURN_IF_ERROR(ConfineAgent(config, &daemon));
  US_RETURN_IF_ERROR(StartEngine(config, &daemon));
  US_RETURN_IF_ERROR(StartServers(config, std::move(private_socket), &daemon));
  WatchIdentity(&daemon);
  if (config.private_fd >= 0) EndWithParent(ParentEnd::kInOrder);
  absl::Status status = TellReady(config, daemon);
  if (status.ok()) {
    const absl::StatusOr<StopReason> reason = WaitForStop(watched.get());
    status = reason.status();
    if (reason.ok())
      LogEvent(LogLevel::kInfo, "stopping",
               {{"sessions", std::to_string(daemon.control ? daemon.control->sessions() : 0)}});
  }
  StopAll(&daemon);
  if (status.ok()) LogEvent(LogLevel::kInfo, "stopped");
  return status;
}

int Main(int argc, char** argv) {
  StartKillPoints();
  EndInWordsWhenExhausted("uringsync-agent");
  BlockSignals();
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const absl::StatusOr<ConfigOutcome> outcome =
      LoadAgentConfig(arguments, [](const char* name) { return std::getenv(name); });
  if (!outcome.ok()) {
    std::fprintf(stderr, "uringsync-agent: %s\n", std::string(outcome.status().message()).c_str());
    return kExitUsage;
  }
  if (!outcome->config) {
    std::fputs(outcome->output.c_str(), stdout);
    return 0;
  }
  SetUpLogging(outcome->config->log);
  const absl::Status status = outcome->config->stdio ? RunOnStdio(*outcome->config) : RunDaemon(*outcome->config);
  if (status.ok()) return 0;
  LogEvent(LogLevel::kError, std::string(status.message()));
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitFileIo;
}

}  // namespace
}  // namespace uringsync

int main(int argc, char** argv) {
  return uringsync::Main(argc, argv);
}

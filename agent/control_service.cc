#include "agent/control_service.h"

#include <fcntl.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>

#include <cerrno>
#include <thread>

#include "agent/logging.h"
#include "agent/refusal_log.h"
#include "agent/session_gate.h"
#include "engine/base/errno_status.h"
#include "engine/net/address.h"
#include "proto/grpc_service.h"

namespace uringsync {
namespace {

// Threads of gRPC's own beside those that run sessions.
constexpr int kSpareThreads = 16;

// Why nothing can listen at `host`:`port`: gRPC does not say.
absl::Status ListenError(const std::string& host, uint16_t port) {
  const std::string context = "listen on " + HostPort{host, port}.ToString();
  US_ASSIGN_OR_RETURN(const std::vector<SocketAddress> addresses, ResolveBlocking(host, port, ResolvePurpose::kListen));
  for (const SocketAddress& address : addresses) {
    const UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (fd.valid()) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (!fd.valid() || ::bind(fd.get(), address.get(), address.length()) != 0 || ::listen(fd.get(), 1) != 0) {
      const int err = errno;
      const absl::Status status = ErrnoStatus(err, context);
      if (err == EACCES) return status;
      return MakeStatus(absl::StatusCode::kUnavailable,
                        std::string(status.message()) + (err == EADDRINUSE ? "; another program has the port" : ""));
    }
  }
  return MakeStatus(absl::StatusCode::kUnavailable, context + ": gRPC refused to");
}

std::string ListenTarget(const std::string& host, uint16_t port) {
  const std::string any = host.empty() ? "::" : host;
  return (any.find(':') == std::string::npos ? any : "[" + any + "]") + ":" + std::to_string(port);
}

}  // namespace

struct ControlServer::State {
  State(SessionHandler* session_handler, size_t max_sessions, bool is_private)
      : handler(session_handler),
        gate(max_sessions),
        service([this](AgentStream* stream, const ControlPeer& peer) { return Serve(stream, peer); }, is_private) {}

  grpc::Status Serve(AgentStream* stream, const ControlPeer& peer);
  absl::Status StartOnSocket(UniqueFd socket, grpc::ServerBuilder* builder);
  absl::Status StartListening(const ControlServerOptions& options, grpc::ServerBuilder* builder);

  SessionHandler* handler;
  SessionGate gate;
  ControlService service;
  std::unique_ptr<grpc::Server> server;
  int port = 0;
  bool stopped = false;
};

grpc::Status ControlServer::State::Serve(AgentStream* stream, const ControlPeer& peer) {
  absl::StatusOr<std::unique_ptr<SessionGate::Pass>> pass = SessionGate::Pass::Enter(&gate, stream, peer.certificate);
  if (!pass.ok()) {
    // Nobody waits for what comes when the agent is on its way out.
    const LogLevel level = absl::IsUnavailable(pass.status()) ? LogLevel::kInfo : LogLevel::kWarn;
    LogEvent(level, "session refused", {{"who", peer.Describe()}, {"reason", std::string(pass.status().message())}});
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, std::string(pass.status().message()));
  }
  LogEvent(LogLevel::kDebug, "stream opened", {{"who", peer.Describe()}, {"address", peer.address}});
  const absl::Status result = handler->Run((*pass)->stream(), peer, (*pass)->token());
  LogEvent(LogLevel::kDebug, "stream ended",
           {{"who", peer.Describe()}, {"result", result.ok() ? "ok" : std::string(result.message())}});
  return grpc::Status::OK;
}

absl::Status ControlServer::State::StartOnSocket(UniqueFd socket, grpc::ServerBuilder* builder) {
  const int flags = ::fcntl(socket.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0)
    return ErrnoStatus(errno, "inherited control socket");
  server = builder->BuildAndStart();
  if (server == nullptr) return absl::InternalError("gRPC does not start a server");
  grpc::AddInsecureChannelFromFd(server.get(), socket.Release());
  return absl::OkStatus();
}

absl::Status ControlServer::State::StartListening(const ControlServerOptions& options, grpc::ServerBuilder* builder) {
  const std::shared_ptr<grpc::ServerCredentials> credentials =
      MakeControlServerCredentials(options.tls, [told = std::make_shared<RefusalLog>()](const absl::Status& why) {
        told->Tell("caller refused", {{"reason", std::string(ToStd(why.message()))}});
      });
  builder->AddListeningPort(ListenTarget(options.host, options.port), credentials, &port);
  server = builder->BuildAndStart();
  if (server == nullptr || port == 0) return ListenError(options.host, options.port);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Start(ControlServerOptions options) {
  QuietGrpcLogs();
  const bool is_private = options.private_socket.valid();
  auto state = std::make_unique<State>(options.handler, options.max_sessions, is_private);
  grpc::EnableDefaultHealthCheckService(options.health);
  if (options.reflection) grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  SetControlServerOptions(&builder, static_cast<int>(options.max_sessions) + kSpareThreads);
  builder.RegisterService(&state->service);
  if (is_private) {
    US_RETURN_IF_ERROR(state->StartOnSocket(std::move(options.private_socket), &builder));
  } else {
    US_RETURN_IF_ERROR(state->StartListening(options, &builder));
  }
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(state)));
}

ControlServer::ControlServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
ControlServer::~ControlServer() {
  Stop();
}

uint16_t ControlServer::port() const {
  return static_cast<uint16_t>(state_->port);
}
size_t ControlServer::sessions() const {
  return state_->gate.sessions();
}

size_t ControlServer::BreakRevoked(const TlsContext& now) {
  return state_->gate.InterruptThose(
      [&now](const std::string& certificate) { return now.Revokes(certificate); },
      {.kind = ErrorKind::kProtocol, .message = "the certificate of this command has been revoked"});
}

void ControlServer::CutOverdue() {
  state_->gate.CutOverdue();
}

void ControlServer::Stop(std::chrono::milliseconds grace) {
  if (std::exchange(state_->stopped, true)) return;
  // On its own thread: telling a peer that does not read takes until Shutdown cuts its stream.
  std::thread farewell(
      [this] { state_->gate.InterruptAll({.kind = ErrorKind::kInterrupted, .message = "the agent was stopped"}); });
  state_->server->Shutdown(std::chrono::system_clock::now() + grace);
  farewell.join();
  state_->server->Wait();
}

}  // namespace uringsync

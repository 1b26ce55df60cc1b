#include "agent/control_service.h"

#include <fcntl.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>

#include <cerrno>
#include <thread>

#include "agent/control_listener.h"
#include "agent/logging.h"
#include "agent/refusal_log.h"
#include "agent/resumable_sessions.h"
#include "agent/session_gate.h"
#include "engine/base/errno_status.h"
#include "proto/grpc_service.h"

namespace uringsync {
namespace {

// Threads of gRPC's own beside those that run sessions.
constexpr int kSpareThreads = 16;
// The one that runs it, one that lends it the connection over which its coordinator has come back, and one that brings
// the next.
constexpr int kThreadsPerSession = 3;

}  // namespace

struct ControlServer::State {
  State(SessionHandler* session_handler, size_t max_sessions, bool is_private, std::chrono::milliseconds session_hold)
      : handler(session_handler),
        gate(max_sessions),
        resumable(session_hold,
                  [this](const ControlPeer& peer) {
                    if (listener) listener->Proved(peer.address);
                  }),
        service([this](AgentStream* stream, const ControlPeer& peer) { return Serve(stream, peer); }, is_private,
                is_private ? nullptr : &resumable) {}

  grpc::Status Serve(AgentStream* stream, const ControlPeer& peer);
  absl::Status StartOnSocket(UniqueFd socket, grpc::ServerBuilder* builder);
  absl::Status StartListening(const ControlServerOptions& options, grpc::ServerBuilder* builder);

  SessionHandler* handler;
  SessionGate gate;
  ResumableSessions resumable;
  ControlService service;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<ControlListener> listener;  // null for a private agent
  bool stopped = false;
};

grpc::Status ControlServer::State::Serve(AgentStream* stream, const ControlPeer& peer) {
  if (listener) listener->Proved(peer.address);
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
      options.tls == nullptr
          ? grpc::InsecureServerCredentials()
          : MakeControlServerCredentials(options.tls, [told = std::make_shared<RefusalLog>()](const absl::Status& why) {
              told->Tell("caller refused", {{"reason", std::string(ToStd(why.message()))}});
            });
  US_ASSIGN_OR_RETURN(listener, ControlListener::Open(options.host, options.port));
  std::shared_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor =
      builder->experimental().AddExternalConnectionAcceptor(
          grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials);
  server = builder->BuildAndStart();
  if (server == nullptr) return absl::InternalError("gRPC does not start a server");
  listener->Start([acceptor = std::move(acceptor)](UniqueFd connection, int listening) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
    parameters.listener_fd = listening;
    parameters.fd = connection.Release();
    acceptor->HandleNewConnection(&parameters);
  });
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Start(ControlServerOptions options) {
  QuietGrpcLogs();
  const bool is_private = options.private_socket.valid();
  auto state = std::make_unique<State>(options.handler, options.max_sessions, is_private, options.session_hold);
  grpc::EnableDefaultHealthCheckService(options.health);
  if (options.reflection) grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  SetControlServerOptions(&builder, static_cast<int>(options.max_sessions) * kThreadsPerSession + kSpareThreads);
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
  return state_->listener ? state_->listener->port() : uint16_t{0};
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
  if (state_->listener) state_->listener->Stop();
  state_->resumable.Stop();
  // On its own thread: telling a peer that does not read takes until Shutdown cuts its stream.
  std::thread farewell(
      [this] { state_->gate.InterruptAll({.kind = ErrorKind::kInterrupted, .message = "the agent was stopped"}); });
  state_->server->Shutdown(std::chrono::system_clock::now() + grace);
  farewell.join();
  state_->server->Wait();
}

}  // namespace uringsync

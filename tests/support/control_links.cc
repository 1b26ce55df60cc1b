#include "tests/support/control_links.h"

#include <fcntl.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>

#include <cstdlib>
#include <thread>
#include <vector>

#include "engine/net/certificates.h"
#include "proto/grpc_control.h"
#include "proto/grpc_service.h"
#include "tests/support/relay.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

constexpr int kThreads = 16;

// A test cannot go on without its set-up.
template <typename T>
T Need(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "control link: %s\n", std::string(value.status().ToString()).c_str());
  std::abort();
}

class InMemoryLink final : public ControlLink {
 public:
  explicit InMemoryLink(AgentFunction serve) : serve_(std::move(serve)) {}
  ~InMemoryLink() override {
    for (std::thread& thread : threads_) thread.join();
  }
  std::unique_ptr<ClientStream> Open() override {
    auto [client, agent] = MakeInMemoryControlPair(/*window=*/4);
    threads_.emplace_back([this, stream = std::move(agent)]() mutable {
      serve_(stream.get(), ControlPeer{.address = "memory", .identities = {}, .is_private = true});
      stream.reset();
    });
    return std::move(client);
  }

 private:
  AgentFunction serve_;
  std::vector<std::thread> threads_;
};

// Common to both gRPC kinds.
class GrpcLink : public ControlLink {
 public:
  GrpcLink(AgentFunction serve, bool is_private)
      : service_(
            [serve = std::move(serve)](AgentStream* stream, const ControlPeer& peer) {
              serve(stream, peer);
              return grpc::Status::OK;
            },
            is_private) {}
  ~GrpcLink() override {
    channel_.reset();
    server_->Shutdown();
    server_->Wait();
  }
  std::unique_ptr<ClientStream> Open() override { return Need(channel_->OpenStream()); }

 protected:
  ControlService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ControlChannel> channel_;
};

class SocketPairLink final : public GrpcLink {
 public:
  explicit SocketPairLink(AgentFunction serve) : GrpcLink(std::move(serve), /*is_private=*/true) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) std::abort();
    scissors_.Reset(::fcntl(pair[1], F_DUPFD_CLOEXEC, 0));
    grpc::ServerBuilder builder;
    SetControlServerOptions(&builder, kThreads);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    grpc::AddInsecureChannelFromFd(server_.get(), pair[1]);
    ChannelSpec spec;
    spec.fd.Reset(pair[0]);
    channel_ = Need(ControlChannel::Connect(std::move(spec)));
  }
  bool Cut() override { return ::shutdown(scissors_.get(), SHUT_RDWR) == 0; }

 private:
  UniqueFd scissors_;
};

class MtlsLink final : public GrpcLink {
 public:
  explicit MtlsLink(AgentFunction serve) : GrpcLink(std::move(serve), /*is_private=*/false) {
    Need(InitCertificates({.directory = directory_.path(), .hosts = {"localhost,127.0.0.1"}}));
    const ControlTlsFiles agent{directory_ / "localhost.crt", directory_ / "localhost.key", directory_ / "ca.crt"};
    grpc::ServerBuilder builder;
    SetControlServerOptions(&builder, kThreads);
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", Need(MakeControlServerCredentials(agent)), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    relay_ = std::make_unique<TcpRelay>(static_cast<uint16_t>(port), RelayOptions{});
    ChannelSpec spec;
    spec.host = "127.0.0.1";
    spec.port = relay_->port();
    spec.tls = {directory_ / "cli.crt", directory_ / "cli.key", directory_ / "ca.crt"};
    channel_ = Need(ControlChannel::Connect(std::move(spec)));
  }
  bool Cut() override {
    relay_->Reset();
    return true;
  }

 private:
  TempDir directory_;
  std::unique_ptr<TcpRelay> relay_;
};

}  // namespace

std::string ControlLinkName(ControlLinkKind kind) {
  switch (kind) {
    case ControlLinkKind::kInMemory: return "InMemory";
    case ControlLinkKind::kSocketPair: return "SocketPair";
    case ControlLinkKind::kMtls: break;
  }
  return "Mtls";
}

std::unique_ptr<ControlLink> MakeControlLink(ControlLinkKind kind, AgentFunction serve) {
  switch (kind) {
    case ControlLinkKind::kInMemory: return std::make_unique<InMemoryLink>(std::move(serve));
    case ControlLinkKind::kSocketPair: return std::make_unique<SocketPairLink>(std::move(serve));
    case ControlLinkKind::kMtls: break;
  }
  return std::make_unique<MtlsLink>(std::move(serve));
}

}  // namespace uringsync

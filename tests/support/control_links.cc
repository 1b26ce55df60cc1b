#include "tests/support/control_links.h"

#include <fcntl.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>

#include <cstdlib>
#include <optional>
#include <thread>
#include <vector>

#include "engine/coro/scope.h"
#include "engine/net/certificates.h"
#include "engine/net/splice.h"
#include "engine/net/tcp_stream.h"
#include "engine/ring/runtime.h"
#include "proto/grpc_control.h"
#include "proto/grpc_service.h"
#include "proto/socket_control.h"
#include "proto/tls_files.h"
#include "tests/support/relay.h"
#include "tests/support/stream_pair.h"
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
    builder.AddListeningPort("127.0.0.1:0", MakeControlServerCredentials(Need(LoadIdentity(agent))), &port);
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

// Two pipes with a mux at each end, as between a command's private agent and the agent that a remote shell has started.
class MuxLink final : public ControlLink {
 public:
  explicit MuxLink(AgentFunction serve) : serve_(std::move(serve)), runtime_(Need(Runtime::Start({.shards = 1}))) {
    BlockOn(shard(), Begin());
  }
  ~MuxLink() override {
    // Streams that arrive late are served, too: no thread is added after this.
    BlockOn(shard(), End());
    for (std::thread& thread : threads_) thread.join();
  }
  std::unique_ptr<ClientStream> Open() override {
    auto [near, far] = MakeSockets();
    running_.SpawnOn(shard(), Carry(std::move(far)));
    return MakeSocketClientStream(std::move(near), "the far agent");
  }
  bool Cut() override {
    BlockOn(shard(), CutPipes());
    return true;
  }

 private:
  static std::pair<UniqueFd, UniqueFd> MakeSockets() {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) std::abort();
    return {UniqueFd(pair[0]), UniqueFd(pair[1])};
  }
  Shard* shard() { return &runtime_->shard(0); }

  Task<void> Begin() {
    mux_ = std::make_unique<MuxPair>(Shard::Current()->driver());
    running_.Spawn(AcceptAll());
    co_return;
  }
  Task<void> Carry(UniqueFd socket) {
    std::unique_ptr<Stream> ours = TcpStream::Adopt(Shard::Current()->driver(), {std::move(socket), "client"});
    absl::StatusOr<std::unique_ptr<Stream>> stream = mux_->client->Open(MuxKind::kControl);
    if (stream.ok()) (void)co_await Splice(std::move(ours), *std::move(stream));
  }
  Task<void> Serve(std::unique_ptr<Stream> stream) {
    auto [near, far] = MakeSockets();
    std::unique_ptr<Stream> ours = TcpStream::Adopt(Shard::Current()->driver(), {std::move(near), "agent"});
    threads_.emplace_back([this, fd = far.Release()] {
      const std::unique_ptr<AgentStream> agent = MakeSocketAgentStream(UniqueFd(fd), "the client");
      serve_(agent.get(), ControlPeer{.address = "mux", .identities = {}, .is_private = true});
    });
    (void)co_await Splice(std::move(ours), std::move(stream));
  }
  Task<void> AcceptAll() {
    while (true) {
      std::optional<MuxAccepted> accepted = co_await mux_->server->Accept();
      if (!accepted) co_return;
      running_.Spawn(Serve(std::move(accepted->stream)));
    }
  }
  Task<void> CutPipes() {
    mux_->client->Shutdown();
    co_return;
  }
  Task<void> End() {
    co_await mux_->Close();
    co_await running_.Join();
    mux_.reset();
  }

  AgentFunction serve_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<MuxPair> mux_;
  Scope running_;
  std::vector<std::thread> threads_;
};

}  // namespace

std::string ControlLinkName(ControlLinkKind kind) {
  switch (kind) {
    case ControlLinkKind::kInMemory: return "InMemory";
    case ControlLinkKind::kSocketPair: return "SocketPair";
    case ControlLinkKind::kMux: return "Mux";
    case ControlLinkKind::kMtls: break;
  }
  return "Mtls";
}

std::unique_ptr<ControlLink> MakeControlLink(ControlLinkKind kind, AgentFunction serve) {
  switch (kind) {
    case ControlLinkKind::kInMemory: return std::make_unique<InMemoryLink>(std::move(serve));
    case ControlLinkKind::kSocketPair: return std::make_unique<SocketPairLink>(std::move(serve));
    case ControlLinkKind::kMux: return std::make_unique<MuxLink>(std::move(serve));
    case ControlLinkKind::kMtls: break;
  }
  return std::make_unique<MtlsLink>(std::move(serve));
}

}  // namespace uringsync

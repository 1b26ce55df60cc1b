#include "tests/support/stream_pair.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/net/certificates.h"
#include "engine/net/connect.h"
#include "engine/net/listener.h"
#include "engine/net/memory_stream.h"
#include "engine/net/pipe_stream.h"

namespace uringsync {

namespace {

constexpr Timeout kPatience = std::chrono::seconds(20);

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "test certificates: %s\n", std::string(value.status().ToString()).c_str());
  std::abort();
}

Task<void> AcceptOne(Driver* driver, Listener* listener, std::shared_ptr<const TlsContext> tls,
                     absl::StatusOr<std::unique_ptr<Stream>>* out) {
  absl::StatusOr<AcceptedSocket> socket = co_await listener->Accept();
  if (!socket.ok()) {
    *out = socket.status();
    co_return;
  }
  std::unique_ptr<Stream> stream = TcpStream::Adopt(driver, std::move(*socket));
  if (tls) {
    *out = co_await TlsAccept(std::move(stream), tls, kPatience);
  } else {
    *out = std::move(stream);
  }
}

Task<void> RunMux(Mux* mux, absl::Status* end) {
  *end = co_await mux->Run();
}

Task<absl::StatusOr<StreamPair>> MakeMuxStreams(Driver* driver) {
  StreamPair pair;
  pair.mux = std::make_unique<MuxPair>(driver);
  pair.client = OrDie(pair.mux->client->Open(MuxKind::kData));
  std::optional<MuxAccepted> accepted = co_await pair.mux->server->Accept();
  if (!accepted) co_return absl::UnknownError("not accepted");
  pair.server = std::move(accepted->stream);
  co_return std::move(pair);
}

Task<absl::StatusOr<std::unique_ptr<Stream>>> ConnectOne(Driver* driver, std::string host, uint16_t port,
                                                         std::shared_ptr<const TlsContext> tls) {
  US_CO_ASSIGN_OR_RETURN(std::unique_ptr<Stream> stream,
                         co_await Connect(driver, {.host = host, .port = port, .timeout = kPatience}));
  if (!tls) co_return std::move(stream);
  co_return co_await TlsConnect(std::move(stream), tls, "127.0.0.1", kPatience);
}

}  // namespace

std::string StreamKindName(StreamKind kind) {
  switch (kind) {
    case StreamKind::kMemory: return "Memory";
    case StreamKind::kTcp: return "Tcp";
    case StreamKind::kUnix: return "Unix";
    case StreamKind::kTls: return "Tls";
    case StreamKind::kPipe: return "Pipe";
    case StreamKind::kMux: return "Mux";
  }
  return "";
}

TestCertificates::TestCertificates() {
  OrDie(InitCertificates({.directory = dir_.path(), .hosts = {"localhost,127.0.0.1,::1"}}));
  context_ = OrDie(TlsContext::Load(files()));
}

TlsFiles TestCertificates::FilesOf(const std::string& name) const {
  return {dir_ / (name + ".crt"), dir_ / (name + ".key"), dir_ / "ca.crt"};
}

StreamPair MakePipePair(Driver* driver) {
  std::signal(SIGPIPE, SIG_IGN);
  int forth[2];
  int back[2];
  if (::pipe2(forth, O_CLOEXEC) != 0 || ::pipe2(back, O_CLOEXEC) != 0) std::abort();
  StreamPair pair;
  pair.client = OrDie(PipeStream::Adopt(driver, {UniqueFd(back[0]), UniqueFd(forth[1]), "the far end"}));
  pair.server = OrDie(PipeStream::Adopt(driver, {UniqueFd(forth[0]), UniqueFd(back[1]), "the near end"}));
  return pair;
}

MuxPair::MuxPair(Driver* driver, MuxTimes times) {
  StreamPair pipes = MakePipePair(driver);
  client = std::make_unique<Mux>(std::move(pipes.client), MuxSide::kClient, driver, times);
  server = std::make_unique<Mux>(std::move(pipes.server), MuxSide::kAgent, driver, times);
  running.Spawn(RunMux(client.get(), &client_end));
  running.Spawn(RunMux(server.get(), &server_end));
}

Task<void> MuxPair::Close() {
  client->Shutdown();
  server->Shutdown();
  co_await running.Join();
}

Task<void> StreamPair::Finish() {
  client.reset();
  server.reset();
  if (mux != nullptr) co_await mux->Close();
}

Task<absl::StatusOr<StreamPair>> MakeStreamPair(Driver* driver, StreamKind kind,
                                                std::shared_ptr<const TlsContext> tls) {
  if (kind == StreamKind::kPipe) co_return MakePipePair(driver);
  if (kind == StreamKind::kMux) co_return co_await MakeMuxStreams(driver);
  if (kind == StreamKind::kMemory) {
    auto [client, server] = MakeMemoryStreamPair();
    co_return StreamPair{std::move(client), std::move(server), nullptr};
  }
  if (kind != StreamKind::kTls) tls = nullptr;
  std::optional<TempDir> directory;
  ListenOptions options{.host = "127.0.0.1", .port = 0};
  if (kind == StreamKind::kUnix) {
    directory.emplace();
    options.host = "unix:" + (*directory / "socket");
  }
  US_CO_ASSIGN_OR_RETURN(std::unique_ptr<Listener> listener, co_await Listener::Listen(driver, options));
  absl::StatusOr<std::unique_ptr<Stream>> server = absl::UnknownError("not accepted");
  Scope scope;
  scope.Spawn(AcceptOne(driver, listener.get(), tls, &server));
  absl::StatusOr<std::unique_ptr<Stream>> client = co_await ConnectOne(driver, options.host, listener->port(), tls);
  if (!client.ok()) listener->Close();
  co_await scope.Join();
  if (!client.ok()) co_return client.status();
  if (!server.ok()) co_return server.status();
  co_return StreamPair{*std::move(client), *std::move(server), nullptr};
}

}  // namespace uringsync

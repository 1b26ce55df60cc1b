#include "agent/control_service.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <future>
#include <mutex>
#include <utility>

#include "engine/net/certificates.h"
#include "proto/handshake.h"
#include "proto/tls_files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

// Greets, then waits for the end.
class WaitingHandler final : public SessionHandler {
 public:
  absl::Status Run(AgentStream* stream, const ControlPeer& peer, CancelToken shutdown) override {
    private_peer = peer.is_private;
    auto hello = AgentHandshake(stream, {.software = "test agent", .io_backend = "uring"});
    if (!hello.ok()) return hello.status();
    while (true) {
      auto message = stream->Receive();
      if (message.ok()) continue;
      cancelled = shutdown.cancelled();
      absl::Status sent = stream->Send(ManifestEnd{});
      std::lock_guard lock(mutex_);
      send_after_end_ = std::move(sent);
      return message.status();
    }
  }
  absl::Status send_after_end() const {
    std::lock_guard lock(mutex_);
    return send_after_end_;
  }
  std::atomic<bool> private_peer{false};
  std::atomic<bool> cancelled{false};

 private:
  // gRPC's own joining of its threads cannot be seen by ThreadSanitizer.
  mutable std::mutex mutex_;
  absl::Status send_after_end_;
};

class ControlServerTest : public testing::Test {
 protected:
  ControlServerTest() {
    EXPECT_OK(InitCertificates({.directory = directory_.path(), .hosts = {"localhost,127.0.0.1"}}));
  }
  ControlServerOptions Options() {
    return {.handler = &handler_,
            .host = "127.0.0.1",
            .port = 0,
            .tls = *LoadIdentity({directory_ / "localhost.crt", directory_ / "localhost.key", directory_ / "ca.crt"})};
  }
  std::unique_ptr<ControlChannel> Connect(const ControlServer& server) {
    ChannelSpec spec;
    spec.host = "127.0.0.1";
    spec.port = server.port();
    spec.tls = {directory_ / "cli.crt", directory_ / "cli.key", directory_ / "ca.crt"};
    auto channel = ControlChannel::Connect(std::move(spec));
    EXPECT_OK(channel);
    return channel.ok() ? *std::move(channel) : nullptr;
  }

  TempDir directory_;
  WaitingHandler handler_;
};

TEST_F(ControlServerTest, ASessionRunsAndStopTellsItsCoordinator) {
  auto server = ControlServer::Start(Options());
  ASSERT_OK(server);
  auto channel = Connect(**server);
  auto stream = channel->OpenStream();
  ASSERT_OK(stream);
  ASSERT_OK(ClientHandshake(stream->get(), {.software = "test"}));
  EXPECT_EQ((*server)->sessions(), 1u);
  auto stopping = std::async(std::launch::async, [&] { (*server)->Stop(); });
  auto message = (*stream)->Receive();
  ASSERT_OK(message);
  EXPECT_EQ(std::get<SessionError>(*message).kind, ErrorKind::kInterrupted);
  stream->reset();
  stopping.wait();
  EXPECT_TRUE(handler_.cancelled);
  EXPECT_THAT(handler_.send_after_end(), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_FALSE(handler_.private_peer);
}

TEST_F(ControlServerTest, StopCutsACoordinatorThatDoesNotListen) {
  auto server = ControlServer::Start(Options());
  ASSERT_OK(server);
  auto channel = Connect(**server);
  auto stream = channel->OpenStream();
  ASSERT_OK(ClientHandshake(stream->get(), {.software = "test"}));
  (*server)->Stop(std::chrono::milliseconds(100));
  EXPECT_EQ((*server)->sessions(), 0u);
}

TEST_F(ControlServerTest, SessionsBeyondTheBoundAreToldSo) {
  ControlServerOptions options = Options();
  options.max_sessions = 1;
  auto server = ControlServer::Start(std::move(options));
  ASSERT_OK(server);
  auto channel = Connect(**server);
  auto first = channel->OpenStream();
  ASSERT_OK(ClientHandshake(first->get(), {.software = "test"}));
  auto second = channel->OpenStream();
  EXPECT_THAT(ClientHandshake(second->get(), {.software = "test"}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("serves 1 sessions already")));
}

TEST_F(ControlServerTest, APortInUseIsNamed) {
  auto first = ControlServer::Start(Options());
  ASSERT_OK(first);
  ControlServerOptions options = Options();
  options.port = (*first)->port();
  EXPECT_THAT(ControlServer::Start(std::move(options)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another program has the port")));
}

TEST_F(ControlServerTest, AMissingCertificateIsNamed) {
  EXPECT_THAT(LoadIdentity({"/nowhere.crt", directory_ / "localhost.key", directory_ / "ca.crt"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("/nowhere.crt")));
}

TEST_F(ControlServerTest, AnInheritedSocketServesItsOtherEndWithoutTls) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  ControlServerOptions options{.handler = &handler_};
  options.private_socket.Reset(pair[1]);
  auto server = ControlServer::Start(std::move(options));
  ASSERT_OK(server);
  EXPECT_EQ((*server)->port(), 0);
  ChannelSpec spec;
  spec.fd.Reset(pair[0]);
  auto channel = ControlChannel::Connect(std::move(spec));
  ASSERT_OK(channel);
  auto stream = (*channel)->OpenStream();
  ASSERT_OK(ClientHandshake(stream->get(), {.software = "test"}));
  EXPECT_TRUE(handler_.private_peer);
}

}  // namespace
}  // namespace uringsync

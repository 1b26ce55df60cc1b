// What is said when an agent cannot be reached, or when certificates do not fit.
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "engine/base/unique_fd.h"
#include "engine/net/certificates.h"
#include "proto/grpc_control.h"
#include "proto/grpc_service.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "uringsync/v1/agent.grpc.pb.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

// An agent on loopback with the certificate NAME of an authority.
class ConnectTest : public testing::Test {
 protected:
  ConnectTest() {
    EXPECT_OK(InitCertificates({.directory = ours_.path(), .hosts = {"localhost,127.0.0.1", "elsewhere.example"}}));
    EXPECT_OK(InitCertificates({.directory = theirs_.path(), .hosts = {"localhost,127.0.0.1"}}));
  }
  ~ConnectTest() override { StopAgent(); }

  // Waits for its handlers: what they noted may be read then.
  void StopAgent() {
    if (server_) server_->Shutdown();
    server_.reset();
  }

  static ControlTlsFiles Files(const TempDir& directory, const std::string& name, const TempDir& authority) {
    return {directory / (name + ".crt"), directory / (name + ".key"), authority / "ca.crt"};
  }

  void StartAgent(const ControlTlsFiles& files) {
    grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_root_certs = ReadFile(files.ca);
    options.pem_key_cert_pairs.push_back({ReadFile(files.key), ReadFile(files.cert)});
    grpc::ServerBuilder builder;
    SetControlServerOptions(&builder, 16);
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(options), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }

  absl::Status Connect(const ControlTlsFiles& files, const std::string& host = "127.0.0.1",
                       std::chrono::milliseconds timeout = std::chrono::seconds(10)) {
    ChannelSpec spec;
    spec.host = host;
    spec.port = static_cast<uint16_t>(port_);
    spec.tls = files;
    spec.connect_timeout = timeout;
    return ControlChannel::Connect(std::move(spec)).status();
  }

  TempDir ours_;
  TempDir theirs_;
  std::vector<std::string> identities_;
  absl::Status last_receive_;
  ControlService service_{[this](AgentStream* stream, const ControlPeer& peer) {
    identities_ = peer.identities;
    last_receive_ = stream->Receive().status();
    return grpc::Status::OK;
  }};
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(ConnectTest, CertificatesOfOneAuthorityConnectByNameAndByAddress) {
  StartAgent(Files(ours_, "localhost", ours_));
  EXPECT_OK(Connect(Files(ours_, "cli", ours_)));
  EXPECT_OK(Connect(Files(ours_, "cli", ours_), "localhost"));
}

TEST_F(ConnectTest, AClosedPortIsRefusedAtOnce) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);  // bound, not listening
  ASSERT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  port_ = ntohs(address.sin_port);
  EXPECT_THAT(Connect(Files(ours_, "cli", ours_)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no agent listens there")));
}

TEST_F(ConnectTest, APortThatNeverAnswersEndsWithTheDeadline) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(fd.get(), 8), 0);
  ASSERT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  port_ = ntohs(address.sin_port);
  EXPECT_THAT(Connect(Files(ours_, "cli", ours_), "127.0.0.1", std::chrono::milliseconds(300)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("no answer")));
}

TEST_F(ConnectTest, AnUnknownHostIsNamed) {
  port_ = 7440;
  EXPECT_THAT(Connect(Files(ours_, "cli", ours_), "no-such-host.invalid", std::chrono::seconds(5)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("cannot resolve 'no-such-host.invalid'")));
}

TEST_F(ConnectTest, AnAgentOfAnotherAuthorityIsRefused) {
  StartAgent(Files(theirs_, "localhost", ours_));
  EXPECT_THAT(Connect(Files(ours_, "cli", ours_)),
              StatusIs(absl::StatusCode::kUnauthenticated,
                       HasSubstr("did not sign it; give the authority that did with --ca")));
}

TEST_F(ConnectTest, ACertificateForAnotherHostNamesTheHostsItIsFor) {
  StartAgent(Files(ours_, "elsewhere.example", ours_));
  EXPECT_THAT(
      Connect(Files(ours_, "cli", ours_)),
      StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("made out to elsewhere.example; connect by such a name")));
}

TEST_F(ConnectTest, AnExpiredCertificateOfTheAgentIsNamed) {
  ASSERT_OK(IssueCertificate({.directory = ours_.path(),
                              .name = "old",
                              .hosts = {"127.0.0.1"},
                              .days = 1,
                              .start_offset_seconds = -10 * 86400}));
  StartAgent(Files(ours_, "old", ours_));
  EXPECT_THAT(Connect(Files(ours_, "cli", ours_)),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("it has expired; issue a new one for that host")));
}

TEST_F(ConnectTest, AnExpiredCertificateOfOursIsFoundBeforeConnecting) {
  ASSERT_OK(IssueCertificate({.directory = ours_.path(),
                              .name = "old",
                              .hosts = {"127.0.0.1"},
                              .days = 1,
                              .start_offset_seconds = -10 * 86400}));
  EXPECT_THAT(Connect(Files(ours_, "old", ours_)), StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("old.crt")));
}

TEST_F(ConnectTest, ACertificateThatTheAgentsAuthorityDidNotSignIsToldSo) {
  StartAgent(Files(ours_, "localhost", ours_));
  EXPECT_THAT(Connect(Files(theirs_, "cli", ours_)),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("cli.crt: the agent's --ca did not sign it")));
}

TEST_F(ConnectTest, MissingAndBrokenFilesAreNamed) {
  EXPECT_THAT(Connect({ours_ / "none.crt", ours_ / "cli.key", ours_ / "ca.crt"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("none.crt")));
  EXPECT_THAT(Connect({ours_ / "cli.crt", ours_ / "localhost.key", ours_ / "ca.crt"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("localhost.key")));
  WriteFile(ours_ / "text", "no certificate");
  EXPECT_THAT(Connect({ours_ / "cli.crt", ours_ / "cli.key", ours_ / "text"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("text")));
}

// A client that keeps none of our rules.
class RawClient {
 public:
  RawClient(const ControlTlsFiles& files, int port) {
    const auto credentials = grpc::SslCredentials({ReadFile(files.ca), ReadFile(files.key), ReadFile(files.cert)});
    stub_ = v1::Agent::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port), credentials));
    stream_ = stub_->Session(&context_);
  }
  grpc::Status SendAndFinish(const v1::ClientMessage& message) {
    stream_->Write(message);
    stream_->WritesDone();
    return stream_->Finish();
  }

 private:
  std::unique_ptr<v1::Agent::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ClientMessage, v1::AgentMessage>> stream_;
};

TEST_F(ConnectTest, TheAgentSeesTheNamesInTheClientsCertificate) {
  StartAgent(Files(ours_, "localhost", ours_));
  v1::ClientMessage message;
  message.mutable_start_manifest();
  EXPECT_TRUE(RawClient(Files(ours_, "elsewhere.example", ours_), port_).SendAndFinish(message).ok());
  StopAgent();
  EXPECT_THAT(identities_, testing::Contains("elsewhere.example"));
}

TEST_F(ConnectTest, AMessageWithoutAKnownBodyIsAProtocolError) {
  StartAgent(Files(ours_, "localhost", ours_));
  RawClient(Files(ours_, "cli", ours_), port_).SendAndFinish({});
  StopAgent();
  EXPECT_THAT(last_receive_, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ClientMessage.body")));
}

TEST_F(ConnectTest, AnOversizedMessageOfAStrangerIsRefused) {
  StartAgent(Files(ours_, "localhost", ours_));
  v1::ClientMessage message;
  message.mutable_hello()->set_software(std::string(kMaxControlMessageBytes + 1, 'x'));
  const grpc::Status status = RawClient(Files(ours_, "cli", ours_), port_).SendAndFinish(message);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  StopAgent();
  EXPECT_FALSE(last_receive_.ok());
}

}  // namespace
}  // namespace uringsync

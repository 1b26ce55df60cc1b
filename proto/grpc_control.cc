#include "proto/grpc_control.h"

#include <fcntl.h>
#include <grpc/support/log.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/impl/rpc_method.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/support/sync_stream.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/base/exhaustion.h"
#include "engine/net/address.h"
#include "proto/address_probe.h"
#include "proto/grpc_bytes.h"
#include "proto/grpc_resumable.h"
#include "proto/tls_files.h"

namespace uringsync {
namespace {

using grpc_internal::DecodeBuffer;
using grpc_internal::EncodeBuffer;
using Call = grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;

// What gRPC starts by itself, and some for the calls: its timers, executors and pollers, a few for each core.
constexpr int kGrpcThreads = 16;

// How long a stream's destructor lets the agent end its side.
constexpr std::chrono::seconds kPoliteEnd{2};

grpc::ChannelArguments MakeArguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(kMaxControlMessageBytes));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, grpc_internal::kKeepaliveTimeMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, grpc_internal::kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, grpc_internal::kStreamWindowBytes);
  // Agents are peers on the operator's own network; a web proxy of the environment is not meant for them.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return arguments;
}

class GrpcClientStream final : public ClientStream {
 public:
  GrpcClientStream(std::shared_ptr<grpc::Channel> channel, std::string name)
      : channel_(std::move(channel)),
        name_(std::move(name)),
        method_(grpc_internal::kSessionMethod, grpc::internal::RpcMethod::BIDI_STREAMING, channel_) {
    call_.reset(grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(
        channel_.get(), method_, &context_));
  }

  ~GrpcClientStream() override {
    if (finished_) return;
    if (!closed_) EndPolitely();
    context_.TryCancel();
    call_->Finish();
  }

  absl::Status Send(const ClientMessage& message) override {
    std::lock_guard lock(send_mutex_);
    if (closed_) return absl::UnavailableError("the session was closed at this end");
    grpc::ByteBuffer buffer;
    US_RETURN_IF_ERROR(EncodeBuffer(message, &encoder_, &buffer));
    if (!call_->Write(buffer)) return MakeStatus(absl::StatusCode::kUnavailable, "lost the connection to " + name_);
    return absl::OkStatus();
  }

  absl::StatusOr<AgentMessage> Receive() override {
    if (!receive_end_.ok()) return receive_end_;
    grpc::ByteBuffer buffer;
    if (!call_->Read(&buffer)) {
      const grpc::Status status = call_->Finish();
      finished_ = true;
      receive_end_ = closed_ ? absl::UnavailableError("the session was closed at this end")
                             : grpc_internal::CallEnd(status, name_);
      return receive_end_;
    }
    absl::StatusOr<AgentMessage> message = DecodeBuffer(&buffer, &decoder_);
    if (!message.ok()) {
      receive_end_ = message.status();
      context_.TryCancel();
    }
    return message;
  }

  void Close() override {
    closed_ = true;
    context_.TryCancel();
  }

 private:
  // Half-closes and reads to the end, for at most kPoliteEnd.
  void EndPolitely() {
    std::mutex mutex;
    std::condition_variable changed;
    bool ended = false;
    std::thread watchdog([&] {
      std::unique_lock lock(mutex);
      if (!changed.wait_for(lock, kPoliteEnd, [&ended] { return ended; })) context_.TryCancel();
    });
    call_->WritesDone();
    grpc::ByteBuffer buffer;
    while (call_->Read(&buffer)) buffer.Clear();
    {
      std::lock_guard lock(mutex);
      ended = true;
    }
    changed.notify_all();
    watchdog.join();
  }

  std::shared_ptr<grpc::Channel> channel_;
  const std::string name_;
  grpc::internal::RpcMethod method_;
  grpc::ClientContext context_;
  std::unique_ptr<Call> call_;
  std::mutex send_mutex_;
  WireEncoder<ClientMessage> encoder_;
  WireDecoder<AgentMessage> decoder_;
  absl::Status receive_end_;
  std::atomic<bool> finished_{false};
  std::atomic<bool> closed_{false};
};

// Judges the agent's certificate after the handshake, which knows no revocation lists.
class AgentVerifier final : public grpc::experimental::ExternalCertificateVerifier {
 public:
  AgentVerifier(std::shared_ptr<const TlsContext> context, std::string host)
      : context_(std::move(context)), host_(std::move(host)) {}

  bool Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
              grpc::Status* verdict) override {
    const auto text = [](grpc::string_ref value) { return std::string(value.data(), value.size()); };
    const absl::Status judged = context_->JudgePeer(
        {.leaf = text(request->peer_cert()), .chain = text(request->peer_cert_full_chain())}, host_, EscapeName(host_));
    if (!judged.ok()) *verdict = {grpc::StatusCode::UNAUTHENTICATED, std::string(ToStd(judged.message()))};
    return true;
  }
  // The verdict is there when Verify returns.
  void Cancel(grpc::experimental::TlsCustomVerificationCheckRequest*) override {}

 private:
  const std::shared_ptr<const TlsContext> context_;
  const std::string host_;
};

std::shared_ptr<grpc::ChannelCredentials> CredentialsFor(const std::shared_ptr<const TlsContext>& context,
                                                         const std::string& host) {
  namespace tls = grpc::experimental;
  const TlsTexts& texts = context->texts();
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::make_shared<tls::StaticDataCertificateProvider>(
      texts.authority, std::vector<tls::IdentityKeyCertPair>{{texts.key, texts.certificate}}));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(tls::ExternalCertificateVerifier::Create<AgentVerifier>(context, host));
  options.set_check_call_host(false);  // the verifier has checked the name that was asked for
  return tls::TlsCredentials(options);
}

// Where a channel leads to, and as whom.
struct Way {
  std::string target;  // gRPC's
  std::string host;    // whose name the agent's certificate must have
  uint16_t port = 0;
  Reconnecting reconnecting;
  std::shared_ptr<TlsIdentity> identity;  // null: without TLS
};

enum class Sharing : uint8_t {
  kShared,
  kAlone,  // with a connection of its own, that no other channel has tried for
};

// `context` null: without TLS.
std::shared_ptr<grpc::Channel> MakeChannel(const Way& way, const std::shared_ptr<const TlsContext>& context,
                                           Sharing sharing = Sharing::kShared) {
  grpc::ChannelArguments arguments = MakeArguments();
  arguments.SetSslTargetNameOverride(way.host);
  if (sharing == Sharing::kAlone) arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(
      way.target, context ? CredentialsFor(context, way.host) : grpc::InsecureChannelCredentials(), arguments);
}

class GrpcControlChannel final : public ControlChannel {
 public:
  // Of an inherited socket.
  GrpcControlChannel(std::shared_ptr<grpc::Channel> channel, std::string name)
      : channel_(std::move(channel)), name_(std::move(name)) {}
  GrpcControlChannel(Way way, std::shared_ptr<const TlsContext> context, std::shared_ptr<grpc::Channel> channel,
                     std::string name)
      : way_(std::move(way)), context_(std::move(context)), channel_(std::move(channel)), name_(std::move(name)) {}

  absl::StatusOr<std::unique_ptr<ClientStream>> OpenStream() override {
    if (way_.reconnecting.limit.count() == 0) return std::make_unique<GrpcClientStream>(Current(), name_);
    return grpc_internal::OpenResumableStream(
        {.first = Current(),
         .fresh =
             [way = way_] {
               if (way.identity == nullptr) return MakeChannel(way, nullptr, Sharing::kAlone);
               way.identity->Refresh();
               return MakeChannel(way, way.identity->current(), Sharing::kAlone);
             },
         .diagnose = [host = way_.host,
                      port = way_.port](std::chrono::milliseconds limit) { return ProbeAddress(host, port, limit); },
         .name = name_,
         .reconnecting = way_.reconnecting});
  }
  const std::string& name() const override { return name_; }

 private:
  // Streams that are open keep the connection that they have.
  std::shared_ptr<grpc::Channel> Current() {
    if (way_.identity == nullptr) return channel_;
    way_.identity->Refresh();  // files that cannot be used leave what is in force
    std::shared_ptr<const TlsContext> context = way_.identity->current();
    const std::lock_guard lock(mutex_);
    if (context != context_) {
      channel_ = MakeChannel(way_, context);
      context_ = std::move(context);
    }
    return channel_;
  }

  const Way way_;
  std::mutex mutex_;
  std::shared_ptr<const TlsContext> context_;
  std::shared_ptr<grpc::Channel> channel_;
  const std::string name_;
};

absl::StatusOr<std::unique_ptr<ControlChannel>> ConnectInherited(UniqueFd fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoStatus(errno, "control socket of the private agent");
  }
  std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomInsecureChannelFromFd("private-agent", fd.Release(), MakeArguments());
  return std::make_unique<GrpcControlChannel>(std::move(channel), "the private agent");
}

// How long a channel that failed, though nothing was found to be wrong, may go on trying: a link that has just come up,
// an agent that has just started.
constexpr std::chrono::milliseconds kSecondPatience{4000};

enum class OnFailure : uint8_t { kGiveUp, kTryAgain };

// READY in time, or what stands in the way.
absl::Status WaitUntilReady(grpc::Channel* channel, std::chrono::system_clock::time_point deadline,
                            OnFailure on_failure) {
  grpc_connectivity_state state = channel->GetState(/*try_to_connect=*/true);
  while (state != GRPC_CHANNEL_READY) {
    const bool failed = state == GRPC_CHANNEL_TRANSIENT_FAILURE;
    const absl::Status refused = absl::UnavailableError("it accepts no gRPC connection");
    if (failed && on_failure == OnFailure::kGiveUp) return refused;
    if (!channel->WaitForStateChange(state, deadline)) {
      return failed ? refused : absl::DeadlineExceededError("no answer in time");
    }
    state = channel->GetState(/*try_to_connect=*/true);
  }
  return absl::OkStatus();
}

// Every address of the agent as a gRPC target. The system's resolver is asked, as everywhere else in this program; IPv4
// addresses stand in their mapped form, because a target has one family.
absl::StatusOr<std::string> TargetOf(const ChannelSpec& spec) {
  const absl::StatusOr<std::vector<SocketAddress>> addresses =
      ResolveWithin(spec.host, spec.port, spec.connect_timeout);
  if (!addresses.ok()) {
    return MakeStatus(absl::StatusCode::kUnavailable, "cannot " + std::string(addresses.status().message()));
  }
  std::string target;
  for (const SocketAddress& address : *addresses) {
    const std::string text = address.ToString();
    if (spec.tls.insecure && !address.IsLoopback()) {
      return MakeStatus(absl::StatusCode::kInvalidArgument,
                        "without TLS an agent is spoken to over the loopback alone, and " + EscapeName(spec.host) +
                            " is " + text + "; leave out --insecure");
    }
    if (address.family() != AF_INET && address.family() != AF_INET6) continue;
    const std::string port = ":" + std::to_string(spec.port);
    target += target.empty() ? "ipv6:" : ",";
    target += address.family() == AF_INET6 ? text : "[::ffff:" + text.substr(0, text.size() - port.size()) + "]" + port;
  }
  if (target.empty())
    return MakeStatus(absl::StatusCode::kUnavailable, EscapeName(spec.host) + " has no network address");
  return target;
}

absl::StatusOr<std::unique_ptr<ControlChannel>> ConnectOverNetwork(const ChannelSpec& spec) {
  Way way;
  way.host = spec.host;
  way.port = spec.port;
  way.reconnecting = spec.reconnecting;
  std::shared_ptr<const TlsContext> context;
  if (!spec.tls.insecure) {
    US_ASSIGN_OR_RETURN(way.identity, LoadIdentity(spec.tls));
    context = way.identity->current();
  }
  US_ASSIGN_OR_RETURN(way.target, TargetOf(spec));
  const std::string name = "agent " + EscapeName(HostPort{spec.host, spec.port}.ToString());
  std::shared_ptr<grpc::Channel> channel = MakeChannel(way, context);
  const auto made = [&] {
    return std::make_unique<GrpcControlChannel>(std::move(way), context, std::move(channel), name);
  };
  using std::chrono::system_clock;
  absl::Status ready = WaitUntilReady(channel.get(), system_clock::now() + spec.connect_timeout, OnFailure::kGiveUp);
  if (ready.ok()) return made();
  // A deadline has passed without a word: asking again for as long would double the wait.
  const auto patience = absl::IsDeadlineExceeded(ready)
                            ? std::min(spec.connect_timeout, std::chrono::milliseconds(1000))
                            : spec.connect_timeout;
  const absl::Status found = context ? DiagnoseConnection(spec.host, spec.port, spec.tls, *context, patience)
                                     : ProbeAddress(spec.host, spec.port, patience);
  if (!found.ok()) return found;
  if (absl::IsUnavailable(ready)) {
    const std::chrono::milliseconds rest = std::min(spec.connect_timeout, kSecondPatience);
    ready = WaitUntilReady(channel.get(), system_clock::now() + rest, OnFailure::kTryAgain);
    if (ready.ok()) return made();
  }
  if (spec.tls.insecure && absl::IsUnavailable(ready))
    ready = absl::UnavailableError("it accepts no gRPC connection without TLS; was it started with --insecure?");
  return WithContext(ready, name);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControlChannel>> ControlChannel::Connect(ChannelSpec spec) {
  QuietGrpcLogs();
  if (spec.fd.valid()) return ConnectInherited(std::move(spec.fd));
  return ConnectOverNetwork(spec);
}

void QuietGrpcLogs() {
  // gpr_set_log_function is called once: it is not meant to change under running threads.
  static const bool once = [] {
    ProveThreads(kGrpcThreads);
    if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
    return true;
  }();
  (void)once;
}

}  // namespace uringsync

#include "proto/grpc_service.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/impl/codegen/method_handler.h>
#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "engine/base/errno_status.h"
#include "proto/grpc_bytes.h"

namespace uringsync {
namespace {

using grpc_internal::DecodeBuffer;
using grpc_internal::EncodeBuffer;
using Call = grpc::ServerReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;

class GrpcAgentStream final : public AgentStream {
 public:
  GrpcAgentStream(grpc::ServerContext* context, Call* call) : context_(context), call_(call) {}

  absl::Status Send(const AgentMessage& message) override {
    std::lock_guard lock(send_mutex_);
    if (closed_) return absl::UnavailableError("the session was closed at this end");
    grpc::ByteBuffer buffer;
    US_RETURN_IF_ERROR(EncodeBuffer(message, &encoder_, &buffer));
    if (!call_->Write(buffer)) return absl::UnavailableError("the coordinator is gone");
    return absl::OkStatus();
  }

  absl::StatusOr<ClientMessage> Receive() override {
    if (!receive_end_.ok()) return receive_end_;
    grpc::ByteBuffer buffer;
    if (!call_->Read(&buffer)) {
      receive_end_ = EndOfReading();
      return receive_end_;
    }
    absl::StatusOr<ClientMessage> message = DecodeBuffer(&buffer, &decoder_);
    if (!message.ok()) receive_end_ = message.status();
    return message;
  }

  void Close() override {
    closed_ = true;
    context_->TryCancel();
  }

 private:
  absl::Status EndOfReading() const {
    if (closed_) return absl::UnavailableError("the session was closed at this end");
    // A half-close leaves the call alive; a lost connection, a cancelled call and an oversized message do not.
    if (context_->IsCancelled())
      return absl::UnavailableError("the coordinator is gone, or the connection to it broke");
    return absl::OutOfRangeError("the coordinator ended the session");
  }

  grpc::ServerContext* context_;
  Call* call_;
  std::mutex send_mutex_;
  WireEncoder<AgentMessage> encoder_;
  WireDecoder<ClientMessage> decoder_;
  absl::Status receive_end_;
  std::atomic<bool> closed_{false};
};

// One call under a resumable stream. An end without a word is a loss: whoever goes in good order says so before.
class ServerCallStream final : public ByteStream {
 public:
  ServerCallStream(grpc::ServerContext* context, Call* call) : context_(context), call_(call) {}
  absl::Status Send(const std::string& message) override {
    if (closed_ || !call_->Write(grpc_internal::ToBuffer(message)))
      return absl::UnavailableError("the connection to the coordinator broke");
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Receive() override {
    grpc::ByteBuffer buffer;
    if (closed_ || !call_->Read(&buffer)) return absl::UnavailableError("the connection to the coordinator broke");
    return grpc_internal::ToBytes(buffer);
  }
  bool lost() const override { return true; }
  bool resumable() const override { return true; }
  void End(std::chrono::milliseconds) override {}
  void Close() override {
    closed_ = true;
    context_->TryCancel();
  }

 private:
  grpc::ServerContext* const context_;
  Call* const call_;
  std::atomic<bool> closed_{false};
};

// Lends a call to a stream, and waits until it has been given back.
class Loan {
 public:
  std::shared_ptr<ByteStream> Make(grpc::ServerContext* context, Call* call) {
    return {new ServerCallStream(context, call), [this](ByteStream* stream) {
              delete stream;
              std::lock_guard lock(mutex_);
              returned_ = true;
              changed_.notify_all();
            }};
  }
  void AwaitReturn() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return returned_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool returned_ = false;
};

// A value of the caller's metadata; nullopt where there is not exactly one.
std::optional<std::string> MetadataOf(const grpc::ServerContext& context, const char* key) {
  const auto& all = context.client_metadata();
  if (all.count(key) != 1) return std::nullopt;
  const grpc::string_ref& value = all.find(key)->second;
  return std::string(value.data(), value.size());
}

grpc::Status ToGrpc(const absl::Status& status) {
  const std::string text(ToStd(status.message()));
  switch (status.code()) {
    case absl::StatusCode::kOk: return grpc::Status::OK;
    case absl::StatusCode::kNotFound: return {grpc::StatusCode::NOT_FOUND, text};
    case absl::StatusCode::kInvalidArgument: return {grpc::StatusCode::INVALID_ARGUMENT, text};
    case absl::StatusCode::kOutOfRange: return {grpc::StatusCode::OUT_OF_RANGE, text};
    default: return {grpc::StatusCode::UNAVAILABLE, text};
  }
}

ControlPeer PeerOf(const grpc::ServerContext& context, bool is_private) {
  ControlPeer peer;
  peer.is_private = is_private;
  peer.address = is_private ? "private" : context.peer();
  if (is_private) return peer;
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  // Only a server without TLS has such callers.
  if (auth == nullptr || !auth->IsPeerAuthenticated()) {
    peer.identities.emplace_back(kInsecurePeer);
    return peer;
  }
  const auto add = [&](const char* property) {
    for (const grpc::string_ref& value : auth->FindPropertyValues(property)) {
      peer.identities.emplace_back(value.data(), value.size());
    }
  };
  for (const grpc::string_ref& pem : auth->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME))
    peer.certificate.assign(pem.data(), pem.size());
  add(GRPC_X509_SAN_PROPERTY_NAME);
  if (peer.identities.empty()) add(GRPC_X509_CN_PROPERTY_NAME);
  return peer;
}

}  // namespace

ControlService::ControlService(Handler handler, bool is_private, ResumeHost* resume_host)
    : handler_(std::move(handler)), is_private_(is_private), resume_host_(resume_host) {
  using grpc::internal::BidiStreamingHandler;
  using grpc::internal::RpcMethod;
  using Serving = BidiStreamingHandler<ControlService, grpc::ByteBuffer, grpc::ByteBuffer>;
  AddMethod(
      new grpc::internal::RpcServiceMethod(grpc_internal::kSessionMethod, RpcMethod::BIDI_STREAMING,
                                           new Serving([](ControlService* service, grpc::ServerContext* context,
                                                          Call* call) { return service->ServeSession(context, call); },
                                                       this)));
  if (resume_host_ == nullptr) return;
  AddMethod(
      new grpc::internal::RpcServiceMethod(grpc_internal::kResumeMethod, RpcMethod::BIDI_STREAMING,
                                           new Serving([](ControlService* service, grpc::ServerContext* context,
                                                          Call* call) { return service->ServeResume(context, call); },
                                                       this)));
}

grpc::Status ControlService::ServeSession(grpc::ServerContext* context, void* opaque) {
  Call* const call = static_cast<Call*>(opaque);
  const ControlPeer peer = PeerOf(*context, is_private_);
  const std::optional<std::string> offered = MetadataOf(*context, kOfferMetadata);
  if (resume_host_ == nullptr || !offered) {
    GrpcAgentStream stream(context, call);
    return handler_(&stream, peer);
  }
  const absl::StatusOr<ResumeOffer> offer = DecodeResumeOffer(*offered);
  if (!offer.ok()) return ToGrpc(offer.status());
  const ResumeGrant grant = resume_host_->Grant(*offer);
  if (grant.hold.count() == 0) {
    GrpcAgentStream stream(context, call);
    return handler_(&stream, peer);
  }
  context->AddInitialMetadata(kGrantMetadata, Encode(grant));
  absl::StatusOr<std::unique_ptr<AgentStream>> stream =
      resume_host_->Begin(*offer, peer, std::make_shared<ServerCallStream>(context, call));
  if (!stream.ok()) return ToGrpc(stream.status());
  return handler_(stream->get(), peer);
}

grpc::Status ControlService::ServeResume(grpc::ServerContext* context, void* opaque) {
  const std::optional<std::string> asked = MetadataOf(*context, kResumeMetadata);
  const absl::StatusOr<ResumeRequest> request =
      asked ? DecodeResumeRequest(*asked) : absl::InvalidArgumentError("a call of Resume without a ResumeRequest");
  if (!request.ok()) return ToGrpc(request.status());
  Loan loan;
  const absl::Status resumed =
      resume_host_->Resume(*request, PeerOf(*context, is_private_), loan.Make(context, static_cast<Call*>(opaque)));
  loan.AwaitReturn();
  return ToGrpc(resumed);
}

ControlService::~ControlService() = default;

void SetControlServerOptions(grpc::ServerBuilder* builder, int max_threads) {
  builder->SetMaxReceiveMessageSize(static_cast<int>(kMaxControlMessageBytes));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, grpc_internal::kKeepaliveTimeMs);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, grpc_internal::kKeepaliveTimeoutMs);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Clients ping as often as we do; half of it leaves room for their clock.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                              grpc_internal::kKeepaliveTimeMs / 2);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, grpc_internal::kStreamWindowBytes);
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, grpc_internal::kHandshakeTimeoutMs);
  // Two daemons on one port would share its connections at random.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  grpc::ResourceQuota quota("uringsync-control");
  quota.SetMaxThreads(max_threads);
  builder->SetResourceQuota(quota);
  builder->SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
}

}  // namespace uringsync

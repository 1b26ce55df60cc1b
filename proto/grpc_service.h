// Agent's end of the gRPC control transport: the service that turns every Agent.Session call into an AgentStream.
//
// Use:  ControlService service([](AgentStream* stream, const ControlPeer& peer) { ... });
//       grpc::ServerBuilder builder;  SetControlServerOptions(&builder);  builder.RegisterService(&service);
//
// Thread rule: the handler is called on one of gRPC's threads for each call, and may block it. The stream dies when the
// handler returns; Close() from any thread while it lives.
#pragma once

#include <grpcpp/impl/service_type.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/net/tls_identity.h"
#include "proto/byte_stream.h"
#include "proto/control_peer.h"
#include "proto/grpc_control.h"
#include "proto/resumable_wire.h"
#include "proto/transport.h"

namespace uringsync {

// What an agent makes of streams that are to survive the loss of their connection. Any thread; outlives the service.
class ResumeHost {
 public:
  virtual ~ResumeHost() = default;
  // How long a session that was offered like this will be kept without a connection; 0: it ends with it.
  virtual ResumeGrant Grant(const ResumeOffer& offer) = 0;
  // The stream of a session that begins on `call`, which is valid until that stream has gone.
  virtual absl::StatusOr<std::unique_ptr<AgentStream>> Begin(const ResumeOffer& offer, const ControlPeer& peer,
                                                             std::shared_ptr<ByteStream> call) = 0;
  // Gives `call` to the stream that `request` names. NotFound where there is none for this peer and token; then, as with
  // every error, `call` has not been used. OK: it may be used until nobody holds it any more.
  virtual absl::Status Resume(const ResumeRequest& request, const ControlPeer& peer,
                              std::shared_ptr<ByteStream> call) = 0;
};

class ControlService final : public grpc::Service {
 public:
  // Returns how the call ends: OK is the stream's orderly end. Anything else reaches the client as Unavailable with the
  // text.
  using Handler = std::function<grpc::Status(AgentStream* stream, const ControlPeer& peer)>;
  // `is_private`: calls come over an inherited socket, from the process that started this one.
  // `resume_host`: of streams that can be gone on with; null: none can.
  explicit ControlService(Handler handler, bool is_private = false, ResumeHost* resume_host = nullptr);
  ~ControlService() override;

 private:
  grpc::Status ServeSession(grpc::ServerContext* context, void* call);
  grpc::Status ServeResume(grpc::ServerContext* context, void* call);

  const Handler handler_;
  const bool is_private_;
  ResumeHost* const resume_host_;
};

// Message size, keepalive, flow-control window and thread settings of a control server. `max_threads` bounds gRPC's
// threads, those that run handlers included.
void SetControlServerOptions(grpc::ServerBuilder* builder, int max_threads);

// Told why a caller was refused, in words that name the certificate; any thread.
using RefusedCaller = std::function<void(const absl::Status& why)>;
// Credentials of a server that requires a client certificate signed by the identity's authority. Each connection is made
// under what is in force when it begins, and each call on it (of every service) is judged once more by what is in force
// then, revocation lists included: Unauthenticated tells the caller why.
std::shared_ptr<grpc::ServerCredentials> MakeControlServerCredentials(std::shared_ptr<TlsIdentity> identity,
                                                                      RefusedCaller on_refused = nullptr);

}  // namespace uringsync

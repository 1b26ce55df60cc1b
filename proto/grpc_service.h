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
#include "engine/net/tls_identity.h"
#include "proto/control_peer.h"
#include "proto/grpc_control.h"
#include "proto/transport.h"

namespace uringsync {

class ControlService final : public grpc::Service {
 public:
  // Returns how the call ends: OK is the stream's orderly end. Anything else reaches the client as Unavailable with the
  // text.
  using Handler = std::function<grpc::Status(AgentStream* stream, const ControlPeer& peer)>;
  // `is_private`: calls come over an inherited socket, from the process that started this one.
  explicit ControlService(Handler handler, bool is_private = false);
  ~ControlService() override;

 private:
  const Handler handler_;
  const bool is_private_;
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

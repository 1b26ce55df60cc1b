#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/grpc_security_constants.h>
#include <grpc/support/log.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "engine/base/errno_status.h"
#include "proto/grpc_service.h"

namespace uringsync {
namespace {

// What gRPC's callbacks work with. It belongs to the credentials of gRPC's core, which outlive ReloadingCredentials: the
// server holds them to its end.
struct ServerIdentity {
  std::shared_ptr<TlsIdentity> identity;
  RefusedCaller on_refused;
  std::mutex mutex;
  std::shared_ptr<const TlsContext> given;  // what gRPC works with
};

// Before each handshake.
grpc_ssl_certificate_config_reload_status Fetch(void* state, grpc_ssl_server_certificate_config** config) {
  auto* const server = static_cast<ServerIdentity*>(state);
  std::shared_ptr<const TlsContext> current = server->identity->current();
  const std::lock_guard lock(server->mutex);
  if (current == server->given) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
  const TlsTexts& texts = current->texts();
  const grpc_ssl_pem_key_cert_pair pair = {texts.key.c_str(), texts.certificate.c_str()};
  *config = grpc_ssl_server_certificate_config_create(texts.authority.c_str(), &pair, 1);
  if (*config == nullptr) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL;
  server->given = std::move(current);
  return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

std::string Property(const grpc_auth_context* context, const char* name) {
  grpc_auth_property_iterator values = grpc_auth_context_find_properties_by_name(context, name);
  const grpc_auth_property* const property = grpc_auth_property_iterator_next(&values);
  return property == nullptr ? std::string() : std::string(property->value, property->value_length);
}

// At the beginning of each call.
void Judge(void* state, grpc_auth_context* context, const grpc_metadata*, size_t,
           grpc_process_auth_metadata_done_cb done, void* call) {
  auto* const server = static_cast<ServerIdentity*>(state);
  const ShownCertificate shown{Property(context, GRPC_X509_PEM_CERT_PROPERTY_NAME),
                               Property(context, GRPC_X509_PEM_CERT_CHAIN_PROPERTY_NAME)};
  const absl::Status verdict = server->identity->current()->JudgePeer(shown, "", "the caller");
  if (verdict.ok()) {
    done(call, nullptr, 0, nullptr, 0, GRPC_STATUS_OK, nullptr);
    return;
  }
  if (server->on_refused) server->on_refused(verdict);
  done(call, nullptr, 0, nullptr, 0, GRPC_STATUS_UNAUTHENTICATED, std::string(ToStd(verdict.message())).c_str());
}

void Discard(void* state) {
  delete static_cast<ServerIdentity*>(state);
}

// gRPC's C++ interface has no certificates that change under a server; its core has.
class ReloadingCredentials final : public grpc::ServerCredentials {
 public:
  explicit ReloadingCredentials(std::unique_ptr<ServerIdentity> state) {
    ServerIdentity* const shared = state.release();
    core_ = grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, &Fetch, shared));
    grpc_server_credentials_set_auth_metadata_processor(
        core_, {.process = &Judge, .destroy = &Discard, .state = shared});
  }
  ~ReloadingCredentials() override { grpc_server_credentials_release(core_); }
  ReloadingCredentials(const ReloadingCredentials&) = delete;
  ReloadingCredentials& operator=(const ReloadingCredentials&) = delete;

  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {
    GPR_ASSERT(false && "these credentials judge calls themselves");
  }

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), core_);
  }

  grpc_server_credentials* core_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> MakeControlServerCredentials(std::shared_ptr<TlsIdentity> identity,
                                                                      RefusedCaller on_refused) {
  auto state = std::make_unique<ServerIdentity>();
  state->identity = std::move(identity);
  state->on_refused = std::move(on_refused);
  return std::make_shared<ReloadingCredentials>(std::move(state));
}

}  // namespace uringsync

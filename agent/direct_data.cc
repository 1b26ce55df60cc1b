#include "agent/direct_data.h"

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "agent/data_server.h"
#include "engine/base/errno_status.h"
#include "engine/net/address.h"
#include "engine/net/tls_identity.h"

namespace uringsync {

std::string AddressOfShell(const char* connection) {
  std::string_view rest = connection == nullptr ? "" : connection;
  for (int skipped = 0; skipped < 2; ++skipped) {
    const size_t space = rest.find(' ');
    if (space == std::string_view::npos) return {};
    rest.remove_prefix(space + 1);
  }
  const std::string address(rest.substr(0, rest.find(' ')));
  return IsIpLiteral(address) ? address : std::string();
}

DirectData::DirectData(DirectDataOptions options) : options_(options) {}

DirectData::~DirectData() {
  Stop();
}

absl::StatusOr<DirectReply> DirectData::Open(const DirectQuery& query) {
  std::lock_guard lock(mutex_);
  if (tls_ != nullptr) return absl::FailedPreconditionError("direct connections were asked for twice");
  US_ASSIGN_OR_RETURN(tls_, TlsContext::FromKeys(query.keys));
  DirectReply reply;
  if (!query.listen) return reply;
  reply.address = AddressOfShell(std::getenv("SSH_CONNECTION"));
  US_ASSIGN_OR_RETURN(server_, DataServer::Start({.runtime = options_.runtime,
                                                  .table = options_.table,
                                                  .tls = TlsIdentity::Of(tls_),
                                                  .host = reply.address,
                                                  .port = query.port,
                                                  .option = "--direct-port"}));
  reply.port = server_->port();
  return reply;
}

std::shared_ptr<const TlsContext> DirectData::tls() const {
  std::lock_guard lock(mutex_);
  return tls_;
}

void DirectData::Stop() {
  std::lock_guard lock(mutex_);
  if (server_ != nullptr) server_->Stop();
}

}  // namespace uringsync

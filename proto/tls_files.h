// TLS files of a control connection, checked; and what is wrong when a TLS connection does not come about.
//
// gRPC reports every failed handshake alike. DiagnoseConnection repeats the connection with OpenSSL alone and says what
// happened in terms of files and names. Thread rule: blocking functions of programs' own threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/net/tls_identity.h"
#include "proto/grpc_control.h"

namespace uringsync {

// InvalidArgument: missing, unreadable, no PEM, key and certificate do not belong together; Unauthenticated: the own
// certificate or a revocation list has expired or is not valid yet. The text names the file.
absl::StatusOr<std::shared_ptr<TlsIdentity>> LoadIdentity(const ControlTlsFiles& files);

// Connects to host:port as a client and hangs up. OK when nothing is wrong up to and including TLS. Unavailable:
// unknown host, refused, unreachable, no TLS there; DeadlineExceeded: no answer within `timeout`; Unauthenticated:
// which certificate was refused by whom, why, and what to do.
absl::Status DiagnoseConnection(const std::string& host, uint16_t port, const ControlTlsFiles& files,
                                const TlsContext& context, std::chrono::milliseconds timeout);

}  // namespace uringsync

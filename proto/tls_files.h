// TLS files of a control connection as texts, checked; and what is wrong when a TLS connection does not come about.
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
#include "proto/grpc_control.h"

namespace uringsync {

class TlsContext;

struct TlsTexts {
  std::string cert;
  std::string key;
  std::string ca;
  std::shared_ptr<const TlsContext> context;
};
// Contents of the files. InvalidArgument: missing, unreadable, no PEM, key and certificate do not belong together;
// Unauthenticated: the own certificate has expired or is not valid yet. The text names the file.
absl::StatusOr<TlsTexts> LoadTlsTexts(const ControlTlsFiles& files);

// Connects to host:port as a client and hangs up. OK when nothing is wrong up to and including TLS. Unavailable:
// unknown host, refused, unreachable, no TLS there; DeadlineExceeded: no answer within `timeout`; Unauthenticated:
// which certificate was refused by whom, why, and what to do.
absl::Status DiagnoseConnection(const std::string& host, uint16_t port, const ControlTlsFiles& files,
                                const TlsContext& context, std::chrono::milliseconds timeout);

}  // namespace uringsync

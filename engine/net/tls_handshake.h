// The handshake of TLS 1.3 over a Stream: OpenSSL's, and what it leaves to the record layer.
//
// Thread rule: the stream's shard; nobody else reads or writes `beneath` meanwhile. Inside engine/net only.
// Use:  US_CO_ASSIGN_OR_RETURN(TlsEstablished made, co_await ShakeHands(request));
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/net/stream.h"
#include "engine/net/tls.h"
#include "engine/net/tls_buffers.h"
#include "engine/net/tls_records.h"

namespace uringsync::openssl {

struct TlsShake {
  Stream* beneath = nullptr;
  TlsBuffers* buffers = nullptr;  // afterwards: holds what came behind the handshake
  std::shared_ptr<const TlsContext> context;
  std::string expected_host;  // empty on the server side
  bool server = false;
  Timeout timeout = kTlsHandshakeTimeout;
};

struct TlsEstablished {
  PeerIdentity identity;
  TlsSealer sealer;
  TlsOpener opener;
};

// Errors as TlsConnect and TlsAccept tell. `beneath` is of no use after one.
Task<absl::StatusOr<TlsEstablished>> ShakeHands(TlsShake shake);

// What a connection is after it (tls_stream.cc). `buffers` may hold input already.
std::unique_ptr<Stream> MakeTlsStream(std::unique_ptr<Stream> beneath, std::unique_ptr<TlsBuffers> buffers,
                                      TlsEstablished established, bool server);

}  // namespace uringsync::openssl

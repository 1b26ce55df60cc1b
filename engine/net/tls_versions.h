// TLS 1.3 and nothing older, for every TLS connection of this process: also those of libraries that make their own
// contexts and offer no such setting (gRPC 1.51 asks OpenSSL for 1.2 and newer).
//
// OpenSSL applies the section `system_default` of its configuration to every SSL_CTX that anybody makes. What the
// administrator's configuration says there about other things than versions (ciphers, groups) stays in force. A library
// may set the least version itself afterwards; a version that the configuration has switched off stays off.
//
// Thread rule: RequireTls13 on any thread, before the first SSL_CTX of the process; TlsContext calls it.
#pragma once

#include "absl/status/status.h"

namespace uringsync::openssl {

// Once for the process; later calls repeat the first one's result. Internal where OpenSSL takes no configuration.
absl::Status RequireTls13();

}  // namespace uringsync::openssl

// Connected pairs of streams of every kind, for suites that run on all of them.
//
// Use (in a coroutine of a shard):
//   absl::StatusOr<StreamPair> pair = co_await MakeStreamPair(driver, StreamKind::kTls, tls);
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/coro/scope.h"
#include "engine/net/mux.h"
#include "engine/net/stream.h"
#include "engine/net/tls.h"
#include "engine/ring/driver.h"
#include "tests/support/temp_dir.h"

namespace uringsync {

enum class StreamKind { kMemory, kTcp, kUnix, kTls, kPipe, kMux };
// "Memory", "Tcp", ...: for test names.
std::string StreamKindName(StreamKind kind);

// Two ends of a mux over two pipes, running.
struct MuxPair {
  explicit MuxPair(Driver* driver, MuxTimes times = {});
  // Ends both and waits; required before destruction.
  Task<void> Close();

  std::unique_ptr<Mux> client;
  std::unique_ptr<Mux> server;
  absl::Status client_end;
  absl::Status server_end;
  Scope running;
};

struct StreamPair {
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
  std::unique_ptr<MuxPair> mux;  // kMux: what both lie in
  // Ends what runs for the pair, where something does; the last thing done with one of unknown kind.
  Task<void> Finish();
};
// The two ends of two pipes.
StreamPair MakePipePair(Driver* driver);

// A fresh authority with a certificate for 127.0.0.1, ::1 and localhost. Aborts the test program when it cannot be
// made.
class TestCertificates {
 public:
  TestCertificates();
  const std::string& directory() const { return dir_.path(); }
  // Files of the host's certificate.
  TlsFiles files() const { return FilesOf("localhost"); }
  TlsFiles FilesOf(const std::string& name) const;
  std::shared_ptr<const TlsContext> context() const { return context_; }

 private:
  TempDir dir_;
  std::shared_ptr<const TlsContext> context_;
};

// `tls` for kTls only. Handshakes are done.
Task<absl::StatusOr<StreamPair>> MakeStreamPair(Driver* driver, StreamKind kind, std::shared_ptr<const TlsContext> tls);

}  // namespace uringsync

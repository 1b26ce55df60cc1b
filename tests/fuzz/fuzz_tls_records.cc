// What a peer may send behind the handshake of TLS, with good keys: records of any type and contents, also what is no
// record. The input is a row of them: type, two bytes of length (little-endian), contents. Type 255 sends the contents
// as they are. What is read must be the contents of the records of type 23 up to the first that is refused.
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#include "engine/coro/executor.h"
#include "engine/coro/scope.h"
#include "engine/net/memory_stream.h"
#include "engine/net/tls_handshake.h"
#include "engine/net/tls_records.h"

namespace uringsync {
namespace {

using Bytes = std::vector<std::byte>;
constexpr uint8_t kRaw = 255;
constexpr size_t kItemHeaderBytes = 3;

template <typename T>
T OrDie(absl::StatusOr<T> result) {
  if (!result.ok()) std::abort();
  return *std::move(result);
}

const openssl::TlsSuite& Suite() {
  static const openssl::TlsSuite suite = OrDie(openssl::SuiteNamed("AES-128-GCM", EVP_sha256()));
  return suite;
}

// The bytes on the wire, and the contents among them.
std::pair<Bytes, Bytes> Seal(ConstBytes input) {
  openssl::TlsSealer sealer = OrDie(openssl::TlsSealer::Make(Suite(), {}));
  Bytes wire;
  Bytes contents;
  while (input.size() >= kItemHeaderBytes) {
    const auto type = std::to_integer<uint8_t>(input[0]);
    const size_t told = std::to_integer<size_t>(input[1]) | (std::to_integer<size_t>(input[2]) << 8);
    const size_t length = std::min({told, input.size() - kItemHeaderBytes, openssl::kTlsPlainBytes});
    const std::array<ConstBytes, 1> part = {input.subspan(kItemHeaderBytes, length)};
    input = input.subspan(kItemHeaderBytes + length);
    if (type == kRaw) {
      wire.insert(wire.end(), part[0].begin(), part[0].end());
      continue;
    }
    const size_t at = wire.size();
    wire.resize(at + length + openssl::kTlsOverheadBytes);
    if (!sealer.Seal(static_cast<openssl::TlsContent>(type), part, wire.data() + at).ok()) std::abort();
    // The true type is the last byte that is not zero; zeros behind it are padding.
    Bytes inner(part[0].begin(), part[0].end());
    inner.push_back(static_cast<std::byte>(type));
    while (!inner.empty() && inner.back() == std::byte{0}) inner.pop_back();
    if (!inner.empty() && inner.back() == std::byte{23})
      contents.insert(contents.end(), inner.begin(), inner.end() - 1);
  }
  return {std::move(wire), std::move(contents)};
}

Task<void> Feed(Stream* stream, ConstBytes wire) {
  const std::array<ConstBytes, 1> parts = {wire};
  (void)co_await stream->WriteAll(parts, kNoTimeout);
  (void)co_await stream->EndWrites(kNoTimeout);
}

// Alerts and key updates that come back.
Task<void> Drain(Stream* stream) {
  Bytes buffer(4096);
  while (true) {
    absl::StatusOr<size_t> n = co_await stream->Read(buffer, kNoTimeout);
    if (!n.ok() || *n == 0) break;
  }
}

Task<void> ReadAll(Stream* stream, size_t step, Bytes* into) {
  Bytes buffer(step);
  while (true) {
    absl::StatusOr<size_t> n = co_await stream->Read(buffer, kNoTimeout);
    if (!n.ok() || *n == 0) break;
    into->insert(into->end(), buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(*n));
  }
  stream->Shutdown();
}

}  // namespace
}  // namespace uringsync

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace uringsync;
  if (size == 0) return 0;
  const ConstBytes input = std::as_bytes(std::span<const uint8_t>(data, size));
  const auto [wire, contents] = Seal(input.subspan(1));
  ManualExecutor executor;
  Executor::Guard guard(&executor);
  auto [near, far] = MakeMemoryStreamPair();
  openssl::TlsEstablished established{
      {}, OrDie(openssl::TlsSealer::Make(Suite(), {})), OrDie(openssl::TlsOpener::Make(Suite(), {}))};
  const std::unique_ptr<Stream> stream = openssl::MakeTlsStream(
      std::move(near), std::make_unique<openssl::TlsBuffers>(), std::move(established), (data[0] & 1) != 0);
  Bytes read;
  Scope scope;
  scope.Spawn(Feed(far.get(), wire));
  scope.Spawn(Drain(far.get()));
  scope.Spawn(ReadAll(stream.get(), 1 + size_t{data[0]} * 100, &read));
  executor.RunUntilIdle();
  if (scope.running() != 0) std::abort();
  if (read.size() > contents.size() || !std::equal(read.begin(), read.end(), contents.begin())) std::abort();
  return 0;
}

#include "engine/net/splice.h"

#include <array>
#include <utility>

#include "engine/coro/scope.h"

namespace uringsync {

namespace {

Task<absl::Status> CarryOn(Stream* from, Stream* to) {
  const std::unique_ptr<std::byte[]> buffer(new std::byte[kSpliceBytes]);
  while (true) {
    absl::StatusOr<size_t> n = co_await from->Read({buffer.get(), kSpliceBytes}, kNoTimeout);
    if (!n.ok()) co_return n.status();
    if (*n == 0) co_return co_await to->EndWrites(kNoTimeout);
    const std::array<ConstBytes, 1> parts = {ConstBytes(buffer.get(), *n)};
    absl::Status written = co_await to->WriteAll(parts, kNoTimeout);
    if (!written.ok()) co_return written;
  }
}

Task<void> Carry(Stream* from, Stream* to, absl::Status* first) {
  absl::Status status = co_await CarryOn(from, to);
  if (status.ok()) co_return;
  if (first->ok()) *first = std::move(status);
  from->Shutdown();
  to->Shutdown();
}

}  // namespace

Task<absl::Status> Splice(std::unique_ptr<Stream> a, std::unique_ptr<Stream> b) {
  absl::Status first;
  Scope scope;
  scope.Spawn(Carry(a.get(), b.get(), &first));
  scope.Spawn(Carry(b.get(), a.get(), &first));
  co_await scope.Join();
  co_return first;
}

}  // namespace uringsync

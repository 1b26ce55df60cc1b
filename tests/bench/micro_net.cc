// How fast one data connection on loopback is, and what it costs: plain TCP and TLS, on both I/O backends.
//
// Frames of 1 MiB from one shard to another, as the data plane sends them. Prints a line each: GB/s and CPU seconds a
// GB, of both ends together (1 GB = 10^9 bytes). Use:  micro_net [GIGABYTES]
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "engine/coro/scope.h"
#include "engine/net/certificates.h"
#include "engine/net/connect.h"
#include "engine/net/frame.h"
#include "engine/net/listener.h"
#include "engine/net/tls.h"
#include "engine/ring/runtime.h"
#include "tests/support/stream_pair.h"

namespace uringsync {
namespace {

constexpr size_t kPayloadBytes = size_t{1} << 20;
constexpr size_t kHeaderBytes = 60;
constexpr Timeout kPatience = std::chrono::seconds(60);

struct Bench {
  bool tls = false;
  size_t frames = 0;
  std::shared_ptr<const TlsContext> context;
};

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "micro_net: %s\n", std::string(status.ToString()).c_str());
  std::exit(1);
}

Task<void> Receive(Listener* listener, Bench bench) {
  absl::StatusOr<AcceptedSocket> socket = co_await listener->Accept();
  Check(socket.status());
  std::unique_ptr<Stream> stream = TcpStream::Adopt(Shard::Current()->driver(), *std::move(socket));
  if (bench.tls) {
    absl::StatusOr<std::unique_ptr<Stream>> secured = co_await TlsAccept(std::move(stream), bench.context, kPatience);
    Check(secured.status());
    stream = *std::move(secured);
  }
  FrameReader reader(stream.get(), {});
  for (size_t i = 0; i < bench.frames; ++i) {
    absl::StatusOr<Frame> frame = co_await reader.Read(kPatience, kPatience);
    Check(frame.status());
  }
  const std::byte done{};
  const std::array<ConstBytes, 1> parts = {ConstBytes(&done, 1)};
  Check(co_await stream->WriteAll(parts, kPatience));
}

Task<void> Send(uint16_t port, Bench bench) {
  absl::StatusOr<std::unique_ptr<Stream>> made =
      co_await Connect(Shard::Current()->driver(), {.host = "127.0.0.1", .port = port});
  Check(made.status());
  std::unique_ptr<Stream> stream = *std::move(made);
  if (bench.tls) {
    absl::StatusOr<std::unique_ptr<Stream>> secured =
        co_await TlsConnect(std::move(stream), bench.context, "127.0.0.1", kPatience);
    Check(secured.status());
    stream = *std::move(secured);
  }
  const std::vector<std::byte> header(kHeaderBytes);
  const std::vector<std::byte> payload(kPayloadBytes);
  for (size_t i = 0; i < bench.frames; ++i) Check(co_await WriteFrame(stream.get(), 1, header, payload, kPatience));
  std::byte done{};
  Check(co_await ReadExactly(stream.get(), {&done, 1}, Deadline(kPatience)));
}

Task<void> MakeListener(absl::StatusOr<std::unique_ptr<Listener>>* out) {
  *out = co_await Listener::Listen(Shard::Current()->driver(), {.host = "127.0.0.1"});
}
Task<void> DropListener(std::unique_ptr<Listener> listener) {
  listener.reset();
  co_return;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void RunOne(IoBackend backend, Bench bench) {
  RuntimeOptions options;
  options.shards = 2;
  options.driver.backend = backend;
  absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(options);
  if (!runtime.ok()) {
    std::printf("%-8s not available: %s\n", backend == IoBackend::kUring ? "uring" : "threads",
                std::string(runtime.status().message()).c_str());
    return;
  }
  absl::StatusOr<std::unique_ptr<Listener>> listener = absl::UnknownError("none");
  BlockOn(&(*runtime)->shard(1), MakeListener(&listener));
  Check(listener.status());
  const double cpu_before = CpuSeconds();
  const auto begin = std::chrono::steady_clock::now();
  std::thread receiver([&] { BlockOn(&(*runtime)->shard(1), Receive(listener->get(), bench)); });
  BlockOn(&(*runtime)->shard(0), Send((*listener)->port(), bench));
  receiver.join();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const double cpu = CpuSeconds() - cpu_before;
  const double gigabytes = static_cast<double>(bench.frames * kPayloadBytes) * 1e-9;
  const DriverCounters counters = (*runtime)->Counters();
  std::printf("%-8s %-4s %6.2f GB/s  %5.3f CPU s/GB  (%.0f sends, %.0f receives, %.0f waits a GB)\n",
              std::string((*runtime)->backend()).c_str(), bench.tls ? "tls" : "tcp", gigabytes / seconds,
              cpu / gigabytes, static_cast<double>(counters.submitted[static_cast<size_t>(OpCode::kSend)]) / gigabytes,
              static_cast<double>(counters.submitted[static_cast<size_t>(OpCode::kRecv)]) / gigabytes,
              static_cast<double>(counters.enters) / gigabytes);
  BlockOn(&(*runtime)->shard(1), DropListener(*std::move(listener)));
}

}  // namespace
}  // namespace uringsync

int main(int argc, char** argv) {
  using namespace uringsync;
  const double gigabytes = argc > 1 ? std::atof(argv[1]) : 4;
  const TestCertificates certificates;
  for (bool tls : {false, true}) {
    for (IoBackend backend : {IoBackend::kUring, IoBackend::kThreads}) {
      RunOne(backend, {.tls = tls,
                       .frames = static_cast<size_t>(gigabytes * 1e9 / kPayloadBytes),
                       .context = certificates.context()});
    }
  }
}

// What the I/O backends cost by operation: the numbers behind the choices of docs/engine.md.
//
// Run: ninja -C build/release micro_ring && build/release/bin/micro_ring
// Files are made in $TMPDIR, or /dev/shm where it is not set (the page cache, no disk).

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/unique_fd.h"
#include "engine/coro/channel.h"
#include "engine/coro/scope.h"
#include "engine/ring/buffer_pool.h"
#include "engine/ring/runtime.h"

namespace uringsync {
namespace {

constexpr int kRounds = 2000;  // operations between two looks at the clock

std::unique_ptr<Runtime> Start(IoBackend backend, size_t shards = 1) {
  RuntimeOptions options;
  options.shards = shards;
  options.driver.backend = backend;
  absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(std::move(options));
  if (runtime.ok()) return *std::move(runtime);
  std::fprintf(stderr, "%s\n", std::string(runtime.status().message()).c_str());
  std::exit(1);
}

// Open flags decide what the kernel does within the submission: reads of tmpfs only with O_NONBLOCK, buffered writes of
// tmpfs only with O_DIRECT on top (which is the page cache there), buffered writes of ext4 never.
UniqueFd MakeFile(size_t size, int flags = O_NONBLOCK) {
  const char* parent = std::getenv("TMPDIR");
  std::string name = std::string(parent != nullptr ? parent : "/dev/shm") + "/micro_ring.XXXXXX";
  UniqueFd fd(::mkstemp(name.data()));
  const std::string data(size, 'x');
  if (fd.valid() && ::pwrite(fd.get(), data.data(), size, 0) == static_cast<ssize_t>(size))
    fd.Reset(::open(name.c_str(), O_RDWR | O_CLOEXEC | flags));
  ::unlink(name.c_str());
  if (!fd.valid()) {
    std::perror("micro_ring: make a file");
    std::exit(1);
  }
  return fd;
}

struct Job {
  OpCode code = OpCode::kRead;
  int fd = -1;
  size_t size = 0;
  int concurrency = 1;
  bool registered = false;
};

Task<void> Transfer(const Job* job, BufferPool* pool, int count) {
  Buffer buffer = co_await pool->Get();
  Driver* driver = Shard::Current()->driver();
  for (int i = 0; i < count; ++i) {
    Op op{.code = job->code,
          .fd = job->fd,
          .buffer = buffer.data(),
          .length = static_cast<uint32_t>(job->size),
          .registered_buffer = buffer.registered_index()};
    co_await Await(driver, &op);
    if (op.result != static_cast<int64_t>(job->size)) std::abort();
  }
}

Task<void> TransferAll(const Job* job, BufferPool* pool, int rounds) {
  Scope scope;
  for (int i = 0; i < job->concurrency; ++i) scope.Spawn(Transfer(job, pool, rounds / job->concurrency));
  co_await scope.Join();
}

// A pool belongs to its shard: made and ended there.
Task<void> MakePool(const Job* job, std::unique_ptr<BufferPool>* pool) {
  *pool = std::make_unique<BufferPool>(Shard::Current()->driver(),
                                       BufferPoolOptions{.buffer_bytes = std::max<size_t>(4096, job->size),
                                                         .count = static_cast<size_t>(job->concurrency),
                                                         .try_register = job->registered});
  if (job->registered && !(*pool)->registered()) std::fprintf(stderr, "buffers could not be registered\n");
  co_return;
}

Task<void> EndPool(std::unique_ptr<BufferPool>* pool) {
  pool->reset();
  co_return;
}

void RunTransfers(benchmark::State& state, IoBackend backend, OpCode code, bool registered, int flags = O_NONBLOCK) {
  const auto size = static_cast<size_t>(state.range(0));
  const auto concurrency = static_cast<int>(state.range(1));
  UniqueFd fd = MakeFile(size, flags);
  std::unique_ptr<Runtime> runtime = Start(backend);
  const Job job{code, fd.get(), size, concurrency, registered};
  std::unique_ptr<BufferPool> pool;
  BlockOn(&runtime->shard(0), MakePool(&job, &pool));
  BlockOn(&runtime->shard(0), TransferAll(&job, pool.get(), kRounds));
  for (auto _ : state) BlockOn(&runtime->shard(0), TransferAll(&job, pool.get(), kRounds));
  BlockOn(&runtime->shard(0), EndPool(&pool));
  const auto done = static_cast<int64_t>(state.iterations()) * (kRounds / concurrency) * concurrency;
  state.SetItemsProcessed(done);
  state.SetBytesProcessed(done * static_cast<int64_t>(size));
  const DriverCounters counters = runtime->Counters();
  const auto submitted = static_cast<double>(counters.submitted[static_cast<size_t>(code)]);
  state.counters["ops/enter"] = submitted / static_cast<double>(counters.enters + 1);
  state.counters["handed_off"] = static_cast<double>(counters.handed_off[static_cast<size_t>(code)]) / submitted;
}

void ReadUring(benchmark::State& state) {
  RunTransfers(state, IoBackend::kUring, OpCode::kRead, false);
}
void ReadUringRegistered(benchmark::State& state) {
  RunTransfers(state, IoBackend::kUring, OpCode::kRead, true);
}
void ReadThreads(benchmark::State& state) {
  RunTransfers(state, IoBackend::kThreads, OpCode::kRead, false);
}
void WriteUring(benchmark::State& state) {
  RunTransfers(state, IoBackend::kUring, OpCode::kWrite, false);
}
void ReadUringBlockingFile(benchmark::State& state) {
  RunTransfers(state, IoBackend::kUring, OpCode::kRead, false, 0);
}
void WriteUringDirectFile(benchmark::State& state) {
  RunTransfers(state, IoBackend::kUring, OpCode::kWrite, false, O_NONBLOCK | O_DIRECT);
}
void WriteUringRegistered(benchmark::State& state) {
  RunTransfers(state, IoBackend::kUring, OpCode::kWrite, true);
}
void WriteThreads(benchmark::State& state) {
  RunTransfers(state, IoBackend::kThreads, OpCode::kWrite, false);
}

void ReadPlain(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  UniqueFd fd = MakeFile(size);
  std::vector<char> buffer(size);
  for (auto _ : state) {
    for (int i = 0; i < kRounds; ++i) benchmark::DoNotOptimize(::pread(fd.get(), buffer.data(), size, 0));
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kRounds);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * kRounds * static_cast<int64_t>(size));
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  for (int64_t size : {4 << 10, 64 << 10, 1 << 20}) {
    for (int64_t concurrency : {1, 8, 64}) {
      if (size * concurrency <= (8 << 20)) benchmark->Args({size, concurrency});
    }
  }
}
BENCHMARK(ReadPlain)
    ->Args({4 << 10, 1})
    ->Args({64 << 10, 1})
    ->Args({1 << 20, 1})
    ->MeasureProcessCPUTime()
    ->UseRealTime();
BENCHMARK(ReadUring)->Apply(Sizes)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(ReadUringRegistered)->Apply(Sizes)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(ReadUringBlockingFile)->Apply(Sizes)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(WriteUringDirectFile)->Apply(Sizes)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(ReadThreads)->Apply(Sizes)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(WriteUring)->Apply(Sizes)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(WriteUringRegistered)->Apply(Sizes)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(WriteThreads)->Apply(Sizes)->MeasureProcessCPUTime()->UseRealTime();

// One byte there and back between two coroutines; with a time-out on each receive where asked.
Task<void> Pong(int fd, int count, std::chrono::nanoseconds timeout, bool starts) {
  Driver* driver = Shard::Current()->driver();
  char byte = 0;
  for (int i = 0; i < count; ++i) {
    for (bool sends : {starts, !starts}) {
      Op op{.code = sends ? OpCode::kSend : OpCode::kRecv, .fd = fd, .buffer = &byte, .length = 1};
      if (!sends) op.timeout = timeout;
      co_await Await(driver, &op);
      if (op.result != 1) std::abort();
    }
  }
}

Task<void> PingPong(int a, int b, std::chrono::nanoseconds timeout, Shard* other) {
  Scope scope;
  scope.Spawn(Pong(a, kRounds, timeout, true));
  scope.SpawnOn(other, Pong(b, kRounds, timeout, false));
  co_await scope.Join();
}

void RunPingPong(benchmark::State& state, IoBackend backend) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) std::abort();
  UniqueFd a(fds[0]);
  UniqueFd b(fds[1]);
  const auto shards = static_cast<size_t>(state.range(0));
  std::unique_ptr<Runtime> runtime = Start(backend, shards);
  const std::chrono::nanoseconds timeout = std::chrono::seconds(state.range(1));
  for (auto _ : state) BlockOn(&runtime->shard(0), PingPong(a.get(), b.get(), timeout, &runtime->shard(shards - 1)));
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kRounds);
}

void PingPongUring(benchmark::State& state) {
  RunPingPong(state, IoBackend::kUring);
}
void PingPongThreads(benchmark::State& state) {
  RunPingPong(state, IoBackend::kThreads);
}
BENCHMARK(PingPongUring)
    ->ArgNames({"shards", "timeout"})
    ->ArgsProduct({{1, 2}, {0, 30}})
    ->MeasureProcessCPUTime()
    ->UseRealTime();
BENCHMARK(PingPongThreads)
    ->ArgNames({"shards", "timeout"})
    ->ArgsProduct({{1, 2}, {0, 30}})
    ->MeasureProcessCPUTime()
    ->UseRealTime();

// One block each way through a pair of sockets, many in flight.
Task<void> Stream(OpCode code, int fd, size_t block, size_t total) {
  std::vector<char> buffer(block);
  Driver* driver = Shard::Current()->driver();
  for (size_t done = 0; done < total;) {
    Op op{.code = code,
          .fd = fd,
          .buffer = buffer.data(),
          .length = static_cast<uint32_t>(std::min(block, total - done))};
    co_await Await(driver, &op);
    if (op.result <= 0) std::abort();
    done += static_cast<size_t>(op.result);
  }
}

Task<void> StreamBoth(int a, int b, size_t block, size_t total, Shard* other) {
  Scope scope;
  scope.Spawn(Stream(OpCode::kSend, a, block, total));
  scope.SpawnOn(other, Stream(OpCode::kRecv, b, block, total));
  co_await scope.Join();
}

void RunStream(benchmark::State& state, IoBackend backend) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) std::abort();
  UniqueFd a(fds[0]);
  UniqueFd b(fds[1]);
  constexpr size_t kTotal = size_t{256} << 20;
  std::unique_ptr<Runtime> runtime = Start(backend, 2);
  for (auto _ : state)
    BlockOn(&runtime->shard(0),
            StreamBoth(a.get(), b.get(), static_cast<size_t>(state.range(0)), kTotal, &runtime->shard(1)));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kTotal));
}

void StreamUring(benchmark::State& state) {
  RunStream(state, IoBackend::kUring);
}
void StreamThreads(benchmark::State& state) {
  RunStream(state, IoBackend::kThreads);
}
BENCHMARK(StreamUring)->Arg(64 << 10)->Arg(256 << 10)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(StreamThreads)->Arg(64 << 10)->Arg(256 << 10)->MeasureProcessCPUTime()->UseRealTime();

Task<void> Produce(Channel<int>* channel, int count) {
  for (int i = 0; i < count; ++i) co_await channel->Send(i);
}

Task<void> Consume(Channel<int>* channel, int count) {
  for (int i = 0; i < count; ++i) co_await channel->Receive();
}

Task<void> HandOver(Channel<int>* channel, Shard* other) {
  Scope scope;
  scope.Spawn(Produce(channel, kRounds));
  scope.SpawnOn(other, Consume(channel, kRounds));
  co_await scope.Join();
}

// Values handed from shard to shard through a channel of the given capacity.
void RunHandOver(benchmark::State& state, IoBackend backend) {
  std::unique_ptr<Runtime> runtime = Start(backend, 2);
  Channel<int> channel(static_cast<size_t>(state.range(0)));
  for (auto _ : state) BlockOn(&runtime->shard(0), HandOver(&channel, &runtime->shard(1)));
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kRounds);
}

void HandOverUring(benchmark::State& state) {
  RunHandOver(state, IoBackend::kUring);
}
void HandOverThreads(benchmark::State& state) {
  RunHandOver(state, IoBackend::kThreads);
}
BENCHMARK(HandOverUring)->Arg(1)->Arg(64)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(HandOverThreads)->Arg(1)->Arg(64)->MeasureProcessCPUTime()->UseRealTime();

}  // namespace
}  // namespace uringsync

BENCHMARK_MAIN();

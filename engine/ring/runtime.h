// Runtime: one shard per usable core, each a thread with its own Driver and its own run queue.
//
// Use:  US_ASSIGN_OR_RETURN(std::unique_ptr<Runtime> runtime, Runtime::Start({}));
//       BlockOn(&runtime->shard(0), Work());      // from a thread that is no shard
//       inside a coroutine: Shard* here = Shard::Current();  Driver* driver = here->driver();
//
// Thread rule: Runtime is built and destroyed by one thread that is no shard; Shard::Post is thread-safe.
#pragma once

#include <atomic>
#include <coroutine>
#include <deque>
#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/coro/executor.h"
#include "engine/ring/buffer_pool.h"
#include "engine/ring/driver.h"

namespace uringsync {

class Shard final : public Executor {
 public:
  void Post(std::coroutine_handle<> handle) override;
  // The shard that runs this thread; nullptr elsewhere.
  static Shard* Current();
  Driver* driver() { return driver_.get(); }
  BufferPool* buffers() { return buffers_.get(); }
  size_t index() const { return index_; }
  ~Shard() override;

 private:
  friend class Runtime;
  Shard(size_t index, std::unique_ptr<Driver> driver);
  void Loop();
  void RequestStop(std::latch* all_stopped);
  void TakeInbox();
  // Announces sleep; false when something came meanwhile.
  bool MaySleep();
  void WakeIfSleeping();

  const size_t index_;
  std::unique_ptr<Driver> driver_;
  std::unique_ptr<BufferPool> buffers_;
  std::deque<std::coroutine_handle<>> ready_;  // this thread only
  std::mutex inbox_mutex_;
  std::vector<std::coroutine_handle<>> inbox_;
  std::atomic<bool> inbox_pending_{false};  // a hint that saves the lock
  std::atomic<bool> sleeping_{false};
  std::atomic<bool> stopping_{false};
  std::latch* all_stopped_ = nullptr;
  std::thread thread_;
};

struct RuntimeOptions {
  size_t shards = 0;  // 0: UsableCores()
  DriverOptions driver;
  // Test seam: wraps each shard's driver (fault injection, late completion).
  std::function<std::unique_ptr<Driver>(std::unique_ptr<Driver>)> wrap_driver;
};

class Runtime {
 public:
  static absl::StatusOr<std::unique_ptr<Runtime>> Start(RuntimeOptions options);
  // Stops every shard. Every task must have ended (CHECKed through the drivers' operations in flight).
  ~Runtime();

  size_t size() const { return shards_.size(); }
  Shard& shard(size_t i) { return *shards_[i]; }
  // Round robin over the shards. Thread-safe.
  Shard& Next();
  std::string_view backend() const { return backend_; }
  // Non-empty once when `auto` fell back to threads.
  const std::string& fallback_reason() const { return fallback_reason_; }
  // Sum over shards; exact when they are idle. Thread-safe (collected on each shard's thread). Not to be called from a
  // shard.
  DriverCounters Counters();

 private:
  struct Started;
  Runtime() = default;
  static void RunShard(size_t index, const RuntimeOptions& options, std::promise<absl::StatusOr<Started>> promise);
  absl::Status StartShards(const RuntimeOptions& options, size_t count);
  void StopShards();

  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<size_t> next_{0};
  std::string backend_;
  std::string fallback_reason_;
};

// Cores that this process may use: affinity mask, cut by the cgroup CPU quota (v1 and v2), at least 1.
size_t UsableCores();

}  // namespace uringsync

#include "engine/ring/runtime.h"

#include <pthread.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/coro/scope.h"
#include "engine/coro/task.h"

namespace uringsync {
namespace {

// Coroutines resumed between two looks at the driver: enough to fill a batch of submissions, few enough that a socket
// does not wait long for its turn.
constexpr size_t kResumesPerSlice = 128;
constexpr std::chrono::hours kForever{24 * 365};

thread_local Shard* current_shard = nullptr;

}  // namespace

Shard* Shard::Current() {
  return current_shard;
}

Shard::Shard(size_t index, std::unique_ptr<Driver> driver) : index_(index), driver_(std::move(driver)) {
  // Not registered: no gain was measured (docs/engine.md), and it would pin the memory of every buffer.
  buffers_ = std::make_unique<BufferPool>(driver_.get(), BufferPoolOptions{.try_register = false});
}

Shard::~Shard() = default;

void Shard::Post(std::coroutine_handle<> handle) {
  if (current_shard == this) {
    ready_.push_back(handle);
    return;
  }
  // Woken under the lock: the shard can take the coroutine, whose end may be what its runtime is destroyed after, only
  // when this thread has let go of the driver.
  std::lock_guard lock(inbox_mutex_);
  inbox_.push_back(handle);
  inbox_pending_.store(true, std::memory_order_relaxed);
  WakeIfSleeping();
}

// No wake-up is lost: Loop sets sleeping_ before it looks at the inbox under the mutex for the last time. Whoever
// pushes after that look sees sleeping_ (the mutex orders it); whoever pushed before was seen. A wake-up that comes
// before the driver sleeps makes its next Poll return.
void Shard::WakeIfSleeping() {
  if (sleeping_.exchange(false)) driver_->Wake();
}

void Shard::TakeInbox() {
  if (!inbox_pending_.load(std::memory_order_relaxed)) return;
  std::lock_guard lock(inbox_mutex_);
  inbox_pending_.store(false, std::memory_order_relaxed);
  ready_.insert(ready_.end(), inbox_.begin(), inbox_.end());
  inbox_.clear();
}

bool Shard::MaySleep() {
  sleeping_.store(true);
  std::lock_guard lock(inbox_mutex_);
  if (inbox_.empty() && !stopping_.load()) return true;
  sleeping_.store(false);
  return false;
}

void Shard::Loop() {
  current_shard = this;
  Executor::Guard guard(this);
  while (true) {
    TakeInbox();
    for (size_t left = kResumesPerSlice; left > 0 && !ready_.empty(); --left) {
      const std::coroutine_handle<> next = ready_.front();
      ready_.pop_front();
      next.resume();
    }
    if (!ready_.empty()) {
      driver_->Poll(std::chrono::nanoseconds(0));
    } else if (MaySleep()) {
      driver_->Poll(kForever);
      sleeping_.store(false);
    } else if (stopping_.load() && !inbox_pending_.load(std::memory_order_relaxed)) {
      break;
    }
  }
  if (driver_->in_flight() > 0) {
    std::fputs("uringsync: a Runtime was destroyed with operations in flight\n", stderr);
    std::abort();
  }
  // Another shard, or the thread that stops them, may still be about to wake this driver.
  all_stopped_->arrive_and_wait();
  // The driver belongs to this thread to its end.
  buffers_.reset();
  driver_.reset();
  current_shard = nullptr;
}

void Shard::RequestStop(std::latch* all_stopped) {
  {
    std::lock_guard lock(inbox_mutex_);
    all_stopped_ = all_stopped;
    stopping_.store(true);
  }
  WakeIfSleeping();
}

struct Runtime::Started {
  std::unique_ptr<Shard> shard;
  std::string fallback_reason;
};

// Runs on the new thread, which must be the one that makes the driver.
void Runtime::RunShard(size_t index, const RuntimeOptions& options, std::promise<absl::StatusOr<Started>> promise) {
  absl::StatusOr<DriverChoice> choice = MakeDriver(options.driver);
  if (!choice.ok()) {
    promise.set_value(choice.status());
    return;
  }
  std::unique_ptr<Driver> driver = std::move(choice->driver);
  if (options.wrap_driver) driver = options.wrap_driver(std::move(driver));
  std::unique_ptr<Shard> shard(new Shard(index, std::move(driver)));
  Shard* running = shard.get();
  // From here on `options` may be gone.
  promise.set_value(Started{std::move(shard), std::move(choice->fallback_reason)});
  running->Loop();
}

absl::Status Runtime::StartShards(const RuntimeOptions& options, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    std::promise<absl::StatusOr<Started>> promise;
    std::future<absl::StatusOr<Started>> future = promise.get_future();
    std::thread thread(&Runtime::RunShard, i, std::cref(options), std::move(promise));
    ::pthread_setname_np(thread.native_handle(), ("shard-" + std::to_string(i)).c_str());
    absl::StatusOr<Started> started = future.get();
    if (!started.ok()) {
      thread.join();
      return WithContext(started.status(), "start shard " + std::to_string(i));
    }
    started->shard->thread_ = std::move(thread);
    shards_.push_back(std::move(started->shard));
    if (!started->fallback_reason.empty()) fallback_reason_ = std::move(started->fallback_reason);
  }
  return absl::OkStatus();
}

void Runtime::StopShards() {
  // One more than the shards: this thread uses their drivers too, to wake them.
  std::latch all_stopped(static_cast<std::ptrdiff_t>(shards_.size()) + 1);
  for (std::unique_ptr<Shard>& shard : shards_) shard->RequestStop(&all_stopped);
  all_stopped.count_down();
  for (std::unique_ptr<Shard>& shard : shards_) shard->thread_.join();
  shards_.clear();
}

absl::StatusOr<std::unique_ptr<Runtime>> Runtime::Start(RuntimeOptions options) {
  std::unique_ptr<Runtime> runtime(new Runtime());
  const size_t count = options.shards == 0 ? UsableCores() : options.shards;
  US_RETURN_IF_ERROR(runtime->StartShards(options, count));
  // One backend for all: a later shard may find a limit (descriptors, memory) that the first did not.
  const auto same = [&runtime](const std::unique_ptr<Shard>& shard) {
    return shard->driver()->name() == runtime->shards_.front()->driver()->name();
  };
  if (!std::all_of(runtime->shards_.begin(), runtime->shards_.end(), same)) {
    runtime->StopShards();
    options.driver.backend = IoBackend::kThreads;
    US_RETURN_IF_ERROR(runtime->StartShards(options, count));
  }
  runtime->backend_ = std::string(runtime->shards_.front()->driver()->name());
  return runtime;
}

Runtime::~Runtime() {
  StopShards();
}

Shard& Runtime::Next() {
  return *shards_[next_.fetch_add(1, std::memory_order_relaxed) % shards_.size()];
}

namespace {

Task<void> AddCounters(Driver* driver, DriverCounters* sum) {
  sum->Add(driver->counters());
  co_return;
}

}  // namespace

DriverCounters Runtime::Counters() {
  DriverCounters sum;
  for (std::unique_ptr<Shard>& shard : shards_) BlockOn(shard.get(), AddCounters(shard->driver(), &sum));
  return sum;
}

}  // namespace uringsync

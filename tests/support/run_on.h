// RunOn: runs a coroutine on a shard and waits for its value, from a test's own thread.
//
// Use:  std::unique_ptr<Runtime> runtime = StartTestRuntime();
//       absl::StatusOr<int> n = RunOn(runtime->shard(0), Work());
#pragma once

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "engine/coro/scope.h"
#include "engine/coro/task.h"
#include "engine/ring/runtime.h"

namespace uringsync {
namespace test_internal {

template <typename T>
Task<void> StoreResult(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

}  // namespace test_internal

// `executor` must be driven by another thread (a Shard is).
template <typename T>
T RunOn(Executor& executor, Task<T> task) {
  if constexpr (std::is_void_v<T>) {
    BlockOn(&executor, std::move(task));
  } else {
    std::optional<T> result;
    BlockOn(&executor, test_internal::StoreResult(std::move(task), &result));
    return *std::move(result);
  }
}

// A runtime of `shards` shards on `backend`; aborts the test program when it does not start.
inline std::unique_ptr<Runtime> StartTestRuntime(size_t shards = 1, IoBackend backend = IoBackend::kAuto,
                                                 KernelLevel level = KernelLevel::kNative) {
  RuntimeOptions options;
  options.shards = shards;
  options.driver.backend = backend;
  options.driver.level = level;
  absl::StatusOr<std::unique_ptr<Runtime>> runtime = Runtime::Start(std::move(options));
  if (!runtime.ok()) {
    std::fprintf(stderr, "test runtime: %s\n", std::string(runtime.status().ToString()).c_str());
    std::abort();
  }
  return *std::move(runtime);
}

}  // namespace uringsync

// ThreadPool: runs blocking file operations off the shard, for the thread driver.
//
// Thread rule: one shard owns it and calls everything here; workers touch only the queue and the done list. Its queue
// holds at most the operations in flight of that shard. Threads start with the first job.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/ring/driver.h"

namespace uringsync {

// Runs a file operation now, on this thread. Bytes or 0, or -errno; EINTR is retried.
int64_t RunFileOp(const Op& op);

class ThreadPool {
 public:
  struct Done {
    uint64_t token;
    int64_t result;
  };
  // `on_done` is called by a worker after it has added to an empty done list.
  ThreadPool(size_t threads, std::function<void()> on_done) : threads_(threads), on_done_(std::move(on_done)) {}
  // Waits for the jobs that are running; queued ones are dropped.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // `op` is read by a worker; it must live until its token is in TakeDone().
  void Run(uint64_t token, const Op* op);
  // True when the job had not started and will not.
  bool Withdraw(uint64_t token);
  std::vector<Done> TakeDone();

 private:
  struct Job {
    uint64_t token;
    const Op* op;
  };
  void Work();

  const size_t threads_;
  const std::function<void()> on_done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  size_t idle_ = 0;
  std::deque<Job> queue_;
  std::vector<Done> done_;
  std::vector<std::thread> workers_;
};

}  // namespace uringsync

#include "engine/ring/thread_pool.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace uringsync {
namespace {

// linux/ioprio.h; not in every libc's headers. With "none" the class follows the thread's nice value.
constexpr int kIoprioWhoProcess = 1;
constexpr int kIoprioNone = 0;
constexpr int kIoprioIdle = 3 << 13;

int64_t RunOnce(const Op& op) {
  const auto offset = static_cast<off_t>(op.offset);
  switch (op.code) {
    case OpCode::kRead: return ::pread(op.fd, op.buffer, op.length, offset);
    case OpCode::kWrite: return ::pwrite(op.fd, op.buffer, op.length, offset);
    case OpCode::kFsync: return (op.flags & kFsyncDataOnly) != 0 ? ::fdatasync(op.fd) : ::fsync(op.fd);
    case OpCode::kFallocate:
      return ::fallocate(op.fd, static_cast<int>(op.flags), offset, static_cast<off_t>(op.length64));
    default: errno = EINVAL; return -1;
  }
}

}  // namespace

int64_t RunFileOp(const Op& op) {
  while (true) {
    const int64_t result = RunOnce(op);
    if (result >= 0) return result;
    if (errno != EINTR) return -errno;
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    queue_.clear();
  }
  changed_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Run(uint64_t token, const Op* op) {
  {
    std::lock_guard lock(mutex_);
    queue_.push_back({token, op});
    if (idle_ < queue_.size() && workers_.size() < threads_) workers_.emplace_back(&ThreadPool::Work, this);
  }
  changed_.notify_one();
}

bool ThreadPool::Withdraw(uint64_t token) {
  std::lock_guard lock(mutex_);
  return std::erase_if(queue_, [token](const Job& job) { return job.token == token; }) > 0;
}

std::vector<ThreadPool::Done> ThreadPool::TakeDone() {
  std::lock_guard lock(mutex_);
  return std::exchange(done_, {});
}

void ThreadPool::Work() {
  bool background = false;  // this thread's class of I/O
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    --idle_;
    if (stopping_) return;
    const Job job = queue_.front();
    queue_.pop_front();
    lock.unlock();
    if (job.op->background != background) {
      background = job.op->background;
      ::syscall(SYS_ioprio_set, kIoprioWhoProcess, 0, background ? kIoprioIdle : kIoprioNone);
    }
    const int64_t result = RunFileOp(*job.op);
    lock.lock();
    done_.push_back({job.token, result});
    if (done_.size() > 1) continue;
    lock.unlock();
    on_done_();
    lock.lock();
  }
}

}  // namespace uringsync

// Scheduler: the one seeded executor of a simulated history. Threads of the production code are real threads, but
// exactly one of them runs at any time; which one goes on is drawn from the seed wherever a thread waits, takes a lock,
// or makes a call of its driver. The clock moves when nobody can run, to the next thing that is due.
//
// tests/sim/interpose.cc leads the C library's threads, locks, conditions, futexes and clocks here while a scheduler is
// active. A history runs in a process of its own (fork), so that threads of crashed programs can be left where they
// stood.
//
// Thread rule: every method by the thread that runs. Use:
//   Scheduler scheduler({.seed = 17});  scheduler.Activate();  std::thread(...);  scheduler.Wait(&channel, deadline);
#pragma once

#include <pthread.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace uringsync::sim {

// Virtual nanoseconds since the history began.
using Nanos = int64_t;
constexpr Nanos kMicrosecond = 1000;
constexpr Nanos kMillisecond = 1000 * kMicrosecond;
constexpr Nanos kSecond = 1000 * kMillisecond;
constexpr Nanos kNever = INT64_MAX;

// Deterministic random numbers (splitmix64).
class SeededRandom {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 0x1234567) {}
  uint64_t Next();
  // 0 .. bound-1; 0 for a bound of 0.
  uint64_t Below(uint64_t bound) { return bound == 0 ? 0 : Next() % bound; }
  bool Chance(uint64_t per_mille) { return Below(1000) < per_mille; }
  template <typename T>
  const T& Of(const std::vector<T>& choices) {
    return choices[Below(choices.size())];
  }

 private:
  uint64_t state_;
};

// Threads that live and die together: a program on a host.
using ProcessId = int;

struct SchedulerOptions {
  uint64_t seed = 0;
  bool trace = false;    // every step as a line on standard output
  Nanos limit = kNever;  // a history that is not over by then has hung
};

class Scheduler {
 public:
  explicit Scheduler(SchedulerOptions options);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // From here on this thread, and all that are made, belong to the simulation; it never ends but with the process.
  void Activate();
  // Null where the calling thread does not belong to one.
  static Scheduler* Current();

  SeededRandom& random() { return random_; }
  Nanos now() const { return now_; }
  // What a program sees: reading a clock takes time, or a loop that waits for it would never end.
  Nanos ReadClock() { return now_ += kMicrosecond; }

  // Runs `event` once at that time, in no thread's name: it must neither wait nor lock.
  void At(Nanos when, std::function<void()> event);
  void After(Nanos delay, std::function<void()> event) { At(now_ + delay, std::move(event)); }

  // Lets the seed decide whether somebody else goes on first.
  void MaybeYield();
  void Yield();
  // Until somebody wakes `channel`; false when `deadline` has come first.
  bool Wait(const void* channel, Nanos deadline = kNever);
  void WakeOne(const void* channel);
  void WakeAll(const void* channel);

  // Locks of the C library, whose state lives in the lock itself.
  void Lock(pthread_mutex_t* mutex);
  bool TryLock(pthread_mutex_t* mutex);
  void Unlock(pthread_mutex_t* mutex);

  int CreateThread(pthread_t* handle, const pthread_attr_t* attributes, void* (*body)(void*), void* argument);
  void JoinThread(pthread_t handle);

  // The process that the calling thread belongs to.
  ProcessId process() const;
  // A new process whose first thread runs `main`.
  ProcessId StartProcess(std::string name, std::function<void()> main);
  // No thread of it runs ever again. When the caller is one of them this does not return.
  void Kill(ProcessId process);
  bool alive(ProcessId process) const { return !processes_.at(static_cast<size_t>(process)).dead; }
  // Threads of it that have not ended.
  size_t threads(ProcessId process) const;

  // One step of the history: part of the digest, and a line of the trace.
  void Note(std::string_view what, int64_t a = 0, int64_t b = 0, std::string_view text = {});
  uint64_t digest() const { return digest_; }
  uint64_t steps() const { return steps_; }
  bool tracing() const { return options_.trace; }
  // Called when the history cannot go on: nobody can ever run again, or the limit has passed. Must not return.
  void OnStuck(std::function<void(const std::string& why)> stuck) { stuck_ = std::move(stuck); }
  // What every thread waits for, for a report.
  std::string Describe() const;

 private:
  struct Thread;
  struct Process {
    std::string name;
    bool dead = false;
  };
  static void* ThreadMain(void* raw);
  static void OnThreadEnd(void* raw);
  Thread* AddThread(ProcessId process);
  Thread* Choose();
  void RunEvent();
  bool MoveClock();
  void SwitchFrom(Thread* self);
  void Expire();
  // Those that can run, in the order in which they were made.
  const std::vector<Thread*>& Runnable();

  const SchedulerOptions options_;
  SeededRandom random_;
  uint64_t yield_per_mille_;
  uint64_t early_per_mille_;
  Nanos now_ = 0;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Thread*> living_;  // of threads_, those that may still run
  std::vector<Thread*> choices_;
  std::vector<Process> processes_;
  std::multimap<Nanos, std::function<void()>> events_;
  bool in_event_ = false;
  uint64_t digest_ = 0xcbf29ce484222325ULL;
  uint64_t steps_ = 0;
  std::function<void(const std::string&)> stuck_;
};

}  // namespace uringsync::sim

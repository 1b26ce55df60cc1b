#include "tests/sim/scheduler.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "tests/sim/real_calls.h"

namespace uringsync::sim {
namespace {

// Waits longer than this are for ever as far as a history is concerned.
constexpr Nanos kForever = 3600 * kSecond;
// What is due so soon may come before a thread that could run now has done so.
constexpr Nanos kEarly = 2 * kMillisecond;

}  // namespace

uint64_t SeededRandom::Next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

enum class State : uint8_t { kRunnable, kWaiting, kEnded };

struct Scheduler::Thread {
  int number = 0;
  ProcessId process = 0;
  State state = State::kRunnable;
  const void* channel = nullptr;
  Nanos deadline = kNever;
  bool timed_out = false;
  bool handle_known = false;
  pthread_t handle{};
  void* (*body)(void*) = nullptr;
  void* argument = nullptr;
  int baton = 0;  // futex: 1 when this thread may run
};

namespace {

Scheduler* active = nullptr;
thread_local void* this_thread = nullptr;
pthread_key_t end_key;

void Park(int* baton) {
  while (__atomic_load_n(baton, __ATOMIC_ACQUIRE) == 0)
    RawSystemCall(SYS_futex, reinterpret_cast<long>(baton), FUTEX_WAIT_PRIVATE, 0, 0, 0, 0);
  *baton = 0;
}

void Hand(int* baton) {
  __atomic_store_n(baton, 1, __ATOMIC_RELEASE);
  RawSystemCall(SYS_futex, reinterpret_cast<long>(baton), FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

}  // namespace

Scheduler::Scheduler(SchedulerOptions options) : options_(options), random_(options.seed) {
  // Some histories switch at nearly every step, some hardly ever.
  yield_per_mille_ = random_.Of(std::vector<uint64_t>{0, 5, 30, 200});
  early_per_mille_ = random_.Of(std::vector<uint64_t>{0, 20, 200});
}

Scheduler::~Scheduler() = default;

Scheduler* Scheduler::Current() {
  return this_thread == nullptr ? nullptr : active;
}

Scheduler::Thread* Scheduler::AddThread(ProcessId process) {
  threads_.push_back(std::make_unique<Thread>());
  Thread* thread = threads_.back().get();
  thread->number = static_cast<int>(threads_.size());
  thread->process = process;
  living_.push_back(thread);
  return thread;
}

void Scheduler::Activate() {
  if (RealKeyCreate(&end_key, &Scheduler::OnThreadEnd) != 0) std::abort();
  processes_.push_back({.name = "history"});
  this_thread = AddThread(0);
  active = this;
  simulating = true;
}

void Scheduler::At(Nanos when, std::function<void()> event) {
  events_.emplace(std::max(when, now_), std::move(event));
}

void Scheduler::MaybeYield() {
  if (!in_event_ && random_.Chance(yield_per_mille_)) Yield();
}

void Scheduler::Yield() {
  if (in_event_) return;
  SwitchFrom(static_cast<Thread*>(this_thread));
}

bool Scheduler::Wait(const void* channel, Nanos deadline) {
  auto* self = static_cast<Thread*>(this_thread);
  self->state = State::kWaiting;
  self->channel = channel;
  self->deadline = deadline - now_ > kForever ? kNever : deadline;
  self->timed_out = false;
  SwitchFrom(self);
  return !self->timed_out;
}

void Scheduler::WakeOne(const void* channel) {
  std::vector<Thread*> waiting;
  for (Thread* thread : living_) {
    if (thread->state == State::kWaiting && thread->channel == channel) waiting.push_back(thread);
  }
  if (waiting.empty()) return;
  random_.Of(waiting)->state = State::kRunnable;
}

void Scheduler::WakeAll(const void* channel) {
  for (Thread* thread : living_) {
    if (thread->state == State::kWaiting && thread->channel == channel) thread->state = State::kRunnable;
  }
}

const std::vector<Scheduler::Thread*>& Scheduler::Runnable() {
  choices_.clear();
  for (Thread* thread : living_) {
    if (thread->state == State::kRunnable) choices_.push_back(thread);
  }
  return choices_;
}

void Scheduler::Expire() {
  for (Thread* thread : living_) {
    if (thread->state != State::kWaiting || thread->deadline > now_) continue;
    thread->state = State::kRunnable;
    thread->timed_out = true;
  }
}

void Scheduler::RunEvent() {
  auto node = events_.extract(events_.begin());
  now_ = std::max(now_, node.key());
  in_event_ = true;
  node.mapped()();
  in_event_ = false;
}

// To the next thing that is due. False: nothing ever will be.
bool Scheduler::MoveClock() {
  Nanos next = kNever;
  for (const Thread* thread : living_) {
    if (thread->state == State::kWaiting) next = std::min(next, thread->deadline);
  }
  if (!events_.empty() && events_.begin()->first <= next) {
    RunEvent();
    return true;
  }
  if (next == kNever) return false;
  now_ = std::max(now_, next);
  return true;
}

Scheduler::Thread* Scheduler::Choose() {
  while (true) {
    Expire();
    const std::vector<Thread*>& runnable = Runnable();
    const bool early = !events_.empty() && events_.begin()->first <= now_ + kEarly;
    if (!runnable.empty() && early && random_.Chance(early_per_mille_)) {
      RunEvent();
    } else if (!runnable.empty()) {
      return random_.Of(runnable);
    } else if (!MoveClock()) {
      stuck_("deadlock: no thread can ever run again");
    }
    if (now_ > options_.limit) stuck_("the history did not end in time");
  }
}

void Scheduler::SwitchFrom(Thread* self) {
  Thread* next = Choose();
  if (next == self) return;
  if (options_.trace) Note("run", next->number, next->process);
  Hand(&next->baton);
  // A thread of a process that was killed stays here for ever, and so does its stack.
  if (self->state != State::kEnded) Park(&self->baton);
}

void Scheduler::Lock(pthread_mutex_t* mutex) {
  auto* self = static_cast<Thread*>(this_thread);
  if (!in_event_) MaybeYield();
  auto& lock = mutex->__data;
  if (lock.__lock != 0 && lock.__owner == self->number && (lock.__kind & 3) == PTHREAD_MUTEX_RECURSIVE) {
    ++lock.__count;
    return;
  }
  while (lock.__lock != 0) {
    if (in_event_) std::abort();
    Wait(mutex);
  }
  lock.__lock = 1;
  lock.__owner = self->number;
  lock.__count = 1;
}

bool Scheduler::TryLock(pthread_mutex_t* mutex) {
  if (mutex->__data.__lock != 0) return false;
  mutex->__data.__lock = 1;
  mutex->__data.__owner = static_cast<Thread*>(this_thread)->number;
  mutex->__data.__count = 1;
  return true;
}

void Scheduler::Unlock(pthread_mutex_t* mutex) {
  auto& lock = mutex->__data;
  if (--lock.__count > 0) return;
  lock.__lock = 0;
  lock.__owner = 0;
  lock.__count = 0;
  WakeOne(mutex);
  if (!in_event_) MaybeYield();
}

void* Scheduler::ThreadMain(void* raw) {
  auto* self = static_cast<Thread*>(raw);
  Park(&self->baton);
  this_thread = self;
  // Its destructor comes after those of everything that is local to the thread.
  RealSetSpecific(end_key, self);
  return self->body(self->argument);
}

void Scheduler::OnThreadEnd(void* raw) {
  auto* self = static_cast<Thread*>(raw);
  self->state = State::kEnded;
  std::erase(active->living_, self);
  active->Note("end", self->number);
  active->WakeAll(self);
  active->SwitchFrom(self);
  this_thread = nullptr;
}

int Scheduler::CreateThread(pthread_t* handle, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) {
  Thread* thread = AddThread(process());
  thread->body = body;
  thread->argument = argument;
  const int error = RealThreadCreate(&thread->handle, attributes, &Scheduler::ThreadMain, thread);
  if (error != 0) {
    thread->state = State::kEnded;
    std::erase(living_, thread);
    return error;
  }
  thread->handle_known = true;
  *handle = thread->handle;
  Note("thread", thread->number, thread->process);
  MaybeYield();
  return 0;
}

void Scheduler::JoinThread(pthread_t handle) {
  for (const auto& thread : threads_) {
    if (!thread->handle_known || !::pthread_equal(thread->handle, handle)) continue;
    while (thread->state != State::kEnded) Wait(thread.get());
    thread->handle_known = false;
    RealThreadJoin(handle);
    return;
  }
  std::abort();
}

ProcessId Scheduler::process() const {
  return static_cast<const Thread*>(this_thread)->process;
}

ProcessId Scheduler::StartProcess(std::string name, std::function<void()> main) {
  const auto id = static_cast<ProcessId>(processes_.size());
  processes_.push_back({.name = std::move(name)});
  Thread* thread = AddThread(id);
  thread->argument = new std::function<void()>(std::move(main));
  thread->body = [](void* raw) -> void* {
    const std::unique_ptr<std::function<void()>> body(static_cast<std::function<void()>*>(raw));
    (*body)();
    return nullptr;
  };
  if (RealThreadCreate(&thread->handle, nullptr, &Scheduler::ThreadMain, thread) != 0) std::abort();
  return id;
}

void Scheduler::Kill(ProcessId process) {
  Process& killed = processes_.at(static_cast<size_t>(process));
  if (killed.dead) return;
  killed.dead = true;
  std::erase_if(living_, [process](const Thread* thread) { return thread->process == process; });
  Note("kill", process);
  auto* self = static_cast<Thread*>(this_thread);
  if (!in_event_ && self->process == process) SwitchFrom(self);
}

size_t Scheduler::threads(ProcessId process) const {
  return static_cast<size_t>(std::count_if(threads_.begin(), threads_.end(), [process](const auto& thread) {
    return thread->process == process && thread->state != State::kEnded;
  }));
}

void Scheduler::Note(std::string_view what, int64_t a, int64_t b, std::string_view text) {
  const auto add = [this](const void* bytes, size_t count) {
    const auto* at = static_cast<const unsigned char*>(bytes);
    for (size_t i = 0; i < count; ++i) digest_ = (digest_ ^ at[i]) * 0x100000001b3ULL;
  };
  const int number = this_thread == nullptr ? 0 : static_cast<Thread*>(this_thread)->number;
  if (options_.trace) {
    std::printf("%12.6f t%-3d %.*s %lld %lld %.*s\n", static_cast<double>(now_) / kSecond, number,
                static_cast<int>(what.size()), what.data(), static_cast<long long>(a), static_cast<long long>(b),
                static_cast<int>(text.size()), text.data());
    if (what == "run") return;  // not in the digest, which does not depend on the trace
  }
  ++steps_;
  add(what.data(), what.size());
  add(&number, sizeof(number));
  add(&now_, sizeof(now_));
  add(&a, sizeof(a));
  add(&b, sizeof(b));
  add(text.data(), text.size());
}

std::string Scheduler::Describe() const {
  std::string text;
  for (const auto& thread : threads_) {
    if (thread->state == State::kEnded || !alive(thread->process)) continue;
    char line[160];
    std::snprintf(line, sizeof(line), "  thread %d of %s: %s\n", thread->number,
                  processes_[static_cast<size_t>(thread->process)].name.c_str(),
                  thread->state == State::kRunnable ? "can run"
                  : thread->deadline == kNever      ? "waits"
                                                    : "waits for a time");
    text += line;
  }
  return text;
}

}  // namespace uringsync::sim

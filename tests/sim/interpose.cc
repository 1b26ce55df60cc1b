// What the production code calls by name and the simulation decides: threads, locks, conditions, futexes, clocks,
// randomness, credentials, and the descriptors that never were the kernel's. A definition in the program comes before
// the C library's, for the library's own users (libstdc++) too. Outside of a simulation everything goes to the real
// one.
#include <absl/time/clock.h>
#include <dlfcn.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>

#include "tests/sim/kernel.h"
#include "tests/sim/real_calls.h"
#include "tests/sim/scheduler.h"

using uringsync::sim::Kernel;
using uringsync::sim::kFirstDescriptor;
using uringsync::sim::kNever;
using uringsync::sim::kSecond;
using uringsync::sim::kWallClockStart;
using uringsync::sim::Nanos;
using uringsync::sim::RawSystemCall;
using uringsync::sim::Scheduler;

extern "C" {
// Sanitizers keep track of threads.
int __interceptor_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) __attribute__((weak));
int __interceptor_pthread_join(pthread_t, void**) __attribute__((weak));
}

namespace {

// The scheduler of the calling thread's history. A sanitizer's runtime calls some of these before there is anything.
Scheduler* Simulation() {
  return uringsync::sim::simulating ? Scheduler::Current() : nullptr;
}

template <typename Function>
Function Real(const char* name) {
  void* const found = ::dlsym(RTLD_NEXT, name);
  if (found == nullptr) std::abort();
  return reinterpret_cast<Function>(found);
}

long Errno(long result) {
  if (result >= 0) return result;
  errno = static_cast<int>(-result);
  return -1;
}

Nanos FromTimespec(const timespec& time) {
  return time.tv_sec >= kNever / kSecond ? kNever : time.tv_sec * kSecond + time.tv_nsec;
}

// A point of one of the two clocks as a point of the simulation's.
Nanos Deadline(clockid_t clock, const timespec& time) {
  const Nanos at = FromTimespec(time);
  return clock == CLOCK_REALTIME && at != kNever ? at - kWallClockStart : at;
}

int WaitOnCondition(Scheduler* scheduler, pthread_cond_t* condition, pthread_mutex_t* mutex, Nanos deadline) {
  // Nobody runs between these two.
  mutex->__data.__lock = 0;
  mutex->__data.__owner = 0;
  mutex->__data.__count = 0;
  scheduler->WakeOne(mutex);
  const bool woken = scheduler->Wait(condition, deadline);
  scheduler->Lock(mutex);
  return woken ? 0 : ETIMEDOUT;
}

long Futex(Scheduler* scheduler, const long (&a)[6]) {
  auto* word = reinterpret_cast<int*>(a[0]);
  const int operation = static_cast<int>(a[1]) & FUTEX_CMD_MASK;
  if (operation == FUTEX_WAKE || operation == FUTEX_WAKE_BITSET) {
    scheduler->WakeAll(word);
    return 1;
  }
  if (operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET) std::abort();
  if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != static_cast<int>(a[2])) return -EAGAIN;
  Nanos deadline = kNever;
  if (const auto* time = reinterpret_cast<const timespec*>(a[3]); time != nullptr) {
    const bool wall = (a[1] & FUTEX_CLOCK_REALTIME) != 0;
    deadline = operation == FUTEX_WAIT ? scheduler->now() + FromTimespec(*time)
                                       : Deadline(wall ? CLOCK_REALTIME : CLOCK_MONOTONIC, *time);
  }
  return scheduler->Wait(word, deadline) ? 0 : -ETIMEDOUT;
}

// Every history is root's with every capability, whoever runs it.
long AllCapabilities(long data) {
  auto* sets = reinterpret_cast<__user_cap_data_struct*>(data);
  for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i) sets[i] = {~0U, ~0U, ~0U};
  return 0;
}

}  // namespace

namespace uringsync::sim {

bool simulating = false;

int RealThreadCreate(pthread_t* handle, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) {
  if (__interceptor_pthread_create != nullptr) return __interceptor_pthread_create(handle, attributes, body, argument);
  static const auto real = Real<decltype(&::pthread_create)>("pthread_create");
  return real(handle, attributes, body, argument);
}
int RealThreadJoin(pthread_t handle) {
  if (__interceptor_pthread_join != nullptr) return __interceptor_pthread_join(handle, nullptr);
  static const auto real = Real<decltype(&::pthread_join)>("pthread_join");
  return real(handle, nullptr);
}
int RealKeyCreate(pthread_key_t* key, void (*destructor)(void*)) {
  return ::pthread_key_create(key, destructor);
}
int RealSetSpecific(pthread_key_t key, const void* value) {
  return ::pthread_setspecific(key, value);
}

}  // namespace uringsync::sim

extern "C" {

int pthread_create(pthread_t* handle, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) noexcept {
  if (Scheduler* scheduler = Simulation()) return scheduler->CreateThread(handle, attributes, body, argument);
  return uringsync::sim::RealThreadCreate(handle, attributes, body, argument);
}
int pthread_join(pthread_t handle, void**) {
  Scheduler* scheduler = Simulation();
  if (scheduler == nullptr) return uringsync::sim::RealThreadJoin(handle);
  scheduler->JoinThread(handle);
  return 0;
}
int pthread_detach(pthread_t handle) noexcept {
  // A handle that may be joined no more is kept: nobody else may get its number.
  if (Simulation() != nullptr) return 0;
  static const auto real = Real<decltype(&::pthread_detach)>("pthread_detach");
  return real(handle);
}
int pthread_setname_np(pthread_t handle, const char* name) noexcept {
  if (Simulation() != nullptr) return 0;
  static const auto real = Real<decltype(&::pthread_setname_np)>("pthread_setname_np");
  return real(handle, name);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  if (Scheduler* scheduler = Simulation()) {
    scheduler->Lock(mutex);
    return 0;
  }
  static const auto real = Real<decltype(&::pthread_mutex_lock)>("pthread_mutex_lock");
  return real(mutex);
}
int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  if (Scheduler* scheduler = Simulation()) return scheduler->TryLock(mutex) ? 0 : EBUSY;
  static const auto real = Real<decltype(&::pthread_mutex_trylock)>("pthread_mutex_trylock");
  return real(mutex);
}
int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  if (Scheduler* scheduler = Simulation()) {
    scheduler->Unlock(mutex);
    return 0;
  }
  static const auto real = Real<decltype(&::pthread_mutex_unlock)>("pthread_mutex_unlock");
  return real(mutex);
}

int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  if (Scheduler* scheduler = Simulation()) return WaitOnCondition(scheduler, condition, mutex, kNever);
  static const auto real = Real<decltype(&::pthread_cond_wait)>("pthread_cond_wait");
  return real(condition, mutex);
}
int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* time) {
  if (Scheduler* scheduler = Simulation())
    return WaitOnCondition(scheduler, condition, mutex, Deadline(CLOCK_REALTIME, *time));
  static const auto real = Real<decltype(&::pthread_cond_timedwait)>("pthread_cond_timedwait");
  return real(condition, mutex, time);
}
int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock, const timespec* time) {
  if (Scheduler* scheduler = Simulation()) return WaitOnCondition(scheduler, condition, mutex, Deadline(clock, *time));
  using Function = int (*)(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*);
  static const auto real = Real<Function>("pthread_cond_clockwait");
  return real(condition, mutex, clock, time);
}
int pthread_cond_signal(pthread_cond_t* condition) noexcept {
  if (Scheduler* scheduler = Simulation()) {
    scheduler->WakeOne(condition);
    return 0;
  }
  static const auto real = Real<decltype(&::pthread_cond_signal)>("pthread_cond_signal");
  return real(condition);
}
int pthread_cond_broadcast(pthread_cond_t* condition) noexcept {
  if (Scheduler* scheduler = Simulation()) {
    scheduler->WakeAll(condition);
    return 0;
  }
  static const auto real = Real<decltype(&::pthread_cond_broadcast)>("pthread_cond_broadcast");
  return real(condition);
}

int sched_yield() noexcept {
  if (Scheduler* scheduler = Simulation()) scheduler->Yield();
  return 0;
}
int clock_gettime(clockid_t clock, timespec* time) noexcept {
  Scheduler* scheduler = Simulation();
  const bool wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (scheduler == nullptr)
    return static_cast<int>(Errno(RawSystemCall(SYS_clock_gettime, clock, reinterpret_cast<long>(time), 0, 0, 0, 0)));
  const Nanos now = scheduler->ReadClock() + (wall ? kWallClockStart : 0);
  time->tv_sec = now / kSecond;
  time->tv_nsec = now % kSecond;
  return 0;
}
int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* left) {
  Scheduler* scheduler = Simulation();
  if (scheduler == nullptr)
    return static_cast<int>(-RawSystemCall(SYS_clock_nanosleep, clock, flags, reinterpret_cast<long>(time),
                                           reinterpret_cast<long>(left), 0, 0));
  const int channel = 0;
  scheduler->Wait(&channel,
                  (flags & TIMER_ABSTIME) != 0 ? Deadline(clock, *time) : scheduler->now() + FromTimespec(*time));
  return 0;
}
int nanosleep(const timespec* time, timespec* left) {
  const int error = ::clock_nanosleep(CLOCK_MONOTONIC, 0, time, left);
  return error == 0 ? 0 : static_cast<int>(Errno(-error));
}

long syscall(long number, ...) noexcept {
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& argument : a) argument = va_arg(list, long);
  va_end(list);
  if (Scheduler* scheduler = Simulation()) {
    if (number == SYS_futex) return Errno(Futex(scheduler, a));
    if (number == SYS_capget) return AllCapabilities(a[1]);
  }
  return Errno(RawSystemCall(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

int close(int fd) {
  if (fd >= kFirstDescriptor) return static_cast<int>(Errno(Kernel::Get()->Close(fd)));
  return static_cast<int>(Errno(RawSystemCall(SYS_close, fd, 0, 0, 0, 0, 0)));
}
int open(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = va_arg(list, mode_t);
  va_end(list);
  if (Simulation() != nullptr && std::strncmp(path, "/sim/", 5) == 0)
    return static_cast<int>(Errno(Kernel::Get()->OpenByPath(path, flags)));
  return static_cast<int>(Errno(RawSystemCall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path), flags, mode, 0, 0)));
}

uid_t geteuid() noexcept {
  return Simulation() != nullptr ? 0 : static_cast<uid_t>(RawSystemCall(SYS_geteuid, 0, 0, 0, 0, 0, 0));
}
gid_t getegid() noexcept {
  return Simulation() != nullptr ? 0 : static_cast<gid_t>(RawSystemCall(SYS_getegid, 0, 0, 0, 0, 0, 0));
}
int getgroups(int count, gid_t* groups) noexcept {
  if (Simulation() != nullptr) return 0;
  return static_cast<int>(Errno(RawSystemCall(SYS_getgroups, count, reinterpret_cast<long>(groups), 0, 0, 0, 0)));
}
int getrlimit(__rlimit_resource_t resource, rlimit* limit) noexcept {
  if (Simulation() != nullptr && resource == RLIMIT_NOFILE) {
    *limit = {.rlim_cur = 1024, .rlim_max = 1024};
    return 0;
  }
  return static_cast<int>(
      Errno(RawSystemCall(SYS_prlimit64, 0, static_cast<long>(resource), 0, reinterpret_cast<long>(limit), 0, 0)));
}

}  // extern "C"

// std::random_device of the shared libstdc++: what it says comes from the seed.
extern "C" unsigned UringsyncSimulatedRandomDevice(void*) __asm__("_ZNSt13random_device9_M_getvalEv");
extern "C" unsigned UringsyncSimulatedRandomDevice(void*) {
  if (Scheduler* scheduler = Simulation()) return static_cast<unsigned>(scheduler->random().Next());
  unsigned value = 0;
  RawSystemCall(SYS_getrandom, reinterpret_cast<long>(&value), sizeof(value), 0, 0, 0, 0);
  return value;
}

// absl's clock counts cycles between its looks at the system's.
namespace absl {
ABSL_NAMESPACE_BEGIN
int64_t GetCurrentTimeNanos() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * int64_t{1000000000} + now.tv_nsec;
}
Time Now() {
  return FromUnixNanos(GetCurrentTimeNanos());
}
ABSL_NAMESPACE_END
}  // namespace absl

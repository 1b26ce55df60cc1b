// The C library's own calls, for the simulation itself: those by name lead into it (interpose.cc).
#pragma once

#include <pthread.h>

namespace uringsync::sim {

// The kernel's answer: a result, or -errno.
inline long RawSystemCall(long number, long a0, long a1, long a2, long a3, long a4, long a5) {
#if defined(__x86_64__)
  long result = 0;
  register long r10 __asm__("r10") = a3;
  register long r8 __asm__("r8") = a4;
  register long r9 __asm__("r9") = a5;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a0;
  register long x1 __asm__("x1") = a1;
  register long x2 __asm__("x2") = a2;
  register long x3 __asm__("x3") = a3;
  register long x4 __asm__("x4") = a4;
  register long x5 __asm__("x5") = a5;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
#else
#error "the simulation knows x86-64 and arm64"
#endif
}

// Set once a history has begun in this process; from then on the calls by name lead into it.
extern bool simulating;

int RealThreadCreate(pthread_t* handle, const pthread_attr_t* attributes, void* (*body)(void*), void* argument);
int RealThreadJoin(pthread_t handle);
int RealKeyCreate(pthread_key_t* key, void (*destructor)(void*));
int RealSetSpecific(pthread_key_t key, const void* value);

}  // namespace uringsync::sim

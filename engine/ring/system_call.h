// The one place where an inline system call of a session is made.
#pragma once

#include "engine/ring/driver.h"

namespace uringsync {

// Runs the call. Result, or -errno; EINTR is retried except for close; -ENOSYS for a call that `level` does not have.
long SystemCall(KernelLevel level, CallCode code, long a0, long a1, long a2, long a3, long a4, long a5);

}  // namespace uringsync

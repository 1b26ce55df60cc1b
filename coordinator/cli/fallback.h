// The real rsync, run in place of ursync for what ursync does not do (URSYNC_FALLBACK).
#pragma once

#include <string>

#include "coordinator/cli/program.h"

namespace uringsync {

// Replaces this process by `name`, a path or a program of `program.search_path` that is not this program itself, with
// the same arguments. URSYNC_FALLBACK is taken out of its environment, so that two programs cannot call each other for
// ever. Returns only on failure: the errno.
int RunInstead(const std::string& name, int argc, const char* const* argv, const Program& program);

}  // namespace uringsync

// ursync's operands: from SRC... DST, or SRC alone, to the run they stand for, by rsync's rules of trailing slashes.
#pragma once

#include <string>
#include <variant>

#include "coordinator/cli/console.h"
#include "coordinator/cli/rsync/run_options.h"

namespace uringsync {

// There is nothing to run.
struct OperandsEnd {
  int exit_code = 0;
  std::string text;          // why; empty: it was told already
  bool unsupported = false;  // the real rsync may do it
};

// Looks at local paths, and tells on `console` what rsync tells of them.
std::variant<RunOptions, OperandsEnd> PrepareRun(Settings settings, Console* console);

}  // namespace uringsync

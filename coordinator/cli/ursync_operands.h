// ursync's operands: from SRC... DST, or SRC alone, to the run they stand for, by rsync's rules of trailing slashes.
//
// What is on this host is looked at here; what a remote shell leads to is asked when the shells of the run have
// greeted.
//
// Thread rule: one thread. Use:
//   std::variant<PreparedRun, OperandsEnd> prepared = PrepareRun(std::move(settings), console);
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "coordinator/cli/console.h"
#include "coordinator/cli/rsync/run_options.h"
#include "coordinator/link/links.h"

namespace uringsync {

// There is nothing to run.
struct OperandsEnd {
  int exit_code = 0;
  std::string text;          // why; empty: it was told already
  bool unsupported = false;  // the real rsync may do it
  // The run that there would have been: its list was made, and this came of it. Unset: it did not come to that.
  std::optional<RunOptions> listed = {};
};

// Looks at the operands of other hosts over open links, before Links::Prepare, and fills in what they stand for.
// nullopt: go on.
using SettleRun = std::function<std::optional<OperandsEnd>(Links& links, RunOptions& run)>;

// Says why there is nothing to run: "ursync: <text>", and the last line of a failure. Returns the exit code. EndRun
// (run_command.h) tells what is said of the list as well.
int TellEnd(const OperandsEnd& end, Console* console);

struct PreparedRun {
  RunOptions run;
  SettleRun settle;  // empty: there is nothing to ask
};

// Looks at local paths, and tells on `console` what rsync tells of them.
std::variant<PreparedRun, OperandsEnd> PrepareRun(Settings settings, Console* console);

}  // namespace uringsync

// The grammar: a command line, read by the option table into Settings.
//
// As rsync's: bundled letters, --opt=value and --opt value, --no-opt, "--", options anywhere before "--" (behind the
// first operand no more where POSIXLY_CORRECT is set), the last one counts. Thread rule: functions; they read the
// environment for POSIXLY_CORRECT and URINGSYNC_CERT, URINGSYNC_KEY, URINGSYNC_CA, URINGSYNC_CRL. Use:  Parsed parsed =
// ParseArguments(Command::kUrsync, argc, argv);
//       if (const auto* error = std::get_if<GrammarError>(&parsed)) ...
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "coordinator/cli/rsync/settings.h"

namespace uringsync {

struct GrammarError {
  std::string text;  // without a newline at its end, escaped
  int exit_code = 1;
  bool unsupported = false;  // the real rsync may know what to do
};

using Parsed = std::variant<Settings, GrammarError>;

// `argv[0]` is skipped. What options mean together, and operands, is looked at by ToRunOptions.
Parsed ParseArguments(Command command, int argc, const char* const* argv);

// The names that `command` knows, with dashes: --name, --no-name, -l.
std::vector<std::string> KnownOptions(Command command);

}  // namespace uringsync

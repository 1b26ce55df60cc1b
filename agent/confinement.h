// Confinement: what the agent's process gives up before it starts its first thread, so that a mistake in it, or a peer
// that found one, gains little: capabilities that it has no use for, every file outside of its roots (Landlock), and
// system calls that it never makes (seccomp: no program is executed, nothing is mounted or traced). Rings hold
// themselves to the engine's operations (engine/ring/probe.h): seccomp does not see those.
//
// All of it holds for the whole process and for ever. What the kernel lacks is left out and named.
//
// Thread rule: by the main thread, before any other is started.
// Use:  US_ASSIGN_OR_RETURN(ConfinementReport report, Confine({.roots = config.roots, .read_beside =
// {config.tls.cert}}));
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/roots.h"

namespace uringsync {

enum class ConfinementMode : uint8_t {
  kAuto = 1,  // as far as the kernel goes
  kOff,
  kRequire,  // all of it, or the agent does not start
};
// "auto", "off", "require"; InvalidArgument names the choices.
absl::StatusOr<ConfinementMode> ParseConfinementMode(std::string_view text);

struct ConfinementPlan {
  ConfinementMode mode = ConfinementMode::kAuto;
  // Empty: what the agent works on is not known yet, or is its whole host; files are not confined.
  std::vector<RootSpec> roots;
  // Files that are read again later: their directories stay readable.
  std::vector<std::string> read_beside;
  // A directory of its own for unlinked files; empty: none.
  std::string scratch;
  bool device_data = false;  // devices below the roots may be asked for their size
};

struct ConfinementReport {
  int landlock_abi = 0;              // in force; 0: files are not confined
  bool system_calls = false;         // the filter is in force
  std::string capabilities;          // kept, by name; "none"
  std::vector<std::string> missing;  // what could not be done, and why
};

// FailedPrecondition with kRequire names what is missing.
absl::StatusOr<ConfinementReport> Confine(const ConfinementPlan& plan);

// The parts, each by itself; the status says why it could not be done.
// The ABI in force. Needs prctl(PR_SET_NO_NEW_PRIVS). Unimplemented below ABI 2, which cannot rename between
// directories.
absl::StatusOr<int> ConfineFiles(const ConfinementPlan& plan);
absl::Status ConfineSystemCalls();
// Names of what is kept, separated by spaces.
absl::StatusOr<std::string> DropCapabilities();

}  // namespace uringsync

// The command line of a remote shell: what -e/--rsh, --rsync-path and an endpoint make together, word for word as rsync
// does it.
//
// Thread rule: pure functions. Use:
//   US_ASSIGN_OR_RETURN(std::vector<std::string> words, ShellCommand({.command = "ssh -p 2222"}, endpoint));
//   // {"ssh", "-p", "2222", "-l", "user", "host", "uringsync-agent", "--stdio"}
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/link/endpoint.h"

namespace uringsync {

enum class AddressFamily : uint8_t { kAny, kIpv4, kIpv6 };

// What the user says about remote shells.
struct ShellOptions {
  std::string command;                          // --rsh, else URINGSYNC_RSH, else RSYNC_RSH; empty: "ssh"
  std::string far_program;                      // --rsync-path; empty: "uringsync-agent"
  AddressFamily family = AddressFamily::kAny;   // -4, -6; given to ssh only
  std::vector<std::string> far_arguments = {};  // of the far program
};

// Words separated by spaces; ' and " keep what is between them together, and two of one kind within such quotes stand
// for one. LinkError (kUsage) for a quote without its end and for no word at all.
absl::StatusOr<std::vector<std::string>> SplitShellCommand(std::string_view text);

// The program of the far host as the remote shell is told it: `path`, with its last word whose basename is "rsync"
// replaced by "uringsync-agent", so that "sudo rsync" and "mkdir -p x && rsync" go on working. Empty:
// "uringsync-agent".
std::string FarProgram(std::string_view path);

absl::StatusOr<std::vector<std::string>> ShellCommand(const ShellOptions& options, const ShellEndpoint& endpoint);

}  // namespace uringsync

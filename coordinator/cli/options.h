// Options: a command line as values. Parsing touches nothing but the arguments and URINGSYNC_CERT, URINGSYNC_KEY,
// URINGSYNC_CA.
//
// Thread rule: functions and values.
// Use:  absl::StatusOr<CommandLine> line = ParseCommandLine(argc, argv);
//       if (auto* run = std::get_if<RunOptions>(&*line)) ...
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core/bench.h"
#include "coordinator/core/run.h"
#include "coordinator/link/endpoint.h"
#include "proto/grpc_control.h"

namespace uringsync {

struct OutputOptions {
  bool verbose = false;  // -v: a line for each object
  bool quiet = false;    // -q: errors only
  bool json = false;
  bool stats = false;
  std::optional<bool> progress;  // unset: when standard error is a terminal
};

// sync, plan, verify.
struct RunOptions {
  Endpoint source;
  Endpoint destination;
  // Mode and switches are set; targets, route and cancellation are left to the caller.
  SyncRequest request;
  ControlTlsFiles tls;
  // For the private agent: --io-backend and --jobs as given.
  std::vector<std::string> agent_arguments;
  OutputOptions output;
};

struct BenchOptions {
  RunOptions run;  // endpoints, certificates, the private agent, targets
  BenchPlan plan;
};

struct CertsOptions {
  std::string directory;
  std::vector<std::string> hosts;  // each one host's names, separated by commas
  int days = 0;
  bool force = false;
};

struct DoctorOptions {
  std::vector<std::string> paths;
  bool json = false;
};

// --help, --version: print and succeed.
struct TextAnswer {
  std::string text;
};

using CommandLine = std::variant<RunOptions, BenchOptions, CertsOptions, DoctorOptions, TextAnswer>;

// LinkError(kUsage) with a text that says what is wrong, the nearest known word for an unknown one, and where help is.
absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv);

}  // namespace uringsync

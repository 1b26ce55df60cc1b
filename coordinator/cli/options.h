// Options: a command line as values. Parsing touches nothing but the arguments and URINGSYNC_CERT, URINGSYNC_KEY,
// URINGSYNC_CA, URINGSYNC_CRL.
//
// Thread rule: functions and values.
// Use:  absl::StatusOr<CommandLine> line = ParseCommandLine(argc, argv);
//       if (auto* run = std::get_if<RunOptions>(&*line)) ...
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/cli/rsync/run_options.h"
#include "coordinator/core/bench.h"

namespace uringsync {

struct BenchOptions {
  RunOptions run;  // endpoints, certificates, the private agent, targets
  BenchPlan plan;
};

struct CertsOptions {
  std::string directory;
  std::vector<std::string> hosts;  // each one host's names, separated by commas
  int days = 0;
  bool force = false;
  std::vector<std::string> revoked;  // of certs revoke: names, or files of certificates
  bool revokes = false;              // certs revoke, else certs init
};

struct DoctorOptions {
  std::vector<std::string> paths;
  bool json = false;
};

// apply, and plan --show.
struct PlanFileOptions {
  Settings settings;  // how it runs and what is told
  std::string file;
};

struct ExplainOptions {
  RunOptions run;              // a plan
  std::vector<RelPath> paths;  // that are asked for, unique
};

// prove, and verify --proof.
struct ProofOptions {
  RunOptions run = {};  // the tree is its source; its destination is nowhere
  std::string file;
  bool check = false;
};

// --help, --version: print and succeed.
struct TextAnswer {
  std::string text;
};

using CommandLine = std::variant<RunOptions, BenchOptions, CertsOptions, DoctorOptions, PlanFileOptions, ExplainOptions,
                                 ProofOptions, TextAnswer>;

// LinkError(kUsage) with a text that says what is wrong, the nearest known word for an unknown one, and where help is.
absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv);

}  // namespace uringsync

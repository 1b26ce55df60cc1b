// Configuration of the agent: flags over environment over file over defaults, checked before anything starts.
//
// Every setting has one name: flag --data-listen, variable URINGSYNC_AGENT_DATA_LISTEN, key data-listen of the TOML
// file. An error names the origin of the value ("agent.toml line 3: listen", "URINGSYNC_AGENT_JOBS", "--root").
//
// Use:  US_ASSIGN_OR_RETURN(ConfigOutcome outcome, LoadAgentConfig(arguments, ::getenv));
//       if (!outcome.config) { std::cout << outcome.output; return 0; }   // --help, --version
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/access_list.h"
#include "agent/confinement.h"
#include "agent/logging.h"
#include "agent/private_shells.h"
#include "agent/roots.h"
#include "engine/net/address.h"
#include "engine/ring/driver.h"
#include "proto/grpc_control.h"

namespace uringsync {

constexpr size_t kMaxConfigFileBytes = size_t{1} << 20;
constexpr uint32_t kMaxJobs = 1024;
constexpr uint32_t kMaxIndexMemoryMib = 1 << 20;
constexpr uint32_t kMaxSessionHoldSeconds = 24 * 3600;
constexpr uint32_t kMaxIndexAgeSeconds = 366 * 24 * 3600;

struct AgentConfig {
  HostPort listen{"0.0.0.0", kDefaultControlPort};
  HostPort data_listen{"0.0.0.0", kDefaultDataPort};
  // All three files or none; none only in a private agent, with stdio, and with `insecure`, which keeps `listen` and
  // `data_listen` on the loopback.
  ControlTlsFiles tls;
  std::vector<RootSpec> roots;  // at least one, unless private or stdio
  std::vector<Grant> grants;    // likewise
  IoBackend io_backend = IoBackend::kAuto;
  uint32_t jobs = 0;  // shards; 0: one for each usable core
  LogOptions log;
  bool index = false;  // live indexes of all roots
  uint32_t index_memory_mib = 100;
  uint32_t index_max_age_seconds = 86400;
  uint32_t session_hold_seconds = 600;  // for a session whose command has lost its connection; 0: it ends at once
  bool fake_super = false;              // privileged attributes are kept in user.rsync.* (fake_super.h)
  bool device_data = false;             // sessions may read and write what devices hold
  ConfinementMode confinement = ConfinementMode::kAuto;
  bool health = false;            // gRPC health service
  bool reflection = false;        // gRPC server reflection
  bool background = false;        // idle priority for processor and disk; only in a private agent
  int private_fd = -1;            // ≥ 0: serve only the process at the other end of this socket
  bool stdio = false;             // serve only the peer on standard input and output (a remote shell)
  std::vector<ShellSpec> shells;  // with private_fd: remote shells of the run
  bool carry_only = false;        // both sides of the run are far: the command wants no session of this process
  int ready_fd = -1;              // ≥ 0: write "control=PORT data=PORT\n" there when ready, and close it
};

struct ConfigOutcome {
  std::optional<AgentConfig> config;
  std::string output;  // without config: print this and end well
};

// Name of a variable to its value; nullptr where it is not set.
using Environment = std::function<const char*(const char* name)>;

// `arguments` without the program's name. InvalidArgument for anything wrong; NotFound, PermissionDenied for the file.
absl::StatusOr<ConfigOutcome> LoadAgentConfig(const std::vector<std::string>& arguments,
                                              const Environment& environment);

// A value and where it came from.
struct Setting {
  std::vector<std::string> values;  // one, or several for `root`
  std::string origin;
};
// By name; what a layer does not say is absent.
using Settings = std::map<std::string, Setting, std::less<>>;

// The text of a configuration file. InvalidArgument names `file_name`, line and key for a syntax error, an unknown key
// and a value of the wrong type.
absl::StatusOr<Settings> ParseConfigText(std::string_view text, std::string_view file_name);
// The merged settings as a configuration. InvalidArgument as above; also for settings that contradict each other.
absl::StatusOr<AgentConfig> MakeAgentConfig(const Settings& settings);

}  // namespace uringsync

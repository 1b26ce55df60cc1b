#include "coordinator/cli/bench_flags.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

constexpr unsigned kMaxJobs = 1024;
constexpr unsigned kMaxConnections = 64;
constexpr unsigned kMaxTimeoutSeconds = 7 * 24 * 3600;
constexpr double kMinSeconds = 0.05;
constexpr double kMaxSeconds = 60;

}  // namespace

void AddBenchFlags(CLI::App* command, BenchFlags* flags) {
  Settings* run = &flags->run;
  command->add_option("SRC", flags->source, "Source endpoint")->required();
  command->add_option("DST", flags->destination, "Destination endpoint")->required();
  const std::string group = "What is measured";
  command->add_option("--seconds", flags->seconds, "Time of each step; 2 by default")
      ->check(CLI::Range(kMinSeconds, kMaxSeconds))
      ->type_name("SECONDS")
      ->group(group);
  command
      ->add_option("--max-write", flags->max_mebibytes, "MiB that a step writes below DST at the most; 256 by default")
      ->check(CLI::Range(1u, static_cast<unsigned>(kMaxBenchBytes >> 20)))
      ->type_name("MIB")
      ->group(group);
  const std::string how = "How it runs";
  command->add_flag("--wait", run->wait, "Wait for another run into the same DST instead of giving up")->group(how);
  command
      ->add_option("--connections", run->connections,
                   "Data connections between two agents; the agents choose by default")
      ->check(CLI::Range(1u, kMaxConnections))
      ->type_name("N")
      ->group(how);
  command
      ->add_option("--io-backend", run->io_backend,
                   "Of the private agent for local paths; auto (default) falls back to threads")
      ->check(CLI::IsMember({"auto", "uring", "threads"}))
      ->type_name("auto|uring|threads")
      ->group(how);
  command->add_option("--jobs", run->jobs, "Threads of each agent that work for it; one per usable core by default")
      ->check(CLI::Range(1u, kMaxJobs))
      ->type_name("N")
      ->group(how);
  command
      ->add_option("--timeout", run->timeout,
                   "End (exit 30) when an agent answers so much later than it should; never by default")
      ->check(CLI::Range(1u, kMaxTimeoutSeconds))
      ->type_name("SECONDS")
      ->group(how);
  const std::string tls = "Mutual TLS, for agent:// endpoints";
  command->add_option("--cert", run->cert, "Own certificate (PEM)")
      ->envname("URINGSYNC_CERT")
      ->type_name("FILE")
      ->group(tls);
  command->add_option("--key", run->key, "Its private key (PEM)")
      ->envname("URINGSYNC_KEY")
      ->type_name("FILE")
      ->group(tls);
  command->add_option("--ca", run->ca, "Authority that vouches for the agents (PEM)")
      ->envname("URINGSYNC_CA")
      ->type_name("FILE")
      ->group(tls);
  command->add_option("--crl", run->crl, "Revocation lists of the authority (PEM): agents in them are refused")
      ->envname("URINGSYNC_CRL")
      ->type_name("FILE")
      ->group(tls);
  command
      ->add_flag(
          "--insecure", run->insecure,
          "No TLS, no certificates, for tests: to agents that were started with --insecure, over the loopback alone")
      ->group(tls);
  command->add_flag("--json", run->json, "One JSON object (docs/json.md)")->group("Output");
}

absl::StatusOr<BenchOptions> ToBenchOptions(const BenchFlags& flags) {
  BenchOptions options;
  Settings settings = flags.run;
  settings.operands = {flags.source, flags.destination};
  US_ASSIGN_OR_RETURN(options.run, ToRunOptions(settings));
  options.plan.step_time = absl::Seconds(flags.seconds);
  options.plan.max_bytes = uint64_t{flags.max_mebibytes} << 20;
  return options;
}

}  // namespace uringsync

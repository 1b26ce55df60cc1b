// simulate: whole-system simulation of uringsync, seed by seed.
//
//   simulate --seeds 1-1000          each history in a process of its own; exit code 1 when one of them went wrong
//   simulate --seed 17 [--trace]     one, with every step
//   simulate --seeds 1-200 --twice   each twice: both must take the same steps
//   simulate --seeds 1-200 --defect lost-syncs    something is broken on purpose: exit code 0 when it was found
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "agent/logging.h"
#include "engine/fs/lease.h"
#include "tests/sim/history.h"

namespace uringsync::sim {
namespace {

struct Arguments {
  std::string seeds = "1-100";
  bool trace = false;
  bool twice = false;
  double seconds = 0;  // 0: no limit
  std::string defect;
};

const std::map<std::string, bool Defects::*> kDefects = {
    {"lost-syncs", &Defects::lost_syncs},       {"torn-publish", &Defects::torn_publish},
    {"hidden-errors", &Defects::hidden_errors}, {"blind-exchange", &Defects::blind_exchange},
    {"lost-problems", &Defects::lost_problems}, {"lost-writes", &Defects::lost_writes}};

// What a history's process tells the one that made it.
struct Told {
  uint64_t digest = 0;
  uint64_t steps = 0;
  uint64_t runs = 0;
  uint64_t runs_ok = 0;
  uint64_t runs_with_strays = 0;
  FaultCounts faults;
  char wrong[4096] = "";
};

[[noreturn]] void Tell(int pipe, const Verdict& verdict) {
  Told told;
  told.digest = verdict.digest;
  told.steps = verdict.steps;
  told.runs = verdict.runs;
  told.runs_ok = verdict.runs_ok;
  told.runs_with_strays = verdict.runs_with_strays;
  told.faults = verdict.faults;
  std::strncpy(told.wrong, verdict.wrong.c_str(), sizeof(told.wrong) - 1);
  std::fflush(stdout);
  if (::write(pipe, &told, sizeof(told)) != sizeof(told)) std::abort();
  // Threads of programs that were killed are still there.
  ::_exit(0);
}

Told LiveInChild(uint64_t seed, const Arguments& arguments) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) std::abort();
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child < 0) std::abort();
  if (child == 0) {
    // A history that spins without a step of the simulation is a defect too.
    ::alarm(120);
    HistoryOptions options{.seed = seed, .trace = arguments.trace};
    if (!arguments.defect.empty()) options.defects.*kDefects.at(arguments.defect) = true;
    // Never destroyed: its threads stand on it.
    auto* history = new History(options);
    history->OnStuck([&](const Verdict& verdict) { Tell(pipe[1], verdict); });
    Tell(pipe[1], history->Live());
  }
  ::close(pipe[1]);
  Told told;
  const ssize_t got = ::read(pipe[0], &told, sizeof(told));
  ::close(pipe[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (got != sizeof(told)) {
    told = Told();
    std::snprintf(told.wrong, sizeof(told.wrong), "the process ended with status %d (signal %d)", status,
                  WTERMSIG(status));
  }
  return told;
}

void Add(const FaultCounts& from, FaultCounts* to) {
  to->kills += from.kills;
  to->power_cuts += from.power_cuts;
  to->network_cuts += from.network_cuts;
  to->partitions += from.partitions;
  to->errors += from.errors;
  to->changes += from.changes;
  to->strangers += from.strangers;
  to->full_disks += from.full_disks;
}

int Run(const Arguments& arguments) {
  const size_t dash = arguments.seeds.find('-');
  const uint64_t first = std::stoull(arguments.seeds);
  const uint64_t last = dash == std::string::npos ? first : std::stoull(arguments.seeds.substr(dash + 1));
  const auto begin = std::chrono::steady_clock::now();
  const auto elapsed = [begin] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  FaultCounts faults;
  uint64_t seeds = 0;
  uint64_t steps = 0;
  uint64_t runs = 0;
  uint64_t runs_ok = 0;
  uint64_t runs_with_strays = 0;
  uint64_t wrong = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    if (arguments.seconds > 0 && elapsed() > arguments.seconds) break;
    Told told = LiveInChild(seed, arguments);
    ++seeds;
    steps += told.steps;
    runs += told.runs;
    runs_ok += told.runs_ok;
    runs_with_strays += told.runs_with_strays;
    Add(told.faults, &faults);
    if (arguments.twice && told.wrong[0] == '\0') {
      const Told again = LiveInChild(seed, arguments);
      if (again.digest != told.digest || again.steps != told.steps)
        std::snprintf(told.wrong, sizeof(told.wrong),
                      "it does not repeat: digests %016lx and %016lx, %lu and %lu steps", told.digest, again.digest,
                      told.steps, again.steps);
    }
    if (first == last)
      std::printf("seed %lu: digest %016lx, %lu steps, %lu runs\n", seed, told.digest, told.steps, told.runs);
    if (told.wrong[0] == '\0') continue;
    ++wrong;
    std::printf("seed %lu: %s\n", seed, told.wrong);
    if (!arguments.defect.empty()) break;
  }
  std::printf(
      "%lu seeds, %lu wrong; %lu runs, %lu of them with exit code 0, %lu left temporaries; %lu kills, %lu power cuts, "
      "%lu network cuts, %lu "
      "partitions, "
      "%lu errors, %lu full disks, %lu changes of the source, %lu strangers; %lu steps in %.1f s\n",
      seeds, wrong, runs, runs_ok, runs_with_strays, faults.kills, faults.power_cuts, faults.network_cuts,
      faults.partitions, faults.errors, faults.full_disks, faults.changes, faults.strangers, steps, elapsed());
  if (!arguments.defect.empty()) {
    std::printf("%s: %s\n", arguments.defect.c_str(), wrong > 0 ? "found" : "NOT FOUND");
    return wrong > 0 ? 0 : 1;
  }
  return wrong > 0 ? 1 : 0;
}

// Addresses are the same in every process, or containers that are ordered by them are not; one core: only one thread
// runs at any time, and it is handed over sooner there.
void Steady(char** argv) {
  const int now = ::personality(0xffffffff);
  if (now != -1 && (now & ADDR_NO_RANDOMIZE) == 0 &&
      ::personality(static_cast<unsigned long>(now) | ADDR_NO_RANDOMIZE) != -1) {
    ::execv("/proc/self/exe", argv);
  }
  ::mallopt(M_ARENA_MAX, 1);
  const int core = ::sched_getcpu();
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(core < 0 ? 0 : core), &set);
  ::sched_setaffinity(0, sizeof(set), &set);
}

}  // namespace
}  // namespace uringsync::sim

int main(int argc, char** argv) {
  using namespace uringsync::sim;
  Arguments arguments;
  CLI::App app("Whole-system simulation of uringsync: coordinator and two agents on one seeded executor");
  app.add_option("--seeds,--seed", arguments.seeds, "A or A-B: which histories")->capture_default_str();
  app.add_flag("--trace", arguments.trace, "print every step");
  app.add_flag("--twice", arguments.twice, "live each history twice and compare");
  app.add_option("--seconds", arguments.seconds, "begin no further history after so long");
  std::set<std::string> names;
  for (const auto& [name, field] : kDefects) names.insert(name);
  app.add_option("--defect", arguments.defect, "break something on purpose, until it is found")
      ->check(CLI::IsMember(names));
  CLI11_PARSE(app, argc, argv);
  Steady(argv);
  uringsync::SetUpLogging({.format = uringsync::LogFormat::kPlain, .level = uringsync::LogLevel::kError});
  uringsync::IgnoreLeaseSignals();
  return Run(arguments);
}

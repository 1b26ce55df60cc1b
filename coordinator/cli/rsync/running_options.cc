#include "coordinator/cli/rsync/option_effects.h"
#include "coordinator/cli/rsync/option_table.h"
#include "coordinator/cli/rsync/stop_time.h"

namespace uringsync {
namespace {

using S = Settings;

constexpr long long kMaxJobs = 1024;
constexpr long long kMaxConnections = 64;
constexpr long long kMaxTimeoutSeconds = 7 * 24 * 3600;
constexpr long long kMaxStopMinutes = 366 * 24 * 60;

absl::Status StopAfter(Settings& settings, const std::string& value) {
  const absl::Status status = Number<&S::stop_minutes, 1, kMaxStopMinutes>(settings, value);
  if (!status.ok()) return absl::InvalidArgumentError("a number of minutes, at least 1, belongs there");
  settings.stop_at.reset();
  return status;
}

absl::Status StopAt(Settings& settings, const std::string& value) {
  const absl::StatusOr<std::time_t> when = ParseStopTime(value, std::time(nullptr));
  if (!when.ok()) return when.status();
  settings.stop_at = *when;
  settings.stop_minutes = 0;
  return absl::OkStatus();
}

absl::Status RemoteOption(Settings& settings, const std::string& value) {
  if (value != "--fake-super") return absl::InvalidArgumentError("of one end alone there is only --fake-super");
  settings.far_fake_super = true;
  return absl::OkStatus();
}

constexpr OptionRow kRows[] = {
    {.name = "compress",
     .letter = 'z',
     .aliases = "new-compress",
     .programs = kForUrsync | kForSync | kForApply,
     .on = Set<&S::compress, true>,
     .off = Set<&S::compress, false>,
     .help = "Compress contents between two agents where that is faster: the level follows the link and the processor"},
    {.name = "old-compress", .refused = "contents are compressed with zstd alone"},
    {.name = "compress-choice",
     .aliases = "zc",
     .argument = "zstd|auto|none",
     .programs = kForUrsync | kForSync | kForApply,
     .on =
         +[](Settings& settings, const std::string& value) {
           if (value == "zstd" || value == "auto" || value == "none") {
             settings.compress_choice = value;
             return absl::OkStatus();
           }
           return absl::UnimplementedError("zstd, auto or none belongs there");
         },
     .help = "zstd: always; auto: as -z; none. Implies -z but for none"},
    {.name = "compress-level",
     .aliases = "zl",
     .argument = "N",
     .programs = kForUrsync | kForSync | kForApply,
     .on = Store<&S::compress_level>,
     .help = "Always zstd at this level, -7 to 19; 0 is its default, 3"},
    {.name = "compress-threads", .aliases = "zt", .argument = "NUM", .on = AlreadyNumber},
    {.name = "skip-compress", .argument = "LIST", .on = Already},
    {.name = "bwlimit",
     .argument = "RATE",
     .programs = kForUrsync | kForSync | kForApply,
     .on = Store<&S::bwlimit>,
     .off = Clear<&S::bwlimit>,
     .help = "Contents go no faster than this: KiB a second, or with a suffix K, M, G; 0: no limit"},
    {.name = "rsh",
     .letter = 'e',
     .argument = "COMMAND",
     .programs = kForCarrying,
     .on = Store<&S::rsh>,
     .help = "The remote shell of HOST:PATH, with its options ($URINGSYNC_RSH, $RSYNC_RSH, ssh)"},
    {.name = "rsync-path",
     .argument = "PROGRAM",
     .programs = kForCarrying,
     .on = Store<&S::far_program>,
     .help = "What it runs there; the last word named rsync stands for uringsync-agent"},
    {.name = "direct",
     .programs = kForCarrying,
     .on = Set<&S::direct, true>,
     .off = Set<&S::direct, false>,
     .help = "Contents of HOST:PATH over connections of their own (TLS under keys of this run), and through the shell "
             "where that fails"},
    {.name = "direct-port",
     .argument = "PORT",
     .programs = kForCarrying,
     .on =
         +[](Settings& settings, const std::string& value) {
           settings.direct = true;
           return Number<&S::direct_port, 1, 65535>(settings, value);
         },
     .help = "--direct, and the far agent listens on this port; any by default"},
    {.name = "remote-option",
     .letter = 'M',
     .argument = "OPT",
     .programs = kForAll,
     .on = RemoteOption,
     .help = "An option of the agent at HOST:PATH alone: --fake-super"},
    {.name = "blocking-io", .on = Already, .off = Already},
    {.name = "ipv4",
     .letter = '4',
     .programs = kForCarrying,
     .on = Set<&S::family, AddressFamily::kIpv4>,
     .help = "Tell ssh to use IPv4"},
    {.name = "ipv6",
     .letter = '6',
     .programs = kForCarrying,
     .on = Set<&S::family, AddressFamily::kIpv6>,
     .help = "Tell ssh to use IPv6"},
    {.name = "old-args", .on = Set<&S::old_args, true>, .off = Set<&S::old_args, false>},
    {.name = "secluded-args",
     .letter = 's',
     .aliases = "protect-args",
     .on = Set<&S::secluded_args, true>,
     .off = Set<&S::secluded_args, false>,
     .help = "Accepted: names never pass a shell"},
    {.name = "trust-sender",
     .programs = kForUrsync | kForSync,
     .on = Set<&S::trust_sender, true>,
     .help = "Do not check that an agent on another host tells only what was asked for"},
    {.name = "timeout",
     .argument = "SECONDS",
     .programs = kForCarrying,
     .on = Number<&S::timeout, 0, kMaxTimeoutSeconds>,
     .off = Set<&S::timeout, 0u>,
     .help = "End the run (exit 30) when an agent is silent so long once it is connected; never by default"},
    {.name = "contimeout",
     .argument = "SECONDS",
     .programs = kForRuns | kForApply,
     .on = Number<&S::contimeout, 0, kMaxTimeoutSeconds>,
     .off = Set<&S::contimeout, 0u>,
     .help = "Give up connecting to an agent after so long; 10 by default"},
    {.name = "stop-after",
     .aliases = "time-limit",
     .argument = "MINS",
     .programs = kForUrsync | kForSync | kForApply,
     .on = StopAfter,
     .help = "End the run in good order (exit 30) after so many minutes"},
    {.name = "stop-at",
     .argument = "y-m-dTh:m",
     .programs = kForUrsync | kForSync | kForApply,
     .on = StopAt,
     .help = "End the run in good order (exit 30) at that time"},
    {.name = "io-backend",
     .argument = "auto|uring|threads",
     .programs = kForCarrying,
     .on = OneOf<&S::io_backend, "auto|uring|threads">,
     .help = "Of the private agent for local paths; auto (default) falls back to threads"},
    {.name = "jobs",
     .argument = "N",
     .programs = kForCarrying,
     .on = Number<&S::jobs, 1, kMaxJobs>,
     .help = "Threads that work for this run at each agent, at most; one per usable core by default"},
    {.name = "connections",
     .argument = "N",
     .programs = kForUrsync | kForSync | kForApply,
     .on = Number<&S::connections, 1, kMaxConnections>,
     .help = "Data connections between two agents; the agents choose by default"},
    {.name = "background",
     .programs = kForCarrying,
     .on = Set<&S::background, true>,
     .help = "Leave the machines to others: idle priority, one thread an agent"},
    {.name = "cert",
     .argument = "FILE",
     .programs = kForCarrying,
     .on = Store<&S::cert>,
     .help = "Own certificate (PEM), for agent:// endpoints ($URINGSYNC_CERT)"},
    {.name = "key",
     .argument = "FILE",
     .programs = kForCarrying,
     .on = Store<&S::key>,
     .help = "Its private key (PEM) ($URINGSYNC_KEY)"},
    {.name = "ca",
     .argument = "FILE",
     .programs = kForCarrying,
     .on = Store<&S::ca>,
     .help = "Authority that vouches for the agents (PEM) ($URINGSYNC_CA)"},
    {.name = "insecure",
     .programs = kForCarrying,
     .on = Set<&S::insecure, true>,
     .help =
         "No TLS, no certificates, for tests: to agents that were started with --insecure, over the loopback alone"},
    {.name = "crl",
     .argument = "FILE",
     .programs = kForCarrying,
     .on = Store<&S::crl>,
     .help = "Revocation lists of the authority (PEM): agents in them are refused ($URINGSYNC_CRL)"},
    {.name = "max-alloc", .argument = "SIZE", .on = AlreadySize},
    {.name = "protocol", .argument = "NUM", .refused = "versions are agreed on by the agents"},
    {.name = "iconv",
     .argument = "SPEC",
     .off = Already,
     .refused = "names are bytes and stay as they are",
     .refusal_code = 4},
    {.name = "motd", .off = Already, .refused = kDaemon},
    {.name = "password-file", .argument = "FILE", .refused = kDaemon},
    {.name = "early-input", .argument = "FILE", .refused = kDaemon},
    {.name = "address", .argument = "ADDRESS", .refused = kDaemon},
    {.name = "port", .argument = "PORT", .refused = kDaemon},
    {.name = "sockopts", .argument = "OPTIONS", .refused = kDaemon},
    {.name = "daemon", .refused = kDaemon},
    {.name = "server", .refused = "the other end of uringsync is uringsync-agent; rsync cannot speak to it"},
    {.name = "sender", .refused = "the other end of uringsync is uringsync-agent; rsync cannot speak to it"},
};

}  // namespace

std::span<const OptionRow> RunningOptions() {
  return kRows;
}

}  // namespace uringsync

#include "coordinator/cli/doctor.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <utility>

#include "coordinator/cli/units.h"
#include "engine/base/escape.h"
#include "engine/fs/directory.h"
#include "engine/ring/runtime.h"

namespace uringsync {
namespace {

constexpr uint64_t kWantedOpenFiles = 4096;
// Room for the registered buffers of one shard.
constexpr uint64_t kWantedMemlockBytes = uint64_t{16} << 20;
constexpr int kOldestMajor = 5;
constexpr int kOldestMinor = 6;

std::string Limit(uint64_t value) {
  return value == UINT64_MAX ? "unlimited" : std::to_string(value);
}

// A probe's temporaries are told from a run's by their tag.
uint64_t RandomTag() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

PathFeatures LookAt(Driver* driver, const std::string& path) {
  PathFeatures out;
  out.path = path;
  absl::StatusOr<DirectoryPtr> directory = OpenRoot(driver, path);
  if (!directory.ok()) {
    out.error = std::string(directory.status().message());
    return out;
  }
  absl::StatusOr<std::string> type = FileSystemTypeName(driver, (*directory)->fd());
  out.file_system = type.ok() ? *type : "unknown";
  out.time_granularity_ns = ProbeTimeGranularity(driver, **directory);
  StateNamer namer(RandomTag());
  out.features = ProbeFeatures(driver, **directory, &namer);
  return out;
}

Finding JudgeKernel(const ProbeReport& ring) {
  Finding finding{"kernel", Verdict::kGood, EscapeName(ring.kernel_release), {}};
  char* rest = nullptr;
  const long major = std::strtol(ring.kernel_release.c_str(), &rest, 10);
  const long minor = rest != nullptr && *rest == '.' ? std::strtol(rest + 1, nullptr, 10) : 0;
  if (major < kOldestMajor || (major == kOldestMajor && minor < kOldestMinor)) {
    finding.verdict = Verdict::kBad;
    finding.advice = "Linux 5.6 or newer is needed (openat2)";
  }
  return finding;
}

Finding JudgeRing(const ProbeReport& ring) {
  Finding finding{"io_uring", Verdict::kGood, "usable", {}};
  if (ring.ring_usable) {
    finding.value += ", set-up flags: " + ring.setup_flags;
    std::string missing;
    for (const std::string& operation : ring.missing_operations) missing += (missing.empty() ? "" : ", ") + operation;
    if (!missing.empty()) {
      finding.verdict = Verdict::kNote;
      finding.value += "; without " + EscapeName(missing);
      finding.advice = "these operations run as plain system calls; a newer kernel has them";
    }
    return finding;
  }
  finding.verdict = Verdict::kBad;
  finding.value = "not usable: " + EscapeName(ring.ring_error);
  finding.advice = "runs go on with --io-backend=threads, slower. ";
  if (ring.io_uring_disabled > 0) {
    finding.advice += "kernel.io_uring_disabled is " + std::to_string(ring.io_uring_disabled) +
                      ": the administrator can set it to 0 (sysctl -w kernel.io_uring_disabled=0)" +
                      (ring.io_uring_disabled == 1 ? ", or put this user's group into kernel.io_uring_group" : "");
  } else if (ring.seccomp_mode == 2) {
    finding.advice +=
        "A seccomp filter is active, as container runtimes set by default: use a profile that allows io_uring_setup, "
        "io_uring_enter and io_uring_register";
  } else {
    finding.advice +=
        "The kernel may be built without it, or an AppArmor or SELinux policy denies it: look into the kernel log";
  }
  return finding;
}

Finding JudgeSeccomp(const ProbeReport& ring) {
  const char* value = ring.seccomp_mode == 0   ? "none"
                      : ring.seccomp_mode == 1 ? "strict"
                      : ring.seccomp_mode == 2 ? "a filter is active"
                                               : "unknown";
  return {"seccomp", Verdict::kGood, value, {}};
}

std::vector<Finding> JudgeLimits(const HostFacts& facts) {
  Finding files{"open files",
                Verdict::kGood,
                Limit(facts.open_files_soft) + " (hard limit " + Limit(facts.open_files_hard) + ")",
                {}};
  if (facts.open_files_soft < kWantedOpenFiles) {
    files.verdict = Verdict::kNote;
    files.advice = "fewer files move at once; ulimit -n " + std::to_string(kWantedOpenFiles) +
                   " or LimitNOFILE= in the unit raises it";
  }
  Finding memory{
      "locked memory",
      Verdict::kGood,
      (facts.ring.memlock_limit_bytes == UINT64_MAX ? "unlimited" : FormatBytes(facts.ring.memlock_limit_bytes)) +
          ", registered buffers: " + EscapeName(facts.ring.registered_buffers),
      {}};
  if (facts.ring.memlock_limit_bytes < kWantedMemlockBytes && facts.ring.ring_usable &&
      facts.ring.registered_buffers != "yes") {
    memory.verdict = Verdict::kNote;
    memory.advice = "plain buffers are used, a little slower; ulimit -l or LimitMEMLOCK= raises it";
  }
  return {std::move(files), std::move(memory)};
}

std::vector<Finding> JudgeCapabilities(const ProcessCapabilities& capabilities) {
  std::vector<Finding> findings;
  const auto add = [&findings](const char* name, bool have, const char* without) {
    findings.push_back({name, have ? Verdict::kGood : Verdict::kNote, have ? "yes" : "no", have ? "" : without});
  };
  add("CAP_CHOWN", capabilities.can_chown,
      "a destination here keeps its own owner of files; run it as root or grant the capability");
  add("CAP_FOWNER", capabilities.can_override_owner, "modes, times and ACLs of files of others cannot be set here");
  add("CAP_MKNOD", capabilities.can_mknod, "block and character devices are left out at a destination here");
  add("CAP_SETFCAP", capabilities.can_set_capabilities, "file capabilities are left out at a destination here");
  add("CAP_SYS_ADMIN", capabilities.can_set_trusted,
      "trusted.* and other security.* xattrs are neither read nor set here");
  return findings;
}

void JudgePath(const PathFeatures& path, std::vector<Finding>* findings) {
  const std::string name = EscapeName(path.path);
  if (!path.error.empty()) {
    findings->push_back({name, Verdict::kBad, path.error, "name a directory that this user may open"});
    return;
  }
  findings->push_back({name, Verdict::kGood, EscapeName(path.file_system), {}});
  Finding times{
      name + ": time stamps", Verdict::kGood, "kept to " + std::to_string(path.time_granularity_ns) + " ns", {}};
  if (path.time_granularity_ns > 1) {
    times.verdict = Verdict::kNote;
    times.advice = "times are cut to this step, and compared so";
  }
  findings->push_back(std::move(times));
  for (const FeatureReport& feature : path.features) {
    Finding finding{name + ": " + EscapeName(feature.name), Verdict::kGood, "yes", {}};
    if (feature.state != FeatureState::kYes) {
      finding.verdict = Verdict::kNote;
      finding.value = feature.state == FeatureState::kNo ? "no" : "unknown";
      if (feature.error != 0) finding.value += std::string(" (") + std::strerror(feature.error) + ")";
      finding.advice = EscapeName(feature.meaning);
    }
    findings->push_back(std::move(finding));
  }
}

}  // namespace

HostFacts CollectHostFacts(const std::vector<std::string>& paths) {
  HostFacts facts;
  facts.ring = Probe();
  facts.capabilities = ReadProcessCapabilities();
  facts.usable_cores = UsableCores();
  rlimit files = {};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    facts.open_files_soft = files.rlim_cur == RLIM_INFINITY ? UINT64_MAX : files.rlim_cur;
    facts.open_files_hard = files.rlim_max == RLIM_INFINITY ? UINT64_MAX : files.rlim_max;
  }
  if (paths.empty()) return facts;
  DriverOptions options;
  options.backend = IoBackend::kThreads;  // only inline calls are made
  absl::StatusOr<DriverChoice> choice = MakeDriver(options);
  for (const std::string& path : paths) {
    if (choice.ok()) {
      facts.paths.push_back(LookAt(choice->driver.get(), path));
    } else {
      facts.paths.push_back(
          {.path = path, .error = std::string(choice.status().message()), .file_system = {}, .features = {}});
    }
  }
  return facts;
}

std::vector<Finding> Judge(const HostFacts& facts) {
  std::vector<Finding> findings = {JudgeKernel(facts.ring), JudgeRing(facts.ring), JudgeSeccomp(facts.ring)};
  findings.push_back({"usable cores", Verdict::kGood, std::to_string(facts.usable_cores), {}});
  for (Finding& finding : JudgeLimits(facts)) findings.push_back(std::move(finding));
  for (Finding& finding : JudgeCapabilities(facts.capabilities)) findings.push_back(std::move(finding));
  for (const PathFeatures& path : facts.paths) JudgePath(path, &findings);
  return findings;
}

Verdict Worst(const std::vector<Finding>& findings) {
  Verdict worst = Verdict::kGood;
  for (const Finding& finding : findings) worst = std::max(worst, finding.verdict);
  return worst;
}

}  // namespace uringsync

#include "engine/ring/usable_cores.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "engine/ring/runtime.h"

namespace uringsync {
namespace {

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream{std::string(text)};
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

bool Contains(const std::vector<std::string>& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// Where a cgroup hierarchy is mounted, and which of its directories shows there.
struct CgroupMount {
  std::string mount_point;
  std::string root;
};

// The mount of the v1 cpu controller, or of the unified hierarchy.
std::optional<CgroupMount> FindMount(const CoreFiles& files, bool unified) {
  std::ifstream file(files.proc_self_mountinfo);
  for (std::string line; std::getline(file, line);) {
    // proc(5): id parent major:minor ROOT MOUNT_POINT options [tags...] - TYPE source SUPER_OPTIONS
    const std::vector<std::string> fields = Split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 10 || fields.end() - dash < 4) continue;
    const bool matches = unified ? dash[1] == "cgroup2" : dash[1] == "cgroup" && Contains(Split(dash[3], ','), "cpu");
    if (matches) return CgroupMount{fields[4], fields[3]};
  }
  return std::nullopt;
}

// Path of this process's cgroup in the hierarchy; nullopt where it is in none.
std::optional<std::string> FindCgroup(const CoreFiles& files, bool unified) {
  std::ifstream file(files.proc_self_cgroup);
  for (std::string line; std::getline(file, line);) {
    // cgroups(7): ID:CONTROLLERS:PATH, "0::PATH" for the unified one.
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool matches = unified ? controllers.empty() : Contains(Split(controllers, ','), "cpu");
    if (matches) return line.substr(second + 1);
  }
  return std::nullopt;
}

// CPU quota of one cgroup directory, in cores.
std::optional<double> QuotaAt(const std::string& directory, bool unified) {
  double quota = -1;
  double period = 0;
  if (unified) {
    std::ifstream file(directory + "/cpu.max");
    if (!(file >> quota >> period)) return std::nullopt;  // "max" is no number
  } else {
    std::ifstream quota_file(directory + "/cpu.cfs_quota_us");
    std::ifstream period_file(directory + "/cpu.cfs_period_us");
    if (!(quota_file >> quota) || !(period_file >> period)) return std::nullopt;
  }
  if (quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

// The tightest quota from the process's cgroup up to the mount.
std::optional<double> Quota(const CoreFiles& files, bool unified) {
  const std::optional<CgroupMount> mount = FindMount(files, unified);
  std::optional<std::string> path = FindCgroup(files, unified);
  if (!mount.has_value() || !path.has_value()) return std::nullopt;
  // In a container the mount shows a subtree only; the path may be given from its top or from the host's.
  if (mount->root != "/" && path->starts_with(mount->root)) path = path->substr(mount->root.size());
  std::optional<double> tightest;
  while (true) {
    const std::optional<double> quota = QuotaAt(mount->mount_point + *path, unified);
    if (quota.has_value() && (!tightest.has_value() || *quota < *tightest)) tightest = quota;
    const size_t slash = path->rfind('/');
    if (path->empty() || slash == std::string::npos) return tightest;
    path->resize(slash);
  }
}

size_t AffinityCores() {
  // Machines with more cores than a cpu_set_t holds need a larger one.
  for (size_t cpus = CPU_SETSIZE; cpus <= (size_t{1} << 16); cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    const size_t bytes = CPU_ALLOC_SIZE(cpus);
    const bool ok = ::sched_getaffinity(0, bytes, set) == 0;
    const int count = ok ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (ok) return static_cast<size_t>(std::max(1, count));
  }
  return static_cast<size_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace

size_t CoresUnderQuota(size_t affinity_cores, const CoreFiles& files) {
  size_t cores = affinity_cores;
  for (bool unified : {true, false}) {
    const std::optional<double> quota = Quota(files, unified);
    if (quota.has_value()) cores = std::min(cores, static_cast<size_t>(std::ceil(*quota)));
  }
  return std::max<size_t>(1, cores);
}

size_t UsableCores() {
  return CoresUnderQuota(AffinityCores(), CoreFiles{});
}

}  // namespace uringsync

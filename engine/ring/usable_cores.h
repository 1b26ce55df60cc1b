// How many cores this process may use: what Runtime takes for its number of shards.
//
// Thread rule: free of state.
#pragma once

#include <cstddef>
#include <string>

namespace uringsync {

// Where the kernel's files are looked for; tests point them elsewhere.
struct CoreFiles {
  std::string proc_self_cgroup = "/proc/self/cgroup";
  std::string proc_self_mountinfo = "/proc/self/mountinfo";
};

// The smaller of `affinity_cores` and the tightest CPU quota among the process's cgroup and its ancestors (v2 cpu.max,
// v1 cpu.cfs_quota_us over cpu.cfs_period_us), rounded up; at least 1. Unreadable files mean: no quota.
size_t CoresUnderQuota(size_t affinity_cores, const CoreFiles& files);

}  // namespace uringsync

#include "engine/ring/usable_cores.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <string>
#include <thread>

#include "engine/ring/runtime.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

class UsableCoresTest : public testing::Test {
 protected:
  CoreFiles Files(const std::string& cgroup, const std::string& mountinfo) {
    WriteFile(dir_ / "cgroup", cgroup);
    WriteFile(dir_ / "mountinfo", mountinfo);
    return {dir_ / "cgroup", dir_ / "mountinfo"};
  }
  std::string UnifiedMount(const std::string& root) {
    return "30 23 0:26 " + root + " " + (dir_ / "cg") + " rw,nosuid - cgroup2 cgroup2 rw\n";
  }
  TempDir dir_;
};

TEST_F(UsableCoresTest, MissingFilesMeanNoQuota) {
  EXPECT_EQ(CoresUnderQuota(8, {"/nonexistent", "/nonexistent"}), 8U);
}

TEST_F(UsableCoresTest, UnifiedQuotaIsRoundedUp) {
  WriteFile(dir_ / "cg/a/b/cpu.max", "150000 100000\n");
  EXPECT_EQ(CoresUnderQuota(8, Files("0::/a/b\n", UnifiedMount("/"))), 2U);
}

TEST_F(UsableCoresTest, TightestAncestorDecides) {
  WriteFile(dir_ / "cg/a/b/cpu.max", "max 100000\n");
  WriteFile(dir_ / "cg/a/cpu.max", "300000 100000\n");
  EXPECT_EQ(CoresUnderQuota(8, Files("0::/a/b\n", UnifiedMount("/"))), 3U);
}

TEST_F(UsableCoresTest, NoQuotaLeavesTheAffinity) {
  WriteFile(dir_ / "cg/a/cpu.max", "max 100000\n");
  EXPECT_EQ(CoresUnderQuota(5, Files("0::/a\n", UnifiedMount("/"))), 5U);
}

TEST_F(UsableCoresTest, ContainerSeesItsSubtreeAtTheMount) {
  WriteFile(dir_ / "cg/cpu.max", "50000 100000\n");
  EXPECT_EQ(CoresUnderQuota(8, Files("0::/\n", UnifiedMount("/docker/123"))), 1U);
  EXPECT_EQ(CoresUnderQuota(8, Files("0::/docker/123\n", UnifiedMount("/docker/123"))), 1U);
}

TEST_F(UsableCoresTest, OldHierarchyQuotaCounts) {
  WriteFile(dir_ / "cpu/job/cpu.cfs_quota_us", "400000\n");
  WriteFile(dir_ / "cpu/job/cpu.cfs_period_us", "100000\n");
  const CoreFiles files = Files("11:memory:/x\n4:cpu,cpuacct:/job\n",
                                "31 23 0:27 / " + (dir_ / "cpu") + " rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n");
  EXPECT_EQ(CoresUnderQuota(8, files), 4U);
  EXPECT_EQ(CoresUnderQuota(3, files), 3U);
}

TEST_F(UsableCoresTest, OldHierarchyWithoutQuotaSaysMinusOne) {
  WriteFile(dir_ / "cpu/cpu.cfs_quota_us", "-1\n");
  WriteFile(dir_ / "cpu/cpu.cfs_period_us", "100000\n");
  const CoreFiles files = Files("4:cpu:/\n", "31 23 0:27 / " + (dir_ / "cpu") + " rw - cgroup cgroup rw,cpu\n");
  EXPECT_EQ(CoresUnderQuota(6, files), 6U);
}

TEST_F(UsableCoresTest, AffinityOfTheThreadCuts) {
  size_t cores = 0;
  std::thread pinned([&cores] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    ::sched_setaffinity(0, sizeof(one), &one);
    cores = UsableCores();
  });
  pinned.join();
  EXPECT_EQ(cores, 1U);
  EXPECT_GE(UsableCores(), 1U);
}

}  // namespace
}  // namespace uringsync

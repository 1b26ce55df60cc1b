#include "coordinator/cli/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "coordinator/cli/doctor_command.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

HostFacts GoodHost() {
  HostFacts facts;
  facts.ring.ring_usable = true;
  facts.ring.setup_flags = "SINGLE_ISSUER";
  facts.ring.kernel_release = "6.18.0";
  facts.ring.io_uring_disabled = 0;
  facts.ring.seccomp_mode = 0;
  facts.ring.registered_buffers = "yes";
  facts.ring.memlock_limit_bytes = UINT64_MAX;
  facts.capabilities.can_chown = facts.capabilities.can_mknod = facts.capabilities.can_set_capabilities = true;
  facts.capabilities.can_set_trusted = facts.capabilities.can_override_owner = true;
  facts.open_files_soft = 20000;
  facts.open_files_hard = 20000;
  facts.usable_cores = 2;
  return facts;
}

Finding Find(const std::vector<Finding>& findings, const std::string& topic) {
  for (const Finding& finding : findings) {
    if (finding.topic == topic) return finding;
  }
  ADD_FAILURE() << "no finding about " << topic;
  return {};
}

TEST(DoctorTest, HealthyHostHasOnlyGoodFindings) {
  const std::vector<Finding> findings = Judge(GoodHost());
  EXPECT_EQ(Worst(findings), Verdict::kGood);
  for (const Finding& finding : findings) EXPECT_EQ(finding.advice, "") << finding.topic;
}

TEST(DoctorTest, KernelBeforeOpenat2IsBad) {
  HostFacts facts = GoodHost();
  facts.ring.kernel_release = "5.5.19-generic";
  EXPECT_EQ(Find(Judge(facts), "kernel").verdict, Verdict::kBad);
  facts.ring.kernel_release = "5.6.0";
  EXPECT_EQ(Find(Judge(facts), "kernel").verdict, Verdict::kGood);
}

TEST(DoctorTest, DeniedRingTellsWhichCaseItIsAndWhatToDo) {
  HostFacts facts = GoodHost();
  facts.ring.ring_usable = false;
  facts.ring.ring_error = "io_uring_setup: Operation not permitted";
  facts.ring.io_uring_disabled = 2;
  EXPECT_THAT(Find(Judge(facts), "io_uring").advice, HasSubstr("sysctl -w kernel.io_uring_disabled=0"));
  facts.ring.io_uring_disabled = 0;
  facts.ring.seccomp_mode = 2;
  EXPECT_THAT(Find(Judge(facts), "io_uring").advice, HasSubstr("seccomp"));
  facts.ring.seccomp_mode = 0;
  EXPECT_THAT(Find(Judge(facts), "io_uring").advice, HasSubstr("SELinux"));
  EXPECT_EQ(Worst(Judge(facts)), Verdict::kBad);
}

TEST(DoctorTest, LimitsAndCapabilitiesAreNotes) {
  HostFacts facts = GoodHost();
  facts.open_files_soft = 1024;
  facts.capabilities.can_mknod = false;
  const std::vector<Finding> findings = Judge(facts);
  EXPECT_EQ(Find(findings, "open files").verdict, Verdict::kNote);
  EXPECT_EQ(Find(findings, "CAP_MKNOD").verdict, Verdict::kNote);
  EXPECT_EQ(Worst(findings), Verdict::kNote);
}

TEST(DoctorTest, FeatureThatIsMissingSaysWhatIsLost) {
  HostFacts facts = GoodHost();
  facts.paths.push_back({.path = "/x",
                         .error = {},
                         .file_system = "vfat",
                         .time_granularity_ns = 2'000'000'000,
                         .features = {{"ACLs", FeatureState::kNo, EOPNOTSUPP, "ACLs are lost."}}});
  facts.paths.push_back(
      {.path = "/missing", .error = "open /missing: No such file or directory", .file_system = {}, .features = {}});
  const std::vector<Finding> findings = Judge(facts);
  EXPECT_EQ(Find(findings, "/x: ACLs").advice, "ACLs are lost.");
  EXPECT_EQ(Find(findings, "/x: time stamps").verdict, Verdict::kNote);
  EXPECT_EQ(Find(findings, "/missing").verdict, Verdict::kBad);
}

TEST(DoctorTest, ThisHostCanBeLookedAt) {
  TempDir dir;
  const HostFacts facts = CollectHostFacts({dir.path()});
  EXPECT_FALSE(facts.ring.kernel_release.empty());
  EXPECT_GE(facts.usable_cores, 1u);
  ASSERT_EQ(facts.paths.size(), 1u);
  EXPECT_EQ(facts.paths[0].error, "");
  EXPECT_FALSE(facts.paths[0].features.empty());
}

TEST(DoctorTest, TextAndJsonHoldEveryFinding) {
  HostFacts facts = GoodHost();
  facts.open_files_soft = 1024;
  const std::vector<Finding> findings = Judge(facts);
  EXPECT_EQ(RenderDoctorText(findings).size(), findings.size() + 1);  // one advice
  const nlohmann::json json = nlohmann::json::parse(RenderDoctorJson(findings));
  EXPECT_EQ(json["verdict"], "note");
  EXPECT_EQ(json["findings"].size(), findings.size());
}

}  // namespace
}  // namespace uringsync

// Doctor: what this host offers, found out by trying, and what to do about what is missing.
//
// Collect* do the looking (plain calls of this process), Render* only words. Thread rule: functions.
// Use:  DoctorReport report = CollectDoctorReport({"/srv/data"});  for (auto& line : RenderDoctorText(report)) ...
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/fs/file_system.h"
#include "engine/fs/process_capabilities.h"
#include "engine/ring/probe.h"

namespace uringsync {

enum class Verdict : uint8_t { kGood, kNote, kBad };

// One thing that was looked at.
struct Finding {
  std::string topic;  // "kernel", "io_uring", "open files", "/srv/data: ACLs", ... escaped
  Verdict verdict = Verdict::kGood;
  std::string value;   // what was found, escaped
  std::string advice;  // what it costs and what to do; empty for kGood
};

struct PathFeatures {
  std::string path;
  std::string error;  // it could not be opened; the rest is empty then
  std::string file_system;
  uint32_t time_granularity_ns = 1;
  std::vector<FeatureReport> features;
};

// Raw facts; a test makes its own.
struct HostFacts {
  ProbeReport ring;
  ProcessCapabilities capabilities;
  uint64_t open_files_soft = 0;
  uint64_t open_files_hard = 0;
  size_t usable_cores = 0;
  std::vector<PathFeatures> paths;
};

HostFacts CollectHostFacts(const std::vector<std::string>& paths);
std::vector<Finding> Judge(const HostFacts& facts);
// Worst verdict; kGood for none.
Verdict Worst(const std::vector<Finding>& findings);

}  // namespace uringsync

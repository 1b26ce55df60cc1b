// Messages of `uringsync bench` between wire and value. For convert_client.cc and convert_agent.cc only.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/bench_messages.h"
#include "proto/convert_columns.h"

namespace uringsync::convert_internal {

void EncodeRunBench(const RunBench& run, v1::RunBench* wire);
absl::StatusOr<RunBench> DecodeRunBench(const v1::RunBench& wire);

absl::Status EncodeBenchReport(const BenchReport& report, v1::BenchReport* wire);
absl::StatusOr<BenchReport> DecodeBenchReport(const v1::BenchReport& wire);

}  // namespace uringsync::convert_internal

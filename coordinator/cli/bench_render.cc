#include "coordinator/cli/bench_render.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "coordinator/cli/units.h"
#include "coordinator/core/bench_verdict.h"
#include "engine/base/escape.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

const char* SideName(Side side) {
  switch (side) {
    case Side::kSource: return "source";
    case Side::kDestination: return "destination";
    case Side::kCoordinator: break;
  }
  return "network";
}

bool IsNetwork(BenchMetric metric) {
  return metric == BenchMetric::kRoundTrip || metric == BenchMetric::kFetched || metric == BenchMetric::kFetchedSmall ||
         metric == BenchMetric::kServed;
}

// "1,234,567": rates of objects are compared by eye.
std::string Grouped(double value) {
  std::string digits = std::to_string(static_cast<uint64_t>(std::llround(value)));
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string Milliseconds(double seconds) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g ms", seconds * 1e3);
  return text;
}

std::string Speed(const BenchRate& rate) {
  switch (rate.figure.metric) {
    case BenchMetric::kReadLarge:
    case BenchMetric::kFetched:
    case BenchMetric::kWritten:
    case BenchMetric::kWrittenSynced: return FormatRate(rate.bytes_per_second);
    case BenchMetric::kRoundTrip:
    case BenchMetric::kSyncedDirectories: return Milliseconds(1 / std::max(rate.count_per_second, 1e-9));
    case BenchMetric::kScanned: return Grouped(rate.count_per_second) + " objects/s";
    default: return Grouped(rate.count_per_second) + " files/s";
  }
}

std::string Padded(std::string text, size_t columns) {
  text.resize(std::max(text.size(), columns), ' ');
  return text;
}

std::string Percent(double share) {
  return std::to_string(std::lround(share * 100)) + " %";
}

std::string SideLine(const char* name, const std::string& endpoint, const HelloReply& agent,
                     const SessionOpened& opened, uint32_t cores) {
  std::string line =
      Padded(name, 13) + endpoint + "  (" + EscapeName(opened.file_system) + ", " + EscapeName(agent.io_backend);
  if (cores > 0) line += ", " + Count(cores, "core");
  return line + ")";
}

uint32_t CoresOf(const BenchOutcome& outcome, Side side) {
  for (const MeasuredStep& step : outcome.steps) {
    if (step.side == side) return step.report.cores;
  }
  return 0;
}

void AddTable(const BenchOutcome& outcome, std::vector<std::string>* lines) {
  const std::vector<BenchRate> rates = RatesOf(outcome);
  for (const BenchRate& rate : rates) {
    const BenchMetric metric = rate.figure.metric;
    if (metric == BenchMetric::kServed) continue;
    std::string line = "  " + Padded(BenchMetricName(metric), 28) +
                       Padded(IsNetwork(metric) ? "network" : SideName(rate.side), 13) + Padded(Speed(rate), 20);
    if (rate.figure.cpu_ns > 0) line += "CPU " + Percent(rate.cpu_share);
    if (metric == BenchMetric::kFetched) {
      const auto served =
          std::ranges::find(rates, BenchMetric::kServed, [](const BenchRate& r) { return r.figure.metric; });
      if (served != rates.end()) line += ", source " + Percent(served->cpu_share);
    }
    while (line.ends_with(' ')) line.pop_back();
    lines->push_back(std::move(line));
  }
}

std::string VerdictLine(const BenchVerdict& verdict) {
  const bool bytes = verdict.workload == BenchWorkload::kLargeFiles;
  const std::string rate =
      bytes ? FormatRate(verdict.expected)
            : Grouped(verdict.expected) + (verdict.workload == BenchWorkload::kSmallFiles ? " files/s" : " objects/s");
  return Padded(BenchWorkloadName(verdict.workload), 15) + "up to " + rate +
         "; the limit: " + BenchMetricName(verdict.bottleneck) + " (" + SideName(verdict.side) +
         (verdict.cpu_bound ? ", processor" : "") + ")";
}

// `text` in lines of words, each after `indent` spaces.
void AddWrapped(const std::string& text, size_t indent, std::vector<std::string>* lines) {
  constexpr size_t kColumns = 100;
  std::string line(indent, ' ');
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    if (line.size() > indent && line.size() + 1 + (end - begin) > kColumns) {
      lines->push_back(std::move(line));
      line.assign(indent, ' ');
    }
    if (line.size() > indent) line += ' ';
    line.append(text, begin, end - begin);
    begin = end + 1;
  }
  lines->push_back(std::move(line));
}

nlohmann::ordered_json SideJson(const std::string& endpoint, const HelloReply& agent, const SessionOpened& opened) {
  nlohmann::ordered_json side;
  side["endpoint"] = endpoint;
  side["software"] = EscapeName(agent.software);
  side["io_backend"] = EscapeName(agent.io_backend);
  side["file_system"] = EscapeName(opened.file_system);
  return side;
}

nlohmann::ordered_json StepJson(const MeasuredStep& step) {
  nlohmann::ordered_json out;
  out["side"] = SideName(step.side);
  out["step"] = BenchStepName(step.report.step);
  out["cores"] = step.report.cores;
  if (!step.report.note.empty()) out["note"] = EscapeName(step.report.note);
  out["figures"] = nlohmann::ordered_json::array();
  for (const BenchFigure& figure : step.report.figures) {
    out["figures"].push_back({{"metric", BenchMetricKey(figure.metric)},
                              {"count", figure.count},
                              {"bytes", figure.bytes},
                              {"seconds", static_cast<double>(figure.elapsed_ns) / 1e9},
                              {"cpu_seconds", static_cast<double>(figure.cpu_ns) / 1e9}});
  }
  return out;
}

}  // namespace

std::vector<std::string> RenderBenchText(const BenchOutcome& outcome, const BenchFacts& facts) {
  std::vector<std::string> lines;
  lines.push_back(
      SideLine("source", facts.source, outcome.source_agent, outcome.source, CoresOf(outcome, Side::kSource)));
  lines.push_back(SideLine("destination", facts.destination, outcome.destination_agent, outcome.destination,
                           CoresOf(outcome, Side::kDestination)));
  if (outcome.one_agent) lines.push_back("network      none: both sides are one process");
  lines.push_back("");
  AddTable(outcome, &lines);
  for (const MeasuredStep& step : outcome.steps) {
    if (!step.report.note.empty())
      lines.push_back(std::string("  note: ") + SideName(step.side) + ", " + BenchStepName(step.report.step) + ": " +
                      EscapeName(step.report.note));
  }
  const std::vector<BenchVerdict> verdicts = JudgeBenchmark(outcome);
  if (!verdicts.empty()) lines.push_back("");
  for (const BenchVerdict& verdict : verdicts) {
    lines.push_back(VerdictLine(verdict));
    AddWrapped(verdict.advice, 15, &lines);
  }
  return lines;
}

std::string RenderBenchJson(const BenchOutcome& outcome, const BenchFacts& facts) {
  nlohmann::ordered_json out;
  out["event"] = "bench";
  out["format"] = 1;
  out["version"] = std::string(SoftwareVersion());
  out["exit_code"] = static_cast<int>(outcome.exit_code);
  if (!facts.error.empty()) out["error"] = facts.error;
  out["source"] = SideJson(facts.source, outcome.source_agent, outcome.source);
  out["destination"] = SideJson(facts.destination, outcome.destination_agent, outcome.destination);
  out["one_agent"] = outcome.one_agent;
  out["step_seconds"] = facts.step_seconds;
  out["steps"] = nlohmann::ordered_json::array();
  for (const MeasuredStep& step : outcome.steps) out["steps"].push_back(StepJson(step));
  out["verdicts"] = nlohmann::ordered_json::array();
  for (const BenchVerdict& verdict : JudgeBenchmark(outcome)) {
    nlohmann::ordered_json one;
    one["workload"] = BenchWorkloadName(verdict.workload);
    one["expected"] = verdict.expected;
    one["unit"] = verdict.workload == BenchWorkload::kLargeFiles ? "bytes/s" : "objects/s";
    one["bottleneck"] = BenchMetricKey(verdict.bottleneck);
    one["side"] = SideName(verdict.side);
    one["cpu_bound"] = verdict.cpu_bound;
    one["advice"] = verdict.advice;
    out["verdicts"].push_back(std::move(one));
  }
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace uringsync

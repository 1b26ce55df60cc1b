#include "coordinator/cli/doctor_command.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "coordinator/cli/units.h"
#include "coordinator/core/exit_code.h"

namespace uringsync {
namespace {

const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood: return "good";
    case Verdict::kNote: return "note";
    case Verdict::kBad: return "bad";
  }
  return "bad";
}

}  // namespace

std::vector<std::string> RenderDoctorText(const std::vector<Finding>& findings) {
  size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, DisplayColumns(finding.topic));
  std::vector<std::string> lines;
  for (const Finding& finding : findings) {
    const std::string padding(width - DisplayColumns(finding.topic), ' ');
    lines.push_back(std::string(VerdictName(finding.verdict)) +
                    std::string(6 - std::string_view(VerdictName(finding.verdict)).size(), ' ') + finding.topic +
                    padding + "  " + finding.value);
    if (!finding.advice.empty()) lines.push_back("      " + std::string(width, ' ') + "  → " + finding.advice);
  }
  return lines;
}

std::string RenderDoctorJson(const std::vector<Finding>& findings) {
  nlohmann::ordered_json out;
  out["verdict"] = VerdictName(Worst(findings));
  out["findings"] = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    nlohmann::ordered_json one;
    one["topic"] = finding.topic;
    one["verdict"] = VerdictName(finding.verdict);
    one["value"] = finding.value;
    if (!finding.advice.empty()) one["advice"] = finding.advice;
    out["findings"].push_back(std::move(one));
  }
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

int DoctorCommand(const DoctorOptions& options, Console* console) {
  const std::vector<Finding> findings = Judge(CollectHostFacts(options.paths));
  if (options.json) {
    console->Line(RenderDoctorJson(findings));
  } else {
    for (const std::string& line : RenderDoctorText(findings)) console->Line(line);
  }
  if (!console->Flush()) return static_cast<int>(ExitCode::kFileIo);
  return Worst(findings) == Verdict::kBad ? static_cast<int>(ExitCode::kPartial) : 0;
}

}  // namespace uringsync

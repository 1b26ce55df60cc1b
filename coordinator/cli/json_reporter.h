// JsonReporter: a run for a program, one JSON object a line on standard output. docs/json.md is the contract.
//
// See RunReporter. Numbers are integers; names are bytes, see AddPath.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "coordinator/cli/reporter.h"

namespace uringsync {

class JsonReporter final : public RunReporter {
 public:
  JsonReporter(ReportFacts facts, Console* console);
  void Start() override;
  void Finish(const SyncOutcome& outcome, const std::string& error) override;
  void OnDurable(uint64_t through_action, uint64_t actions) override;
  void OnProblem(const Problem& problem) override;
  void OnProgress(const SyncProgress& progress) override;

 protected:
  void ShowWarning(std::string_view text) override;
  void ShowConnection(Side side, const ConnectionChange& change, const std::string& text) override;
  void ShowAction(const Action& action, const Differences& differences, ActionOutcome outcome) override;
  void ShowOpened(const HelloReply& source, const SessionOpened& source_session, const HelloReply& destination,
                  const SessionOpened& destination_session) override;
  void ShowSkipped(SkipReason reason, const RelPath& path, FileType type) override;

 private:
  void Emit(const nlohmann::ordered_json& event);
  nlohmann::ordered_json Event(std::string_view name) const;

  std::chrono::steady_clock::time_point last_progress_;
};

// Adds "<key>": the name escaped as everywhere, and, only when that differs from the bytes, "<key>_base64": the bytes
// themselves.
void AddPath(std::string_view key, std::string_view bytes, nlohmann::ordered_json* event);
// RFC 4648, with padding.
std::string Base64(std::string_view bytes);
// "2026-11-22T12:00:00.123Z".
std::string FormatTime(std::chrono::system_clock::time_point time);

}  // namespace uringsync

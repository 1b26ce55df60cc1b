// The agent's log: one line an event on standard error, for people or as JSON, with every value escaped.
//
// Use:  SetUpLogging({.format = LogFormat::kJson});
//       LogEvent(LogLevel::kInfo, "listening", {{"control", "7440"}, {"data", "7441"}});
//
// Text:  2026-11-22T13:00:00.123Z info listening control=7440 data=7441
// JSON:  {"time":"2026-11-22T13:00:00.123Z","level":"info","event":"listening","control":"7440","data":"7441"}
// Plain: listening control=7440 data=7441      (private agents: the command that started them shows the lines)
//
// Thread rule: SetUpLogging once, before other threads; LogEvent from any thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace uringsync {

enum class LogFormat : uint8_t { kText, kJson, kPlain };
enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError };

// "text" or "json"; "debug", "info", "warn", "error". InvalidArgument names the choices.
absl::StatusOr<LogFormat> ParseLogFormat(std::string_view text);
absl::StatusOr<LogLevel> ParseLogLevel(std::string_view text);
std::string_view LogLevelName(LogLevel level);

struct LogOptions {
  LogFormat format = LogFormat::kText;
  LogLevel level = LogLevel::kInfo;
};
void SetUpLogging(LogOptions options);

struct LogField {
  std::string_view key;  // a plain word of ours
  std::string value;     // any bytes
};
void LogEvent(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

// The line without its newline, as LogEvent writes it; `time` as given. For LogEvent and its tests.
std::string FormatLogLine(LogFormat format, LogLevel level, std::string_view time, std::string_view event,
                          std::initializer_list<LogField> fields);

}  // namespace uringsync

#include "agent/logging.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "agent/session_handler.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

constexpr char kLoggerName[] = "uringsync";

// The logger with the format that its lines get: state of spdlog's registry, set once by main.
class EventLogger final : public spdlog::logger {
 public:
  EventLogger(LogFormat format, spdlog::sink_ptr sink)
      : spdlog::logger(kLoggerName, std::move(sink)), format_(format) {}
  LogFormat format() const { return format_; }

 private:
  const LogFormat format_;
};

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarn: return spdlog::level::warn;
    case LogLevel::kError: break;
  }
  return spdlog::level::err;
}

std::string TimeNow() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto since = now.time_since_epoch();
  const long milliseconds =
      static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(since).count() % 1000);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char date[32];
  std::strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
  char text[48];
  std::snprintf(text, sizeof(text), "%s.%03ldZ", date, milliseconds);
  return text;
}

// Quoted where a reader could not tell where the value ends.
std::string TextValue(const std::string& value) {
  const std::string escaped = EscapeName(value);
  if (!escaped.empty() && escaped.find_first_of(" =\"") == std::string::npos) return escaped;
  std::string quoted = "\"";
  for (const char c : escaped) {
    if (c == '"') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

absl::StatusOr<LogFormat> ParseLogFormat(std::string_view text) {
  if (text == "text") return LogFormat::kText;
  if (text == "json") return LogFormat::kJson;
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    "\"" + EscapeName(text) + "\" is no log format; choose text or json");
}

absl::StatusOr<LogLevel> ParseLogLevel(std::string_view text) {
  for (const LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (text == LogLevelName(level)) return level;
  }
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    "\"" + EscapeName(text) + "\" is no log level; choose debug, info, warn or error");
}

std::string_view LogLevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarn: return "warn";
    case LogLevel::kError: break;
  }
  return "error";
}

void SetUpLogging(LogOptions options) {
  auto logger = std::make_shared<EventLogger>(options.format, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%v");
  logger->set_level(ToSpdlog(options.level));
  spdlog::set_default_logger(std::move(logger));
}

std::string FormatLogLine(LogFormat format, LogLevel level, std::string_view time, std::string_view event,
                          std::initializer_list<LogField> fields) {
  if (format == LogFormat::kJson) {
    nlohmann::ordered_json line = {{"time", time}, {"level", LogLevelName(level)}, {"event", EscapeName(event)}};
    for (const LogField& field : fields) line[std::string(field.key)] = EscapeName(field.value);
    return line.dump();
  }
  std::string line;
  if (format == LogFormat::kText) line = std::string(time) + " " + std::string(LogLevelName(level)) + " ";
  line += EscapeName(event);
  for (const LogField& field : fields) line += " " + std::string(field.key) + "=" + TextValue(field.value);
  return line;
}

void LogEvent(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  spdlog::logger* logger = spdlog::default_logger_raw();
  if (!logger->should_log(ToSpdlog(level))) return;
  const auto* ours = dynamic_cast<const EventLogger*>(logger);
  const LogFormat format = ours == nullptr ? LogFormat::kText : ours->format();
  logger->log(ToSpdlog(level), FormatLogLine(format, level, TimeNow(), event, fields));
}

void LogSessionAudit(const ControlPeer& peer, std::string_view event, std::string_view role, std::string_view root,
                     std::string_view path, const absl::Status& result) {
  const std::string outcome = result.ok() ? "ok" : std::string(result.message());
  LogEvent(LogLevel::kInfo, event,
           {{"audit", "session"},
            {"who", peer.is_private || peer.identities.empty() ? "private" : peer.identities.front()},
            {"address", peer.address},
            {"role", std::string(role)},
            {"root", std::string(root)},
            {"path", std::string(path)},
            {"result", outcome}});
}

}  // namespace uringsync

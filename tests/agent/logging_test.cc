#include "agent/logging.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "agent/session_handler.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

constexpr std::string_view kTime = "2026-11-22T13:00:00.123Z";

TEST(LoggingTest, TextLinesHaveTimeLevelEventAndFields) {
  EXPECT_EQ(
      FormatLogLine(LogFormat::kText, LogLevel::kInfo, kTime, "listening", {{"control", "7440"}, {"root", "a b"}}),
      "2026-11-22T13:00:00.123Z info listening control=7440 root=\"a b\"");
}

TEST(LoggingTest, PlainLinesHaveOnlyEventAndFields) {
  EXPECT_EQ(FormatLogLine(LogFormat::kPlain, LogLevel::kWarn, kTime, "careful", {{"x", "1"}}), "careful x=1");
}

TEST(LoggingTest, JsonLinesAreObjectsWithTheSameFields) {
  const std::string line = FormatLogLine(LogFormat::kJson, LogLevel::kError, kTime, "gone", {{"path", "a\n\xff\"b"}});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed["time"], kTime);
  EXPECT_EQ(parsed["level"], "error");
  EXPECT_EQ(parsed["event"], "gone");
  EXPECT_EQ(parsed["path"], "a\\012\\377\"b");
}

TEST(LoggingTest, NamesCannotForgeLinesOrFields) {
  const std::string line = FormatLogLine(LogFormat::kText, LogLevel::kInfo, kTime, "x",
                                         {{"path", "a\n2026 error forged result=ok"}, {"q", "\" b=\""}});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_NE(line.find("path=\"a\\0122026 error forged result=ok\""), std::string::npos);
  EXPECT_NE(line.find("q=\"\\\" b=\\\"\""), std::string::npos);
}

TEST(LoggingTest, FormatsAndLevelsAreParsedByName) {
  EXPECT_EQ(*ParseLogFormat("json"), LogFormat::kJson);
  EXPECT_THAT(ParseLogFormat("xml"), StatusIs(absl::StatusCode::kInvalidArgument));
  for (LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    EXPECT_EQ(*ParseLogLevel(LogLevelName(level)), level);
  }
}

TEST(LoggingTest, AnAuditLineSaysWhoDidWhatWhere) {
  testing::internal::CaptureStderr();
  SetUpLogging({.format = LogFormat::kJson, .level = LogLevel::kInfo});
  const ControlPeer peer{.address = "ipv4:10.0.0.7:1", .identities = {"ops.example"}, .is_private = false};
  LogSessionAudit(peer, "session ended", "destination", "data", "a/b", absl::PermissionDeniedError("read-only"));
  LogEvent(LogLevel::kDebug, "not shown");
  const std::string text = testing::internal::GetCapturedStderr();
  SetUpLogging({});
  const auto line = nlohmann::json::parse(text);
  EXPECT_EQ(line["event"], "session ended");
  EXPECT_EQ(line["who"], "ops.example");
  EXPECT_EQ(line["address"], "ipv4:10.0.0.7:1");
  EXPECT_EQ(line["role"], "destination");
  EXPECT_EQ(line["root"], "data");
  EXPECT_EQ(line["path"], "a/b");
  EXPECT_EQ(line["result"], "read-only");
}

}  // namespace
}  // namespace uringsync

#include "coordinator/cli/ursync_command.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/cli/console.h"
#include "coordinator/cli/fallback.h"
#include "coordinator/cli/rsync/help.h"
#include "coordinator/cli/rsync/option_effects.h"
#include "coordinator/cli/rsync/parse.h"
#include "coordinator/cli/rsync/run_options.h"
#include "coordinator/cli/run_command.h"
#include "coordinator/cli/ursync_operands.h"
#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

int Text(const std::string& text, const Program& program) {
  program.console->Text(text);
  return program.console->Flush() ? 0 : static_cast<int>(ExitCode::kFileIo);
}

bool NamesDaemon(std::string_view operand) {
  if (operand.substr(0, 8) == "rsync://") return true;
  // An IPv6 address in brackets has ':' of its own.
  const size_t close = operand.find("]:");
  const size_t host = operand.find('@') < close ? operand.find('@') + 1 : 0;
  const size_t colon =
      operand.find(':', host < operand.size() && operand[host] == '[' && close < operand.find('/') ? close : 0);
  return colon != std::string_view::npos && colon < operand.find('/') && operand.substr(colon, 2) == "::";
}

// What is wrong with the command line as a whole, before anything is looked at.
std::optional<GrammarError> CheckOperands(const Settings& settings) {
  for (const std::string& operand : settings.operands) {
    if (NamesDaemon(operand)) return GrammarError{EscapeName(operand) + " is not supported: " + kDaemon, 1, true};
  }
  return std::nullopt;
}

// What came from standard input is gone for another program.
bool ReadsInput(int argc, const char* const* argv) {
  return std::any_of(argv + 1, argv + argc,
                     [](std::string_view word) { return word == "-" || word.ends_with("=-") || word.ends_with(" -"); });
}

// Returns only where that fails, which is told.
void FallBack(const std::string& why, int argc, const char* const* argv, const Program& program) {
  program.console->Error("ursync: " + why + "; running " + EscapeName(program.fallback) + " instead");
  const int failure = RunInstead(program.fallback, argc, argv, program);
  program.console->Error("ursync: " + EscapeName(program.fallback) + ": " + std::strerror(failure));
}

int Run(PreparedRun prepared, int argc, const char* const* argv, const Program& program) {
  const bool may_fall_back = !program.fallback.empty() && !ReadsInput(argc, argv);
  std::string no_agent;
  const int code = RunCommand(std::move(prepared.run), program, prepared.settle, may_fall_back ? &no_agent : nullptr);
  if (no_agent.empty()) return code;
  FallBack(no_agent, argc, argv, program);
  return TellEnd({code, no_agent}, program.console);
}

}  // namespace

int UrsyncCommand(int argc, const char* const* argv, const Program& program) {
  // Alone, -h asks for help; with others it is about numbers.
  if (argc == 2 && std::string_view(argv[1]) == "-h") return Text(HelpText(Command::kUrsync), program);
  Parsed parsed = ParseArguments(Command::kUrsync, argc, argv);
  if (auto* settings = std::get_if<Settings>(&parsed)) {
    if (settings->help) return Text(HelpText(Command::kUrsync), program);
    if (settings->version > 0) return Text(settings->version > 1 ? VersionJson() : VersionText(), program);
    if (settings->info_help) return Text(InfoLevels::Help(), program);
    if (std::optional<GrammarError> error = CheckOperands(*settings)) parsed = *std::move(error);
  }
  if (auto* settings = std::get_if<Settings>(&parsed)) {
    if (settings->operands.empty()) {
      program.console->Error(HelpText(Command::kUrsync));
      return TellEnd({static_cast<int>(ExitCode::kUsage), "SRC is missing"}, program.console);
    }
    std::variant<PreparedRun, OperandsEnd> run = PrepareRun(std::move(*settings), program.console);
    if (auto* prepared = std::get_if<PreparedRun>(&run)) return Run(std::move(*prepared), argc, argv, program);
    const OperandsEnd& end = std::get<OperandsEnd>(run);
    if (!end.unsupported) return EndRun(end, program);
    parsed = GrammarError{end.text, end.exit_code, !ReadsInput(argc, argv)};
  }
  const GrammarError& error = std::get<GrammarError>(parsed);
  if (error.unsupported && !program.fallback.empty()) FallBack(error.text, argc, argv, program);
  return TellEnd({error.exit_code, error.text}, program.console);
}

}  // namespace uringsync

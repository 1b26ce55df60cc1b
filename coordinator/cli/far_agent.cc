#include "coordinator/cli/far_agent.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/cli/console.h"
#include "coordinator/core/exit_code.h"
#include "coordinator/link/private_agent.h"
#include "engine/base/escape.h"

namespace uringsync {

bool AsksForStdio(int argc, const char* const* argv) {
  return argc > 1 && std::string_view(argv[1]) == "--stdio";
}

int BecomeStdioAgent(int argc, const char* const* argv, const Program& program) {
  const absl::StatusOr<std::string> agent = FindAgentProgram(program.agent_override, program.self, program.search_path);
  std::string reason;
  if (agent.ok()) {
    std::vector<char*> arguments = {const_cast<char*>("uringsync-agent")};
    for (int i = 1; i < argc; ++i) arguments.push_back(const_cast<char*>(argv[i]));
    arguments.push_back(nullptr);
    ::execv(agent->c_str(), arguments.data());
    reason = EscapeName(*agent) + ": " + std::strerror(errno);
  } else {
    reason = std::string(agent.status().message());
  }
  program.console->Error(std::string(program.name) + ": " + reason);
  return static_cast<int>(ExitCode::kRemoteNotFound);
}

}  // namespace uringsync

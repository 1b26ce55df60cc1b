// The agent's configuration file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace uringsync;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<Settings> settings = ParseConfigText(text, "agent.toml");
  if (!settings.ok()) return 0;
  const absl::StatusOr<AgentConfig> config = MakeAgentConfig(*settings);
  if (config.ok() && (config->roots.empty() || config->tls.cert.empty())) std::abort();
  return 0;
}

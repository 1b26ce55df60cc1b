// The table of the agent's settings, shared by the layers of agent/config.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace uringsync {

enum class OptionKind : uint8_t { kText, kNumber, kSwitch, kList };

struct OptionRow {
  std::string_view name;
  OptionKind kind;
  std::string_view value_name;  // for --help; empty for switches
  std::string_view help;        // empty: not shown
  bool in_file = true;          // may stand in the file and the environment
};
std::span<const OptionRow> AgentOptions();

// "URINGSYNC_AGENT_DATA_LISTEN" for "data-listen".
std::string EnvironmentName(std::string_view option);

}  // namespace uringsync

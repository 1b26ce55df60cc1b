#define TOML_EXCEPTIONS 0
#include <toml++/impl/preprocessor.h>
// toml++ 3.3 assumes what malformed files break ("[[" and an odd byte): an abort with assertions, undefined without.
// Its code right after reports these cases as errors, so the assumptions can go.
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT_ASSUME(expr) static_cast<void>(0)
#include <toml++/toml.h>

#include <algorithm>

#include "agent/config.h"
#include "agent/config_options.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

const OptionRow* FindOption(std::string_view key) {
  const auto rows = AgentOptions();
  const auto found =
      std::find_if(rows.begin(), rows.end(), [key](const OptionRow& row) { return row.in_file && row.name == key; });
  return found == rows.end() ? nullptr : &*found;
}

std::string KnownKeys() {
  std::string keys;
  for (const OptionRow& row : AgentOptions()) {
    if (row.in_file) keys += (keys.empty() ? "" : ", ") + std::string(row.name);
  }
  return keys;
}

absl::Status Bad(const std::string& origin, std::string_view what) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, origin + ": " + std::string(what));
}

// The value as the text that its flag would have.
absl::StatusOr<std::vector<std::string>> ReadValue(const OptionRow& row, const toml::node& node,
                                                   const std::string& origin) {
  switch (row.kind) {
    case OptionKind::kText:
      if (const auto* text = node.as_string()) return std::vector<std::string>{text->get()};
      return Bad(origin, "a text in quotes belongs here");
    case OptionKind::kNumber:
      if (const auto* number = node.as_integer()) return std::vector<std::string>{std::to_string(number->get())};
      return Bad(origin, "a whole number belongs here");
    case OptionKind::kSwitch:
      if (const auto* flag = node.as_boolean()) return std::vector<std::string>{flag->get() ? "true" : "false"};
      return Bad(origin, "true or false belongs here");
    case OptionKind::kList: break;
  }
  const toml::array* list = node.as_array();
  if (list == nullptr) return Bad(origin, "a list of texts belongs here, e.g. root = [\"data=/srv/data\"]");
  std::vector<std::string> values;
  for (const toml::node& element : *list) {
    const auto* text = element.as_string();
    if (text == nullptr) return Bad(origin, "a list of texts belongs here, e.g. root = [\"data=/srv/data\"]");
    values.push_back(text->get());
  }
  return values;
}

}  // namespace

absl::StatusOr<Settings> ParseConfigText(std::string_view text, std::string_view file_name) {
  const std::string file = EscapeName(file_name);
  if (text.size() > kMaxConfigFileBytes) return Bad(file, "more than 1 MiB is no configuration");
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    return Bad(file + " line " + std::to_string(parsed.error().source().begin.line),
               EscapeName(parsed.error().description()));
  }
  Settings settings;
  for (const auto& [key, node] : parsed.table()) {
    const std::string_view name = key.str();
    const std::string origin = file + " line " + std::to_string(key.source().begin.line) + ": " + EscapeName(name);
    const OptionRow* row = FindOption(name);
    if (row == nullptr) return Bad(origin, "unknown key; known are " + KnownKeys());
    US_ASSIGN_OR_RETURN(std::vector<std::string> values, ReadValue(*row, node, origin));
    settings[std::string(name)] = {std::move(values), origin};
  }
  return settings;
}

}  // namespace uringsync

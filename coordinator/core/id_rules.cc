#include "coordinator/core/id_rules.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

bool IsNumber(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Decimal digits only; nullopt for anything else and for what is no id. The largest number stands for "no change" in
// chown(2).
std::optional<uint32_t> ParseId(std::string_view text) {
  uint32_t id = 0;
  if (!IsNumber(text)) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id == UINT32_MAX) return std::nullopt;
  return id;
}

absl::Status Wrong(std::string_view rule, std::string_view why) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, "\"" + EscapeName(rule) + "\": " + std::string(why));
}

}  // namespace

absl::StatusOr<IdRules::Target> IdRules::ParseTarget(std::string_view text) {
  if (text.empty()) return Wrong(text, "no name or number after the colon");
  Target target;
  if (!IsNumber(text)) {
    target.name = text;
    return target;
  }
  const std::optional<uint32_t> id = ParseId(text);
  if (!id) return Wrong(text, "no such id");
  target.id = *id;
  return target;
}

absl::StatusOr<IdRules::Rule> IdRules::ParseRule(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return Wrong(text, "a rule is FROM:TO");
  Rule rule;
  US_ASSIGN_OR_RETURN(rule.target, ParseTarget(text.substr(colon + 1)));
  const std::string_view from = text.substr(0, colon);
  rule.name = from;
  if (from.empty()) {
    rule.kind = Kind::kNameless;
  } else if (from.front() >= '0' && from.front() <= '9') {
    const size_t dash = from.find('-');
    const std::optional<uint32_t> first = ParseId(from.substr(0, dash));
    const std::optional<uint32_t> last = dash == std::string_view::npos ? first : ParseId(from.substr(dash + 1));
    if (!first || !last) return Wrong(text, "no number or range of numbers before the colon");
    rule.kind = Kind::kRange;
    rule.first = *first;
    rule.last = *last;
  } else if (from == "*") {
    rule.kind = Kind::kEverything;
  } else {
    rule.kind = from.find_first_of("*?[") == std::string_view::npos ? Kind::kName : Kind::kPattern;
  }
  return rule;
}

absl::StatusOr<IdRules> IdRules::Parse(std::string_view text) {
  IdRules rules;
  while (true) {
    const size_t comma = text.find(',');
    US_ASSIGN_OR_RETURN(Rule rule, ParseRule(text.substr(0, comma)));
    rules.rules_.push_back(std::move(rule));
    if (comma == std::string_view::npos) return rules;
    text.remove_prefix(comma + 1);
  }
}

absl::StatusOr<IdRules> IdRules::Everything(std::string_view target) {
  IdRules rules;
  Rule& rule = rules.rules_.emplace_back();
  US_ASSIGN_OR_RETURN(rule.target, ParseTarget(target));
  return rules;
}

bool IdRules::UsesNames() const {
  return std::any_of(rules_.begin(), rules_.end(),
                     [](const Rule& rule) { return rule.kind != Kind::kEverything && rule.kind != Kind::kRange; });
}

const IdRules::Target* IdRules::Find(uint32_t id, const std::string& name) const {
  for (const Rule& rule : rules_) {
    bool fits = false;
    switch (rule.kind) {
      case Kind::kEverything: fits = true; break;
      case Kind::kNameless: fits = name.empty(); break;
      case Kind::kName: fits = name == rule.name; break;
      case Kind::kPattern: fits = !name.empty() && ::fnmatch(rule.name.c_str(), name.c_str(), 0) == 0; break;
      case Kind::kRange: fits = id >= rule.first && id <= rule.last; break;
    }
    if (fits) return &rule.target;
  }
  return nullptr;
}

bool IdRules::HasNamedTargets() const {
  return std::any_of(rules_.begin(), rules_.end(), [](const Rule& rule) { return !rule.target.name.empty(); });
}

std::vector<IdRules::Target*> IdRules::NamedTargets() {
  std::vector<Target*> named;
  for (Rule& rule : rules_) {
    if (!rule.target.name.empty()) named.push_back(&rule.target);
  }
  return named;
}

}  // namespace uringsync

// IdRules: what --usermap, --groupmap and --chown say becomes of which user or group.
//
// Values, any thread. Rules are "FROM:TO", separated by commas; the first one that fits an id counts. FROM is a name or
// a pattern of names (*, ?, [...]) of the source's host, "*" for every id, nothing for ids without a name, a number, or
// a range of numbers. TO is a number, or a name of the destination's host. Use:  US_ASSIGN_OR_RETURN(IdRules rules,
// IdRules::Parse("daemon:bin,1000-1999:ftp,*:nobody"));
//       const IdRules::Target* target = rules.Find(id, name);
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace uringsync {

class IdRules {
 public:
  struct Target {
    std::string name;  // empty: `id` was given as a number
    uint32_t id = 0;   // of a name: once it was resolved
  };

  // InvalidArgument with what is wrong: a rule without a colon, a target or a number that is none.
  static absl::StatusOr<IdRules> Parse(std::string_view text);
  // Every id becomes `target` (one half of --chown). InvalidArgument for an empty one.
  static absl::StatusOr<IdRules> Everything(std::string_view target);

  bool empty() const { return rules_.empty(); }
  // Some rule asks for the source's names.
  bool UsesNames() const;
  // The first rule that fits; `name` is what the source calls the id, empty for nothing. Null: none fits.
  const Target* Find(uint32_t id, const std::string& name) const;
  bool HasNamedTargets() const;
  // Targets that are names, to be given their ids.
  std::vector<Target*> NamedTargets();

 private:
  enum class Kind : uint8_t { kEverything = 1, kNameless, kName, kPattern, kRange };
  struct Rule {
    Kind kind = Kind::kEverything;
    std::string name;    // or pattern
    uint32_t first = 0;  // of a range
    uint32_t last = 0;
    Target target;
  };
  static absl::StatusOr<Rule> ParseRule(std::string_view text);
  static absl::StatusOr<Target> ParseTarget(std::string_view text);

  std::vector<Rule> rules_;
};

}  // namespace uringsync

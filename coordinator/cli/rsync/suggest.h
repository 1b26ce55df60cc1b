// The known word that a mistyped one most likely meant.
//
// Thread rule: functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace uringsync {

// Number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal string
// alignment).
size_t EditDistance(std::string_view a, std::string_view b);

// The word of `known` nearest to `word`, when it is near enough to be meant: at most a third of the word's length away
// (at least 2), or `word` is the beginning of exactly one. nullopt otherwise. Ties go to the first.
std::optional<std::string> NearestWord(std::string_view word, const std::vector<std::string>& known);

}  // namespace uringsync

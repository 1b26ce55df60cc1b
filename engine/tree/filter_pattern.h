// FilterPattern: one pattern of a filter rule, compiled, with the semantics of rsync's patterns.
//
// What it is matched against follows from its form: a pattern without a slash (a trailing one aside) and without "**"
// looks at the last component only; a leading slash anchors it at the start of the path; any other inner slash makes it
// match as many trailing components as it has; "**" lets it begin after any slash. A trailing slash stands for
// directories only. '*', '?' and classes do not match a slash. A backslash escapes only where the pattern has a
// wildcard at all. docs/filters.md tells users.
//
// Matching takes time in proportion to path and pattern whatever they hold (no nested retries). Classes are those of
// ASCII.
//
// Thread rule: a value; Matches from any thread.
// Use:  FilterPattern pattern("*.o");  if (pattern.Matches(path, is_directory)) ...
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace uringsync {

class FilterPattern {
 public:
  // `text` as it stands in the rule, not empty; every byte but NUL is allowed.
  explicit FilterPattern(std::string_view text);

  // `path` is relative, without a leading slash; `above` is what precedes it where the pattern looks at absolute paths,
  // without a leading or trailing slash, or empty.
  bool Matches(std::string_view path, bool is_directory, std::string_view above = {}) const;

  bool anchored() const { return anchored_; }
  bool directories_only() const { return directories_only_; }
  // Only the last component is looked at.
  bool name_only() const { return slashes_ == 0 && !crosses_; }

 private:
  enum class Kind : uint8_t { kByte, kAny, kStar, kStarStar, kClass, kNever };
  struct Token {
    Kind kind;
    uint8_t byte = 0;    // kByte
    uint16_t index = 0;  // kClass: which set
  };
  // Most patterns are one of these, and need no tokens.
  enum class Shape : uint8_t { kTokens, kLiteral, kSuffix, kPrefix };

  void Compile(std::string_view pattern);
  // Reads a class whose '[' stands at `at`; returns the offset after it, npos when it is malformed (nothing matches
  // then).
  size_t CompileClass(std::string_view pattern, size_t at);
  bool MatchWhole(std::string_view text) const;
  bool MatchTokens(std::string_view text) const;
  bool MatchByte(const Token& token, uint8_t byte) const;

  bool anchored_ = false;
  bool directories_only_ = false;
  bool wild_ = false;
  bool crosses_ = false;        // has "**"
  bool crosses_first_ = false;  // begins with it
  bool tree_suffix_ = false;    // ends with "***": the directory itself too
  size_t slashes_ = 0;
  Shape shape_ = Shape::kTokens;
  std::string literal_;
  std::vector<Token> tokens_;
  std::vector<std::bitset<256>> classes_;
};

}  // namespace uringsync

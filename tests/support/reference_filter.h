// What a filter pattern means, as plainly as it can be said: the slow twin of FilterPattern, written from the manual
// page's rules and sharing nothing with it.
//
// Thread rule: pure functions. Use:  EXPECT_EQ(FilterPattern(p).Matches(path, dir), ReferenceMatches(p, path, dir));
#pragma once

#include <cctype>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace uringsync {

class ReferenceMatcher {
 public:
  ReferenceMatcher(std::string pattern, std::string text) : pattern_(std::move(pattern)), text_(std::move(text)) {}
  bool Match() { return From(0, 0); }

 private:
  bool From(size_t p, size_t t) {
    const auto known = memo_.find({p, t});
    if (known != memo_.end()) return known->second;
    return memo_[{p, t}] = Decide(p, t);
  }

  bool Decide(size_t p, size_t t) {
    if (p == pattern_.size()) return t == text_.size();
    if (pattern_[p] == '*') {
      size_t stars = 0;
      while (p + stars < pattern_.size() && pattern_[p + stars] == '*') ++stars;
      for (size_t end = t;; ++end) {
        if (From(p + stars, end)) return true;
        if (end == text_.size() || (stars == 1 && text_[end] == '/')) return false;
      }
    }
    if (t == text_.size()) return false;
    if (pattern_[p] == '?') return text_[t] != '/' && From(p + 1, t + 1);
    if (pattern_[p] == '[') {
      size_t end = 0;
      return InClass(p, text_[t], &end) && text_[t] != '/' && From(end, t + 1);
    }
    if (pattern_[p] == '\\') ++p;
    return p < pattern_.size() && pattern_[p] == text_[t] && From(p + 1, t + 1);
  }

  // Whether `c` is in the class at `p`; `end` is where the pattern goes on. A class without an end holds nothing.
  bool InClass(size_t p, char raw, size_t* end) const {
    const auto c = static_cast<uint8_t>(raw);
    std::string rest = pattern_.substr(p + 1);
    bool negated = false;
    size_t at = 0;
    if (!rest.empty() && (rest[0] == '!' || rest[0] == '^')) {
      negated = true;
      at = 1;
    }
    bool found = false;
    int previous = 0;
    for (bool first = true;; first = false) {
      if (at >= rest.size()) return false;
      if (rest[at] == ']' && !first) break;
      if (rest[at] == '\\') {
        if (++at >= rest.size()) return false;
        previous = static_cast<uint8_t>(rest[at]);
        found = found || previous == c;
        ++at;
      } else if (rest[at] == '-' && previous != 0 && at + 1 < rest.size() && rest[at + 1] != ']') {
        ++at;
        if (rest[at] == '\\' && ++at >= rest.size()) return false;
        found = found || (previous <= c && c <= static_cast<uint8_t>(rest[at]));
        previous = 0;
        ++at;
      } else if (rest[at] == '[' && at + 1 < rest.size() && rest[at + 1] == ':' && Named(rest, at) != 0) {
        const size_t close = rest.find(']', at + 2);
        if (close == std::string::npos) return false;
        const int in = InNamed(rest.substr(at + 2, close - at - 3), c);
        if (in < 0) return false;
        found = found || in == 1;
        previous = 0;
        at = close + 1;
      } else {
        previous = static_cast<uint8_t>(rest[at]);
        found = found || previous == c;
        ++at;
      }
    }
    *end = p + 1 + at + 1;
    return found != negated;
  }

  // 0: "[:" that no ":]" ends is a plain bracket. An end that is missing altogether makes the class malformed (not 0).
  static int Named(const std::string& rest, size_t at) {
    const size_t close = rest.find(']', at + 2);
    if (close == std::string::npos) return -1;
    return close > at + 2 && rest[close - 1] == ':' ? 1 : 0;
  }

  static int InNamed(const std::string& name, uint8_t c) {
    static const std::map<std::string, int (*)(int)> kNamed = {
        {"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
        {"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
        {"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit}};
    const auto found = kNamed.find(name);
    if (found == kNamed.end()) return -1;
    return c < 128 && found->second(c) != 0 ? 1 : 0;
  }

  const std::string pattern_;
  const std::string text_;
  std::map<std::pair<size_t, size_t>, bool> memo_;
};

inline std::vector<std::string> SplitComponents(const std::string& path) {
  std::vector<std::string> names(1);
  for (const char c : path) {
    if (c == '/') {
      names.emplace_back();
    } else {
      names.back() += c;
    }
  }
  return names;
}

// The rule's pattern against a path below the root of the transfer.
inline bool ReferenceMatches(std::string pattern, const std::string& path, bool is_directory) {
  if (pattern.size() > 1 && pattern.back() == '/') {
    if (!is_directory) return false;
    pattern.pop_back();
  }
  const bool wild = pattern.find_first_of("*?[") != std::string::npos;
  const auto same = [&](const std::string& what, const std::string& text) {
    return wild ? ReferenceMatcher(what, text).Match() : what == text;
  };
  const bool crosses = pattern.find("**") != std::string::npos;
  if (pattern.find('/') == std::string::npos && !crosses) return same(pattern, SplitComponents(path).back());
  const bool tree = pattern.size() >= 3 && pattern.substr(pattern.size() - 3) == "***" && is_directory;
  const std::string text = path + (tree ? "/" : "");
  if (pattern[0] == '/') return same(pattern.substr(1), text);
  if (pattern.substr(0, 2) == "**") return same(pattern, "/" + text);
  const std::vector<std::string> names = SplitComponents(text);
  const size_t wanted = SplitComponents(pattern).size();
  for (size_t first = 0; first < names.size(); ++first) {
    if (!crosses && names.size() - first != wanted) continue;
    std::string tail = names[first];
    for (size_t i = first + 1; i < names.size(); ++i) tail += "/" + names[i];
    if (same(pattern, tail)) return true;
  }
  return false;
}

}  // namespace uringsync

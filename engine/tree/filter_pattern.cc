#include "engine/tree/filter_pattern.h"

#include <algorithm>

namespace uringsync {
namespace {

constexpr std::string_view kWildcards = "*?[";

bool IsIn(std::string_view name, uint8_t c) {
  const bool upper = c >= 'A' && c <= 'Z';
  const bool lower = c >= 'a' && c <= 'z';
  const bool digit = c >= '0' && c <= '9';
  const bool graph = c > 0x20 && c < 0x7f;
  if (name == "alnum") return upper || lower || digit;
  if (name == "alpha") return upper || lower;
  if (name == "blank") return c == ' ' || c == '\t';
  if (name == "cntrl") return c < 0x20 || c == 0x7f;
  if (name == "digit") return digit;
  if (name == "graph") return graph;
  if (name == "lower") return lower;
  if (name == "print") return graph || c == ' ';
  if (name == "punct") return graph && !upper && !lower && !digit;
  if (name == "space") return c == ' ' || (c >= '\t' && c <= '\r');
  if (name == "upper") return upper;
  return digit || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');  // xdigit
}

bool IsClassName(std::string_view name) {
  constexpr std::string_view kNames[] = {"alnum", "alpha", "blank", "cntrl", "digit", "graph",
                                         "lower", "print", "punct", "space", "upper", "xdigit"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// The last `count` components of `path`; npos when it has fewer.
size_t TrailingComponents(std::string_view path, size_t count) {
  for (size_t at = path.size(); at > 0; --at) {
    if (path[at - 1] == '/' && --count == 0) return at;
  }
  return count == 1 ? 0 : std::string_view::npos;
}

std::string_view LastComponent(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace

FilterPattern::FilterPattern(std::string_view text) {
  if (text.size() > 1 && text.back() == '/') {
    directories_only_ = true;
    text.remove_suffix(1);
  }
  slashes_ = static_cast<size_t>(std::count(text.begin(), text.end(), '/'));
  wild_ = text.find_first_of(kWildcards) != std::string_view::npos;
  const size_t crossing = text.find("**");
  crosses_ = crossing != std::string_view::npos;
  crosses_first_ = crossing == 0;
  tree_suffix_ = crosses_ && text.size() >= 3 && text.substr(text.size() - 3) == "***";
  anchored_ = text.front() == '/';
  if (anchored_) text.remove_prefix(1);
  Compile(text);
}

void FilterPattern::Compile(std::string_view pattern) {
  if (!wild_) {
    shape_ = Shape::kLiteral;
    literal_ = pattern;
    return;
  }
  if (name_only() && pattern.find('\\') == std::string_view::npos &&
      pattern.find_first_of(kWildcards) == pattern.find_last_of(kWildcards)) {
    const size_t star = pattern.find('*');
    if (star == 0 || star == pattern.size() - 1) {
      shape_ = star == 0 ? Shape::kSuffix : Shape::kPrefix;
      literal_ = star == 0 ? pattern.substr(1) : pattern.substr(0, star);
      return;
    }
  }
  for (size_t at = 0; at < pattern.size();) {
    const char c = pattern[at];
    if (c == '*') {
      const size_t end = std::min(pattern.find_first_not_of('*', at), pattern.size());
      tokens_.push_back({end - at > 1 ? Kind::kStarStar : Kind::kStar});
      at = end;
    } else if (c == '?') {
      tokens_.push_back({Kind::kAny});
      ++at;
    } else if (c == '[') {
      at = CompileClass(pattern, at);
      if (at == std::string_view::npos) {
        tokens_.push_back({Kind::kNever});
        return;
      }
    } else {
      if (c == '\\') ++at;
      // A backslash at the end escapes nothing, and no name holds the NUL that it would stand for.
      if (at == pattern.size()) {
        tokens_.push_back({Kind::kNever});
        return;
      }
      tokens_.push_back({Kind::kByte, static_cast<uint8_t>(pattern[at++])});
    }
  }
}

size_t FilterPattern::CompileClass(std::string_view pattern, size_t at) {
  const auto byte = [&](size_t i) -> int { return i < pattern.size() ? static_cast<uint8_t>(pattern[i]) : -1; };
  std::bitset<256> set;
  ++at;
  const bool negated = byte(at) == '!' || byte(at) == '^';
  if (negated) ++at;
  int before = 0;  // a range may begin with it
  for (bool first = true; first || byte(at) != ']'; first = false) {
    int c = byte(at);
    if (c < 0) return std::string_view::npos;
    const int next = byte(at + 1);
    if (c == '\\') {
      c = byte(++at);
      if (c < 0) return std::string_view::npos;
      set.set(static_cast<size_t>(c));
      before = c;
    } else if (c == '-' && before != 0 && next >= 0 && next != ']') {
      int to = byte(++at);
      if (to == '\\') to = byte(++at);
      if (to < 0) return std::string_view::npos;
      for (int i = before; i <= to; ++i) set.set(static_cast<size_t>(i));
      before = 0;
    } else if (c == '[' && next == ':') {
      const size_t end = pattern.find(']', at + 2);
      if (end == std::string_view::npos) return std::string_view::npos;
      if (end == at + 2 || pattern[end - 1] != ':') {
        set.set('[');
        before = '[';
      } else {
        const std::string_view name = pattern.substr(at + 2, end - 1 - (at + 2));
        if (!IsClassName(name)) return std::string_view::npos;
        for (int i = 1; i < 256; ++i) {
          if (IsIn(name, static_cast<uint8_t>(i))) set.set(static_cast<size_t>(i));
        }
        at = end;
        before = 0;
      }
    } else {
      set.set(static_cast<size_t>(c));
      before = c;
    }
    ++at;
  }
  if (negated) set.flip();
  set.reset('/');
  tokens_.push_back({Kind::kClass, 0, static_cast<uint16_t>(classes_.size())});
  classes_.push_back(set);
  return at + 1;
}

bool FilterPattern::MatchByte(const Token& token, uint8_t byte) const {
  switch (token.kind) {
    case Kind::kByte: return token.byte == byte;
    case Kind::kAny: return byte != '/';
    case Kind::kClass: return classes_[token.index].test(byte);
    default: return false;
  }
}

// Goes back to the last '*' only, and where that one has met a slash to the last "**": what came before these needs no
// other place, it stands as far to the left as it can.
bool FilterPattern::MatchTokens(std::string_view text) const {
  constexpr size_t kNone = SIZE_MAX;
  size_t token = 0;
  size_t at = 0;
  size_t star = kNone;  // token after the last '*'
  size_t star_at = 0;   // what it leaves to that token
  size_t star_star = kNone;
  size_t star_star_at = 0;
  while (true) {
    if (token == tokens_.size() && at == text.size()) return true;
    if (token < tokens_.size() && tokens_[token].kind == Kind::kStarStar) {
      star_star = ++token;
      star_star_at = at;
      star = kNone;
      continue;
    }
    if (token < tokens_.size() && tokens_[token].kind == Kind::kStar) {
      star = ++token;
      star_at = at;
      continue;
    }
    if (token < tokens_.size() && at < text.size() && MatchByte(tokens_[token], static_cast<uint8_t>(text[at]))) {
      ++token;
      ++at;
      continue;
    }
    if (star != kNone && star_at < text.size() && text[star_at] != '/') {
      token = star;
      at = ++star_at;
    } else if (star_star != kNone && star_star_at < text.size()) {
      token = star_star;
      at = ++star_star_at;
      star = kNone;
    } else {
      return false;
    }
  }
}

bool FilterPattern::MatchWhole(std::string_view text) const {
  switch (shape_) {
    case Shape::kLiteral: return text == literal_;
    case Shape::kSuffix:
      return text.size() >= literal_.size() && text.substr(text.size() - literal_.size()) == literal_;
    case Shape::kPrefix: return text.substr(0, literal_.size()) == literal_;
    case Shape::kTokens: break;
  }
  return MatchTokens(text);
}

bool FilterPattern::Matches(std::string_view path, bool is_directory, std::string_view above) const {
  if (path.empty() || (directories_only_ && !is_directory)) return false;
  if (name_only()) return MatchWhole(LastComponent(path));
  std::string joined;
  std::string_view text = path;
  const bool with_slash = is_directory && tree_suffix_;
  if (!above.empty() || crosses_first_ || with_slash) {
    joined.reserve(above.size() + path.size() + 2);
    joined = above;
    // "**/x" is to match at the very start too.
    if (!above.empty() || crosses_first_) joined += '/';
    joined += path;
    if (with_slash) joined += '/';
    text = joined;
  }
  if (anchored_ || crosses_first_) return MatchWhole(text);
  if (!crosses_) {
    const size_t start = TrailingComponents(text, slashes_ + 1);
    return start != std::string_view::npos && MatchWhole(text.substr(start));
  }
  for (size_t start = 0;;) {
    if (MatchWhole(text.substr(start))) return true;
    start = text.find('/', start);
    if (start == std::string_view::npos) return false;
    ++start;
  }
}

}  // namespace uringsync

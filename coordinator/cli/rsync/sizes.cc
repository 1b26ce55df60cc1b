#include "coordinator/cli/rsync/sizes.h"

#include <charconv>
#include <cmath>
#include <string>

namespace uringsync {
namespace {

constexpr double kLargestSize = 9e18;

}  // namespace

std::optional<double> SizeUnit(std::string_view unit, double usual) {
  if (unit.empty()) return usual;
  std::string lower;
  for (const char c : unit) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (lower == "b") return 1;
  constexpr std::string_view kPrefixes = "kmgtp";
  const size_t power = kPrefixes.find(lower.front());
  if (power == std::string_view::npos) return std::nullopt;
  const std::string_view rest = std::string_view(lower).substr(1);
  if (rest.empty() || rest == "ib") return std::pow(1024.0, static_cast<double>(power + 1));
  if (rest == "b") return std::pow(1000.0, static_cast<double>(power + 1));
  return std::nullopt;
}

std::optional<uint64_t> ParseSize(std::string_view text) {
  double extra = 0;
  if (text.size() > 2 && text.back() == '1' && (text[text.size() - 2] == '+' || text[text.size() - 2] == '-')) {
    extra = text[text.size() - 2] == '+' ? 1 : -1;
    text.remove_suffix(2);
  }
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc() || text.front() == '-' || !std::isfinite(number)) return std::nullopt;
  const std::optional<double> unit = SizeUnit(std::string_view(stop, static_cast<size_t>(end - stop)), 1);
  if (!unit) return std::nullopt;
  const double size = number * *unit;
  if (size + extra < 0 || size > kLargestSize) return std::nullopt;
  return static_cast<uint64_t>(static_cast<int64_t>(size) + static_cast<int64_t>(extra));
}

}  // namespace uringsync

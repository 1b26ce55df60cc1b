#include "coordinator/cli/rsync/numbers.h"

#include <algorithm>
#include <cstdio>

namespace uringsync {
namespace {

constexpr std::string_view kUnits = "KMGTP";
constexpr int kGroupsLevel = 1;
constexpr int kThousandsLevel = 2;

std::string Printed(double number, int decimals) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", decimals, number);
  return text;
}

// Commas into the digits before the point.
std::string Grouped(std::string text) {
  const size_t point = std::min(text.find('.'), text.size());
  for (size_t at = point; at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

// "1.23M"; empty where the number is below one unit.
std::string WithUnit(double number, int level) {
  const double step = level == kThousandsLevel ? 1000 : 1024;
  if (number < step) return {};
  size_t unit = 0;
  number /= step;
  while (number >= step && unit + 1 < kUnits.size()) {
    number /= step;
    ++unit;
  }
  return Printed(number, 2) + kUnits[unit];
}

}  // namespace

std::string HumanNumber(uint64_t number, int level) {
  if (level >= kThousandsLevel) {
    if (std::string text = WithUnit(static_cast<double>(number), level); !text.empty()) return text;
  }
  const std::string digits = std::to_string(number);
  return level >= kGroupsLevel ? Grouped(digits) : digits;
}

std::string HumanDecimal(double number, int level, int decimals) {
  if (level >= kThousandsLevel) {
    if (std::string text = WithUnit(number, level); !text.empty()) return text;
  }
  const std::string digits = Printed(number, decimals);
  return level >= kGroupsLevel ? Grouped(digits) : digits;
}

std::string HumanTime(std::time_t time, char separator) {
  std::tm parts = {};
  ::localtime_r(&time, &parts);
  char text[64];
  std::snprintf(text, sizeof(text), "%04d/%02d/%02d%c%02d:%02d:%02d", parts.tm_year + 1900, parts.tm_mon + 1,
                parts.tm_mday, separator, parts.tm_hour, parts.tm_min, parts.tm_sec);
  return text;
}

std::string PermissionText(uint32_t mode) {
  std::string text = "rwxrwxrwx";
  for (int bit = 0; bit < 9; ++bit) {
    if ((mode & (0400u >> bit)) == 0) text[static_cast<size_t>(bit)] = '-';
  }
  const auto special = [&text](size_t at, char with, char without) { text[at] = text[at] == 'x' ? with : without; };
  if ((mode & 04000u) != 0) special(2, 's', 'S');
  if ((mode & 02000u) != 0) special(5, 's', 'S');
  if ((mode & 01000u) != 0) special(8, 't', 'T');
  return text;
}

}  // namespace uringsync

#include "coordinator/cli/units.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <vector>

namespace uringsync {
namespace {

constexpr std::array<const char*, 7> kUnits = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
constexpr uint32_t kFirstMaybeWide = 0x1100;
constexpr std::string_view kEllipsis = "…";

std::string Printed(const char* format, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), format, value);
  return buffer;
}

struct Glyph {
  size_t begin = 0;
  size_t length = 0;
  size_t columns = 1;
};

std::vector<Glyph> Glyphs(std::string_view text) {
  std::vector<Glyph> glyphs;
  size_t i = 0;
  while (i < text.size()) {
    const unsigned char lead = static_cast<unsigned char>(text[i]);
    size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (i + length > text.size()) length = text.size() - i;
    uint32_t code_point = length == 1 ? lead : lead & (0xFFu >> (length + 1));
    for (size_t k = 1; k < length; ++k)
      code_point = (code_point << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3F);
    // The ellipsis is ours and narrow wherever it is shown.
    const bool narrow = code_point < kFirstMaybeWide || text.substr(i, length) == kEllipsis;
    glyphs.push_back({i, length, narrow ? size_t{1} : size_t{2}});
    i += length;
  }
  return glyphs;
}

}  // namespace

std::string FormatBytes(uint64_t bytes) {
  if (bytes < 1000) return Count(bytes, "byte");
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  // 999.5 would print as 1000.
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  const char* format = value < 9.995 ? "%.2f " : value < 99.95 ? "%.1f " : "%.0f ";
  return Printed(format, value) + kUnits[unit];
}

std::string FormatRate(double bytes_per_second) {
  if (!(bytes_per_second > 0)) bytes_per_second = 0;
  return FormatBytes(static_cast<uint64_t>(bytes_per_second)) + "/s";
}

std::string FormatDuration(std::chrono::nanoseconds duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  if (seconds < 9.9995) return Printed("%.3f s", seconds);
  if (seconds < 59.95) return Printed("%.1f s", seconds);
  const uint64_t whole = static_cast<uint64_t>(std::llround(seconds));
  char buffer[64];
  if (whole < 3600) {
    std::snprintf(buffer, sizeof(buffer), "%d:%02d", static_cast<int>(whole / 60), static_cast<int>(whole % 60));
  } else {
    std::snprintf(buffer, sizeof(buffer), "%llu:%02d:%02d", static_cast<unsigned long long>(whole / 3600),
                  static_cast<int>(whole / 60 % 60), static_cast<int>(whole % 60));
  }
  return buffer;
}

std::string Count(uint64_t count, std::string_view one) {
  std::string out = std::to_string(count) + " " + std::string(one);
  if (count == 1) return out;
  if (out.size() > 1 && out.back() == 'y') {  // directory, but key stays key: no such word is counted here
    out.pop_back();
    return out + "ies";
  }
  return out + "s";
}

size_t DisplayColumns(std::string_view text) {
  size_t columns = 0;
  for (const Glyph& glyph : Glyphs(text)) columns += glyph.columns;
  return columns;
}

std::string FitColumns(std::string_view text, size_t columns) {
  if (columns == 0) return {};
  const std::vector<Glyph> glyphs = Glyphs(text);
  size_t total = 0;
  for (const Glyph& glyph : glyphs) total += glyph.columns;
  if (total <= columns) return std::string(text);
  // One column is the ellipsis; the end of a name tells more than its middle.
  const size_t room = columns - 1;
  size_t head = 0;
  size_t head_columns = 0;
  while (head < glyphs.size() && head_columns + glyphs[head].columns <= room / 2)
    head_columns += glyphs[head++].columns;
  size_t tail = glyphs.size();
  size_t tail_columns = 0;
  while (tail > head && head_columns + tail_columns + glyphs[tail - 1].columns <= room)
    tail_columns += glyphs[--tail].columns;
  std::string out(text.substr(0, head < glyphs.size() ? glyphs[head].begin : text.size()));
  out += kEllipsis;
  if (tail < glyphs.size()) out += text.substr(glyphs[tail].begin);
  return out;
}

}  // namespace uringsync

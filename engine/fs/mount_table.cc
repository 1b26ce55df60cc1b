#include "engine/fs/mount_table.h"

#include <fstream>
#include <iterator>

namespace uringsync {
namespace {

// Which field of a line is the point, from 0.
constexpr int kPointField = 4;

bool IsOctal(char c) {
  return c >= '0' && c <= '7';
}

// Space, tab, newline and backslash stand in the table as three octal digits behind a backslash.
std::string Unescape(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '\\' && i + 3 < text.size() && text[i + 1] <= '3' && IsOctal(text[i + 1]) &&
                        IsOctal(text[i + 2]) && IsOctal(text[i + 3]);
    if (!escape) {
      plain += text[i];
      continue;
    }
    plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
    i += 3;
  }
  return plain;
}

std::string_view FieldOf(std::string_view line, int number) {
  size_t begin = 0;
  for (int field = 0; field < number; ++field) {
    begin = line.find(' ', begin);
    if (begin == std::string_view::npos) return {};
    ++begin;
  }
  return line.substr(begin, line.find(' ', begin) - begin);
}

}  // namespace

std::vector<Mount> ParseMountTable(std::string_view text) {
  std::vector<Mount> mounts;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    std::string point = Unescape(FieldOf(line, kPointField));
    if (!point.empty() && point.front() == '/') mounts.push_back({std::move(point), std::string(line)});
  }
  return mounts;
}

std::vector<Mount> ReadMountTable() {
  std::ifstream file("/proc/self/mountinfo");
  return ParseMountTable(std::string(std::istreambuf_iterator<char>(file), {}));
}

bool LiesWithin(std::string_view path, std::string_view directory) {
  if (directory == "/") return true;
  return path.substr(0, directory.size()) == directory &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace uringsync

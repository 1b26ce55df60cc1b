// Numbers as people read them: bytes, rates, durations, columns on a terminal.
//
// Thread rule: functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace uringsync {

// "0 bytes", "1 byte", "999 bytes", "1.23 kB", "45.6 MB", "789 GB": three significant digits, powers of 1000.
std::string FormatBytes(uint64_t bytes);
// "12.3 MB/s".
std::string FormatRate(double bytes_per_second);
// "0.042 s", "12.3 s", "2:05", "1:02:03".
std::string FormatDuration(std::chrono::nanoseconds duration);
// "1 file", "2 files": `one` with an s for any count but 1.
std::string Count(uint64_t count, std::string_view one);

// Columns that valid UTF-8 `text` takes on a terminal at the most: 1 a code point, 2 from U+1100 on (a wide character
// is never taken for a narrow one; some narrow ones count double, so a line may be cut early but never wraps).
size_t DisplayColumns(std::string_view text);
// `text` cut to at most `columns` columns; a cut is shown by "…" at the place that was left out, in the middle.
std::string FitColumns(std::string_view text, size_t columns);

}  // namespace uringsync

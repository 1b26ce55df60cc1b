#include "coordinator/cli/rsync/stop_time.h"

#include <optional>
#include <string>
#include <vector>

namespace uringsync {
namespace {

constexpr int kNotGiven = -1;
// A 31st of February never comes; a 29th does within so many years.
constexpr int kYearsAhead = 9;

absl::Status BadForm() {
  return absl::InvalidArgumentError("a time like 2000-12-31T23:59 belongs there");
}

// Numbers of at most four digits between separators; an empty one is kNotGiven. nullopt: something else stands there.
std::optional<std::vector<int>> Numbers(std::string_view text, std::string_view separators) {
  std::vector<int> numbers = {kNotGiven};
  int digits = 0;
  for (const char c : text) {
    if (separators.find(c) != std::string_view::npos) {
      numbers.push_back(kNotGiven);
      digits = 0;
    } else if (c >= '0' && c <= '9' && ++digits <= 4) {
      numbers.back() = (numbers.back() == kNotGiven ? 0 : numbers.back() * 10) + (c - '0');
    } else {
      return std::nullopt;
    }
  }
  return numbers;
}

struct Asked {
  int year = kNotGiven;
  int month = kNotGiven;
  int day = kNotGiven;
  int hour = kNotGiven;
  int minute = kNotGiven;
  bool Valid() const {
    const auto within = [](int value, int least, int most) {
      return value == kNotGiven || (value >= least && value <= most);
    };
    return within(year, 1970, 9999) && within(month, 1, 12) && within(day, 1, 31) && within(hour, 0, 23) &&
           within(minute, 0, 59);
  }
};

bool ReadDate(std::string_view text, Asked* asked) {
  const std::optional<std::vector<int>> numbers = Numbers(text, "-/");
  if (!numbers || numbers->size() > 3) return false;
  for (const int number : *numbers) {
    if (number == kNotGiven) return false;
  }
  asked->day = numbers->back();
  if (numbers->size() > 1) asked->month = (*numbers)[numbers->size() - 2];
  if (numbers->size() > 2) {
    asked->year = numbers->front();
    if (asked->year < 100) asked->year += 2000;
  }
  return true;
}

bool ReadTime(std::string_view text, Asked* asked) {
  const std::optional<std::vector<int>> numbers = Numbers(text, ":");
  if (!numbers || numbers->size() != 2 || numbers->back() == kNotGiven) return false;
  asked->hour = numbers->front();
  asked->minute = numbers->back();
  return true;
}

// The next time that fits, found by stepping through what was left open. Days that a month lacks are passed over.
std::optional<std::time_t> NextFit(const Asked& asked, std::time_t now) {
  std::tm today = {};
  ::localtime_r(&now, &today);
  const auto at = [](int year, int month, int day, int hour, int minute) -> std::optional<std::time_t> {
    std::tm when = {};
    when.tm_year = year - 1900;
    when.tm_mon = month - 1;
    when.tm_mday = day;
    when.tm_hour = hour;
    when.tm_min = minute;
    when.tm_isdst = -1;
    const std::time_t time = std::mktime(&when);
    if (time == -1 || when.tm_mday != day || when.tm_mon != month - 1) return std::nullopt;
    return time;
  };
  const bool dated = asked.day != kNotGiven;
  if (!dated) {  // within a day or so: hour by hour, or day by day
    for (int step = 0; step <= 48; ++step) {
      const int hour = asked.hour == kNotGiven ? today.tm_hour + step : asked.hour + 24 * step;
      std::tm when = today;
      when.tm_hour = hour;
      when.tm_min = asked.minute;
      when.tm_sec = 0;
      when.tm_isdst = -1;
      if (const std::time_t time = std::mktime(&when); time > now) return time;
    }
    return std::nullopt;
  }
  const int hour = asked.minute == kNotGiven ? 0 : asked.hour == kNotGiven ? 0 : asked.hour;
  const int minute = asked.minute == kNotGiven ? 0 : asked.minute;
  const int first_year = asked.year == kNotGiven ? today.tm_year + 1900 : asked.year;
  const int last_year = asked.year == kNotGiven ? first_year + kYearsAhead : first_year;
  for (int year = first_year; year <= last_year; ++year) {
    for (int month = 1; month <= 12; ++month) {
      if (asked.month != kNotGiven && asked.month != month) continue;
      if (const std::optional<std::time_t> time = at(year, month, asked.day, hour, minute); time && *time > now)
        return time;
    }
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::time_t> ParseStopTime(std::string_view text, std::time_t now) {
  Asked asked;
  const size_t middle = text.find_first_of("Tt");
  const bool has_time = text.find(':') != std::string_view::npos;
  bool good = true;
  if (middle != std::string_view::npos) {
    good = (middle == 0 || ReadDate(text.substr(0, middle), &asked)) && ReadTime(text.substr(middle + 1), &asked);
  } else {
    good = has_time ? ReadTime(text, &asked) : ReadDate(text, &asked);
  }
  if (!good || !asked.Valid()) return BadForm();
  const std::optional<std::time_t> when = NextFit(asked, now);
  if (!when) return absl::InvalidArgumentError("that time has passed, or never comes");
  return *when;
}

}  // namespace uringsync

// Effects of the option table, by member of Settings.
//
// Thread rule: functions.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/cli/rsync/settings.h"
#include "coordinator/cli/rsync/sizes.h"
#include "engine/base/errno_status.h"

namespace uringsync {

// Reasons for a refusal that several options share.
inline constexpr char kLater[] = "this version cannot do it";
inline constexpr char kDaemon[] =
    "rsync daemons are not spoken to; use HOST:PATH or agent://HOST/ROOT, or set URSYNC_FALLBACK=rsync";
inline constexpr char kUrsyncOnly[] = "SRC and DST of this command are whole directories; ursync can";
inline constexpr char kBatch[] = "there are no batch files; 'uringsync plan' shows what a run would do";
inline constexpr char kDebug[] = "there is no debug text; --info, -i and --stats tell what a run does";

template <auto Member, auto Value>
absl::Status Set(Settings& settings, const std::string&) {
  settings.*Member = Value;
  return absl::OkStatus();
}

// Several members at once.
template <bool Value, auto... Members>
absl::Status SetAll(Settings& settings, const std::string&) {
  ((settings.*Members = Value), ...);
  return absl::OkStatus();
}

template <auto Member>
absl::Status Store(Settings& settings, const std::string& value) {
  settings.*Member = value;
  return absl::OkStatus();
}

template <auto Member>
absl::Status Clear(Settings& settings, const std::string&) {
  settings.*Member = {};
  return absl::OkStatus();
}

template <auto Member>
absl::Status Append(Settings& settings, const std::string& value) {
  (settings.*Member).push_back(value);
  return absl::OkStatus();
}

template <auto Member>
absl::Status Count(Settings& settings, const std::string&) {
  ++(settings.*Member);
  return absl::OkStatus();
}

// All of `value` as a whole number; what is wrong with it otherwise.
template <typename T>
std::errc ReadInteger(const std::string& value, T* number) {
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, *number);
  return error == std::errc() && stop != end ? std::errc::invalid_argument : error;
}

// A size as rsync reads it.
inline absl::StatusOr<uint64_t> ReadSize(const std::string& value) {
  if (const std::optional<uint64_t> size = ParseSize(value)) return *size;
  return absl::InvalidArgumentError("no size: 1.5M, 10KB, 700 or the like belongs there");
}

// A whole number within bounds; the errors are rsync's.
template <auto Member, long long kLeast, long long kMost>
absl::Status Number(Settings& settings, const std::string& value) {
  long long number = 0;
  if (ReadInteger(value, &number) != std::errc()) return absl::InvalidArgumentError("invalid numeric value");
  if (number < kLeast || number > kMost) {
    return absl::InvalidArgumentError("a number from " + std::to_string(kLeast) + " to " + std::to_string(kMost) +
                                      " belongs there");
  }
  settings.*Member = static_cast<decltype(number)>(number);
  return absl::OkStatus();
}

// A size; the error is rsync's.
template <auto Member>
absl::Status Size(Settings& settings, const std::string& value) {
  US_ASSIGN_OR_RETURN(settings.*Member, ReadSize(value));
  return absl::OkStatus();
}

// What can be given once.
template <auto Member>
absl::Status StoreOnce(Settings& settings, const std::string& value) {
  if (settings.*Member) return absl::InvalidArgumentError("it can be given once only");
  settings.*Member = value;
  return absl::OkStatus();
}

// One of the words of a string literal, separated by '|'.
template <size_t kSize>
struct Words {
  char text[kSize];
  constexpr Words(const char (&words)[kSize]) {
    for (size_t i = 0; i < kSize; ++i) text[i] = words[i];
  }
};
template <auto Member, Words kWords>
absl::Status OneOf(Settings& settings, const std::string& value) {
  std::string_view rest = kWords.text;
  while (!rest.empty()) {
    const size_t end = rest.find('|');
    if (!value.empty() && rest.substr(0, end) == value) {
      settings.*Member = value;
      return absl::OkStatus();
    }
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return absl::InvalidArgumentError("one of " + std::string(kWords.text) + " belongs there");
}

// The option says what is so anyway, or how rsync works inside.
inline absl::Status Already(Settings&, const std::string&) {
  return absl::OkStatus();
}

// The same, of a number or a size, which is to be one.
inline absl::Status AlreadyNumber(Settings&, const std::string& value) {
  long long number = 0;
  if (ReadInteger(value, &number) != std::errc()) return absl::InvalidArgumentError("invalid numeric value");
  return absl::OkStatus();
}
inline absl::Status AlreadySize(Settings&, const std::string& value) {
  return ReadSize(value).status();
}

}  // namespace uringsync

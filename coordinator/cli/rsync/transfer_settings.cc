#include "coordinator/cli/rsync/transfer_settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "coordinator/cli/rsync/sizes.h"
#include "coordinator/link/link_error.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

// As in rsync: a slower session would only look dead.
constexpr double kLeastRate = 512;
constexpr double kLargestRate = 1e18;

absl::Status Usage(const std::string& text) {
  return LinkError(ErrorKind::kUsage, text);
}

absl::StatusOr<int> ParseLevel(const std::string& text) {
  int level = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, level);
  if (error == std::errc() && stop == end && level >= kMinCompressLevel && level <= kMaxCompressLevel) return level;
  return Usage("--compress-level " + EscapeName(text) + ": a whole number from " + std::to_string(kMinCompressLevel) +
               " to " + std::to_string(kMaxCompressLevel) + " belongs there");
}

// nullopt where none was given. rsync takes any number and goes as far as it can.
absl::StatusOr<std::optional<int>> AskedLevel(const Settings& settings) {
  if (!settings.compress_level) return std::optional<int>();
  const absl::StatusOr<int> level = ParseLevel(*settings.compress_level);
  int number = 0;
  if (!level.ok() && settings.command == Command::kUrsync && absl::SimpleAtoi(*settings.compress_level, &number)) {
    return std::optional<int>(std::clamp(number, kMinCompressLevel, kMaxCompressLevel));
  }
  US_RETURN_IF_ERROR(level.status());
  return std::optional<int>(*level);
}

absl::StatusOr<CompressionSettings> ToCompression(const Settings& settings, bool local) {
  CompressionSettings result;
  if (local && settings.command != Command::kUrsync && (!settings.compress_choice.empty() || settings.compress_level)) {
    const std::string option = settings.compress_level ? "--compress-level" : "--compress-choice";
    return Usage(option + ": no content crosses a connection between two local paths");
  }
  US_ASSIGN_OR_RETURN(const std::optional<int> level, AskedLevel(settings));
  const std::string& choice = settings.compress_choice;
  if (choice == "none") {
    if (level && settings.command != Command::kUrsync)
      return Usage("--compress-level has no meaning with --compress-choice=none");
    return result;
  }
  if (local && settings.command == Command::kUrsync) return result;
  if (level || choice == "zstd") {
    result.mode = CompressionMode::kFixed;
    result.level = level.value_or(0) == 0 ? kDefaultCompressLevel : *level;
  } else if (choice == "auto" || settings.compress) {
    result.mode = CompressionMode::kAdaptive;
  }
  return result;
}

}  // namespace

absl::StatusOr<uint64_t> ParseByteRate(std::string_view text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  const std::optional<double> unit =
      error == std::errc() ? SizeUnit(std::string_view(stop, static_cast<size_t>(end - stop)), 1024) : std::nullopt;
  if (!unit || text.front() == '-' || !std::isfinite(number)) {
    return absl::InvalidArgumentError(
        "a number with a unit belongs there: KiB without one, else B, K, M, G (powers of 1024), KB, MB, GB (of 1000)");
  }
  const double rate = number * *unit;
  if (rate == 0) return uint64_t{0};
  if (rate < kLeastRate) return absl::InvalidArgumentError("the least rate is 512 bytes a second; 0 is no limit");
  if (rate > kLargestRate) return absl::InvalidArgumentError("no such rate can be kept; 0 is no limit");
  return static_cast<uint64_t>(rate);
}

absl::Status ApplyTransferSettings(const Settings& settings, bool local, SyncRequest* request) {
  US_ASSIGN_OR_RETURN(request->compression, ToCompression(settings, local));
  if (!settings.bwlimit.empty()) {
    const absl::StatusOr<uint64_t> rate = ParseByteRate(settings.bwlimit);
    if (!rate.ok()) {
      return Usage("--bwlimit " + EscapeName(settings.bwlimit) + ": " + std::string(ToStd(rate.status().message())));
    }
    request->bytes_per_second = *rate;
  }
  request->background = settings.background;
  return absl::OkStatus();
}

}  // namespace uringsync

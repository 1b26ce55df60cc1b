#include "coordinator/cli/transfer_flags.h"

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <cmath>

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

absl::StatusOr<CompressionSettings> ToCompression(const TransferFlags& flags, bool local) {
  CompressionSettings settings;
  if (local && (!flags.compress_choice.empty() || flags.compress_level)) {
    const std::string option = flags.compress_level ? "--compress-level" : "--compress-choice";
    return Usage(option + ": no content crosses a connection between two local paths");
  }
  std::optional<int> level;
  if (flags.compress_level) {
    US_ASSIGN_OR_RETURN(level, ParseLevel(*flags.compress_level));
  }
  const std::string& choice = flags.compress_choice;
  if (choice == "none") {
    if (level) return Usage("--compress-level has no meaning with --compress-choice=none");
    return settings;
  }
  if (level || choice == "zstd") {
    settings.mode = CompressionMode::kFixed;
    settings.level = level.value_or(0) == 0 ? kDefaultCompressLevel : *level;
  } else if (choice == "auto" || flags.compress) {
    settings.mode = CompressionMode::kAdaptive;
  }
  return settings;
}

// Bytes that the unit of a rate stands for; nullopt: no unit.
std::optional<double> UnitBytes(std::string_view unit) {
  if (unit.empty()) return 1024;
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

}  // namespace

absl::StatusOr<uint64_t> ParseByteRate(std::string_view text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  const std::optional<double> unit =
      error == std::errc() ? UnitBytes(std::string_view(stop, static_cast<size_t>(end - stop))) : std::nullopt;
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

void AddTransferFlags(CLI::App* command, TransferFlags* flags) {
  const std::string group = "How contents travel";
  command
      ->add_flag(
          "-z,--compress", flags->compress,
          "Compress contents between two agents where that is faster: the level follows the link and the processor")
      ->group(group);
  command
      ->add_option("--compress-choice", flags->compress_choice,
                   "zstd: always; auto: as -z; none. Implies -z but for none")
      ->check(CLI::IsMember({"zstd", "auto", "none"}))
      ->type_name("zstd|auto|none")
      ->group(group);
  command
      ->add_option("--compress-level", flags->compress_level,
                   "Always zstd at this level, -7 to 19; 0 is its default, 3")
      ->type_name("N")
      ->group(group);
  command
      ->add_option("--bwlimit", flags->bwlimit,
                   "Contents go no faster than this: KiB a second, or with a suffix K, M, G; 0: no limit")
      ->type_name("RATE")
      ->group(group);
}

absl::Status ApplyTransferFlags(const TransferFlags& flags, bool local, SyncRequest* request) {
  US_ASSIGN_OR_RETURN(request->compression, ToCompression(flags, local));
  if (!flags.bwlimit.empty()) {
    const absl::StatusOr<uint64_t> rate = ParseByteRate(flags.bwlimit);
    if (!rate.ok()) {
      return Usage("--bwlimit " + EscapeName(flags.bwlimit) + ": " + std::string(ToStd(rate.status().message())));
    }
    request->bytes_per_second = *rate;
  }
  request->background = flags.background;
  return absl::OkStatus();
}

}  // namespace uringsync

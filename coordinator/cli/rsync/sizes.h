// Sizes of the command line in rsync's spelling.
//
// Thread rule: functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace uringsync {

// "1.5M", "10KB", "1k+1": a number, decimals allowed, with a suffix: B (bytes, also where there is none), K, M, G, T, P
// and the same with iB are powers of 1024, KB, MB, ... of 1000; "+1" or "-1" behind it is added. nullopt: no such form,
// or below zero.
std::optional<uint64_t> ParseSize(std::string_view text);

// Bytes that the unit of a size or a rate stands for; `usual` where there is none; nullopt: no unit.
std::optional<double> SizeUnit(std::string_view unit, double usual);

}  // namespace uringsync

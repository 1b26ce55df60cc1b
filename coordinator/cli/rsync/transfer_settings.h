// What the options about how contents travel (compression, rate, priority) mean, in rsync's spelling.
//
// Thread rule: functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/cli/rsync/settings.h"
#include "coordinator/core/run.h"

namespace uringsync {

// Fills the request. LinkError(kUsage) for values that cannot be read or are out of range, and for options without
// effect where both endpoints are `local` (ursync takes them there, as rsync does).
absl::Status ApplyTransferSettings(const Settings& settings, bool local, SyncRequest* request);

// rsync's --bwlimit: a number, decimals allowed, in KiB a second or with a suffix: K, M, G, T, P and the same with iB
// are powers of 1024, KB, MB, ... of 1000, B is bytes. 0 is no limit; nothing below 512 bytes a second else.
// InvalidArgument says what is wrong.
absl::StatusOr<uint64_t> ParseByteRate(std::string_view text);

}  // namespace uringsync

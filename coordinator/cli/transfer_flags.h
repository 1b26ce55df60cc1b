// TransferFlags: the options of sync that say how contents travel (compression, rate, priority), in rsync's spelling.
//
// Thread rule: functions and values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/run.h"

namespace CLI {
class App;
}

namespace uringsync {

// One member an option; false or empty where it was not given.
struct TransferFlags {
  bool compress = false;
  std::string compress_choice;
  std::optional<std::string> compress_level;
  std::string bwlimit;
  bool background = false;  // declared with the options of all commands that run
};

// Declares the options on `command`; parsing fills `flags`, which must outlive it.
void AddTransferFlags(CLI::App* command, TransferFlags* flags);

// Fills the request. LinkError(kUsage) for values that cannot be read or are out of range, and for options without
// effect where both endpoints are `local`.
absl::Status ApplyTransferFlags(const TransferFlags& flags, bool local, SyncRequest* request);

// rsync's --bwlimit: a number, decimals allowed, in KiB a second or with a suffix: K, M, G, T, P and the same with iB
// are powers of 1024, KB, MB, ... of 1000, B is bytes. 0 is no limit; nothing below 512 bytes a second else.
// InvalidArgument says what is wrong.
absl::StatusOr<uint64_t> ParseByteRate(std::string_view text);

}  // namespace uringsync

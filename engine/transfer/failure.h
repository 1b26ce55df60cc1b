// TransferFailure: why one object did not arrive, in the terms that a report needs.
//
// A value. agent/ turns it into a Problem by adding the path and the action.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "engine/transfer/data_channel.h"

namespace uringsync {

enum class FailureKind : uint8_t {
  kFailed = 1,
  kVanished,    // gone at the source
  kChanged,     // the source kept changing through every try
  kConflict,    // the destination holds something else than was planned against
  kIntegrity,   // a digest kept mismatching
  kNoSpace,     // ENOSPC, EDQUOT
  kConnection,  // no connection to the source any more
};

struct TransferFailure {
  FailureKind kind = FailureKind::kFailed;
  bool at_source = false;
  std::string operation;  // "open", "write", ...
  int error = 0;          // errno, 0 where none applies
  std::string detail;
};

// kNoSpace for ENOSPC and EDQUOT, kFailed otherwise, at the destination.
TransferFailure WriteFailure(int error, std::string operation);
// Whether it is that the process may not give an object its owner or group, which it was told to: the object itself is
// none the worse for it.
bool IsOwnerRefused(const TransferFailure& failure);
// What a source says of an object that it could not send; status is not kOk.
TransferFailure SourceFailure(ReplyStatus status, std::string operation, int error);
// How a fetch ended that the source said nothing about: kConnection for a connection or session that is gone.
TransferFailure FetchFailure(const absl::Status& fetched);

}  // namespace uringsync

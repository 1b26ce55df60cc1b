// Wire messages to values and back: the only code that does it, and the place where everything a peer says is
// validated.
//
// Decode trusts nothing: counts are checked against their bounds before anything is allocated, names and paths become
// validated values, enums, times, modes and sizes are in range. Errors are InvalidArgument and name message, field, row
// and the offending value, escaped: "ActionBatch.names[17]: name contains '/': "a/b"". Encode refuses (InvalidArgument)
// what the peer's decoder would refuse for its size; free texts are clipped to their bound.
//
// What a round trip does not keep: Action::wanted.name and existing->name become the last name of Action::path;
// DirectoryBatch::self.name the last name of its directory; SessionOpened::root.name becomes empty; device numbers of
// entries that are no devices, symlink targets of entries that are no symlinks.
//
// Thread rule: free functions without state.
#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/messages.h"

namespace uringsync {

namespace v1 {
class AgentMessage;
class ClientMessage;
}  // namespace v1

// Bounds beside those of messages.h.
constexpr size_t kMaxSoftwareBytes = 256;
constexpr size_t kMaxFeatures = 64;
constexpr size_t kMaxFeatureBytes = 64;
constexpr size_t kMaxExtraXattrs = 256;
constexpr size_t kMaxXattrNameBytes = 255;
constexpr size_t kMaxHostBytes = 255;
constexpr size_t kMaxPeerRootNameBytes = 255;
constexpr size_t kMaxDataConnections = 64;
constexpr size_t kMaxManifestCredit = 65536;
constexpr size_t kMaxShortTextBytes = 64;  // backend and file system names
constexpr size_t kMaxOperationBytes = 256;
constexpr size_t kMaxNotices = 64;
constexpr size_t kMaxLineBytes = 4096;   // a notice, a fallback reason
constexpr size_t kMaxTextBytes = 65536;  // error texts and details of problems
constexpr size_t kMaxAncestors = 4096;   // of a session's root
constexpr size_t kMaxGroups = 65537;     // NGROUPS_MAX and the effective one
constexpr size_t kMaxProblemsPerMessage = 4096;
constexpr size_t kMaxSkippedPerMessage = 65536;
constexpr uint32_t kMaxErrno = 4095;
constexpr uint32_t kMaxTimeGranularityNs = 2'000'000'000;  // FAT keeps even seconds

// `wire` is cleared first; an arena message keeps the cost of a large batch low.
absl::Status EncodeMessage(const ClientMessage& message, v1::ClientMessage* wire);
absl::Status EncodeMessage(const AgentMessage& message, v1::AgentMessage* wire);

absl::StatusOr<ClientMessage> DecodeMessage(const v1::ClientMessage& wire);
absl::StatusOr<AgentMessage> DecodeMessage(const v1::AgentMessage& wire);

}  // namespace uringsync

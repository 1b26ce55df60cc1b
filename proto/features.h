// What both ends of the protocol go by before anything else: versions, the names of features, bounds of messages, ids.
//
// A feature is a name in Hello and HelloReply: what only one end knows is not used. Nothing here knows protobuf or
// gRPC.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace uringsync {

// Version of the control and data protocols together. A peer is served when [min, max] ranges overlap.
constexpr uint32_t kProtocolVersion = 1;
constexpr uint32_t kMinProtocolVersion = 1;
// Bounds that every decoder enforces before it allocates.
constexpr size_t kMaxControlMessageBytes = size_t{4} << 20;
constexpr size_t kMaxEntriesPerBatch = 4096;
constexpr size_t kMaxActionsPerBatch = 4096;
constexpr size_t kMaxSymlinkTargetBytes = 64 << 10;
constexpr size_t kMaxXattrsPerObject = 4096;
constexpr size_t kMaxXattrBytesPerObject = size_t{1} << 20;

// Of HelloReply: the agent packs and unpacks contents with zstd.
constexpr std::string_view kCompressionFeature = "zstd";
// Of HelloReply: the agent knows rate limits, jobs and the background of OpenSession.
constexpr std::string_view kLimitsFeature = "limits";

// Of HelloReply: the agent answers signature requests and makes deltas.
constexpr std::string_view kDeltaFeature = "delta";

// Of Hello and HelloReply: direct_io of OpenSession, and Notice.
constexpr std::string_view kDirectIoFeature = "direct-io";
// Of HelloReply: the agent knows directory_times, link_times, executability and modify_window_s of a MetadataSelection.
constexpr std::string_view kMetadataRulesFeature = "metadata-rules";

// Of Hello and HelloReply: operands and host paths of OpenSession, OperandBatch, PathQuery, Entry::implied,
// DirectoryBatch::partial.
constexpr std::string_view kOperandsFeature = "operands";

// Of HelloReply: the agent knows basis directories.
constexpr std::string_view kBasisFeature = "basis-directories";
// Of one session, as with rsync.
constexpr size_t kMaxBasisDirectories = 20;
// Of HelloReply: a source removes what it is told to.
constexpr std::string_view kRemoveSourcesFeature = "remove-sources";
// Of HelloReply: the agent writes files in place.
constexpr std::string_view kInPlaceFeature = "in-place";
// Of HelloReply: the agent knows StagingSettings.
constexpr std::string_view kStagingFeature = "staging";
// Of HelloReply: PathQuery::expand and list_file; host paths in TreePlaces.
constexpr std::string_view kHostPlacesFeature = "host-places";
// Of HelloReply: the agent keeps backups.
constexpr std::string_view kBackupFeature = "backups";
// Of HelloReply: the agent answers NameQuery, and tells its name_domain.
constexpr std::string_view kNamesFeature = "id-names";

// Of HelloReply: a source follows links, a destination keeps those that lead to directories (follow_links,
// keep_directory_links).
constexpr std::string_view kLinksFeature = "links";

// Of Hello and HelloReply: filters of OpenSession, Entry::protection, DirectoryBatch::holds_excluded.
constexpr std::string_view kFiltersFeature = "filters";

// Of HelloReply: the agent answers EntryQuery, and knows as_planned of OpenSession.
constexpr std::string_view kEntryLooksFeature = "entry-looks";

// Of HelloReply: the agent reads and writes what devices hold (MetadataSelection::device_files,
// OpenSession::write_devices), where it is allowed to.
constexpr std::string_view kDeviceDataFeature = "device-data";
// Of HelloReply: OpenSession::delta_block_bytes.
constexpr std::string_view kDeltaBlocksFeature = "delta-blocks";
// Of HelloReply: OpenSession::copy_unstable; a source tells what became of a file that changed, and hands out one that
// keeps changing.
constexpr std::string_view kUnstableFeature = "unstable-files";
// Of Hello and HelloReply: a source answers MountQuery.
constexpr std::string_view kMountsFeature = "mounts";
// Of HelloReply: the agent knows Action::origin.
constexpr std::string_view kOriginsFeature = "origins";
// Of HelloReply: digest_key of StartManifest and EntryQuery.
constexpr std::string_view kDigestKeyFeature = "digest-keys";
// Of HelloReply: StartManifest::prove.
constexpr std::string_view kProofFeature = "proofs";
// Of HelloReply: OpenSession::readback.
constexpr std::string_view kReadbackFeature = "readback";
// Of HelloReply: OpenSession::snapshot.
constexpr std::string_view kSnapshotFeature = "snapshots";
// Of Hello and HelloReply: the agent answers DirectQuery, and knows `direct` of DataRoute and ConnectData.
constexpr std::string_view kDirectFeature = "direct";

// Of Hello and HelloReply: Durability::kFile, ApplyProgress::durable_sequence.
constexpr std::string_view kDurabilityFeature = "durability";

// Of Hello and HelloReply: OpenSession::ride_out.
constexpr std::string_view kReconnectFeature = "reconnect";

using SessionId = std::array<uint8_t, 16>;
// One-time secret that admits data connections to a session.
using SessionToken = std::array<uint8_t, 32>;

}  // namespace uringsync

#include "coordinator/core/needed_features.h"

#include <algorithm>
#include <string_view>

#include "coordinator/core/session_request.h"
#include "proto/handshake.h"

namespace uringsync {
namespace {

struct Need {
  bool needed;
  std::string_view feature;
  std::string_view words;
};

bool HasHostPlace(const SyncRequest& request) {
  const auto by_host_path = [](const TreePlace& place) { return place.root.empty(); };
  if (request.backup && request.backup->directory && by_host_path(*request.backup->directory)) return true;
  return std::any_of(request.basis.begin(), request.basis.end(),
                     [&](const BasisDirectory& basis) { return by_host_path(basis.place); });
}

bool OmitsOrRounds(const MetadataSelection& selection) {
  return !selection.directory_times || !selection.link_times || selection.executability ||
         selection.modify_window_s.has_value();
}

}  // namespace

std::vector<std::string> CoordinatorFeatures() {
  std::vector<std::string> features;
  for (const std::string_view feature : {std::string_view(kAliveFeature),         std::string_view(kFoldFeature),
                                         std::string_view(kIndexFeature),         std::string_view(kCompressionFeature),
                                         std::string_view(kLimitsFeature),        std::string_view(kDeltaFeature),
                                         std::string_view(kDirectIoFeature),      std::string_view(kBasisFeature),
                                         std::string_view(kFiltersFeature),       std::string_view(kBackupFeature),
                                         std::string_view(kHostPlacesFeature),    std::string_view(kInPlaceFeature),
                                         std::string_view(kRemoveSourcesFeature), std::string_view(kStagingFeature),
                                         std::string_view(kMetadataRulesFeature), std::string_view(kNamesFeature),
                                         std::string_view(kLinksFeature),         std::string_view(kOperandsFeature),
                                         std::string_view(kEntryLooksFeature),    std::string_view(kOriginsFeature),
                                         std::string_view(kDeviceDataFeature),    std::string_view(kDeltaBlocksFeature),
                                         std::string_view(kUnstableFeature),      std::string_view(kMountsFeature),
                                         std::string_view(kDigestKeyFeature),     std::string_view(kProofFeature),
                                         std::string_view(kReadbackFeature),      std::string_view(kDurabilityFeature),
                                         std::string_view(kReconnectFeature),     std::string_view(kSnapshotFeature)}) {
    features.emplace_back(feature);
  }
  return features;
}

std::string MissingFeature(const SyncRequest& request, Side side, const std::vector<std::string>& features) {
  const bool source = side == Side::kSource;
  const bool limited = request.bytes_per_second > 0 || request.jobs > 0 || request.background;
  // Direct I/O by default, and off, is what an agent can do.
  const Need needs[] = {
      {request.direct_io == DirectIoMode::kOn, kDirectIoFeature, "direct I/O"},
      {!request.filters.empty(), kFiltersFeature, "filter rules"},
      {OmitsOrRounds(request.selection), kMetadataRulesFeature, "omitted times, a time window or --executability"},
      {UsesOperands(request), kOperandsFeature, "single sources and lists of names"},
      {limited, kLimitsFeature, "limits of rate, jobs or priority"},
      {!source && !request.basis.empty(), kBasisFeature, "basis directories"},
      {!source && HasHostPlace(request), kHostPlacesFeature, "basis and backup directories of its host"},
      {!source && request.durability == Durability::kFile, kDurabilityFeature, "--durability=file"},
      {!source && request.in_place, kInPlaceFeature, "writing in place"},
      {!source && request.staging != StagingSettings(), kStagingFeature, "partial files, appending and the like"},
      {source ? request.copy_devices : request.write_devices, kDeviceDataFeature, "what devices hold"},
      {!source && request.delta_block_bytes > 0, kDeltaBlocksFeature, "a block size"},
      {request.unstable == UnstableFiles::kCopy, kUnstableFeature, "--unstable=copy"},
      {!source && request.readback, kReadbackFeature, "--verify=readback"},
      {source && TakesSnapshot(request), kSnapshotFeature, "--snapshot"},
      {request.detect_renames, source ? kDeltaFeature : kOriginsFeature, "--detect-renames"},
      {!source && request.backup.has_value(), kBackupFeature, "backups"},
      {source ? request.follow_links.any() : KeepsDirectoryLinks(request), kLinksFeature, "following symlinks"},
      {source && RemovesSources(request), kRemoveSourcesFeature, "removing sources"},
      {request.plan != nullptr || !request.look_at.empty(), kEntryLooksFeature, "looks at single objects"},
  };
  for (const Need& need : needs) {
    if (need.needed && !HasFeature(features, need.feature)) return std::string(need.words);
  }
  return {};
}

}  // namespace uringsync

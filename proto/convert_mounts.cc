#include "proto/convert_mounts.h"

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/errno_status.h"
#include "proto/convert_fields.h"

namespace uringsync::convert_internal {
namespace {

constexpr size_t kMaxFileSystemBytes = 64;

absl::Status CheckPoint(Where where, size_t row, std::string_view point, size_t* total) {
  if (point.empty() || point.front() != '/' || point.find('\0') != std::string_view::npos)
    return Bad(where, row, "no absolute path");
  *total += point.size();
  return CheckBound(where, *total, kMaxMountBytes, "bytes");
}

absl::Status EncodeMounts(Where where, const std::vector<MountedPlace>& mounts, v1::MountTable* wire) {
  std::vector<std::string> points;
  std::vector<std::string> file_systems;
  for (const MountedPlace& mount : mounts) {
    points.push_back(mount.point);
    file_systems.push_back(mount.file_system);
  }
  US_RETURN_IF_ERROR(EncodeList(where, points, kMaxMounts, kMaxHostPathBytes, wire->mutable_points()));
  return EncodeList(where, file_systems, kMaxMounts, kMaxFileSystemBytes, wire->mutable_file_systems());
}

absl::StatusOr<std::vector<MountedPlace>> DecodeMounts(Where where, const v1::MountTable& wire) {
  US_ASSIGN_OR_RETURN(std::vector<std::string> points,
                      DecodeList(where, wire.points(), kMaxMounts, kMaxHostPathBytes, /*labels=*/false));
  US_ASSIGN_OR_RETURN(std::vector<std::string> file_systems,
                      DecodeList(where, wire.file_systems(), kMaxMounts, kMaxFileSystemBytes, /*labels=*/false));
  if (points.size() != file_systems.size()) return Bad(where, kNoRow, "not as many file systems as points");
  std::vector<MountedPlace> mounts;
  size_t total = 0;
  for (size_t row = 0; row < points.size(); ++row) {
    US_RETURN_IF_ERROR(CheckPoint(where, row, points[row], &total));
    mounts.push_back({std::move(points[row]), std::move(file_systems[row])});
  }
  return mounts;
}

}  // namespace

absl::Status EncodeMountQuery(const MountQuery& query, v1::MountQuery* wire) {
  return EncodeMounts({"MountQuery", "recorded"}, query.recorded, wire->mutable_recorded());
}

absl::StatusOr<MountQuery> DecodeMountQuery(const v1::MountQuery& wire) {
  MountQuery query;
  US_ASSIGN_OR_RETURN(query.recorded, DecodeMounts({"MountQuery", "recorded"}, wire.recorded()));
  return query;
}

absl::Status EncodeMountReply(const MountReply& reply, v1::MountReply* wire) {
  std::vector<std::string> lost;
  for (size_t row = 0; row < reply.lost.size(); ++row) {
    lost.push_back(reply.lost[row].point);
    if (reply.lost[row].loss == MountLoss::kEmptied) wire->add_emptied_rows(static_cast<uint32_t>(row));
    if (reply.lost[row].loss == MountLoss::kReplaced) wire->add_replaced_rows(static_cast<uint32_t>(row));
  }
  US_RETURN_IF_ERROR(EncodeList({"MountReply", "lost"}, lost, kMaxMounts, kMaxHostPathBytes, wire->mutable_lost()));
  return EncodeMounts({"MountReply", "mounts"}, reply.mounts, wire->mutable_mounts());
}

absl::StatusOr<MountReply> DecodeMountReply(const v1::MountReply& wire) {
  const Where where{"MountReply", "lost"};
  MountReply reply;
  US_ASSIGN_OR_RETURN(reply.mounts, DecodeMounts({"MountReply", "mounts"}, wire.mounts()));
  US_ASSIGN_OR_RETURN(std::vector<std::string> lost,
                      DecodeList(where, wire.lost(), kMaxMounts, kMaxHostPathBytes, /*labels=*/false));
  size_t total = 0;
  for (size_t row = 0; row < lost.size(); ++row) {
    US_RETURN_IF_ERROR(CheckPoint(where, row, lost[row], &total));
    reply.lost.push_back({std::move(lost[row])});
  }
  US_RETURN_IF_ERROR(CheckRows(wire.emptied_rows(), reply.lost.size(), {"MountReply", "emptied_rows"}));
  for (const uint32_t row : wire.emptied_rows()) reply.lost[row].loss = MountLoss::kEmptied;
  US_RETURN_IF_ERROR(CheckRows(wire.replaced_rows(), reply.lost.size(), {"MountReply", "replaced_rows"}));
  for (const uint32_t row : wire.replaced_rows()) {
    if (reply.lost[row].loss == MountLoss::kEmptied) return Bad({"MountReply", "replaced_rows"}, row, "emptied as well");
    reply.lost[row].loss = MountLoss::kReplaced;
  }
  return reply;
}

}  // namespace uringsync::convert_internal

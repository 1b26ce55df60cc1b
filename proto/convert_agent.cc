#include "engine/base/errno_status.h"
#include "proto/convert.h"
#include "proto/convert_bench.h"
#include "proto/convert_direct.h"
#include "proto/convert_fields.h"
#include "proto/convert_looks.h"
#include "proto/convert_mounts.h"
#include "proto/convert_names.h"
#include "proto/convert_operands.h"
#include "proto/convert_tables.h"

namespace uringsync {
namespace {

using namespace convert_internal;  // NOLINT: this file is the public half of that namespace

// ---- Encode ----

absl::Status Encode(const HelloReply& reply, v1::HelloReply* wire) {
  wire->set_version(reply.version);
  wire->set_min_version(reply.min_version);
  wire->set_max_version(reply.max_version);
  wire->set_software(std::string(Clip(reply.software, kMaxSoftwareBytes)));
  wire->set_io_backend(std::string(Clip(reply.io_backend, kMaxShortTextBytes)));
  wire->set_fallback_reason(std::string(Clip(reply.fallback_reason, kMaxLineBytes)));
  wire->set_data_port(reply.data_port);
  return EncodeList({"HelloReply", "features"}, reply.features, kMaxFeatures, kMaxFeatureBytes,
                    wire->mutable_features());
}

void EncodeVolume(const VolumeFacts& volume, v1::VolumeFacts* wire) {
  wire->set_bytes_total(volume.bytes_total);
  wire->set_bytes_free(volume.bytes_free);
  wire->set_files_total(volume.files_total);
  wire->set_files_free(volume.files_free);
  wire->set_name_bytes_max(volume.name_bytes_max);
  wire->set_file_bytes_max(volume.file_bytes_max);
  wire->set_read_only(volume.read_only);
  wire->set_ignores_case(volume.ignores_case);
  wire->set_normalises_names(volume.normalises_names);
  wire->set_lacks_xattrs(volume.lacks_xattrs);
  wire->set_lacks_acls(volume.lacks_acls);
}

// Any numbers can be true.
VolumeFacts DecodeVolume(const v1::VolumeFacts& wire) {
  return {.bytes_total = wire.bytes_total(),
          .bytes_free = wire.bytes_free(),
          .files_total = wire.files_total(),
          .files_free = wire.files_free(),
          .name_bytes_max = wire.name_bytes_max(),
          .file_bytes_max = wire.file_bytes_max(),
          .read_only = wire.read_only(),
          .ignores_case = wire.ignores_case(),
          .normalises_names = wire.normalises_names(),
          .lacks_xattrs = wire.lacks_xattrs(),
          .lacks_acls = wire.lacks_acls()};
}

absl::Status Encode(const SessionOpened& opened, v1::SessionOpened* wire) {
  wire->set_exists(opened.exists);
  wire->set_created(opened.created);
  if (opened.exists) {
    const Entry* root = &opened.root;
    EncodeEntries({&root, 1}, wire->mutable_root());
  }
  wire->set_file_system(std::string(Clip(opened.file_system, kMaxShortTextBytes)));
  wire->set_can_chown(opened.can_chown);
  wire->set_can_mknod(opened.can_mknod);
  wire->set_can_set_capabilities(opened.can_set_capabilities);
  wire->set_can_set_trusted(opened.can_set_trusted);
  wire->set_uid(opened.uid);
  US_RETURN_IF_ERROR(CheckBound({"SessionOpened", "groups"}, opened.groups.size(), kMaxGroups, "groups"));
  wire->mutable_groups()->Add(opened.groups.begin(), opened.groups.end());
  wire->set_time_granularity_ns(opened.time_granularity_ns);
  wire->set_time_min_seconds(opened.time_range.min_seconds);
  wire->set_time_max_seconds(opened.time_range.max_seconds);
  if (opened.volume) EncodeVolume(*opened.volume, wire->mutable_volume());
  wire->set_index_seed(opened.index_seed);
  wire->set_name_domain(std::string(Clip(opened.name_domain, kMaxShortTextBytes)));
  wire->set_host_id(std::string(Clip(opened.host_id, kMaxShortTextBytes)));
  wire->set_place(std::string(Clip(opened.place, kMaxShortTextBytes)));
  US_RETURN_IF_ERROR(CheckBound({"SessionOpened", "ancestors"}, opened.ancestors.size(), kMaxAncestors, "directories"));
  for (const FileId& ancestor : opened.ancestors) {
    wire->add_ancestor_devices(ancestor.device);
    wire->add_ancestor_inodes(ancestor.inode);
  }
  US_RETURN_IF_ERROR(
      CheckBound({"SessionOpened", "tree_roots"}, opened.tree_roots.size(), kMaxTreeRoots, "directories"));
  for (const FileId& root : opened.tree_roots) {
    wire->add_tree_root_devices(root.device);
    wire->add_tree_root_inodes(root.inode);
  }
  return EncodeList({"SessionOpened", "notices"}, opened.notices, kMaxNotices, kMaxLineBytes, wire->mutable_notices());
}

absl::Status Encode(const ApplyProgress& progress, v1::ApplyProgress* wire) {
  wire->set_completed_sequence(progress.completed_sequence);
  EncodeCounters(progress.counters, wire->mutable_counters());
  if (!progress.problems.empty()) US_RETURN_IF_ERROR(EncodeProblems(progress.problems, wire->mutable_problems()));
  US_RETURN_IF_ERROR(CheckBound({"ApplyProgress", "skipped_actions"}, progress.skipped_actions.size(),
                                kMaxSkippedPerMessage, "actions"));
  wire->mutable_skipped_actions()->Add(progress.skipped_actions.begin(), progress.skipped_actions.end());
  wire->set_current_file(progress.current_file.text());
  wire->set_current_bytes(progress.current_bytes);
  wire->set_current_size(progress.current_size);
  wire->set_durable_sequence(progress.durable_sequence);
  return absl::OkStatus();
}

struct Encoder {
  v1::AgentMessage* wire;
  absl::Status operator()(const HelloReply& value) { return Encode(value, wire->mutable_hello_reply()); }
  absl::Status operator()(const SessionOpened& value) { return Encode(value, wire->mutable_session_opened()); }
  absl::Status operator()(const SessionError& value) {
    wire->mutable_session_error()->set_kind(static_cast<v1::ErrorKind>(value.kind));
    wire->mutable_session_error()->set_message(std::string(Clip(value.message, kMaxTextBytes)));
    return absl::OkStatus();
  }
  absl::Status operator()(const DirectoryBatch& value) { return EncodeBatch(value, wire->mutable_directory_batch()); }
  absl::Status operator()(const ManifestEnd& value) {
    v1::ManifestEnd* end = wire->mutable_manifest_end();
    end->set_directories(value.directories);
    end->set_entries(value.entries);
    end->set_errors(value.errors);
    end->set_strays_removed(value.strays_removed);
    return absl::OkStatus();
  }
  absl::Status operator()(const FoldedGroup& value) { return EncodeGroup(value, wire->mutable_folded_group()); }
  absl::Status operator()(const TreeReply& value) { return EncodeTree(value, wire->mutable_tree_reply()); }
  absl::Status operator()(const ApplyProgress& value) { return Encode(value, wire->mutable_apply_progress()); }
  absl::Status operator()(const BenchReport& value) { return EncodeBenchReport(value, wire->mutable_bench_report()); }
  absl::Status operator()(const PathReply& value) { return EncodePathReply(value, wire->mutable_path_reply()); }
  absl::Status operator()(const NameReply& value) { return EncodeNameReply(value, wire->mutable_name_reply()); }
  absl::Status operator()(const MountReply& value) { return EncodeMountReply(value, wire->mutable_mount_reply()); }
  absl::Status operator()(const EntryReply& value) { return EncodeEntryReply(value, wire->mutable_entry_reply()); }
  absl::Status operator()(const DirectReply& value) { return EncodeDirectReply(value, wire->mutable_direct_reply()); }
  absl::Status operator()(const Notice& value) {
    wire->mutable_notice()->set_text(std::string(Clip(value.text, kMaxLineBytes)));
    return absl::OkStatus();
  }
  absl::Status operator()(const ApplyDone& value) {
    EncodeCounters(value.counters, wire->mutable_apply_done()->mutable_counters());
    wire->mutable_apply_done()->set_durability(static_cast<v1::Durability>(value.durability));
    return absl::OkStatus();
  }
};

// ---- Decode ----

absl::StatusOr<AgentMessage> Decode(const v1::HelloReply& wire) {
  HelloReply reply;
  US_RETURN_IF_ERROR(CheckVersions("HelloReply", wire.min_version(), wire.max_version()));
  if (wire.version() < wire.min_version() || wire.version() > wire.max_version()) {
    return Bad({"HelloReply", "version"}, kNoRow,
               std::to_string(wire.version()) + " is outside of the agent's own range");
  }
  reply.version = wire.version();
  reply.min_version = wire.min_version();
  reply.max_version = wire.max_version();
  US_ASSIGN_OR_RETURN(reply.software, DecodeText({"HelloReply", "software"}, wire.software(), kMaxSoftwareBytes));
  US_ASSIGN_OR_RETURN(reply.features,
                      DecodeList({"HelloReply", "features"}, wire.features(), kMaxFeatures, kMaxFeatureBytes,
                                 /*labels=*/true));
  US_ASSIGN_OR_RETURN(reply.io_backend,
                      DecodeText({"HelloReply", "io_backend"}, wire.io_backend(), kMaxShortTextBytes));
  US_ASSIGN_OR_RETURN(reply.fallback_reason,
                      DecodeText({"HelloReply", "fallback_reason"}, wire.fallback_reason(), kMaxLineBytes));
  US_ASSIGN_OR_RETURN(reply.data_port,
                      DecodePort({"HelloReply", "data_port"}, wire.data_port(), /*none_allowed=*/true));
  return reply;
}

absl::StatusOr<AgentMessage> Decode(const v1::SessionOpened& wire) {
  SessionOpened opened;
  opened.exists = wire.exists();
  opened.created = wire.created();
  if (opened.exists) {
    if (!wire.has_root()) return Bad({"SessionOpened", "root"}, kNoRow, "missing");
    Entry* root = &opened.root;
    US_RETURN_IF_ERROR(DecodeEntries(wire.root(), {&root, 1}, "SessionOpened.root"));
  }
  US_ASSIGN_OR_RETURN(opened.file_system,
                      DecodeText({"SessionOpened", "file_system"}, wire.file_system(), kMaxShortTextBytes));
  opened.can_chown = wire.can_chown();
  opened.can_mknod = wire.can_mknod();
  opened.can_set_capabilities = wire.can_set_capabilities();
  opened.can_set_trusted = wire.can_set_trusted();
  opened.uid = wire.uid();
  US_RETURN_IF_ERROR(
      CheckBound({"SessionOpened", "groups"}, static_cast<size_t>(wire.groups_size()), kMaxGroups, "groups"));
  opened.groups.assign(wire.groups().begin(), wire.groups().end());
  opened.time_granularity_ns = wire.time_granularity_ns();
  if (opened.time_granularity_ns == 0 || opened.time_granularity_ns > kMaxTimeGranularityNs) {
    return Bad({"SessionOpened", "time_granularity_ns"}, kNoRow,
               std::to_string(opened.time_granularity_ns) + " is out of range");
  }
  if (wire.has_time_min_seconds()) opened.time_range.min_seconds = wire.time_min_seconds();
  if (wire.has_time_max_seconds()) opened.time_range.max_seconds = wire.time_max_seconds();
  if (opened.time_range.min_seconds >= opened.time_range.max_seconds) {
    return Bad({"SessionOpened", "time_max_seconds"}, kNoRow, "not after time_min_seconds");
  }
  if (wire.has_volume()) opened.volume = DecodeVolume(wire.volume());
  opened.index_seed = wire.index_seed();
  US_ASSIGN_OR_RETURN(opened.name_domain,
                      DecodeText({"SessionOpened", "name_domain"}, wire.name_domain(), kMaxShortTextBytes));
  US_ASSIGN_OR_RETURN(opened.host_id, DecodeText({"SessionOpened", "host_id"}, wire.host_id(), kMaxShortTextBytes));
  US_ASSIGN_OR_RETURN(opened.place, DecodeText({"SessionOpened", "place"}, wire.place(), kMaxShortTextBytes));
  const auto ancestors = static_cast<size_t>(wire.ancestor_devices_size());
  US_RETURN_IF_ERROR(CheckBound({"SessionOpened", "ancestors"}, ancestors, kMaxAncestors, "directories"));
  if (wire.ancestor_inodes_size() != wire.ancestor_devices_size()) {
    return Bad({"SessionOpened", "ancestor_inodes"}, kNoRow, "not as many as ancestor_devices");
  }
  for (int i = 0; i < wire.ancestor_devices_size(); ++i) {
    opened.ancestors.push_back({wire.ancestor_devices(i), wire.ancestor_inodes(i)});
  }
  const auto tree_roots = static_cast<size_t>(wire.tree_root_devices_size());
  US_RETURN_IF_ERROR(CheckBound({"SessionOpened", "tree_roots"}, tree_roots, kMaxTreeRoots, "directories"));
  US_RETURN_IF_ERROR(
      CheckCount({"SessionOpened", "tree_root_inodes"}, static_cast<size_t>(wire.tree_root_inodes_size()), tree_roots));
  for (int i = 0; i < wire.tree_root_devices_size(); ++i) {
    opened.tree_roots.push_back({wire.tree_root_devices(i), wire.tree_root_inodes(i)});
  }
  US_ASSIGN_OR_RETURN(opened.notices, DecodeList({"SessionOpened", "notices"}, wire.notices(), kMaxNotices,
                                                 kMaxLineBytes, /*labels=*/false));
  return opened;
}

absl::StatusOr<AgentMessage> Decode(const v1::SessionError& wire) {
  SessionError error;
  if (wire.kind() < v1::ERROR_KIND_USAGE || wire.kind() > v1::ERROR_KIND_TIMEOUT) {
    return Bad({"SessionError", "kind"}, kNoRow, "unknown kind " + std::to_string(wire.kind()));
  }
  error.kind = static_cast<ErrorKind>(wire.kind());
  US_ASSIGN_OR_RETURN(error.message, DecodeText({"SessionError", "message"}, wire.message(), kMaxTextBytes));
  return error;
}

absl::StatusOr<AgentMessage> Decode(const v1::DirectoryBatch& wire) {
  US_ASSIGN_OR_RETURN(DirectoryBatch batch, DecodeBatch(wire));
  return AgentMessage(std::move(batch));
}

absl::StatusOr<AgentMessage> Decode(const v1::ManifestEnd& wire) {
  return ManifestEnd{.directories = wire.directories(),
                     .entries = wire.entries(),
                     .errors = wire.errors(),
                     .strays_removed = wire.strays_removed()};
}

absl::StatusOr<AgentMessage> Decode(const v1::ApplyProgress& wire) {
  ApplyProgress progress;
  progress.completed_sequence = wire.completed_sequence();
  if (!wire.has_counters()) return Bad({"ApplyProgress", "counters"}, kNoRow, "missing");
  progress.counters = DecodeCounters(wire.counters());
  if (wire.has_problems()) {
    US_ASSIGN_OR_RETURN(progress.problems, DecodeProblems(wire.problems()));
  }
  const size_t skipped = static_cast<size_t>(wire.skipped_actions_size());
  US_RETURN_IF_ERROR(CheckBound({"ApplyProgress", "skipped_actions"}, skipped, kMaxSkippedPerMessage, "actions"));
  progress.skipped_actions.assign(wire.skipped_actions().begin(), wire.skipped_actions().end());
  US_ASSIGN_OR_RETURN(progress.current_file, ParsePath({"ApplyProgress", "current_file"}, kNoRow, wire.current_file()));
  progress.current_bytes = wire.current_bytes();
  progress.current_size = wire.current_size();
  progress.durable_sequence = wire.durable_sequence();
  if (progress.durable_sequence > progress.completed_sequence)
    return Bad({"ApplyProgress", "durable_sequence"}, kNoRow, "beyond completed_sequence");
  return progress;
}

absl::StatusOr<AgentMessage> Decode(const v1::ApplyDone& wire) {
  ApplyDone done;
  if (!wire.has_counters()) return Bad({"ApplyDone", "counters"}, kNoRow, "missing");
  done.counters = DecodeCounters(wire.counters());
  if (wire.durability() < v1::DURABILITY_NONE || wire.durability() > v1::DURABILITY_FILE) {
    return Bad({"ApplyDone", "durability"}, kNoRow, "unknown level " + std::to_string(wire.durability()));
  }
  done.durability = static_cast<Durability>(wire.durability());
  return done;
}

}  // namespace

absl::Status EncodeMessage(const AgentMessage& message, v1::AgentMessage* wire) {
  wire->Clear();
  return std::visit(Encoder{wire}, message);
}

absl::StatusOr<AgentMessage> DecodeMessage(const v1::AgentMessage& wire) {
  switch (wire.body_case()) {
    case v1::AgentMessage::kHelloReply: return Decode(wire.hello_reply());
    case v1::AgentMessage::kSessionOpened: return Decode(wire.session_opened());
    case v1::AgentMessage::kSessionError: return Decode(wire.session_error());
    case v1::AgentMessage::kDirectoryBatch: return Decode(wire.directory_batch());
    case v1::AgentMessage::kManifestEnd: return Decode(wire.manifest_end());
    case v1::AgentMessage::kFoldedGroup: {
      US_ASSIGN_OR_RETURN(FoldedGroup group, DecodeGroup(wire.folded_group()));
      return AgentMessage(std::move(group));
    }
    case v1::AgentMessage::kTreeReply: {
      US_ASSIGN_OR_RETURN(TreeReply reply, DecodeTree(wire.tree_reply()));
      return AgentMessage(std::move(reply));
    }
    case v1::AgentMessage::kApplyProgress: return Decode(wire.apply_progress());
    case v1::AgentMessage::kApplyDone: return Decode(wire.apply_done());
    case v1::AgentMessage::kBenchReport: {
      US_ASSIGN_OR_RETURN(BenchReport report, DecodeBenchReport(wire.bench_report()));
      return report;
    }
    case v1::AgentMessage::kPathReply: {
      US_ASSIGN_OR_RETURN(PathReply reply, DecodePathReply(wire.path_reply()));
      return AgentMessage(std::move(reply));
    }
    case v1::AgentMessage::kMountReply: {
      US_ASSIGN_OR_RETURN(MountReply reply, DecodeMountReply(wire.mount_reply()));
      return AgentMessage(std::move(reply));
    }
    case v1::AgentMessage::kNameReply: {
      US_ASSIGN_OR_RETURN(NameReply reply, DecodeNameReply(wire.name_reply()));
      return AgentMessage(std::move(reply));
    }
    case v1::AgentMessage::kEntryReply: {
      US_ASSIGN_OR_RETURN(EntryReply reply, DecodeEntryReply(wire.entry_reply()));
      return AgentMessage(std::move(reply));
    }
    case v1::AgentMessage::kDirectReply: {
      US_ASSIGN_OR_RETURN(DirectReply reply, DecodeDirectReply(wire.direct_reply()));
      return AgentMessage(std::move(reply));
    }
    case v1::AgentMessage::kNotice: {
      Notice notice;
      US_ASSIGN_OR_RETURN(notice.text, DecodeText({"Notice", "text"}, wire.notice().text(), kMaxLineBytes));
      return notice;
    }
    case v1::AgentMessage::BODY_NOT_SET: break;
  }
  return Bad({"AgentMessage", "body"}, kNoRow, "no message that this program knows");
}

}  // namespace uringsync

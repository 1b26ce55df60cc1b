#include "engine/base/errno_status.h"
#include "engine/delta/signature.h"
#include "engine/tree/path_filter.h"
#include "proto/convert.h"
#include "proto/convert_bench.h"
#include "proto/convert_direct.h"
#include "proto/convert_fields.h"
#include "proto/convert_looks.h"
#include "proto/convert_mounts.h"
#include "proto/convert_names.h"
#include "proto/convert_operands.h"
#include "proto/convert_places.h"
#include "proto/convert_tables.h"

namespace uringsync {
namespace {

using namespace convert_internal;  // NOLINT: this file is the public half of that namespace

// ---- Encode ----

absl::Status Encode(const Hello& hello, v1::Hello* wire) {
  wire->set_min_version(hello.min_version);
  wire->set_max_version(hello.max_version);
  wire->set_software(std::string(Clip(hello.software, kMaxSoftwareBytes)));
  return EncodeList({"Hello", "features"}, hello.features, kMaxFeatures, kMaxFeatureBytes, wire->mutable_features());
}

absl::Status EncodeSelection(const MetadataSelection& selection, v1::MetadataSelection* wire) {
  wire->set_mode(selection.mode);
  wire->set_owner(selection.owner);
  wire->set_group(selection.group);
  wire->set_mtime(selection.mtime);
  wire->set_atime(selection.atime);
  wire->set_xattrs(selection.xattrs);
  wire->set_acls(selection.acls);
  wire->set_selinux(selection.selinux);
  wire->set_explicit_owner(selection.explicit_owner);
  wire->set_explicit_privileged_xattrs(selection.explicit_privileged_xattrs);
  wire->set_omit_directory_times(!selection.directory_times);
  wire->set_omit_link_times(!selection.link_times);
  wire->set_executability(selection.executability);
  wire->set_device_files(selection.device_files);
  if (selection.modify_window_s) wire->set_modify_window_s(*selection.modify_window_s);
  return EncodeList({"OpenSession", "selection.extra_xattrs"}, selection.extra_xattrs, kMaxExtraXattrs,
                    kMaxXattrNameBytes, wire->mutable_extra_xattrs());
}

void EncodeRoute(const DataRoute& route, v1::DataRoute* wire) {
  wire->set_kind(static_cast<v1::RouteKind>(route.kind));
  if (route.kind == DataRoute::Kind::kLocal) wire->set_peer_session(EncodeBytes(route.peer_session));
  if (route.kind == DataRoute::Kind::kConnect) {
    wire->set_host(route.host);
    wire->set_port(route.port);
    wire->set_direct(route.direct);
  }
}

absl::Status CheckFilters(const std::vector<std::string>& filters) {
  size_t bytes = 0;
  for (const std::string& rule : filters) bytes += rule.size();
  return CheckBound({"OpenSession", "filters"}, bytes, kMaxFilterBytes, "bytes");
}

// Bits of OpenSession.follow_links.
constexpr uint32_t kFollowAll = 1;
constexpr uint32_t kFollowUnsafe = 2;
constexpr uint32_t kFollowDirectories = 4;

uint32_t EncodeFollowing(const LinkFollowing& following) {
  return (following.all ? kFollowAll : 0) | (following.unsafe ? kFollowUnsafe : 0) |
         (following.directories ? kFollowDirectories : 0);
}

absl::StatusOr<LinkFollowing> DecodeFollowing(uint32_t bits) {
  if (bits > (kFollowAll | kFollowUnsafe | kFollowDirectories))
    return Bad({"OpenSession", "follow_links"}, kNoRow, "unknown bits " + std::to_string(bits));
  return LinkFollowing{(bits & kFollowAll) != 0, (bits & kFollowUnsafe) != 0, (bits & kFollowDirectories) != 0};
}

absl::Status EncodeFilters(const OpenSession& open, v1::OpenSession* wire) {
  wire->set_delete_excluded(open.delete_excluded);
  wire->set_nul_separated_filters(open.nul_separated_filters);
  if (open.filters.empty()) return absl::OkStatus();
  US_RETURN_IF_ERROR(CheckFilters(open.filters));
  return EncodeList({"OpenSession", "filters"}, open.filters, kMaxFilterRules, kMaxFilterRuleBytes,
                    wire->mutable_filters());
}

absl::Status Encode(const OpenSession& open, v1::OpenSession* wire) {
  wire->set_session(EncodeBytes(open.session));
  wire->set_token(EncodeBytes(open.token));
  wire->set_role(static_cast<v1::Role>(open.role));
  wire->set_root(open.root);
  wire->set_path(open.path.text());
  US_RETURN_IF_ERROR(EncodeSelection(open.selection, wire->mutable_selection()));
  wire->set_checksum(open.checksum);
  wire->set_one_file_system(open.one_file_system);
  wire->set_sparse(open.sparse);
  wire->set_dry_run(open.dry_run);
  wire->set_create_root(open.create_root);
  wire->set_wait_for_lock(open.wait_for_lock);
  wire->set_force_delete(open.force_delete);
  wire->set_durability(static_cast<v1::Durability>(open.durability));
  EncodeRoute(open.route, wire->mutable_route());
  wire->set_data_connections(open.data_connections);
  wire->set_delta(static_cast<v1::DeltaPolicy>(open.delta));
  if (open.compression.mode != CompressionMode::kOff) {
    wire->mutable_compression()->set_adaptive(open.compression.mode == CompressionMode::kAdaptive);
    if (open.compression.mode == CompressionMode::kFixed)
      wire->mutable_compression()->set_level(open.compression.level);
  }
  wire->set_bytes_per_second(open.bytes_per_second);
  wire->set_jobs(open.jobs);
  wire->set_background(open.background);
  wire->set_reflink(static_cast<v1::ReflinkMode>(open.reflink));
  wire->set_direct_io(static_cast<v1::DirectIo>(open.direct_io));
  US_RETURN_IF_ERROR(CheckBound({"OpenSession", "basis_directories"}, open.basis_directories.size(),
                                kMaxBasisDirectories, "directories"));
  for (const TreePlace& place : open.basis_directories) EncodePlace(place, wire->add_basis_directories());
  wire->set_follow_links(EncodeFollowing(open.follow_links));
  wire->set_keep_directory_links(open.keep_directory_links);
  wire->set_in_place(open.in_place);
  wire->set_write_devices(open.write_devices);
  wire->set_delta_block_bytes(open.delta_block_bytes);
  if (open.staging != StagingSettings()) EncodeStaging(open.staging, wire->mutable_staging());
  wire->set_copy_unstable(open.copy_unstable);
  wire->set_resume(open.resume);
  wire->set_as_planned(open.as_planned);
  wire->set_readback(open.readback);
  wire->set_ride_out_ms(static_cast<uint32_t>(open.ride_out.count()));
  wire->set_snapshot(static_cast<v1::Snapshot>(open.snapshot));
  wire->set_remove_sources(open.remove_sources);
  if (open.backup) EncodeBackup(*open.backup, wire->mutable_backup());
  wire->set_host_path(open.host_path);
  wire->set_make_path(open.make_path);
  wire->set_more_operands(open.more_operands);
  US_RETURN_IF_ERROR(EncodeFilters(open, wire));
  if (open.operands.empty()) return absl::OkStatus();
  return EncodeOperands({"OpenSession", "operands"}, open.operands, wire->mutable_operands());
}

struct Encoder {
  v1::ClientMessage* wire;
  absl::Status operator()(const Hello& value) { return Encode(value, wire->mutable_hello()); }
  absl::Status operator()(const OpenSession& value) { return Encode(value, wire->mutable_open_session()); }
  absl::Status operator()(const ConnectData& value) {
    wire->mutable_connect_data()->set_host(value.host);
    wire->mutable_connect_data()->set_port(value.port);
    wire->mutable_connect_data()->set_direct(value.direct);
    return absl::OkStatus();
  }
  absl::Status operator()(const StartManifest& value) {
    v1::StartManifest* start = wire->mutable_start_manifest();
    if (value.only) {
      US_RETURN_IF_ERROR(
          EncodePaths({"StartManifest", "only"}, *value.only, kMaxOnlyDirectories, start->mutable_only()));
    }
    if (value.digest_key) start->set_digest_key(EncodeBytes(*value.digest_key));
    start->set_prove(value.prove);
    if (!value.fold) return absl::OkStatus();
    start->mutable_fold()->set_seed(value.fold->seed);
    start->mutable_fold()->set_time_granularity_ns(value.fold->time_granularity_ns);
    start->mutable_fold()->set_time_min_seconds(value.fold->time_range.min_seconds);
    start->mutable_fold()->set_time_max_seconds(value.fold->time_range.max_seconds);
    return absl::OkStatus();
  }
  absl::Status operator()(const TreeQuery& value) {
    v1::TreeQuery* query = wire->mutable_tree_query();
    query->set_adopt_seed(value.adopt_seed);
    return EncodePaths({"TreeQuery", "directories"}, value.directories, kMaxTreeQuery, query->mutable_directories());
  }
  absl::Status operator()(const ListingVerdicts& value) {
    v1::ListingVerdicts* verdicts = wire->mutable_listing_verdicts();
    US_RETURN_IF_ERROR(CheckBound({"ListingVerdicts", "expand"}, value.expand.size(), kMaxFoldedListings, "listings"));
    verdicts->set_through(value.through);
    verdicts->mutable_expand()->Add(value.expand.begin(), value.expand.end());
    verdicts->set_stop_folding(value.stop_folding);
    return absl::OkStatus();
  }
  absl::Status operator()(const ManifestCredit& value) {
    wire->mutable_manifest_credit()->set_batches(value.batches);
    return absl::OkStatus();
  }
  absl::Status operator()(const ActionBatch& value) { return EncodeActions(value, wire->mutable_action_batch()); }
  absl::Status operator()(const OperandBatch& value) {
    wire->mutable_operand_batch()->set_last(value.last);
    return EncodeOperands({"OperandBatch", "operands"}, value.operands,
                          wire->mutable_operand_batch()->mutable_operands());
  }
  absl::Status operator()(const PathQuery& value) { return EncodePathQuery(value, wire->mutable_path_query()); }
  absl::Status operator()(const NameQuery& value) { return EncodeNameQuery(value, wire->mutable_name_query()); }
  absl::Status operator()(const MountQuery& value) { return EncodeMountQuery(value, wire->mutable_mount_query()); }
  absl::Status operator()(const EntryQuery& value) { return EncodeEntryQuery(value, wire->mutable_entry_query()); }
  absl::Status operator()(const DirectQuery& value) { return EncodeDirectQuery(value, wire->mutable_direct_query()); }
  absl::Status operator()(const RunBench& value) {
    EncodeRunBench(value, wire->mutable_run_bench());
    return absl::OkStatus();
  }
  absl::Status operator()(const FinishApply&) {
    wire->mutable_finish_apply();
    return absl::OkStatus();
  }
  absl::Status operator()(const CloseSession&) {
    wire->mutable_close_session();
    return absl::OkStatus();
  }
};

// ---- Decode ----

absl::StatusOr<ClientMessage> Decode(const v1::Hello& wire) {
  Hello hello;
  US_RETURN_IF_ERROR(CheckVersions("Hello", wire.min_version(), wire.max_version()));
  hello.min_version = wire.min_version();
  hello.max_version = wire.max_version();
  US_ASSIGN_OR_RETURN(hello.software, DecodeText({"Hello", "software"}, wire.software(), kMaxSoftwareBytes));
  US_ASSIGN_OR_RETURN(hello.features, DecodeList({"Hello", "features"}, wire.features(), kMaxFeatures, kMaxFeatureBytes,
                                                 /*labels=*/true));
  return hello;
}

absl::StatusOr<MetadataSelection> DecodeSelection(const v1::MetadataSelection& wire) {
  const Where names{"OpenSession", "selection.extra_xattrs"};
  MetadataSelection selection;
  selection.mode = wire.mode();
  selection.owner = wire.owner();
  selection.group = wire.group();
  selection.mtime = wire.mtime();
  selection.atime = wire.atime();
  selection.xattrs = wire.xattrs();
  selection.acls = wire.acls();
  selection.selinux = wire.selinux();
  selection.explicit_owner = wire.explicit_owner();
  selection.explicit_privileged_xattrs = wire.explicit_privileged_xattrs();
  selection.directory_times = !wire.omit_directory_times();
  selection.link_times = !wire.omit_link_times();
  selection.executability = wire.executability();
  selection.device_files = wire.device_files();
  if (wire.has_modify_window_s()) selection.modify_window_s = wire.modify_window_s();
  US_ASSIGN_OR_RETURN(selection.extra_xattrs,
                      DecodeList(names, wire.extra_xattrs(), kMaxExtraXattrs, kMaxXattrNameBytes, /*labels=*/true));
  return selection;
}

absl::StatusOr<DataRoute> DecodeRoute(const v1::DataRoute& wire) {
  DataRoute route;
  switch (wire.kind()) {
    case v1::ROUTE_KIND_NONE:
    case v1::ROUTE_KIND_ACCEPT: break;
    case v1::ROUTE_KIND_LOCAL:
      US_RETURN_IF_ERROR(DecodeBytes({"OpenSession", "route.peer_session"}, wire.peer_session(), &route.peer_session));
      break;
    case v1::ROUTE_KIND_CONNECT: {
      US_ASSIGN_OR_RETURN(route.host, DecodeHost({"OpenSession", "route.host"}, wire.host()));
      US_ASSIGN_OR_RETURN(route.port, DecodePort({"OpenSession", "route.port"}, wire.port(), /*none_allowed=*/false));
      route.direct = wire.direct();
      break;
    }
    default: return Bad({"OpenSession", "route.kind"}, kNoRow, "unknown kind " + std::to_string(wire.kind()));
  }
  route.kind = static_cast<DataRoute::Kind>(wire.kind());
  return route;
}

absl::StatusOr<CompressionSettings> DecodeCompression(const v1::Compression& wire) {
  CompressionSettings settings;
  settings.mode = wire.adaptive() ? CompressionMode::kAdaptive : CompressionMode::kFixed;
  if (wire.adaptive()) return settings;
  if (wire.level() < kMinCompressLevel || wire.level() > kMaxCompressLevel) {
    return Bad({"OpenSession", "compression.level"}, kNoRow, "no level " + std::to_string(wire.level()));
  }
  settings.level = wire.level();
  return settings;
}

absl::Status DecodePlaces(const v1::OpenSession& wire, OpenSession* open) {
  const Where where{"OpenSession", "basis_directories"};
  US_RETURN_IF_ERROR(
      CheckBound(where, static_cast<size_t>(wire.basis_directories_size()), kMaxBasisDirectories, "directories"));
  for (const v1::TreePlace& place : wire.basis_directories()) {
    US_ASSIGN_OR_RETURN(open->basis_directories.emplace_back(), DecodePlace(where, place));
  }
  return absl::OkStatus();
}

absl::StatusOr<ClientMessage> Decode(const v1::OpenSession& wire) {
  OpenSession open;
  US_RETURN_IF_ERROR(DecodeBytes({"OpenSession", "session"}, wire.session(), &open.session));
  US_RETURN_IF_ERROR(DecodeBytes({"OpenSession", "token"}, wire.token(), &open.token));
  if (wire.role() != v1::ROLE_SOURCE && wire.role() != v1::ROLE_DESTINATION) {
    return Bad({"OpenSession", "role"}, kNoRow, "unknown role " + std::to_string(wire.role()));
  }
  open.role = static_cast<Role>(wire.role());
  US_ASSIGN_OR_RETURN(open.root, DecodeRootName({"OpenSession", "root"}, wire.root()));
  US_ASSIGN_OR_RETURN(open.path, ParsePath({"OpenSession", "path"}, kNoRow, wire.path()));
  if (open.root.empty() && !open.path.is_root()) return Bad({"OpenSession", "path"}, kNoRow, "a path without a root");
  if (!open.root.empty() && !wire.host_path().empty())
    return Bad({"OpenSession", "host_path"}, kNoRow, "beside a root");
  US_ASSIGN_OR_RETURN(open.host_path, DecodeHostPath({"OpenSession", "host_path"}, kNoRow, wire.host_path()));
  US_ASSIGN_OR_RETURN(open.operands, DecodeOperands({"OpenSession", "operands"}, wire.operands(), open.root.empty()));
  open.more_operands = wire.more_operands();
  open.make_path = wire.make_path();
  if (!wire.has_selection()) return Bad({"OpenSession", "selection"}, kNoRow, "missing");
  US_ASSIGN_OR_RETURN(open.selection, DecodeSelection(wire.selection()));
  open.checksum = wire.checksum();
  open.one_file_system = wire.one_file_system();
  open.sparse = wire.sparse();
  open.dry_run = wire.dry_run();
  open.create_root = wire.create_root();
  open.wait_for_lock = wire.wait_for_lock();
  open.force_delete = wire.force_delete();
  if (wire.durability() < v1::DURABILITY_NONE || wire.durability() > v1::DURABILITY_FILE) {
    return Bad({"OpenSession", "durability"}, kNoRow, "unknown level " + std::to_string(wire.durability()));
  }
  open.durability = static_cast<Durability>(wire.durability());
  US_ASSIGN_OR_RETURN(open.route, DecodeRoute(wire.route()));
  US_RETURN_IF_ERROR(
      CheckBound({"OpenSession", "data_connections"}, wire.data_connections(), kMaxDataConnections, "connections"));
  open.data_connections = wire.data_connections();
  if (wire.delta() < 0 || wire.delta() > v1::DELTA_POLICY_FORCE) {
    return Bad({"OpenSession", "delta"}, kNoRow, "unknown policy " + std::to_string(wire.delta()));
  }
  if (wire.delta() != v1::DELTA_POLICY_UNSPECIFIED) open.delta = static_cast<DeltaPolicy>(wire.delta());
  if (wire.has_compression()) {
    US_ASSIGN_OR_RETURN(open.compression, DecodeCompression(wire.compression()));
  }
  open.bytes_per_second = wire.bytes_per_second();
  open.jobs = wire.jobs();
  open.background = wire.background();
  if (wire.reflink() < 0 || wire.reflink() > v1::REFLINK_MODE_NEVER) {
    return Bad({"OpenSession", "reflink"}, kNoRow, "unknown mode " + std::to_string(wire.reflink()));
  }
  open.reflink = static_cast<ReflinkMode>(wire.reflink());
  if (wire.direct_io() < 0 || wire.direct_io() > v1::DIRECT_IO_OFF) {
    return Bad({"OpenSession", "direct_io"}, kNoRow, "unknown mode " + std::to_string(wire.direct_io()));
  }
  open.direct_io = static_cast<DirectIoMode>(wire.direct_io());
  US_RETURN_IF_ERROR(DecodePlaces(wire, &open));
  US_ASSIGN_OR_RETURN(open.filters, DecodeList({"OpenSession", "filters"}, wire.filters(), kMaxFilterRules,
                                               kMaxFilterRuleBytes, /*labels=*/false));
  US_RETURN_IF_ERROR(CheckFilters(open.filters));
  open.delete_excluded = wire.delete_excluded();
  open.nul_separated_filters = wire.nul_separated_filters();
  US_ASSIGN_OR_RETURN(open.follow_links, DecodeFollowing(wire.follow_links()));
  open.keep_directory_links = wire.keep_directory_links();
  open.in_place = wire.in_place();
  open.write_devices = wire.write_devices();
  open.delta_block_bytes = wire.delta_block_bytes();
  if (open.delta_block_bytes != 0 && !IsBlockSize(open.delta_block_bytes)) {
    return Bad({"OpenSession", "delta_block_bytes"}, kNoRow,
               "blocks of " + std::to_string(open.delta_block_bytes) + " bytes");
  }
  if (wire.has_staging()) {
    US_ASSIGN_OR_RETURN(open.staging, DecodeStaging(wire.staging()));
  }
  open.copy_unstable = wire.copy_unstable();
  open.resume = wire.resume();
  open.as_planned = wire.as_planned();
  open.readback = wire.readback();
  if (wire.ride_out_ms() > kMaxRideOut.count())
    return Bad({"OpenSession", "ride_out_ms"}, kNoRow, std::to_string(wire.ride_out_ms()) + " ms");
  open.ride_out = std::chrono::milliseconds(wire.ride_out_ms());
  if (wire.snapshot() < 0 || wire.snapshot() > v1::SNAPSHOT_TREE) {
    return Bad({"OpenSession", "snapshot"}, kNoRow, "unknown mode " + std::to_string(wire.snapshot()));
  }
  open.snapshot = static_cast<SnapshotMode>(wire.snapshot());
  open.remove_sources = wire.remove_sources();
  if (wire.has_backup()) {
    US_ASSIGN_OR_RETURN(open.backup, DecodeBackup(wire.backup()));
  }
  return open;
}

absl::StatusOr<ClientMessage> Decode(const v1::ConnectData& wire) {
  ConnectData connect;
  US_ASSIGN_OR_RETURN(connect.host, DecodeHost({"ConnectData", "host"}, wire.host()));
  US_ASSIGN_OR_RETURN(connect.port, DecodePort({"ConnectData", "port"}, wire.port(), /*none_allowed=*/false));
  connect.direct = wire.direct();
  return connect;
}

absl::StatusOr<ClientMessage> Decode(const v1::ManifestCredit& wire) {
  if (wire.batches() == 0) return Bad({"ManifestCredit", "batches"}, kNoRow, "0 gives no credit");
  US_RETURN_IF_ERROR(CheckBound({"ManifestCredit", "batches"}, wire.batches(), kMaxManifestCredit, "batches"));
  return ManifestCredit{.batches = wire.batches()};
}

absl::StatusOr<ClientMessage> Decode(const v1::StartManifest& wire) {
  StartManifest start;
  if (wire.has_only()) {
    const Where where{"StartManifest", "only"};
    US_ASSIGN_OR_RETURN(start.only, DecodePaths(where, wire.only(), kMaxOnlyDirectories));
    for (size_t i = 1; i < start.only->size(); ++i) {
      if (!((*start.only)[i - 1] < (*start.only)[i])) return Bad(where, i, "is out of order");
    }
  }
  US_ASSIGN_OR_RETURN(start.digest_key, DecodeDigestKey({"StartManifest", "digest_key"}, wire.digest_key()));
  start.prove = wire.prove();
  if (!wire.has_fold()) return start;
  FoldRules& fold = start.fold.emplace();
  fold.seed = wire.fold().seed();
  fold.time_granularity_ns = wire.fold().time_granularity_ns();
  if (fold.time_granularity_ns == 0 || fold.time_granularity_ns > kMaxTimeGranularityNs) {
    return Bad({"StartManifest", "fold.time_granularity_ns"}, kNoRow,
               std::to_string(fold.time_granularity_ns) + " is out of range");
  }
  if (wire.fold().has_time_min_seconds()) fold.time_range.min_seconds = wire.fold().time_min_seconds();
  if (wire.fold().has_time_max_seconds()) fold.time_range.max_seconds = wire.fold().time_max_seconds();
  if (fold.time_range.min_seconds >= fold.time_range.max_seconds) {
    return Bad({"StartManifest", "fold.time_max_seconds"}, kNoRow, "not after time_min_seconds");
  }
  return start;
}

absl::StatusOr<ClientMessage> Decode(const v1::TreeQuery& wire) {
  TreeQuery query;
  query.adopt_seed = wire.adopt_seed();
  US_ASSIGN_OR_RETURN(query.directories, DecodePaths({"TreeQuery", "directories"}, wire.directories(), kMaxTreeQuery));
  if (query.directories.empty() == (query.adopt_seed == 0)) {
    return Bad({"TreeQuery", "directories"}, kNoRow, "either directories or a seed");
  }
  return query;
}

absl::StatusOr<ClientMessage> Decode(const v1::ListingVerdicts& wire) {
  const Where where{"ListingVerdicts", "expand"};
  ListingVerdicts verdicts;
  verdicts.through = wire.through();
  verdicts.stop_folding = wire.stop_folding();
  US_RETURN_IF_ERROR(CheckBound(where, static_cast<size_t>(wire.expand_size()), kMaxFoldedListings, "listings"));
  for (int i = 0; i < wire.expand_size(); ++i) {
    const uint64_t listing = wire.expand(i);
    const bool ascends = i == 0 ? listing > 0 : listing > wire.expand(i - 1);
    if (!ascends || listing > wire.through()) {
      return Bad(where, static_cast<size_t>(i), "listing " + std::to_string(listing) + " is out of order");
    }
  }
  verdicts.expand.assign(wire.expand().begin(), wire.expand().end());
  return verdicts;
}

absl::StatusOr<ClientMessage> Decode(const v1::ActionBatch& wire) {
  US_ASSIGN_OR_RETURN(ActionBatch batch, DecodeActions(wire));
  return ClientMessage(std::move(batch));
}

}  // namespace

absl::Status EncodeMessage(const ClientMessage& message, v1::ClientMessage* wire) {
  wire->Clear();
  return std::visit(Encoder{wire}, message);
}

absl::StatusOr<ClientMessage> DecodeMessage(const v1::ClientMessage& wire) {
  switch (wire.body_case()) {
    case v1::ClientMessage::kHello: return Decode(wire.hello());
    case v1::ClientMessage::kOpenSession: return Decode(wire.open_session());
    case v1::ClientMessage::kConnectData: return Decode(wire.connect_data());
    case v1::ClientMessage::kStartManifest: return Decode(wire.start_manifest());
    case v1::ClientMessage::kTreeQuery: return Decode(wire.tree_query());
    case v1::ClientMessage::kListingVerdicts: return Decode(wire.listing_verdicts());
    case v1::ClientMessage::kManifestCredit: return Decode(wire.manifest_credit());
    case v1::ClientMessage::kActionBatch: return Decode(wire.action_batch());
    case v1::ClientMessage::kRunBench: {
      US_ASSIGN_OR_RETURN(RunBench run, DecodeRunBench(wire.run_bench()));
      return run;
    }
    case v1::ClientMessage::kOperandBatch: {
      OperandBatch batch;
      batch.last = wire.operand_batch().last();
      // Whether bases are host paths is known to whoever knows the OpenSession.
      US_ASSIGN_OR_RETURN(batch.operands, DecodeOperands({"OperandBatch", "operands"}, wire.operand_batch().operands(),
                                                         /*host_paths=*/true));
      return batch;
    }
    case v1::ClientMessage::kPathQuery: {
      US_ASSIGN_OR_RETURN(PathQuery query, DecodePathQuery(wire.path_query()));
      return query;
    }
    case v1::ClientMessage::kMountQuery: {
      US_ASSIGN_OR_RETURN(MountQuery query, DecodeMountQuery(wire.mount_query()));
      return ClientMessage(std::move(query));
    }
    case v1::ClientMessage::kNameQuery: {
      US_ASSIGN_OR_RETURN(NameQuery query, DecodeNameQuery(wire.name_query()));
      return query;
    }
    case v1::ClientMessage::kEntryQuery: {
      US_ASSIGN_OR_RETURN(EntryQuery query, DecodeEntryQuery(wire.entry_query()));
      return query;
    }
    case v1::ClientMessage::kDirectQuery: {
      US_ASSIGN_OR_RETURN(DirectQuery query, DecodeDirectQuery(wire.direct_query()));
      return query;
    }
    case v1::ClientMessage::kFinishApply: return FinishApply{};
    case v1::ClientMessage::kCloseSession: return CloseSession{};
    case v1::ClientMessage::BODY_NOT_SET: break;
  }
  return Bad({"ClientMessage", "body"}, kNoRow, "no message that this agent knows");
}

}  // namespace uringsync

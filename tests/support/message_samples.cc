#include "tests/support/message_samples.h"

#include <algorithm>
#include <set>

namespace uringsync {

std::string MessageSamples::Name() {
  while (true) {
    std::string name(1 + Number(Number(8) == 0 ? kMaxNameBytes : 20), '\0');
    const bool plain = Coin();
    for (char& c : name) {
      do {
        c = plain ? static_cast<char>('a' + Number(26)) : static_cast<char>(Number(256));
      } while (c == '\0' || c == '/');
    }
    if (ValidateName(name).ok()) return name;
  }
}

RelPath MessageSamples::Path(size_t max_depth) {
  RelPath path;
  for (size_t depth = Number(max_depth + 1); depth > 0; --depth) path = path.Child(Name());
  return path;
}

FileTime MessageSamples::Time() {
  return {static_cast<int64_t>(random_()), static_cast<uint32_t>(Number(1'000'000'000))};
}

std::string MessageSamples::Text(size_t max_bytes) {
  std::string text(Number(max_bytes), '\0');
  for (char& c : text) c = static_cast<char>(Number(256));
  return text;
}

Entry MessageSamples::EntryOfType(std::string name, FileType type) {
  Entry entry;
  entry.name = std::move(name);
  entry.type = type;
  entry.mode = static_cast<uint32_t>(Number(010000));
  entry.uid = static_cast<uint32_t>(random_());
  entry.gid = static_cast<uint32_t>(random_());
  entry.size_bytes = Number(uint64_t{1} << 63);
  entry.mtime = Time();
  entry.ctime = Time();
  if (Coin()) entry.atime = Time();
  entry.nlink = 1 + Number(5);
  entry.id = {Number(3), random_()};
  entry.allocated_bytes = Number(uint64_t{1} << 40);
  if (type == FileType::kBlockDevice || type == FileType::kCharDevice) {
    entry.rdev_major = static_cast<uint32_t>(Number(4096));
    entry.rdev_minor = static_cast<uint32_t>(Number(1 << 20));
  }
  if (type == FileType::kSymlink) entry.symlink_target = Name() + "/" + Name();
  entry.xattr_digest = MaybeDigest();
  entry.capability_digest = MaybeDigest();
  entry.trusted_digest = MaybeDigest();
  if (type == FileType::kRegular && Coin()) entry.content_digest = AnyDigest();
  if (Coin()) {
    auto proof = std::make_shared<EntryProof>();
    for (uint8_t& byte : proof->attributes) byte = static_cast<uint8_t>(Number(256));
    if (type == FileType::kRegular) proof->contents.fill(static_cast<uint8_t>(Number(256)));
    entry.proof = std::move(proof);
  }
  if (Number(16) == 0) entry.error = static_cast<int>(1 + Number(133));
  entry.not_entered = type == FileType::kDirectory && Number(8) == 0;
  entry.unsettled = Number(8) == 0;
  entry.pruned = type == FileType::kDirectory && Number(8) == 0;
  entry.protection = static_cast<Protection>(Number(3));
  entry.directory_link = type == FileType::kSymlink && Number(8) == 0;
  entry.implied = type == FileType::kDirectory && Number(8) == 0;
  return entry;
}

Entry MessageSamples::AnyEntry(std::string name) {
  return EntryOfType(std::move(name), static_cast<FileType>(1 + Number(7)));
}

DirectoryBatch MessageSamples::Batch(size_t entries) {
  DirectoryBatch batch;
  batch.directory = Path(5);
  batch.self = EntryOfType(std::string(batch.directory.name()), FileType::kDirectory);
  std::set<std::string> names;
  while (names.size() < entries) names.insert(Name());
  for (const std::string& name : names) batch.entries.push_back(AnyEntry(name));
  batch.last = Coin();
  batch.error = Coin() ? 0 : 13;
  if (batch.last && batch.error == 0 && Coin())
    batch.folded = FoldedEntries{AnyDigest(), 1 + Number(100), Number(2), random_()};
  if (!batch.folded) batch.expanded = Coin();
  batch.partial = Coin();
  batch.holds_excluded = Coin();
  return batch;
}

ActionBatch MessageSamples::Actions(size_t actions) {
  ActionBatch batch;
  batch.phase = static_cast<Phase>(1 + Number(4));
  batch.sequence = 1 + Number(1000);
  RelPath directory = Path(4);
  for (size_t i = 0; i < actions; ++i) {
    if (Number(10) == 0) directory = Coin() ? Path(4) : directory.Child(Name());
    Action action;
    action.id = i + 1;
    action.kind = static_cast<ActionKind>(1 + Number(7));
    action.path = action.kind == ActionKind::kSetMetadata && Number(5) == 0 ? RelPath() : directory.Child(Name());
    const std::string name(action.path.name());
    constexpr FileType kSpecial[] = {FileType::kFifo, FileType::kSocket, FileType::kBlockDevice, FileType::kCharDevice};
    switch (action.kind) {
      case ActionKind::kMakeDirectory: action.wanted = EntryOfType(name, FileType::kDirectory); break;
      case ActionKind::kPutFile: action.wanted = EntryOfType(name, FileType::kRegular); break;
      case ActionKind::kPutSymlink: action.wanted = EntryOfType(name, FileType::kSymlink); break;
      case ActionKind::kPutSpecial: action.wanted = EntryOfType(name, kSpecial[Number(4)]); break;
      case ActionKind::kLink:
        action.wanted = EntryOfType(name, FileType::kRegular);
        if (Coin()) {
          action.basis =
              ActionBasis{static_cast<uint32_t>(Number(kMaxBasisDirectories)), EntryOfType(name, FileType::kRegular)};
        } else {
          action.link_target = Path(3).Child(Name());
        }
        break;
      case ActionKind::kSetMetadata:
      case ActionKind::kDelete: action.wanted = AnyEntry(name); break;
    }
    if (action.kind == ActionKind::kPutFile && Coin()) {
      ActionOrigin& origin = action.origin.emplace();
      origin.path = directory.Child(Name()).Child(Name());
      origin.object = EntryOfType(std::string(origin.path.name()), FileType::kRegular);
      origin.object.size_bytes = 1 + Number(1 << 20);
      origin.fate = static_cast<ActionOrigin::Fate>(1 + Number(3));
    }
    if (Coin()) action.existing = AnyEntry(name);
    action.xattrs_differ = Coin();
    batch.actions.push_back(std::move(action));
  }
  return batch;
}

Problem MessageSamples::AnyProblem() {
  Problem problem;
  problem.kind = static_cast<ProblemKind>(1 + Number(7));
  problem.side = static_cast<Side>(1 + Number(3));
  problem.path = Path(6);
  problem.operation = "open";
  problem.error = static_cast<int>(Number(133));
  problem.detail = Text(100);
  problem.action = Number(1000);
  return problem;
}

ApplyCounters MessageSamples::Counters() {
  return {random_(), random_(), random_(), random_(), random_(), random_(), random_(), random_(), random_()};
}

OpenSession MessageSamples::AnyOpenSession() {
  OpenSession open;
  for (uint8_t& byte : open.session) byte = static_cast<uint8_t>(Number(256));
  for (uint8_t& byte : open.token) byte = static_cast<uint8_t>(Number(256));
  open.role = Coin() ? Role::kSource : Role::kDestination;
  open.root = "data";
  open.path = Path(4);
  bool* const switches[] = {&open.selection.mode,  &open.selection.owner, &open.selection.group, &open.selection.mtime,
                            &open.selection.atime, &open.selection.acls,  &open.checksum,        &open.one_file_system,
                            &open.sparse,          &open.dry_run,         &open.create_root,     &open.wait_for_lock,
                            &open.force_delete};
  for (bool* flag : switches) *flag = Coin();
  if (Coin()) open.selection.extra_xattrs = {"lustre.lov", "trusted.lov"};
  open.durability = Coin() ? Durability::kNone : Durability::kBatch;
  open.route.kind = static_cast<DataRoute::Kind>(Number(4));
  if (open.route.kind == DataRoute::Kind::kLocal) open.route.peer_session = open.session;
  if (open.route.kind == DataRoute::Kind::kConnect) {
    open.route.host = "backup.example";
    open.route.direct = Coin();
    open.route.port = static_cast<uint16_t>(1 + Number(65535));
  }
  open.data_connections = static_cast<uint32_t>(Number(65));
  open.delta = static_cast<DeltaPolicy>(1 + Number(3));
  open.reflink = static_cast<ReflinkMode>(Number(3));
  open.direct_io = static_cast<DirectIoMode>(Number(3));
  open.compression.mode = static_cast<CompressionMode>(Number(3));
  if (open.compression.mode == CompressionMode::kFixed) open.compression.level = static_cast<int>(Number(27)) - 7;
  if (Coin()) open.bytes_per_second = random_();
  open.jobs = static_cast<uint32_t>(Number(9));
  open.background = Coin();
  open.make_path = Coin();
  for (uint64_t rules = Coin() ? Number(6) : 0; rules > 0; --rules) open.filters.push_back("- " + Name());
  open.delete_excluded = Coin();
  open.nul_separated_filters = Coin();
  open.more_operands = Coin();
  if (Coin()) open.operands = Operands(Number(20));
  if (!open.operands.empty() && Coin()) {
    open.root.clear();
    open.path = RelPath();
    open.host_path = "../" + Name() + "/";
    for (SourceOperand& operand : open.operands) operand.base = "/srv//" + operand.base;
  }
  open.follow_links = {.all = Coin(), .unsafe = Coin(), .directories = Coin()};
  open.keep_directory_links = Coin();
  open.in_place = Coin();
  open.write_devices = Coin();
  open.selection.device_files = Coin();
  if (Coin()) open.delta_block_bytes = 512u << Number(8);
  open.copy_unstable = Coin();
  open.resume = Coin();
  open.as_planned = Coin();
  open.readback = Coin();
  open.ride_out = std::chrono::milliseconds(Number(3) * 1000);
  open.snapshot = static_cast<SnapshotMode>(Number(5));
  open.remove_sources = Coin();
  if (Coin()) open.backup = BackupSettings{"~", std::nullopt};
  if (open.backup && Coin()) open.backup = BackupSettings{Coin() ? "" : ".old", TreePlace{"data", Path(3)}};
  if (Coin()) {
    open.staging = {.keep_partial = Coin(),
                    .partial_directory = Path(2),
                    .append = static_cast<AppendMode>(Number(3)),
                    .fuzzy = static_cast<uint32_t>(Number(3)),
                    .preallocate = Coin()};
    if (open.staging.partial_directory.is_root() && Coin()) open.staging.partial_place = TreePlace{"data", Path(3)};
    open.staging.delay_updates = Coin() && (open.staging.partial_place || !open.staging.partial_directory.is_root());
    open.staging.partial_climb = static_cast<uint32_t>(Number(3));
    if (Coin()) open.staging.temporaries = TreePlace{"", RelPath(), "/var/" + Name()};
  }
  for (uint64_t i = Number(3); i > 0; --i) open.basis_directories.push_back({"data", Path(3)});
  return open;
}

std::vector<SourceOperand> MessageSamples::Operands(size_t count) {
  std::vector<SourceOperand> operands;
  while (operands.size() < count) {
    SourceOperand& operand = operands.emplace_back();
    operand.base = operands.size() > 1 && Coin() ? operands.front().base : Path(3).text();
    operand.at = Path(3);
    operand.from = Coin() ? operand.at : Path(3);
    operand.depth = static_cast<OperandDepth>(1 + Number(3));
    operand.implied = Coin();
    operand.follow = Coin();
  }
  return operands;
}

PathReply MessageSamples::AnyPathReply() {
  constexpr PathKind kTargets[] = {PathKind::kMissing, PathKind::kDirectory, PathKind::kFile, PathKind::kOther};
  PathReply reply;
  for (uint64_t rows = Number(20); rows > 0; --rows) {
    reply.paths.push_back({.kind = static_cast<PathKind>(1 + Number(5)),
                           .target = kTargets[Number(4)],
                           .has_parent = Coin(),
                           .error = static_cast<int>(Number(133)),
                           .id = {Number(3), random_()}});
  }
  if (Coin()) {
    for (size_t row = 0; row < reply.paths.size(); ++row) reply.names.push_back(Name());
  }
  if (Coin()) reply.directory = "/home/" + Name();
  if (Coin()) reply.list = Name();
  reply.list_ends = Coin();
  return reply;
}

MountQuery MessageSamples::AnyMountQuery() {
  MountQuery query;
  for (uint64_t rows = Number(5); rows > 0; --rows)
    query.recorded.push_back({"/" + Name(), Coin() ? "" : Name().substr(0, 64)});
  return query;
}

MountReply MessageSamples::AnyMountReply() {
  MountReply reply{.mounts = AnyMountQuery().recorded};
  for (uint64_t rows = Number(5); rows > 0; --rows) reply.lost.push_back({"/" + Name(), MountLoss(1 + Number(3))});
  return reply;
}

NameQuery MessageSamples::AnyNameQuery() {
  NameQuery query;
  for (uint64_t rows = Number(5); rows > 0; --rows) query.uids.push_back(static_cast<uint32_t>(random_()));
  for (uint64_t rows = Number(5); rows > 0; --rows) query.gids.push_back(static_cast<uint32_t>(random_()));
  for (uint64_t rows = Number(5); rows > 0; --rows) query.users.push_back(Name());
  for (uint64_t rows = Number(5); rows > 0; --rows) query.groups.push_back(Name());
  return query;
}

NameReply MessageSamples::AnyNameReply() {
  const auto id = [this] { return Coin() ? std::optional(static_cast<uint32_t>(random_())) : std::nullopt; };
  NameReply reply;
  for (uint64_t rows = Number(5); rows > 0; --rows) reply.user_names.push_back(Coin() ? "" : Name());
  for (uint64_t rows = Number(5); rows > 0; --rows) reply.group_names.push_back(Name());
  for (uint64_t rows = Number(5); rows > 0; --rows) reply.user_ids.push_back(id());
  for (uint64_t rows = Number(5); rows > 0; --rows) reply.group_ids.push_back(id());
  reply.group_ids.push_back(UINT32_MAX);
  return reply;
}

EntryQuery MessageSamples::AnyEntryQuery() {
  EntryQuery query{.paths = {RelPath()}};
  if (Coin()) query.digest_key.emplace().fill(static_cast<uint8_t>(Number(256)));
  for (uint64_t rows = Number(20); rows > 0; --rows) query.paths.push_back(Path(4));
  return query;
}

EntryReply MessageSamples::AnyEntryReply() {
  EntryReply reply;
  for (uint64_t rows = 1 + Number(20); rows > 0; --rows) {
    EntryFinding& finding = reply.findings.emplace_back();
    if (Coin()) {
      finding.entry = AnyEntry("");
    } else {
      finding.error = static_cast<int>(Number(133));
    }
  }
  return reply;
}

ClientMessage MessageSamples::AnyManifestRequest() {
  switch (Number(4)) {
    case 0: return ListingVerdicts{.through = 20, .expand = {1 + Number(5), 7 + Number(14)}, .stop_folding = Coin()};
    case 1: return TreeQuery{.directories = {Path(4), Path(3)}};
    case 2: return TreeQuery{.adopt_seed = 1 + Number(1000)};
    default: break;
  }
  StartManifest start;
  if (Coin())
    start.fold = FoldRules{random_(), static_cast<uint32_t>(1 + Number(1000)), {-5, static_cast<int64_t>(Number(9))}};
  if (Coin()) start.digest_key.emplace().fill(static_cast<uint8_t>(Number(256)));
  start.prove = Coin();
  if (Coin()) start.only = {{RelPath(), RelPath().Child("a"), RelPath().Child("a").Child(Name())}};
  return start;
}

TreeReply MessageSamples::AnyTreeReply() {
  const auto any = [this] { return TreeDigest{AnyDigest(), Coin(), {Number(1000), Number(100), random_()}}; };
  TreeReply reply{.valid = Coin()};
  for (uint64_t rows = Number(4); rows > 0; --rows) {
    TreeRow& row = reply.rows.emplace_back(TreeRow{.found = Coin(), .tree = any()});
    std::set<std::string> names;
    while (names.size() < 3) names.insert(Name());
    for (const std::string& name : names) row.children.push_back({name, any()});
  }
  return reply;
}

ClientMessage MessageSamples::AnyClientMessage() {
  switch (Number(15)) {
    case 14: return AnyMountQuery();
    case 13:
      return DirectQuery{.keys = {.certificate = Text(kMaxOneTimeKeyBytes), .key = Text(kMaxOneTimeKeyBytes)},
                         .listen = Coin(),
                         .port = static_cast<uint16_t>(Number(65536))};
    case 12: return AnyEntryQuery();
    case 11: return AnyNameQuery();
    case 10: return OperandBatch{.operands = Operands(Number(40)), .last = Coin()};
    case 9: {
      PathQuery query{.root = Coin() ? "" : "data", .paths = {Name(), "a", ""}};
      query.expand = query.root.empty() && Coin();
      if (query.root.empty() && Coin()) query.list_file = Name();
      query.list_offset = Number(1 << 20);
      return query;
    }
    case 8:
      return RunBench{.step = static_cast<BenchStep>(1 + Number(6)),
                      .milliseconds = static_cast<uint32_t>(1 + Number(5000)),
                      .max_bytes = kMinBenchBytes + Number(1 << 20)};
    case 0: return Hello{.software = "uringsync 0.1.0", .features = {"a", "b"}};
    case 1: return AnyOpenSession();
    case 2: return ConnectData{.host = "::1", .port = 7441, .direct = Coin()};
    case 3: return AnyManifestRequest();
    case 4: return ManifestCredit{.batches = static_cast<uint32_t>(1 + Number(1000))};
    case 5: return Actions(Number(200));
    case 6: return FinishApply{};
    default: return CloseSession{};
  }
}

AgentMessage MessageSamples::AnyAgentMessage() {
  switch (Number(16)) {
    case 15: return AnyMountReply();
    case 14: return DirectReply{.address = Coin() ? "" : "2001:db8::1", .port = static_cast<uint16_t>(Number(65536))};
    case 13: return AnyEntryReply();
    case 12: return AnyNameReply();
    case 11: return AnyPathReply();
    case 10: return Notice{Text(80)};
    case 9: {
      FoldedGroup group;
      while (group.batches.size() < 3) {
        DirectoryBatch& batch = group.batches.emplace_back(Batch(Number(5)));
        batch.last = true;
        batch.error = 0;
        batch.expanded = false;
        batch.folded = FoldedEntries{AnyDigest(), 1 + Number(100), Number(2), random_()};
      }
      return group;
    }
    case 8: return AnyTreeReply();
    case 7: {
      BenchReport report{.step = static_cast<BenchStep>(1 + Number(6)),
                         .cores = static_cast<uint32_t>(1 + Number(64)),
                         .note = Text(60)};
      for (uint64_t i = Number(5); i > 0; --i) {
        report.figures.push_back(
            {static_cast<BenchMetric>(1 + Number(13)), random_(), random_(), random_(), random_()});
      }
      return report;
    }
    case 0:
      return HelloReply{.version = 1,
                        .min_version = 1,
                        .max_version = 1,
                        .software = "uringsync-agent 0.1.0",
                        .features = {"a"},
                        .io_backend = "uring",
                        .fallback_reason = Text(50),
                        .data_port = 7441};
    case 1: {
      SessionOpened opened{.exists = Coin(),
                           .created = Coin(),
                           .file_system = "tmpfs",
                           .can_chown = Coin(),
                           .can_mknod = Coin(),
                           .uid = static_cast<uint32_t>(Number(70000)),
                           .groups = {0, 4, 1000},
                           .time_range = {-1 - static_cast<int64_t>(Number(9)), static_cast<int64_t>(Number(9))},
                           .notices = {Text(80)},
                           .host_id = "5c2d",
                           .ancestors = {{1, Number(99)}, {random_(), 2}}};
      if (Coin()) opened.name_domain = "5c2d";
      if (Coin()) opened.place = "77aa";
      if (Coin()) opened.index_seed = random_();
      if (Coin()) {
        opened.volume = VolumeFacts{.bytes_total = random_(),
                                    .bytes_free = random_(),
                                    .files_total = random_(),
                                    .files_free = random_(),
                                    .name_bytes_max = 255,
                                    .file_bytes_max = random_(),
                                    .read_only = Coin(),
                                    .ignores_case = Coin(),
                                    .normalises_names = Coin(),
                                    .lacks_xattrs = Coin(),
                                    .lacks_acls = Coin()};
      }
      if (Coin()) opened.tree_roots = {{2, random_()}, {random_(), 7}};
      if (opened.exists) opened.root = EntryOfType("", FileType::kDirectory);
      return opened;
    }
    case 2: return SessionError{.kind = static_cast<ErrorKind>(1 + Number(8)), .message = Text(100)};
    case 3: return Batch(Number(200));
    case 4: return ManifestEnd{random_(), random_(), random_(), random_()};
    case 5: {
      ApplyProgress progress{.completed_sequence = random_(), .counters = Counters()};
      progress.durable_sequence = progress.completed_sequence / 2;
      for (uint64_t i = Number(20); i > 0; --i) progress.problems.push_back(AnyProblem());
      for (uint64_t i = Number(20); i > 0; --i) progress.skipped_actions.push_back(random_());
      progress.current_file = Path(4);
      progress.current_bytes = Number(1 << 30);
      progress.current_size = 1 << 30;
      return progress;
    }
    default: return ApplyDone{.counters = Counters(), .durability = Coin() ? Durability::kFile : Durability::kBatch};
  }
}

}  // namespace uringsync

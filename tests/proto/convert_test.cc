#include "proto/convert.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "proto/wire_size.h"
#include "tests/support/message_samples.h"
#include "tests/support/status_matchers.h"
#include "uringsync/v1/agent.pb.h"

namespace uringsync {
namespace {

// From URINGSYNC_TEST_SEED to repeat a run, else from the clock.
uint64_t Seed() {
  if (const char* text = std::getenv("URINGSYNC_TEST_SEED")) return std::strtoull(text, nullptr, 10);
  return static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
}

std::string Bytes(const ClientMessage& message) {
  v1::ClientMessage wire;
  EXPECT_OK(EncodeMessage(message, &wire));
  return wire.SerializeAsString();
}
std::string Bytes(const AgentMessage& message) {
  v1::AgentMessage wire;
  EXPECT_OK(EncodeMessage(message, &wire));
  return wire.SerializeAsString();
}

template <typename Wire, typename Value>
Value RoundTrip(const Value& message) {
  Wire wire;
  EXPECT_TRUE(wire.ParseFromString(Bytes(message)));
  auto decoded = DecodeMessage(wire);
  EXPECT_OK(decoded);
  return decoded.ok() ? *std::move(decoded) : Value{};
}

void ExpectSame(const Entry& a, const Entry& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.mode, b.mode);
  EXPECT_EQ(a.uid, b.uid);
  EXPECT_EQ(a.gid, b.gid);
  EXPECT_EQ(a.size_bytes, b.size_bytes);
  EXPECT_EQ(a.mtime, b.mtime);
  EXPECT_EQ(a.atime, b.atime);
  EXPECT_EQ(a.ctime, b.ctime);
  EXPECT_EQ(a.nlink, b.nlink);
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.rdev_major, b.rdev_major);
  EXPECT_EQ(a.rdev_minor, b.rdev_minor);
  EXPECT_EQ(a.allocated_bytes, b.allocated_bytes);
  EXPECT_EQ(a.symlink_target, b.symlink_target);
  EXPECT_EQ(a.xattr_digest, b.xattr_digest);
  EXPECT_EQ(a.capability_digest, b.capability_digest);
  EXPECT_EQ(a.trusted_digest, b.trusted_digest);
  EXPECT_EQ(a.content_digest, b.content_digest);
  ASSERT_EQ(a.proof != nullptr, b.proof != nullptr);
  if (a.proof != nullptr) {
    EXPECT_EQ(a.proof->attributes, b.proof->attributes);
    EXPECT_EQ(a.proof->contents, b.proof->contents);
  }
  EXPECT_EQ(a.error, b.error);
  EXPECT_EQ(a.not_entered, b.not_entered);
  EXPECT_EQ(a.implied, b.implied);
  EXPECT_EQ(a.directory_link, b.directory_link);
  EXPECT_EQ(a.protection, b.protection);
}

TEST(ConvertTest, ADirectoryBatchKeepsEveryFieldOfItsEntries) {
  const uint64_t seed = Seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  MessageSamples samples(seed);
  for (size_t entries : {0, 1, 2, 300}) {
    const DirectoryBatch batch = samples.Batch(entries);
    const auto decoded = std::get<DirectoryBatch>(RoundTrip<v1::AgentMessage>(AgentMessage(batch)));
    EXPECT_EQ(decoded.directory, batch.directory);
    EXPECT_EQ(decoded.last, batch.last);
    EXPECT_EQ(decoded.error, batch.error);
    EXPECT_EQ(decoded.partial, batch.partial);
    EXPECT_EQ(decoded.holds_excluded, batch.holds_excluded);
    ExpectSame(decoded.self, batch.self);
    ASSERT_EQ(decoded.entries.size(), batch.entries.size());
    for (size_t i = 0; i < entries; ++i) ExpectSame(decoded.entries[i], batch.entries[i]);
  }
}

TEST(ConvertTest, AnActionBatchKeepsEveryFieldOfItsActions) {
  const uint64_t seed = Seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  MessageSamples samples(seed);
  for (size_t actions : {0, 1, 2, 500}) {
    const ActionBatch batch = samples.Actions(actions);
    const auto decoded = std::get<ActionBatch>(RoundTrip<v1::ClientMessage>(ClientMessage(batch)));
    EXPECT_EQ(decoded.phase, batch.phase);
    EXPECT_EQ(decoded.sequence, batch.sequence);
    ASSERT_EQ(decoded.actions.size(), batch.actions.size());
    for (size_t i = 0; i < actions; ++i) {
      const Action& a = decoded.actions[i];
      const Action& b = batch.actions[i];
      EXPECT_EQ(a.id, b.id);
      EXPECT_EQ(a.kind, b.kind);
      EXPECT_EQ(a.path, b.path);
      EXPECT_EQ(a.link_target, b.link_target);
      EXPECT_EQ(a.xattrs_differ, b.xattrs_differ);
      ExpectSame(a.wanted, b.wanted);
      ASSERT_EQ(a.existing.has_value(), b.existing.has_value());
      if (a.existing) ExpectSame(*a.existing, *b.existing);
      ASSERT_EQ(a.origin.has_value(), b.origin.has_value());
      if (a.origin) {
        EXPECT_EQ(a.origin->path, b.origin->path);
        EXPECT_EQ(a.origin->fate, b.origin->fate);
        ExpectSame(a.origin->object, b.origin->object);
      }
      ASSERT_EQ(a.basis.has_value(), b.basis.has_value());
      if (!a.basis) continue;
      EXPECT_EQ(a.basis->directory, b.basis->directory);
      ExpectSame(a.basis->object, b.basis->object);
    }
  }
}

TEST(ConvertTest, OpenSessionKeepsEveryField) {
  OpenSession open;
  for (size_t i = 0; i < open.session.size(); ++i) open.session[i] = static_cast<uint8_t>(i);
  for (size_t i = 0; i < open.token.size(); ++i) open.token[i] = static_cast<uint8_t>(200 + i);
  open.role = Role::kDestination;
  open.root = "data";
  open.path = *RelPath::Parse("a/b\n\xff/c");
  open.selection = {.mode = false,
                    .owner = false,
                    .group = false,
                    .mtime = false,
                    .atime = true,
                    .xattrs = false,
                    .acls = false,
                    .selinux = true,
                    .explicit_owner = true,
                    .explicit_privileged_xattrs = true,
                    .extra_xattrs = {"lustre.lov"},
                    .directory_times = false,
                    .link_times = false,
                    .executability = true,
                    .modify_window_s = UINT32_MAX,
                    .device_files = true};
  open.checksum = open.one_file_system = open.dry_run = open.create_root = open.wait_for_lock = open.force_delete =
      true;
  open.sparse = false;
  open.durability = Durability::kNone;
  open.route = {.kind = DataRoute::Kind::kConnect, .host = "h", .port = 65535};
  open.data_connections = 7;
  open.delta = DeltaPolicy::kForce;
  open.compression = {.mode = CompressionMode::kFixed, .level = kMinCompressLevel};
  open.bytes_per_second = UINT64_MAX;
  open.jobs = 3;
  open.background = true;
  open.in_place = open.remove_sources = open.keep_directory_links = true;
  open.follow_links = {.all = false, .unsafe = true, .directories = true};
  open.backup = BackupSettings{".old", TreePlace{"data", *RelPath::Parse("old/today")}};
  open.staging = {.keep_partial = true,
                  .partial_directory = *RelPath::Parse(".partial/here"),
                  .partial_climb = 2,
                  .append = AppendMode::kVerify,
                  .temporaries = TreePlace{"", RelPath(), "/var/tmp"},
                  .delay_updates = true,
                  .fuzzy = 2,
                  .preallocate = true};
  open.basis_directories = {{"data", *RelPath::Parse("daily/1")}, {"", RelPath(), "/srv/daily.1"}};
  const auto decoded = std::get<OpenSession>(RoundTrip<v1::ClientMessage>(ClientMessage(open)));
  EXPECT_EQ(decoded.session, open.session);
  EXPECT_EQ(decoded.token, open.token);
  EXPECT_EQ(decoded.role, open.role);
  EXPECT_EQ(decoded.root, open.root);
  EXPECT_EQ(decoded.path, open.path);
  EXPECT_EQ(decoded.selection, open.selection);
  EXPECT_TRUE(decoded.checksum && decoded.one_file_system && decoded.dry_run && decoded.create_root &&
              decoded.wait_for_lock && decoded.force_delete);
  EXPECT_FALSE(decoded.sparse);
  EXPECT_EQ(decoded.durability, open.durability);
  EXPECT_EQ(decoded.basis_directories, open.basis_directories);
  EXPECT_EQ(decoded.backup, open.backup);
  EXPECT_EQ(decoded.staging, open.staging);
  EXPECT_TRUE(decoded.in_place && decoded.remove_sources && decoded.keep_directory_links);
  EXPECT_EQ(decoded.follow_links, open.follow_links);
  EXPECT_EQ(decoded.route.kind, open.route.kind);
  EXPECT_EQ(decoded.route.host, open.route.host);
  EXPECT_EQ(decoded.route.port, open.route.port);
  EXPECT_EQ(decoded.data_connections, 7u);
  EXPECT_EQ(decoded.delta, DeltaPolicy::kForce);
  EXPECT_EQ(decoded.compression, open.compression);
  EXPECT_EQ(decoded.bytes_per_second, UINT64_MAX);
  EXPECT_EQ(decoded.jobs, 3u);
  EXPECT_TRUE(decoded.background);
  for (const CompressionMode mode : {CompressionMode::kOff, CompressionMode::kAdaptive}) {
    open.compression = {.mode = mode};
    EXPECT_EQ(std::get<OpenSession>(RoundTrip<v1::ClientMessage>(ClientMessage(open))).compression, open.compression);
  }
}

TEST(ConvertTest, SessionOpenedKeepsEveryField) {
  MessageSamples samples(1);
  SessionOpened opened{.exists = true,
                       .created = true,
                       .root = samples.EntryOfType("", FileType::kDirectory),
                       .file_system = "xfs",
                       .can_chown = true,
                       .can_mknod = true,
                       .can_set_capabilities = true,
                       .can_set_trusted = true,
                       .uid = 1000,
                       .groups = {1, 2},
                       .time_granularity_ns = 1'000'000'000,
                       .time_range = {-2147483648, 16299260424},
                       .notices = {"no ACLs here"}};
  const auto decoded = std::get<SessionOpened>(RoundTrip<v1::AgentMessage>(AgentMessage(opened)));
  EXPECT_TRUE(decoded.exists && decoded.created && decoded.can_chown && decoded.can_mknod &&
              decoded.can_set_capabilities && decoded.can_set_trusted);
  ExpectSame(decoded.root, opened.root);
  EXPECT_EQ(decoded.file_system, "xfs");
  EXPECT_EQ(decoded.uid, 1000u);
  EXPECT_EQ(decoded.groups, opened.groups);
  EXPECT_EQ(decoded.time_granularity_ns, opened.time_granularity_ns);
  EXPECT_EQ(decoded.time_range, opened.time_range);
  EXPECT_EQ(decoded.notices, opened.notices);
}

TEST(ConvertTest, ApplyProgressKeepsEveryField) {
  ApplyProgress progress{.completed_sequence = 9,
                         .counters = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
                         .skipped_actions = {4, 2},
                         .current_file = *RelPath::Parse("big"),
                         .current_bytes = 10,
                         .current_size = 20};
  progress.problems.push_back({ProblemKind::kNoSpace, Side::kSource, *RelPath::Parse("x/y"), "write", 28, "full", 77});
  const auto decoded = std::get<ApplyProgress>(RoundTrip<v1::AgentMessage>(AgentMessage(progress)));
  EXPECT_EQ(decoded.completed_sequence, 9u);
  EXPECT_EQ(decoded.counters.actions_done, 1u);
  EXPECT_EQ(decoded.counters.files_published, 2u);
  EXPECT_EQ(decoded.counters.bytes_received, 3u);
  EXPECT_EQ(decoded.counters.bytes_written, 4u);
  EXPECT_EQ(decoded.counters.wire_bytes, 5u);
  EXPECT_EQ(decoded.counters.retries, 6u);
  EXPECT_EQ(decoded.counters.skipped_owner, 7u);
  EXPECT_EQ(decoded.counters.skipped_devices, 8u);
  EXPECT_EQ(decoded.counters.skipped_xattrs, 9u);
  EXPECT_EQ(decoded.counters.bytes_matched, 10u);
  EXPECT_EQ(decoded.counters.bytes_cloned, 11u);
  EXPECT_EQ(decoded.skipped_actions, progress.skipped_actions);
  EXPECT_EQ(decoded.current_file, progress.current_file);
  EXPECT_EQ(decoded.current_bytes, 10u);
  EXPECT_EQ(decoded.current_size, 20u);
  ASSERT_EQ(decoded.problems.size(), 1u);
  const Problem& problem = decoded.problems[0];
  EXPECT_EQ(problem.kind, ProblemKind::kNoSpace);
  EXPECT_EQ(problem.side, Side::kSource);
  EXPECT_EQ(problem.path.text(), "x/y");
  EXPECT_EQ(problem.operation, "write");
  EXPECT_EQ(problem.error, 28);
  EXPECT_EQ(problem.detail, "full");
  EXPECT_EQ(problem.action, 77u);
}

TEST(ConvertTest, AnyValidMessageEncodesToTheSameBytesAfterARoundTrip) {
  const uint64_t seed = Seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  MessageSamples samples(seed);
  for (int i = 0; i < 300; ++i) {
    const ClientMessage client = samples.AnyClientMessage();
    ASSERT_EQ(Bytes(RoundTrip<v1::ClientMessage>(client)), Bytes(client)) << "message " << i;
    const AgentMessage agent = samples.AnyAgentMessage();
    ASSERT_EQ(Bytes(RoundTrip<v1::AgentMessage>(agent)), Bytes(agent)) << "message " << i;
  }
}

TEST(ConvertTest, WireSizesStayBelowTheirBound) {
  MessageSamples samples(Seed());
  const DirectoryBatch batch = samples.Batch(1000);
  size_t bound = 1000 + batch.directory.text().size();
  for (const Entry& entry : batch.entries) bound += WireBytesBound(entry);
  EXPECT_LE(Bytes(AgentMessage(batch)).size(), bound);
  const ActionBatch actions = samples.Actions(1000);
  bound = 1000;
  for (const Action& action : actions.actions) bound += WireBytesBound(action);
  EXPECT_LE(Bytes(ClientMessage(actions)).size(), bound);
  ApplyProgress progress;
  bound = 1000;
  for (int i = 0; i < 500; ++i) {
    progress.problems.push_back(samples.AnyProblem());
    bound += WireBytesBound(progress.problems.back());
  }
  EXPECT_LE(Bytes(AgentMessage(progress)).size(), bound);
}

TEST(ConvertTest, ATypicalEntryTakesLessThanFiftyBytes) {
  DirectoryBatch batch;
  batch.self.type = FileType::kDirectory;
  for (int i = 0; i < 1000; ++i) {
    Entry entry;
    entry.name = "file_" + std::to_string(10000 + i) + ".txt";
    entry.mode = 0644;
    entry.uid = entry.gid = 1000;
    entry.size_bytes = static_cast<uint64_t>(7000 + i);
    entry.mtime = entry.ctime = {1'763'800'000 + i, static_cast<uint32_t>(i) * 999'983};
    entry.id = {66305, 5'000'000 + static_cast<uint64_t>(i)};
    entry.allocated_bytes = 8192;
    batch.entries.push_back(entry);
  }
  EXPECT_LT(Bytes(AgentMessage(batch)).size() / 1000, 50u);
}

TEST(ConvertTest, EncodingTooManyRowsIsRefused) {
  v1::ClientMessage client;
  ActionBatch actions{.sequence = 1};
  actions.actions.resize(kMaxActionsPerBatch + 1);
  EXPECT_THAT(EncodeMessage(ClientMessage(actions), &client), StatusIs(absl::StatusCode::kInvalidArgument));
  v1::AgentMessage agent;
  DirectoryBatch batch;
  batch.entries.resize(kMaxEntriesPerBatch + 1);
  EXPECT_THAT(EncodeMessage(AgentMessage(batch), &agent), StatusIs(absl::StatusCode::kInvalidArgument));
  ApplyProgress progress;
  progress.problems.resize(kMaxProblemsPerMessage + 1);
  EXPECT_THAT(EncodeMessage(AgentMessage(progress), &agent), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ConvertTest, LongTextsForPeopleAreClippedNotRefused) {
  const SessionError error{.kind = ErrorKind::kFileIo, .message = std::string(kMaxTextBytes + 10, 'x')};
  const auto decoded = std::get<SessionError>(RoundTrip<v1::AgentMessage>(AgentMessage(error)));
  EXPECT_EQ(decoded.message.size(), kMaxTextBytes);
}

}  // namespace
}  // namespace uringsync

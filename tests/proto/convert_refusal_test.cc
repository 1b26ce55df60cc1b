// Every way in which a peer's message can be wrong, and what is said about it.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "proto/convert.h"
#include "tests/support/status_matchers.h"
#include "uringsync/v1/agent.pb.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

template <typename Wire>
struct Case {
  const char* name;
  std::function<void(Wire*)> spoil;
  const char* expected;  // part of the error
};

void AddName(v1::Strings* strings, const std::string& name) {
  strings->mutable_text()->append(name);
  strings->add_lengths(static_cast<uint32_t>(name.size()));
}

// Two files and a symlink in "dir".
v1::AgentMessage GoodBatch() {
  v1::AgentMessage message;
  v1::DirectoryBatch* batch = message.mutable_directory_batch();
  batch->set_directory("dir");
  batch->mutable_self()->add_modes(0040755);
  for (const char* name : {"a", "b", "l"}) AddName(batch->mutable_names(), name);
  v1::EntryTable* table = batch->mutable_entries();
  for (uint32_t mode : {0100644, 0100600, 0120777}) table->add_modes(mode);
  table->add_symlink_rows(2);
  AddName(table->mutable_symlink_targets(), "a");
  return message;
}

// mkdir d, put d/f, link d/g to d/f.
v1::ClientMessage GoodActions() {
  v1::ClientMessage message;
  v1::ActionBatch* batch = message.mutable_action_batch();
  batch->set_phase(v1::PHASE_CREATE);
  batch->set_sequence(1);
  batch->mutable_directories()->add_parents(0);
  AddName(batch->mutable_directories()->mutable_paths(), "d");
  for (uint64_t id : {1, 2, 3}) batch->add_ids(id);
  for (uint32_t kind : {1, 2, 5}) batch->add_kinds(kind);
  for (uint32_t parent : {0, 1, 1}) batch->add_parents(parent);
  for (const char* name : {"d", "f", "g"}) AddName(batch->mutable_names(), name);
  for (uint32_t mode : {0040755, 0100644, 0100644}) batch->mutable_wanted()->add_modes(mode);
  batch->add_existing_rows(1);
  batch->mutable_existing()->add_modes(0100600);
  batch->add_link_rows(2);
  batch->add_link_parents(1);
  AddName(batch->mutable_link_names(), "f");
  return message;
}

v1::ClientMessage GoodOpen() {
  v1::ClientMessage message;
  v1::OpenSession* open = message.mutable_open_session();
  open->set_session(std::string(16, 's'));
  open->set_token(std::string(32, 't'));
  open->set_role(v1::ROLE_SOURCE);
  open->set_root("data");
  open->mutable_selection();
  open->set_durability(v1::DURABILITY_BATCH);
  return message;
}

v1::AgentMessage GoodProgress() {
  v1::AgentMessage message;
  message.mutable_apply_progress()->mutable_counters();
  v1::ProblemTable* table = message.mutable_apply_progress()->mutable_problems();
  table->add_kinds(1);
  table->add_sides(1);
  AddName(table->mutable_paths(), "x");
  AddName(table->mutable_operations(), "open");
  AddName(table->mutable_details(), "");
  return message;
}

template <typename Wire>
void ExpectRefusals(const Wire& good, const std::vector<Case<Wire>>& cases) {
  ASSERT_OK(DecodeMessage(good));
  for (const Case<Wire>& test : cases) {
    SCOPED_TRACE(test.name);
    Wire bad = good;
    test.spoil(&bad);
    EXPECT_THAT(DecodeMessage(bad), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(test.expected)));
  }
}

#define ENTRIES m->mutable_directory_batch()->mutable_entries()
#define NAMES m->mutable_directory_batch()->mutable_names()

TEST(ConvertRefusalTest, NamesOfAManifest) {
  using M = v1::AgentMessage*;
  const auto rename = [](const char* first) { return [first](M m) { NAMES->set_text(first); }; };
  ExpectRefusals<v1::AgentMessage>(
      GoodBatch(),
      {{"slash", rename("/bl"), "DirectoryBatch.names[0]"},
       {"dot", rename(".bl"), "DirectoryBatch.names[0]"},
       {"order", rename("bal"), "DirectoryBatch.names[1]: \"a\" is out of order after \"b\""},
       {"twice", rename("aal"), "DirectoryBatch.names[1]: \"a\" appears twice"},
       {"nul", [](M m) { NAMES->set_text(std::string("\0bl", 3)); }, "DirectoryBatch.names[0]"},
       {"dot dot",
        [](M m) {
          NAMES->set_text("..bl");
          NAMES->set_lengths(0, 2);
        },
        "DirectoryBatch.names[0]"},
       {"empty",
        [](M m) {
          NAMES->set_text("bl");
          NAMES->set_lengths(0, 0);
        },
        "DirectoryBatch.names[0]"},
       {"too short a text", rename("ab"), "lengths add up to 3 bytes, the text has 2"},
       {"too long a text", rename("ablx"), "lengths add up to 3 bytes, the text has 4"},
       {"overlong", [](M m) { NAMES->set_lengths(0, 256); }, "256 bytes, at most 255"},
       {"wrapping lengths", [](M m) { NAMES->set_lengths(0, 0xffffffff); }, "at most 255"},
       {"directory", [](M m) { m->mutable_directory_batch()->set_directory("a/../b"); }, "DirectoryBatch.directory"},
       {"absolute", [](M m) { m->mutable_directory_batch()->set_directory("/etc"); }, "DirectoryBatch.directory"}});
}

TEST(ConvertRefusalTest, AttributesOfAManifest) {
  using M = v1::AgentMessage*;
  ExpectRefusals<v1::AgentMessage>(
      GoodBatch(),
      {{"type", [](M m) { ENTRIES->set_modes(0, 0170644); }, "entries.modes[0]"},
       {"no type", [](M m) { ENTRIES->set_modes(0, 0644); }, "entries.modes[0]"},
       {"high bits", [](M m) { ENTRIES->set_modes(1, 0x100000 | 0100644); }, "entries.modes[1]"},
       {"modes missing", [](M m) { ENTRIES->clear_modes(); }, "entries.modes[0]"},
       {"column length",
        [](M m) {
          ENTRIES->add_uids(1);
          ENTRIES->add_uids(2);
        },
        "entries.uids: 2 elements for 3 rows"},
       {"size", [](M m) { ENTRIES->add_sizes(uint64_t{1} << 63); }, "entries.sizes[0]"},
       {"allocated", [](M m) { ENTRIES->add_allocated_bytes(uint64_t{1} << 63); }, "entries.allocated_bytes[0]"},
       {"mtime", [](M m) { ENTRIES->add_mtime_nanoseconds(1'000'000'000); }, "entries.mtime_nanoseconds[0]"},
       {"ctime", [](M m) { ENTRIES->add_ctime_nanoseconds(4'000'000'000); }, "entries.ctime_nanoseconds[0]"},
       {"atime",
        [](M m) {
          ENTRIES->add_atime_rows(0);
          ENTRIES->add_atime_seconds(1);
          ENTRIES->add_atime_nanoseconds(1'000'000'000);
        },
        "entries.atime_nanoseconds[0]"},
       {"atime count", [](M m) { ENTRIES->add_atime_rows(0); }, "entries.atime_seconds"},
       {"device",
        [](M m) {
          ENTRIES->add_device_rows(0);
          ENTRIES->add_rdev_majors(1);
          ENTRIES->add_rdev_minors(1);
        },
        "entries.device_rows[0]: a file is no device"},
       {"device count", [](M m) { ENTRIES->add_device_rows(0); }, "entries.rdev_majors"},
       {"row number", [](M m) { ENTRIES->set_symlink_rows(0, 3); }, "row 3 of 3"},
       {"row order", [](M m) { ENTRIES->add_symlink_rows(1); }, "row 1 is out of order"},
       {"target of a file", [](M m) { ENTRIES->set_symlink_rows(0, 1); }, "a file has no target"},
       {"no target",
        [](M m) {
          ENTRIES->clear_symlink_rows();
          ENTRIES->clear_symlink_targets();
        },
        "without target"},
       {"empty target",
        [](M m) {
          ENTRIES->mutable_symlink_targets()->clear_text();
          ENTRIES->mutable_symlink_targets()->set_lengths(0, 0);
        },
        "empty target"},
       {"NUL in target", [](M m) { ENTRIES->mutable_symlink_targets()->set_text(std::string(1, '\0')); },
        "target contains NUL"},
       {"long target", [](M m) { ENTRIES->mutable_symlink_targets()->set_lengths(0, kMaxSymlinkTargetBytes + 1); },
        "at most 65536"},
       {"digest words", [](M m) { ENTRIES->mutable_xattr_digests()->add_rows(0); }, "entries.xattr_digests"},
       {"contents of a symlink",
        [](M m) {
          ENTRIES->mutable_content_digests()->add_rows(2);
          ENTRIES->mutable_content_digests()->add_words(1);
          ENTRIES->mutable_content_digests()->add_words(1);
        },
        "a symlink has no contents"},
       {"short proof", [](M m) { ENTRIES->add_proof_rows(0); }, "entries.proofs"},
       {"proof of a symlink's contents",
        [](M m) {
          ENTRIES->add_proof_rows(2);
          ENTRIES->set_proofs(std::string(64, 'p'));
        },
        "a symlink has no contents"},
       {"error 0",
        [](M m) {
          ENTRIES->add_error_rows(0);
          ENTRIES->add_errors(0);
        },
        "0 is no errno"},
       {"error 4096",
        [](M m) {
          ENTRIES->add_error_rows(0);
          ENTRIES->add_errors(4096);
        },
        "4096 is no errno"},
       {"not entered", [](M m) { ENTRIES->add_not_entered_rows(0); }, "is no directory"},
       {"directory link", [](M m) { ENTRIES->add_directory_link_rows(0); }, "is no symlink"},
       {"batch error", [](M m) { m->mutable_directory_batch()->set_error(70000); }, "DirectoryBatch.error"},
       {"no self", [](M m) { m->mutable_directory_batch()->clear_self(); }, "DirectoryBatch.self: missing"},
       {"self is a file", [](M m) { m->mutable_directory_batch()->mutable_self()->set_modes(0, 0100644); },
        "where a directory belongs"}});
}

TEST(ConvertRefusalTest, ManifestBatchesAboveTheirBound) {
  v1::AgentMessage message = GoodBatch();
  for (size_t i = 0; i < kMaxEntriesPerBatch; ++i) message.mutable_directory_batch()->mutable_names()->add_lengths(0);
  EXPECT_THAT(DecodeMessage(message),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("4099 entries, at most 4096")));
}

#define BATCH m->mutable_action_batch()

TEST(ConvertRefusalTest, Actions) {
  using M = v1::ClientMessage*;
  const auto set_directory = [](const char* path) {
    return [path](M m) {
      BATCH->mutable_directories()->clear_paths();
      AddName(BATCH->mutable_directories()->mutable_paths(), path);
    };
  };
  const auto set_origin = [](uint32_t row, uint32_t parent, const char* name, uint32_t fate, uint32_t mode,
                             uint64_t bytes) {
    return [=](M m) {
      BATCH->add_origin_rows(row);
      BATCH->add_origin_parents(parent);
      AddName(BATCH->mutable_origin_names(), name);
      BATCH->add_origin_fates(fate);
      BATCH->mutable_origin_objects()->add_modes(mode);
      BATCH->mutable_origin_objects()->add_sizes(bytes);
    };
  };
  ExpectRefusals<v1::ClientMessage>(
      GoodActions(),
      {{"phase", [](M m) { BATCH->set_phase(v1::PHASE_UNSPECIFIED); }, "ActionBatch.phase"},
       {"phase 9", [](M m) { BATCH->set_phase(static_cast<v1::Phase>(9)); }, "ActionBatch.phase"},
       {"sequence", [](M m) { BATCH->set_sequence(0); }, "ActionBatch.sequence"},
       {"id", [](M m) { BATCH->set_ids(1, 0); }, "ActionBatch.ids[1]"},
       {"kind", [](M m) { BATCH->set_kinds(1, 8); }, "ActionBatch.kinds[1]: unknown kind 8"},
       {"kind and type", [](M m) { BATCH->set_kinds(1, 3); }, "does not fit a file"},
       {"link to a directory", [](M m) { BATCH->mutable_wanted()->set_modes(2, 0040755); }, "does not fit a directory"},
       {"name", [](M m) { BATCH->mutable_names()->set_text("d/g"); }, "ActionBatch.names[1]"},
       {"parent", [](M m) { BATCH->set_parents(1, 2); }, "directory 2 of 2"},
       {"root deleted",
        [](M m) {
          BATCH->set_kinds(0, 7);
          BATCH->mutable_names()->set_text("fg");
          BATCH->mutable_names()->set_lengths(0, 0);
        },
        "ActionBatch.names[0]"},
       {"directory before itself", [](M m) { BATCH->mutable_directories()->set_parents(0, 1); },
        "does not come before it"},
       {"directory dot dot", set_directory(".."), "ActionBatch.directories.paths[0]"},
       {"directory with dot dot", set_directory("a/../../b"), "ActionBatch.directories.paths[0]"},
       {"absolute directory", set_directory("/a"), "ActionBatch.directories.paths[0]"},
       {"empty directory", set_directory(""), "empty path"},
       {"existing rows", [](M m) { BATCH->set_existing_rows(0, 3); }, "ActionBatch.existing_rows[0]"},
       {"existing modes", [](M m) { BATCH->mutable_existing()->clear_modes(); }, "ActionBatch.existing.modes[0]"},
       {"link row", [](M m) { BATCH->set_link_rows(0, 1); }, "the action is no link"},
       {"link without target",
        [](M m) {
          BATCH->clear_link_rows();
          BATCH->clear_link_parents();
          BATCH->clear_link_names();
        },
        "a link without target"},
       {"link to the root",
        [](M m) {
          BATCH->set_link_parents(0, 0);
          BATCH->mutable_link_names()->clear_text();
          BATCH->mutable_link_names()->set_lengths(0, 0);
        },
        "ActionBatch.link_names[0]"},
       {"link parent", [](M m) { BATCH->set_link_parents(0, 7); }, "directory 7 of 2"},
       {"link parents", [](M m) { BATCH->add_link_parents(0); }, "ActionBatch.link_parents"},
       {"basis rows", [](M m) { BATCH->add_basis_rows(3); }, "ActionBatch.basis_rows[0]"},
       {"basis directories", [](M m) { BATCH->add_basis_rows(1); }, "ActionBatch.basis_directories"},
       {"basis of a directory",
        [](M m) {
          BATCH->add_basis_rows(0);
          BATCH->add_basis_directories(0);
        },
        "the action has no use for a basis"},
       {"basis directory",
        [](M m) {
          BATCH->add_basis_rows(1);
          BATCH->add_basis_directories(20);
        },
        "ActionBatch.basis_directories[0]"},
       {"basis type",
        [](M m) {
          BATCH->add_basis_rows(1);
          BATCH->add_basis_directories(19);
          BATCH->mutable_basis_objects()->add_modes(0010644);
        },
        "the basis is of another type"},
       {"link with a basis",
        [](M m) {
          BATCH->add_basis_rows(2);
          BATCH->add_basis_directories(0);
          BATCH->mutable_basis_objects()->add_modes(0100644);
        },
        "the action is no link"},
       {"origin rows", [](M m) { BATCH->add_origin_rows(3); }, "ActionBatch.origin_rows[0]"},
       {"origin parents", [](M m) { BATCH->add_origin_rows(1); }, "ActionBatch.origin_parents"},
       {"origin fates",
        [](M m) {
          BATCH->add_origin_rows(1);
          BATCH->add_origin_parents(0);
        },
        "ActionBatch.origin_fates"},
       {"origin of a directory", set_origin(0, 0, "x", 1, 0100644, 5), "the action has no use for an origin"},
       {"origin fate", set_origin(1, 0, "x", 4, 0100644, 5), "unknown fate 4"},
       {"origin parent", set_origin(1, 7, "x", 1, 0100644, 5), "directory 7 of 2"},
       {"origin name", set_origin(1, 0, "..", 1, 0100644, 5), "ActionBatch.origin_names[0]"},
       {"origin without contents", set_origin(1, 0, "x", 1, 0100644, 0), "the origin is no file with contents"},
       {"origin of another type", set_origin(1, 0, "x", 1, 0010644, 5), "the origin is no file with contents"},
       {"xattr rows", [](M m) { BATCH->add_xattrs_differ_rows(3); }, "ActionBatch.xattrs_differ_rows[0]"},
       {"count",
        [](M m) {
          for (size_t i = 0; i < kMaxActionsPerBatch; ++i) BATCH->add_ids(9);
        },
        "4099 actions, at most 4096"},
       {"directories",
        [](M m) {
          for (int i = 0; i < 9000; ++i) BATCH->mutable_directories()->add_parents(0);
        },
        "at most 8192"}});
}

TEST(ConvertRefusalTest, PathsThatGrowFromFewBytes) {
  v1::ClientMessage message;
  v1::ActionBatch* batch = message.mutable_action_batch();
  batch->set_phase(v1::PHASE_CREATE);
  batch->set_sequence(1);
  // Each directory lies in the one before: n short names make n²/2 bytes of paths.
  for (uint32_t i = 0; i < 8000; ++i) {
    batch->mutable_directories()->add_parents(i);
    AddName(batch->mutable_directories()->mutable_paths(), "abcdefgh");
  }
  EXPECT_THAT(DecodeMessage(message),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("paths of one message exceed")));
}

#define OPEN m->mutable_open_session()

TEST(ConvertRefusalTest, OpenSession) {
  using M = v1::ClientMessage*;
  ExpectRefusals<v1::ClientMessage>(
      GoodOpen(),
      {{"session", [](M m) { OPEN->set_session("short"); }, "OpenSession.session: 5 bytes where 16 belong"},
       {"token", [](M m) { OPEN->set_token(std::string(33, 'x')); }, "OpenSession.token"},
       {"role", [](M m) { OPEN->set_role(v1::ROLE_UNSPECIFIED); }, "OpenSession.role"},
       {"path without a root",
        [](M m) {
          OPEN->set_root("");
          OPEN->set_path("a");
        },
        "OpenSession.path: a path without a root"},
       {"root and host path", [](M m) { OPEN->set_host_path("/srv"); }, "OpenSession.host_path: beside a root"},
       {"root bytes", [](M m) { OPEN->set_root("a\nb"); }, "control bytes in \"a\\012b\""},
       {"root length", [](M m) { OPEN->set_root(std::string(256, 'a')); }, "OpenSession.root"},
       {"path", [](M m) { OPEN->set_path("../x"); }, "OpenSession.path"},
       {"links to follow", [](M m) { OPEN->set_follow_links(8); }, "OpenSession.follow_links: unknown bits 8"},
       {"selection", [](M m) { OPEN->clear_selection(); }, "OpenSession.selection: missing"},
       {"xattr name", [](M m) { AddName(OPEN->mutable_selection()->mutable_extra_xattrs(), ""); },
        "selection.extra_xattrs[0]"},
       {"xattr names",
        [](M m) {
          for (int i = 0; i < 257; ++i) AddName(OPEN->mutable_selection()->mutable_extra_xattrs(), "a");
        },
        "257 elements, at most 256"},
       {"level", [](M m) { OPEN->mutable_compression()->set_level(20); }, "OpenSession.compression.level"},
       {"durability", [](M m) { OPEN->set_durability(static_cast<v1::Durability>(7)); }, "OpenSession.durability"},
       {"route", [](M m) { OPEN->mutable_route()->set_kind(static_cast<v1::RouteKind>(9)); }, "OpenSession.route.kind"},
       {"peer", [](M m) { OPEN->mutable_route()->set_kind(v1::ROUTE_KIND_LOCAL); }, "OpenSession.route.peer_session"},
       {"host", [](M m) { OPEN->mutable_route()->set_kind(v1::ROUTE_KIND_CONNECT); }, "OpenSession.route.host"},
       {"host bytes",
        [](M m) {
          OPEN->mutable_route()->set_kind(v1::ROUTE_KIND_CONNECT);
          OPEN->mutable_route()->set_host("a b");
        },
        "is no host"},
       {"port",
        [](M m) {
          OPEN->mutable_route()->set_kind(v1::ROUTE_KIND_CONNECT);
          OPEN->mutable_route()->set_host("h");
          OPEN->mutable_route()->set_port(65536);
        },
        "65536 is no port"},
       {"backup suffix", [](M m) { OPEN->mutable_backup(); }, "OpenSession.backup.suffix: empty"},
       {"backup suffix with a slash", [](M m) { OPEN->mutable_backup()->set_suffix("/.."); },
        "OpenSession.backup.suffix"},
       {"backup suffix length", [](M m) { OPEN->mutable_backup()->set_suffix(std::string(255, '~')); },
        "OpenSession.backup.suffix"},
       {"backup directory",
        [](M m) {
          OPEN->mutable_backup()->mutable_directory()->set_root("data");
          OPEN->mutable_backup()->mutable_directory()->set_path("a//b");
        },
        "OpenSession.backup.directory"},
       {"partial directory", [](M m) { OPEN->mutable_staging()->set_partial_directory("../x"); },
        "OpenSession.staging.partial_directory"},
       {"partial directory beside a place",
        [](M m) {
          OPEN->mutable_staging()->set_partial_directory("x");
          OPEN->mutable_staging()->mutable_partial_place()->set_host_path("/x");
        },
        "beside a place"},
       {"partial place", [](M m) { OPEN->mutable_staging()->mutable_partial_place(); },
        "OpenSession.staging.partial_place"},
       {"partial climb", [](M m) { OPEN->mutable_staging()->set_partial_climb(4097); }, "4097 levels"},
       {"append mode", [](M m) { OPEN->mutable_staging()->set_append(static_cast<v1::AppendMode>(3)); },
        "unknown mode 3"},
       {"snapshot", [](M m) { OPEN->set_snapshot(static_cast<v1::Snapshot>(5)); }, "OpenSession.snapshot"},
       {"place of temporaries", [](M m) { OPEN->mutable_staging()->mutable_temporaries(); },
        "OpenSession.staging.temporaries"},
       {"delayed updates without a directory", [](M m) { OPEN->mutable_staging()->set_delay_updates(true); },
        "updates wait there"},
       {"delta blocks", [](M m) { OPEN->set_delta_block_bytes(1000); }, "OpenSession.delta_block_bytes"},
       {"large delta blocks", [](M m) { OPEN->set_delta_block_bytes(1 << 17); }, "OpenSession.delta_block_bytes"},
       {"fuzzy", [](M m) { OPEN->mutable_staging()->set_fuzzy(3); }, "OpenSession.staging.fuzzy"},
       {"basis root", [](M m) { OPEN->add_basis_directories(); }, "OpenSession.basis_directories"},
       {"basis root and host path",
        [](M m) {
          OPEN->add_basis_directories()->set_root("data");
          OPEN->mutable_basis_directories(0)->set_host_path("/x");
        },
        "either a root or a host path"},
       {"basis path",
        [](M m) {
          OPEN->add_basis_directories()->set_root("data");
          OPEN->mutable_basis_directories(0)->set_path("../up");
        },
        "OpenSession.basis_directories"},
       {"basis directories",
        [](M m) {
          for (int i = 0; i < 21; ++i) OPEN->add_basis_directories()->set_root("data");
        },
        "at most 20"},
       {"connections", [](M m) { OPEN->set_data_connections(65); }, "at most 64"}});
}

TEST(ConvertRefusalTest, SmallClientMessages) {
  v1::ClientMessage message;
  EXPECT_THAT(DecodeMessage(message), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ClientMessage.body")));
  message.mutable_hello()->set_max_version(1);
  EXPECT_THAT(DecodeMessage(message), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("versions 0 to 1")));
  message.mutable_hello()->set_min_version(2);
  EXPECT_THAT(DecodeMessage(message), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("versions 2 to 1")));
  message.mutable_manifest_credit()->set_batches(0);
  EXPECT_THAT(DecodeMessage(message), StatusIs(absl::StatusCode::kInvalidArgument));
  message.mutable_manifest_credit()->set_batches(65537);
  EXPECT_THAT(DecodeMessage(message), StatusIs(absl::StatusCode::kInvalidArgument));
  message.mutable_connect_data()->set_host("h");
  EXPECT_THAT(DecodeMessage(message), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ConnectData.port")));
}

#define PROBLEMS m->mutable_apply_progress()->mutable_problems()

TEST(ConvertRefusalTest, Progress) {
  using M = v1::AgentMessage*;
  ExpectRefusals<v1::AgentMessage>(
      GoodProgress(),
      {{"counters", [](M m) { m->mutable_apply_progress()->clear_counters(); }, "ApplyProgress.counters: missing"},
       {"kind", [](M m) { PROBLEMS->set_kinds(0, 8); }, "unknown kind 8"},
       {"side", [](M m) { PROBLEMS->clear_sides(); }, "unknown side 0"},
       {"path", [](M m) { PROBLEMS->mutable_paths()->set_text("."); }, "ApplyProgress.problems.paths[0]"},
       {"operation", [](M m) { PROBLEMS->mutable_operations()->set_lengths(0, 300); }, "at most 256"},
       {"errno", [](M m) { PROBLEMS->add_errors(5000); }, "5000 is no errno"},
       {"count",
        [](M m) {
          for (int i = 0; i < 4096; ++i) PROBLEMS->add_kinds(1);
        },
        "4097 problems"},
       {"file", [](M m) { m->mutable_apply_progress()->set_current_file("//"); }, "ApplyProgress.current_file"},
       {"durable", [](M m) { m->mutable_apply_progress()->set_durable_sequence(UINT64_MAX); }, "durable_sequence"}});
}

TEST(ConvertRefusalTest, SmallAgentMessages) {
  v1::AgentMessage message;
  EXPECT_THAT(DecodeMessage(message), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("AgentMessage.body")));
  v1::HelloReply* reply = message.mutable_hello_reply();
  reply->set_min_version(1);
  reply->set_max_version(2);
  reply->set_version(3);
  EXPECT_THAT(DecodeMessage(message), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("HelloReply.version")));
  reply->set_version(1);
  reply->set_data_port(70000);
  EXPECT_THAT(DecodeMessage(message), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("HelloReply.data_port")));
  message.mutable_session_opened()->set_time_granularity_ns(1);
  ASSERT_OK(DecodeMessage(message));
  message.mutable_session_opened()->set_exists(true);
  EXPECT_THAT(DecodeMessage(message),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("SessionOpened.root: missing")));
  message.mutable_session_opened()->set_exists(false);
  message.mutable_session_opened()->set_time_granularity_ns(0);
  EXPECT_THAT(DecodeMessage(message), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("time_granularity_ns")));
  message.mutable_session_error();
  EXPECT_THAT(DecodeMessage(message), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("SessionError.kind")));
  message.mutable_apply_done()->mutable_counters();
  EXPECT_THAT(DecodeMessage(message), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ApplyDone.durability")));
}

}  // namespace
}  // namespace uringsync

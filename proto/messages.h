// The control messages of a session as validated C++ values: what convert makes from the wire and what both ends speak.
// Here: what an agent says to a coordinator; client_messages.h has the other direction.
//
// agent/ and coordinator/ meet only here. Nothing in these files knows protobuf or gRPC.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/entry.h"
#include "engine/base/rel_path.h"
#include "engine/base/time_range.h"
#include "engine/fs/volume.h"
#include "proto/bench_messages.h"
#include "proto/client_messages.h"
#include "proto/features.h"

namespace uringsync {

struct HelloReply {
  uint32_t version = 0;      // chosen
  uint32_t min_version = 0;  // of the agent
  uint32_t max_version = 0;
  std::string software;
  std::vector<std::string> features;
  std::string io_backend;       // "uring" or "threads"
  std::string fallback_reason;  // non-empty when auto fell back
  uint16_t data_port = 0;       // 0: none (private agent)
};

struct SessionOpened {
  bool exists = false;      // the session's root directory is there
  bool created = false;     // made by this session
  Entry root;               // when it exists
  std::string file_system;  // statfs type name, e.g. "ext4", "tmpfs", "0x1234" for an unknown one
  // What this process may set; the planner leaves the rest out of the comparison unless an option named it.
  bool can_chown = false;             // CAP_CHOWN
  bool can_mknod = false;             // CAP_MKNOD
  bool can_set_capabilities = false;  // CAP_SETFCAP
  bool can_set_trusted = false;       // CAP_SYS_ADMIN
  uint32_t uid = 0;                   // effective
  std::vector<uint32_t> groups;       // effective and supplementary: groups it may set on its own files
  uint32_t time_granularity_ns = 1;   // of the destination's file system; 1e9 where it keeps whole seconds
  TimeRange time_range;               // that the destination's file system keeps
  std::vector<std::string> notices;   // what this destination cannot promise, a line each
  // Where the root lies, so that a run into itself is seen whatever the roots are called: the kernel (its boot id;
  // empty when unknown) and every directory above the root, nearest first. Equal host and FileId: the same directory.
  std::string host_id;
  std::vector<FileId> ancestors;
  // Agents that tell the same name_domain give the same names to ids. Empty: unknown.
  std::string name_domain;
  // Which directories of which host the session is about: those that are in the transfer with all below them. The same
  // however their paths are written and after a boot. Empty: unknown.
  std::string place;
  // Source with operands: the directories that are in the transfer with all below them, the first kMaxTreeRoots.
  std::vector<FileId> tree_roots;
  std::optional<VolumeFacts> volume;  // of the destination's file system; an older agent tells none
  // Not 0: the agent keeps a live index that can answer TreeQuery for this session.
  uint64_t index_seed = 0;
};

constexpr size_t kMaxTreeRoots = 4096;

enum class PathKind : uint8_t {
  kMissing = 1,
  kDirectory,
  kFile,
  kSymlink,  // never of PathInfo::target
  kOther,
};
struct PathInfo {
  PathKind kind = PathKind::kMissing;    // of the object at the path
  PathKind target = PathKind::kMissing;  // of what it is in the end, links followed
  bool has_parent = false;               // the directory above is there
  int error = 0;                         // errno of the look, but for ENOENT; the kinds say nothing then
  FileId id;                             // of what it is in the end; {0, 0} where nothing is there
  friend bool operator==(const PathInfo&, const PathInfo&) = default;
};
struct PathReply {
  std::vector<PathInfo> paths;     // of the query, in its order; where it has patterns, of what each stands for
  std::vector<std::string> names;  // with patterns: the path of each row; else empty
  std::string directory;           // where relative host paths begin, absolute; empty: not told
  std::string list;                // bytes of list_file
  bool list_ends = false;          // nothing comes after them
};
// Of one PathReply.
constexpr size_t kMaxPathReply = 16384;
constexpr size_t kMaxPathReplyBytes = size_t{2} << 20;  // of names
constexpr size_t kMaxListBytes = size_t{1} << 20;

// Answer to a DirectQuery.
struct DirectReply {
  std::string address;  // of this host, where whoever started the agent came in; empty: not known
  uint16_t port = 0;    // where it listens; 0: nowhere
};

// Answer to a MountQuery.
enum class MountLoss : uint8_t {
  kUnmounted = 1,  // nothing is mounted there
  kEmptied,        // another file system is, an empty one
  kReplaced,       // another file system is, one with something in it
};
struct LostMount {
  std::string point;
  MountLoss loss = MountLoss::kUnmounted;
  friend bool operator==(const LostMount&, const LostMount&) = default;
};
struct MountReply {
  std::vector<MountedPlace> mounts;  // where the file systems of the session's tree are mounted, the first kMaxMounts
  std::vector<LostMount> lost;       // of the recorded ones
};

// Answers to a NameQuery, in its order.
struct NameReply {
  std::vector<std::string> user_names;  // of `uids`; empty: no name
  std::vector<std::string> group_names;
  std::vector<std::optional<uint32_t>> user_ids;  // of `users`; nullopt: no such name
  std::vector<std::optional<uint32_t>> group_ids;
};

// One path of an EntryQuery.
struct EntryFinding {
  // Nothing there: nullopt, and in `error` the errno of a way that leads nowhere (ENOTDIR, ELOOP, EACCES, ...), 0 where
  // the name or the directory above is just missing.
  std::optional<Entry> entry;  // its name is the path's
  int error = 0;
};
// Answers to the first paths of an EntryQuery, at least one; the rest is to be asked for again.
struct EntryReply {
  std::vector<EntryFinding> findings;
};

// Objects below a directory, itself not counted.
struct TreeTotals {
  uint64_t entries = 0;
  uint64_t files = 0;  // regular ones
  uint64_t bytes = 0;  // their sizes
  friend bool operator==(const TreeTotals&, const TreeTotals&) = default;
};
// A directory and everything below it as an index knows them.
struct TreeDigest {
  Digest128 digest;
  bool certain = false;  // everything is in the digest; else it says nothing
  TreeTotals below;
  bool Equals(const TreeDigest& other) const {
    return certain && other.certain && digest == other.digest && below == other.below;
  }
  friend bool operator==(const TreeDigest&, const TreeDigest&) = default;
};
struct TreeRow {
  bool found = false;
  TreeDigest tree;
  struct Child {
    std::string name;
    TreeDigest tree;
    friend bool operator==(const Child&, const Child&) = default;
  };
  std::vector<Child> children;  // subdirectories, by name
  friend bool operator==(const TreeRow&, const TreeRow&) = default;
};
// Folded listings that follow each other: a message each would cost more than what is in them.
struct FoldedGroup {
  std::vector<DirectoryBatch> batches;  // 1 to kMaxFoldedGroup, each with `folded`
};
constexpr size_t kMaxFoldedGroup = 64;

struct TreeReply {
  bool valid = false;
  std::vector<TreeRow> rows;  // of the first directories asked for
};

// Why an agent refuses or gives up: a category that decides the exit code, and the text.
enum class ErrorKind : uint8_t {
  kUsage = 1,    // exit 1
  kVersion,      // 2
  kSelection,    // 3: no such root, not a directory, read-only root, missing source
  kLocked,       // 11 with the holder named
  kFileIo,       // 11
  kProtocol,     // 12
  kInterrupted,  // 20
  kTimeout,      // 30
};
struct SessionError {
  ErrorKind kind = ErrorKind::kProtocol;
  std::string message;  // escaped for printing by the receiver
};

struct ManifestEnd {
  uint64_t directories = 0;
  uint64_t entries = 0;
  uint64_t errors = 0;
  uint64_t strays_removed = 0;  // destination: temporaries of dead sessions; source: objects with such names, left out
};

// One object that did not reach the asked state. The run goes on; exit 23 (24 when all are kVanished).
// kUnstable alone is no failure: what was copied is what was read of a file that kept changing
// (OpenSession::copy_unstable).
enum class ProblemKind : uint8_t { kFailed = 1, kVanished, kChanged, kConflict, kIntegrity, kNoSpace, kUnstable };
enum class Side : uint8_t { kSource = 1, kDestination, kCoordinator };
// What failed where a followed symlink leads nowhere.
constexpr char kFollowOperation[] = "follow";
struct Problem {
  ProblemKind kind = ProblemKind::kFailed;
  Side side = Side::kDestination;
  RelPath path;
  std::string operation;  // "open", "write", "fchown", ...
  int error = 0;          // errno, 0 where none applies
  std::string detail;     // free text, may be empty
  uint64_t action = 0;    // id of the action, 0 where none
};

// Totals since the session began.
struct ApplyCounters {
  uint64_t actions_done = 0;  // ended, well or with a problem
  uint64_t files_published = 0;
  uint64_t bytes_received = 0;  // file contents that arrived from the source
  uint64_t bytes_written = 0;
  uint64_t wire_bytes = 0;  // of data connections, both ways; 0 for a local route
  uint64_t retries = 0;
  // Attributes that the process may not set and nobody asked for by name: no part of the asked state.
  uint64_t skipped_owner = 0;
  uint64_t skipped_devices = 0;
  uint64_t skipped_xattrs = 0;
  uint64_t bytes_matched = 0;  // of old files, that needed no sending
  uint64_t bytes_cloned = 0;   // shared with the source's files: neither received nor written
  uint64_t files_renamed =
      0;  // that are objects which the destination had under other names: nothing of them was written
  uint64_t files_verified = 0;  // read again and right (OpenSession::readback)
  uint64_t files_restaged = 0;  // of which what was read was not what was written
};

struct ApplyProgress {
  uint64_t completed_sequence = 0;  // every batch up to this one has ended: returns credit
  // All that batches up to this one did is on disk; at most completed_sequence. Stays 0 where nothing is made durable.
  uint64_t durable_sequence = 0;
  ApplyCounters counters;
  std::vector<Problem> problems;  // new since the last message
  // Actions that ended with nothing changed because they are no part of the asked state (devices without CAP_MKNOD).
  std::vector<uint64_t> skipped_actions;
  RelPath current_file;  // a large file being moved, or the root
  uint64_t current_bytes = 0;
  uint64_t current_size = 0;
};
struct ApplyDone {
  ApplyCounters counters;
  Durability durability = Durability::kNone;  // weakest state reached by everything published
};

// Something that the user should know, found out after SessionOpened; at most kMaxNotices a session. Needs
// kDirectIoFeature.
struct Notice {
  std::string text;
};

using AgentMessage = std::variant<HelloReply, SessionOpened, SessionError, DirectoryBatch, ManifestEnd, ApplyProgress,
                                  ApplyDone, TreeReply, FoldedGroup, BenchReport, Notice, PathReply, NameReply,
                                  EntryReply, DirectReply, MountReply>;

}  // namespace uringsync

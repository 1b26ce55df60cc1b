// The control messages of a session as validated C++ values: what convert makes from the wire and what both ends speak.
//
// agent/ and coordinator/ meet only here. Nothing in this file knows protobuf or gRPC.
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
#include "engine/base/link_rules.h"
#include "engine/base/rel_path.h"
#include "engine/base/time_range.h"
#include "engine/delta/decision.h"
#include "engine/fs/clone.h"
#include "engine/fs/direct_io.h"
#include "engine/fs/volume.h"
#include "engine/net/certificates.h"
#include "engine/transfer/compression_policy.h"
#include "proto/bench_messages.h"

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

// Of Hello and HelloReply: operands and host paths of OpenSession, OperandBatch, PathQuery, Entry::implied, DirectoryBatch::partial.
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

// Of HelloReply: a source follows links, a destination keeps those that lead to directories (follow_links, keep_directory_links).
constexpr std::string_view kLinksFeature = "links";

// Of Hello and HelloReply: filters of OpenSession, Entry::protection, DirectoryBatch::holds_excluded.
constexpr std::string_view kFiltersFeature = "filters";

// Of HelloReply: the agent answers EntryQuery, and knows as_planned of OpenSession.
constexpr std::string_view kEntryLooksFeature = "entry-looks";

// Of HelloReply: the agent reads and writes what devices hold (MetadataSelection::device_files, OpenSession::write_devices), where it
// is allowed to.
constexpr std::string_view kDeviceDataFeature = "device-data";
// Of HelloReply: OpenSession::delta_block_bytes.
constexpr std::string_view kDeltaBlocksFeature = "delta-blocks";
// Of HelloReply: the agent knows Action::origin.
constexpr std::string_view kOriginsFeature = "origins";
// Of Hello and HelloReply: the agent answers DirectQuery, and knows `direct` of DataRoute and ConnectData.
constexpr std::string_view kDirectFeature = "direct";

using SessionId = std::array<uint8_t, 16>;
// One-time secret that admits data connections to a session.
using SessionToken = std::array<uint8_t, 32>;

// ---- coordinator → agent ------------------------------------------------------------------------------------------------

// First message on a control stream, and the answer. A version mismatch is reported with both ranges (exit 2).
struct Hello {
  uint32_t min_version = kMinProtocolVersion;
  uint32_t max_version = kProtocolVersion;
  std::string software;                // "uringsync 0.1.0"
  std::vector<std::string> features;   // names both sides know are used; unknown ones are ignored
};

enum class Role : uint8_t { kSource = 1, kDestination };
enum class Durability : uint8_t { kNone = 1, kBatch };

// How the destination agent reaches contents.
struct DataRoute {
  enum class Kind : uint8_t {
    kNone = 0,
    kLocal,    // source session lives in the same agent: `peer_session`
    kConnect,  // destination connects to host:port
    kAccept,   // the source connects to the destination's data port (ConnectData to the source agent follows)
  };
  Kind kind = Kind::kNone;
  SessionId peer_session{};
  std::string host;
  uint16_t port = 0;
  bool direct = false;  // kConnect: under the one-time keys of a DirectQuery; where that fails, over the remote shell's channel
};

// How much of an operand is in the transfer.
enum class OperandDepth : uint8_t {
  kObject = 1,  // the object alone; a directory without what is in it
  kEntries,     // a directory with its entries, but without what is in those
  kTree,        // a directory with all below it
};

// What one source argument, or one name of a list, adds to a transfer. A source session with operands has as its tree what they make
// together: of objects at one path the first operand's counts, directories at one path merge. A destination session gets the same
// `at`s, with empty bases, as the part of its tree that is compared.
struct SourceOperand {
  // The directory in which `from` lies. In a session on host paths: a path of the agent's host, relative to its working directory,
  // "" for that; links in it and in from.Parent() are followed. Else names joined by '/' below the session's directory, no link followed.
  std::string base;
  RelPath from;  // the object below `base`; the root: the directory `base` itself
  RelPath at;    // where it is in the transfer; the root: the directory that the transfer fills
  OperandDepth depth = OperandDepth::kTree;
  bool implied = false;  // a directory on the way to another operand: it need not be there, and is no reason to complain
  bool follow = false;   // `from` may be a link to the object that is meant
  friend bool operator==(const SourceOperand&, const SourceOperand&) = default;
};
// Bounds of one message and of a session; every base, `from` and `at` counts in full.
constexpr size_t kMaxOperandsPerMessage = 16384;
constexpr size_t kMaxOperandBytesPerMessage = size_t{4} << 20;
constexpr size_t kMaxOperands = size_t{4} << 20;
constexpr size_t kMaxOperandBytes = size_t{512} << 20;
constexpr size_t kMaxHostPathBytes = 4096;

// A directory of an agent: below one of its named roots, or, with an empty `root`, below a host path, as in OpenSession.
struct TreePlace {
  std::string root;
  RelPath path;
  std::string host_path = {};
  friend bool operator==(const TreePlace&, const TreePlace&) = default;
};

// What a session replaces or deletes, but for directories, is kept under its name and `suffix`.
struct BackupSettings {
  std::string suffix;                  // at most 255 bytes, no '/'; not empty without a directory
  std::optional<TreePlace> directory;  // there, below the directories that lead to it; made as needed. Absent: beside the object
  friend bool operator==(const BackupSettings&, const BackupSettings&) = default;
};

// Files that are shorter at the destination get what they lack behind their end, in place.
enum class AppendMode : uint8_t {
  kNone = 0,
  kTrust,   // what is there is taken for the beginning of the new contents
  kVerify,  // it is compared, and made right where it is not
};

// How new contents come to their names: rsync's --partial, --partial-dir, --append, --temp-dir, --delay-updates, --fuzzy and --preallocate.
struct StagingSettings {
  // What came of a file when the session ends early is kept, for the next one to go on with: under the file's own name, or, where one is
  // given, in a directory. `partial_directory` is seen from the one that is `partial_climb` levels above the file's; in `partial_place`
  // files have their last names. Both are made when something is kept.
  bool keep_partial = false;
  RelPath partial_directory;  // the root: none
  uint32_t partial_climb = 0;
  std::optional<TreePlace> partial_place;
  AppendMode append = AppendMode::kNone;
  std::optional<TreePlace> temporaries;  // an existing directory in which files are put together
  // New files get their names when all of their phase are whole; until then they wait in the partial directory of their own.
  bool delay_updates = false;
  uint32_t fuzzy = 0;  // 1: a file of a similar name is the old contents of one that is new; 2: in basis directories too
  bool preallocate = false;  // room is made for a file before it is written
  friend bool operator==(const StagingSettings&, const StagingSettings&) = default;
};
constexpr uint32_t kMaxPartialClimb = 4096;
constexpr uint32_t kMaxFuzzy = 2;

struct OpenSession {
  SessionId session{};
  SessionToken token{};
  Role role = Role::kSource;
  std::string root;   // named root of the agent; "": host paths, which only an agent that a command started allows
  RelPath path;       // below it
  std::string host_path;  // with an empty `root`, the directory: relative to the agent's working directory, "" for that
  // Empty: the whole directory. The rest of a list follows in OperandBatches when `more_operands` is set.
  std::vector<SourceOperand> operands;
  bool more_operands = false;
  MetadataSelection selection;
  bool checksum = false;         // content digests in the manifest
  bool one_file_system = false;
  bool sparse = true;            // holes stay holes
  bool dry_run = false;          // destination: no lock, no write (plan, verify)
  bool create_root = false;      // destination: make the root directory of the sync when only it is missing
  bool make_path = false;        // destination, with create_root: make what is missing above it, too
  bool wait_for_lock = false;
  bool force_delete = false;     // a non-empty directory may make way for another type (--delete, --force)
  Durability durability = Durability::kBatch;
  DataRoute route;               // destination only
  uint32_t data_connections = 0; // 0: the agent chooses
  DeltaPolicy delta = DeltaPolicy::kOff;  // destination; only where both agents have kDeltaFeature
  CompressionSettings compression;  // source: of the contents it sends; only where both agents have kCompressionFeature
  uint64_t bytes_per_second = 0;    // source: of the contents it sends or reads, all connections together; 0: no limit
  uint32_t jobs = 0;                // shards that work for this session; 0, or more than there are: all
  bool background = false;          // leave the machine to others
  ReflinkMode reflink = ReflinkMode::kAuto;  // destination, kLocal
  DirectIoMode direct_io = DirectIoMode::kAuto;  // of large files; needs kDirectIoFeature
  // Destination: trees that Action::basis names by their place in this list; only read. Needs kBasisFeature.
  std::vector<TreePlace> basis_directories;
  // Filter rules as engine/tree/path_filter.h takes them, the same for both roles; needs kFiltersFeature.
  std::vector<std::string> filters;
  bool delete_excluded = false;
  bool nul_separated_filters = false;  // of per-directory files
  std::optional<BackupSettings> backup;  // destination; needs kBackupFeature
  // Source, whose root has to be writable: takes ActionBatches of the delete phase, one at a time, and answers each with one
  // ApplyProgress. Needs kRemoveSourcesFeature.
  bool remove_sources = false;
  // Links that a source takes for what they lead to: below a named root never out of it. Needs kLinksFeature.
  LinkFollowing follow_links;
  // Destination: a symlink to a directory below the session's directory stays where the source has a directory. Needs kLinksFeature.
  bool keep_directory_links = false;
  bool write_devices = false;  // destination: contents for a device that is there go into it; needs kDeviceDataFeature
  // Destination: blocks that are compared within a leaf of a delta, a power of two from 512 to 65536; 0: it chooses. Needs
  // kDeltaBlocksFeature.
  uint32_t delta_block_bytes = 0;
  bool in_place = false;  // destination: a file that is there is written over instead of replaced; needs kInPlaceFeature
  StagingSettings staging;  // destination; needs kStagingFeature
  // Destination: a source file that is no more as its action says is a problem at once, instead of being taken as it is by then. Needs
  // kEntryLooksFeature.
  bool as_planned = false;
};

// Further operands, right after the OpenSession that announced them.
struct OperandBatch {
  std::vector<SourceOperand> operands;
  bool last = true;
};

// What is at these paths, in this order? Before OpenSession. With an empty `root` host paths, as in OpenSession; else paths below
// that root.
struct PathQuery {
  std::string root = {};
  std::vector<std::string> paths = {};
  // The rest is for host paths and needs kHostPlacesFeature. Paths are patterns: "~" or "~USER" in front is a home directory; "*", "?" and "[...]"
  // stand for what is there, with the names of each pattern sorted by bytes, and for themselves behind a '\' and where nothing matches.
  bool expand = false;
  std::string list_file = {};  // not empty: its bytes from list_offset on are asked for
  uint64_t list_offset = 0;
};
constexpr size_t kMaxPathQuery = 4096;

// Before OpenSession, once, at an agent that a command or a remote shell started: the keys under which the agents of a run may connect to each other
// past the shell's channel. Needs kDirectFeature.
struct DirectQuery {
  OneTimeKeys keys;
  bool listen = false;  // on `port`, 0 for any, until the agent ends
  uint16_t port = 0;
};
constexpr size_t kMaxOneTimeKeyBytes = 4096;  // each of the two

// What are the names of these ids at this agent, and which ids have these names? In an open session; needs kNamesFeature.
struct NameQuery {
  std::vector<uint32_t> uids;
  std::vector<uint32_t> gids;
  std::vector<std::string> users;
  std::vector<std::string> groups;
};
constexpr size_t kMaxNameQuery = 4096;  // of each kind
constexpr size_t kMaxAccountNameBytes = 256;

// What is at these paths of the session's tree now, as its manifest would tell it? In an open session; needs kEntryLooksFeature. Rules
// of the session hide nothing from it. Their bytes count for kMaxPathBytesPerMessage (wire_size.h).
struct EntryQuery {
  std::vector<RelPath> paths;
};
constexpr size_t kMaxEntryQuery = 1024;

// Source: open data connections to a destination that accepts.
struct ConnectData {
  std::string host;
  uint16_t port = 0;
  bool direct = false;  // as of DataRoute
};
// How both sides fold listings; needs kFoldFeature. See engine/tree/listing_digest.h.
constexpr char kFoldFeature[] = "folded-listings";
struct FoldRules {
  uint64_t seed = 0;
  uint32_t time_granularity_ns = 1;
  TimeRange time_range;
  friend bool operator==(const FoldRules&, const FoldRules&) = default;
};
// Start the manifest; batches flow as credit allows.
struct StartManifest {
  std::optional<FoldRules> fold;  // without: every entry is sent
  // Only these directories, sorted, each below one of the list: others are known to be equal (Entry::pruned).
  std::optional<std::vector<RelPath>> only;
};
constexpr size_t kMaxOnlyDirectories = 4096;
struct ManifestCredit {
  uint32_t batches = 0;
};
// What becomes of folded listings, counted 1, 2, 3, ... in the order of the stream. The agent keeps their entries until then, in a
// window of its own, which takes the place of credit for them.
struct ListingVerdicts {
  uint64_t through = 0;           // all up to this one are judged
  std::vector<uint64_t> expand;   // of those, ascending: their entries are wanted
  bool stop_folding = false;      // from now on all entries are wanted
};
// Questions to an agent's index, before StartManifest; needs kIndexFeature.
constexpr char kIndexFeature[] = "tree-digests";
constexpr size_t kMaxTreeQuery = 4096;
constexpr size_t kMaxTreeChildren = 65536;  // of one reply
struct TreeQuery {
  std::vector<RelPath> directories;
  uint64_t adopt_seed = 0;  // not 0: build the index anew with this seed
};
// A session keeps at most so many folded listings that were not judged (a sender's rule and a receiver's bound).
constexpr size_t kMaxFoldedListings = 1024;
// Entries that one digest may stand for.
constexpr size_t kMaxFoldedEntries = 8192;

enum class ActionKind : uint8_t {
  kMakeDirectory = 1,   // mkdir, 0700; metadata follows as kSetMetadata at the end
  kPutFile,             // contents and metadata, published whole
  kPutSymlink,
  kPutSpecial,          // FIFO, socket, device
  kLink,                // hard link of `link_target`
  kSetMetadata,         // metadata only, object stays
  kDelete,              // the object; a directory must be empty by then
};

// An object of a basis directory that an action uses; it lies there at the action's own path.
struct ActionBasis {
  uint32_t directory = 0;  // index in OpenSession::basis_directories
  Entry object;            // as planned with. Another one by then: the action goes on without it
};

// Where the contents of a file may lie at the destination already, under another name: it seems to have been moved at the source. Nothing
// is taken for equal: digests of both ends' contents are compared before anything of it is used.
struct ActionOrigin {
  enum class Fate : uint8_t {
    kStays = 1,  // copied from
    kReplaced,   // likewise; something else takes its place in the same phase
    kGoes        // deleted later in the plan: the object itself may become the new one
  };
  RelPath path;   // below the session's root
  Entry object;   // as planned with. Another one by then: the action goes on without it
  Fate fate = Fate::kStays;
};

struct Action {
  uint64_t id = 0;       // 1, 2, 3, ... within the session
  ActionKind kind = ActionKind::kPutFile;
  RelPath path;          // relative to the session's root; the root itself for its metadata
  Entry wanted;          // the source's entry (kDelete: the destination's)
  // The destination's object as planned against; nullopt: nothing there. An action finds something else: conflict.
  std::optional<Entry> existing;
  RelPath link_target;   // kLink without basis
  // kLink: a hard link of the basis object. kPutFile: its contents are copied, not fetched.
  std::optional<ActionBasis> basis;
  std::optional<ActionOrigin> origin;  // kPutFile without basis, of a file with contents
  bool xattrs_differ = false;  // fetch and apply xattrs and ACLs (always fetched for new objects that have some)
};

// The agent finishes everything of one phase (and makes it durable) before it starts a batch of another phase. The planner sends
// kCreate, kLink, kDelete, then kCreate and kLink again for objects that had to wait for a delete, then kDirectoryMetadata.
enum class Phase : uint8_t { kCreate = 1, kLink, kDelete, kDirectoryMetadata };

struct ActionBatch {
  Phase phase = Phase::kCreate;
  uint64_t sequence = 0;  // 1, 2, 3, ...
  std::vector<Action> actions;
};
// No further actions: finish, make durable, report ApplyDone.
struct FinishApply {};
// Ends the session politely; ending the stream does the same without an answer.
struct CloseSession {};

using ClientMessage = std::variant<Hello, OpenSession, ConnectData, StartManifest, ManifestCredit, ActionBatch, FinishApply,
                                   CloseSession, ListingVerdicts, TreeQuery, RunBench, OperandBatch, PathQuery, NameQuery, EntryQuery,
                                   DirectQuery>;

// ---- agent → coordinator ------------------------------------------------------------------------------------------------

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
  bool exists = false;       // the session's root directory is there
  bool created = false;      // made by this session
  Entry root;                // when it exists
  std::string file_system;   // statfs type name, e.g. "ext4", "tmpfs", "0x1234" for an unknown one
  // What this process may set; the planner leaves the rest out of the comparison unless an option named it.
  bool can_chown = false;          // CAP_CHOWN
  bool can_mknod = false;          // CAP_MKNOD
  bool can_set_capabilities = false;  // CAP_SETFCAP
  bool can_set_trusted = false;    // CAP_SYS_ADMIN
  uint32_t uid = 0;                // effective
  std::vector<uint32_t> groups;    // effective and supplementary: groups it may set on its own files
  uint32_t time_granularity_ns = 1;  // of the destination's file system; 1e9 where it keeps whole seconds
  TimeRange time_range;              // that the destination's file system keeps
  std::vector<std::string> notices;  // what this destination cannot promise, a line each
  // Where the root lies, so that a run into itself is seen whatever the roots are called: the kernel (its boot id; empty when
  // unknown) and every directory above the root, nearest first. Equal host and FileId: the same directory.
  std::string host_id;
  std::vector<FileId> ancestors;
  // Agents that tell the same name_domain give the same names to ids. Empty: unknown.
  std::string name_domain;
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

// Answers to a NameQuery, in its order.
struct NameReply {
  std::vector<std::string> user_names;  // of `uids`; empty: no name
  std::vector<std::string> group_names;
  std::vector<std::optional<uint32_t>> user_ids;  // of `users`; nullopt: no such name
  std::vector<std::optional<uint32_t>> group_ids;
};

// One path of an EntryQuery.
struct EntryFinding {
  // Nothing there: nullopt, and in `error` the errno of a way that leads nowhere (ENOTDIR, ELOOP, EACCES, ...), 0 where the name or the
  // directory above is just missing.
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
  bool Equals(const TreeDigest& other) const { return certain && other.certain && digest == other.digest && below == other.below; }
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
  kUsage = 1,        // exit 1
  kVersion,          // 2
  kSelection,        // 3: no such root, not a directory, read-only root, missing source
  kLocked,           // 11 with the holder named
  kFileIo,           // 11
  kProtocol,         // 12
  kInterrupted,      // 20
  kTimeout,          // 30
};
struct SessionError {
  ErrorKind kind = ErrorKind::kProtocol;
  std::string message;  // escaped for printing by the receiver
};

struct ManifestEnd {
  uint64_t directories = 0;
  uint64_t entries = 0;
  uint64_t errors = 0;
  uint64_t strays_removed = 0;  // destination: temporaries of dead sessions
};

// One object that did not reach the asked state. The run goes on; exit 23 (24 when all are kVanished).
enum class ProblemKind : uint8_t { kFailed = 1, kVanished, kChanged, kConflict, kIntegrity, kNoSpace };
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
  uint64_t actions_done = 0;      // ended, well or with a problem
  uint64_t files_published = 0;
  uint64_t bytes_received = 0;    // file contents that arrived from the source
  uint64_t bytes_written = 0;
  uint64_t wire_bytes = 0;        // of data connections, both ways; 0 for a local route
  uint64_t retries = 0;
  // Attributes that the process may not set and nobody asked for by name: no part of the asked state.
  uint64_t skipped_owner = 0;
  uint64_t skipped_devices = 0;
  uint64_t skipped_xattrs = 0;
  uint64_t bytes_matched = 0;     // of old files, that needed no sending
  uint64_t bytes_cloned = 0;      // shared with the source's files: neither received nor written
  uint64_t files_renamed = 0;     // that are objects which the destination had under other names: nothing of them was written
};

struct ApplyProgress {
  uint64_t completed_sequence = 0;    // every batch up to this one has ended: returns credit
  ApplyCounters counters;
  std::vector<Problem> problems;      // new since the last message
  // Actions that ended with nothing changed because they are no part of the asked state (devices without CAP_MKNOD).
  std::vector<uint64_t> skipped_actions;
  RelPath current_file;               // a large file being moved, or the root
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
                                  ApplyDone, TreeReply, FoldedGroup, BenchReport, Notice, PathReply, NameReply, EntryReply,
                                  DirectReply>;

}  // namespace uringsync

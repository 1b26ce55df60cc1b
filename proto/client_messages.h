// What a coordinator says to an agent, as validated C++ values. messages.h has the answers, and includes this.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/boxed.h"
#include "engine/base/entry.h"
#include "engine/base/link_rules.h"
#include "engine/base/rel_path.h"
#include "engine/base/time_range.h"
#include "engine/delta/decision.h"
#include "engine/fs/clone.h"
#include "engine/fs/direct_io.h"
#include "engine/net/certificates.h"
#include "engine/transfer/compression_policy.h"
#include "proto/bench_messages.h"
#include "proto/features.h"

namespace uringsync {

// First message on a control stream, and the answer. A version mismatch is reported with both ranges (exit 2).
struct Hello {
  uint32_t min_version = kMinProtocolVersion;
  uint32_t max_version = kProtocolVersion;
  std::string software;               // "uringsync 0.1.0"
  std::vector<std::string> features;  // names both sides know are used; unknown ones are ignored
};

enum class Role : uint8_t { kSource = 1, kDestination };
// When what a run does is made durable: never, all of a batch together, or each object before its action has ended.
enum class Durability : uint8_t { kNone = 1, kBatch, kFile };

// What a source is read from.
enum class SnapshotMode : uint8_t {
  kNone = 0,  // the tree itself
  kAuto,      // kRequire where that is possible, else kNone, which is told
  kRequire,   // kTree where that is possible, else kFiles
  kFiles,     // a clone of each regular file, made when it is first read
  kTree       // a read-only snapshot of all of it, made when the session is opened
};

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
  bool direct =
      false;  // kConnect: under the one-time keys of a DirectQuery; where that fails, over the remote shell's channel
};

// How much of an operand is in the transfer.
enum class OperandDepth : uint8_t {
  kObject = 1,  // the object alone; a directory without what is in it
  kEntries,     // a directory with its entries, but without what is in those
  kTree,        // a directory with all below it
};

// What one source argument, or one name of a list, adds to a transfer. A source session with operands has as its tree
// what they make together: of objects at one path the first operand's counts, directories at one path merge. A
// destination session gets the same `at`s, with empty bases, as the part of its tree that is compared.
struct SourceOperand {
  // The directory in which `from` lies. In a session on host paths: a path of the agent's host, relative to its working
  // directory,
  // "" for that; links in it and in from.Parent() are followed. Else names joined by '/' below the session's directory,
  // no link followed.
  std::string base;
  RelPath from;  // the object below `base`; the root: the directory `base` itself
  RelPath at;    // where it is in the transfer; the root: the directory that the transfer fills
  OperandDepth depth = OperandDepth::kTree;
  bool implied =
      false;            // a directory on the way to another operand: it need not be there, and is no reason to complain
  bool follow = false;  // `from` may be a link to the object that is meant
  friend bool operator==(const SourceOperand&, const SourceOperand&) = default;
};
// Bounds of one message and of a session; every base, `from` and `at` counts in full.
constexpr size_t kMaxOperandsPerMessage = 16384;
constexpr size_t kMaxOperandBytesPerMessage = size_t{4} << 20;
constexpr size_t kMaxOperands = size_t{4} << 20;
constexpr size_t kMaxOperandBytes = size_t{512} << 20;
constexpr size_t kMaxHostPathBytes = 4096;

// A directory of an agent: below one of its named roots, or, with an empty `root`, below a host path, as in
// OpenSession.
struct TreePlace {
  std::string root;
  RelPath path;
  std::string host_path = {};
  friend bool operator==(const TreePlace&, const TreePlace&) = default;
};

// What a session replaces or deletes, but for directories, is kept under its name and `suffix`.
struct BackupSettings {
  std::string suffix;  // at most 255 bytes, no '/'; not empty without a directory
  std::optional<TreePlace>
      directory;  // there, below the directories that lead to it; made as needed. Absent: beside the object
  friend bool operator==(const BackupSettings&, const BackupSettings&) = default;
};

// Files that are shorter at the destination get what they lack behind their end, in place.
enum class AppendMode : uint8_t {
  kNone = 0,
  kTrust,   // what is there is taken for the beginning of the new contents
  kVerify,  // it is compared, and made right where it is not
};

// How new contents come to their names: rsync's --partial, --partial-dir, --append, --temp-dir, --delay-updates,
// --fuzzy and --preallocate.
struct StagingSettings {
  // What came of a file when the session ends early is kept, for the next one to go on with: under the file's own name,
  // or, where one is given, in a directory. `partial_directory` is seen from the one that is `partial_climb` levels
  // above the file's; in `partial_place` files have their last names. Both are made when something is kept.
  bool keep_partial = false;
  RelPath partial_directory;  // the root: none
  uint32_t partial_climb = 0;
  std::optional<TreePlace> partial_place;
  AppendMode append = AppendMode::kNone;
  std::optional<TreePlace> temporaries;  // an existing directory in which files are put together
  // New files get their names when all of their phase are whole; until then they wait in the partial directory of their
  // own.
  bool delay_updates = false;
  uint32_t fuzzy =
      0;  // 1: a file of a similar name is the old contents of one that is new; 2: in basis directories too
  bool preallocate = false;  // room is made for a file before it is written
  friend bool operator==(const StagingSettings&, const StagingSettings&) = default;
};
constexpr uint32_t kMaxPartialClimb = 4096;
constexpr uint32_t kMaxFuzzy = 2;

struct OpenSession {
  SessionId session{};
  SessionToken token{};
  Role role = Role::kSource;
  std::string root;       // named root of the agent; "": host paths, which only an agent that a command started allows
  RelPath path;           // below it
  std::string host_path;  // with an empty `root`, the directory: relative to the agent's working directory, "" for that
  // Empty: the whole directory. The rest of a list follows in OperandBatches when `more_operands` is set.
  std::vector<SourceOperand> operands;
  bool more_operands = false;
  MetadataSelection selection;
  bool checksum = false;  // content digests in the manifest
  bool one_file_system = false;
  bool sparse = true;        // holes stay holes
  bool dry_run = false;      // destination: no lock, no write (plan, verify)
  bool create_root = false;  // destination: make the root directory of the sync when only it is missing
  bool make_path = false;    // destination, with create_root: make what is missing above it, too
  bool wait_for_lock = false;
  bool force_delete = false;  // a non-empty directory may make way for another type (--delete, --force)
  Durability durability = Durability::kBatch;
  DataRoute route;                        // destination only
  uint32_t data_connections = 0;          // 0: the agent chooses
  DeltaPolicy delta = DeltaPolicy::kOff;  // destination; only where both agents have kDeltaFeature
  CompressionSettings compression;  // source: of the contents it sends; only where both agents have kCompressionFeature
  uint64_t bytes_per_second = 0;    // source: of the contents it sends or reads, all connections together; 0: no limit
  uint32_t jobs = 0;                // shards that work for this session; 0, or more than there are: all
  bool background = false;          // leave the machine to others
  ReflinkMode reflink = ReflinkMode::kAuto;      // destination, kLocal
  DirectIoMode direct_io = DirectIoMode::kAuto;  // of large files; needs kDirectIoFeature
  // Destination: trees that Action::basis names by their place in this list; only read. Needs kBasisFeature.
  std::vector<TreePlace> basis_directories;
  // Filter rules as engine/tree/path_filter.h takes them, the same for both roles; needs kFiltersFeature.
  std::vector<std::string> filters;
  bool delete_excluded = false;
  bool nul_separated_filters = false;    // of per-directory files
  std::optional<BackupSettings> backup;  // destination; needs kBackupFeature
  // Source, whose root has to be writable: takes ActionBatches of the delete phase, one at a time, and answers each
  // with one ApplyProgress. Needs kRemoveSourcesFeature.
  bool remove_sources = false;
  // Links that a source takes for what they lead to: below a named root never out of it. Needs kLinksFeature.
  LinkFollowing follow_links;
  // Destination: a symlink to a directory below the session's directory stays where the source has a directory. Needs
  // kLinksFeature.
  bool keep_directory_links = false;
  bool write_devices = false;  // destination: contents for a device that is there go into it; needs kDeviceDataFeature
  // Destination: blocks that are compared within a leaf of a delta, a power of two from 512 to 65536; 0: it chooses.
  // Needs kDeltaBlocksFeature.
  uint32_t delta_block_bytes = 0;
  bool in_place =
      false;  // destination: a file that is there is written over instead of replaced; needs kInPlaceFeature
  StagingSettings staging;  // destination; needs kStagingFeature
  // Destination: a source file that keeps changing is taken as it is read, and told (ProblemKind::kUnstable), instead
  // of being a problem. Needs kUnstableFeature; at the source too, or it finds no such file.
  bool copy_unstable = false;
  // Destination: large files that an earlier session did not finish are gone on with, and what this one does not finish
  // stays for the next. Else what earlier ones left is removed; so it is by an agent that does not know this.
  bool resume = false;
  // Destination: contents are read again, past the page cache where that can be, and compared with what was to be
  // written before a file gets its name. Needs kReadbackFeature.
  bool readback = false;
  // Source, whose root has to be writable. What cannot be done ends the session (kSelection). Needs kSnapshotFeature.
  SnapshotMode snapshot = SnapshotMode::kNone;
  // Destination: a source file that is no more as its action says is a problem at once, instead of being taken as it is
  // by then. Needs kEntryLooksFeature.
  bool as_planned = false;
  // For how long data connections that were there are tried again for once they are lost; 0: a few times. An agent
  // without kReconnectFeature does not know it.
  std::chrono::milliseconds ride_out{0};
};
constexpr std::chrono::milliseconds kMaxRideOut{24 * 3'600'000};

// Further operands, right after the OpenSession that announced them.
struct OperandBatch {
  std::vector<SourceOperand> operands;
  bool last = true;
};

// What is at these paths, in this order? Before OpenSession. With an empty `root` host paths, as in OpenSession; else
// paths below that root.
struct PathQuery {
  std::string root = {};
  std::vector<std::string> paths = {};
  // The rest is for host paths and needs kHostPlacesFeature. Paths are patterns: "~" or "~USER" in front is a home
  // directory; "*", "?" and "[...]" stand for what is there, with the names of each pattern sorted by bytes, and for
  // themselves behind a '\' and where nothing matches.
  bool expand = false;
  std::string list_file = {};  // not empty: its bytes from list_offset on are asked for
  uint64_t list_offset = 0;
};
constexpr size_t kMaxPathQuery = 4096;

// Before OpenSession, once, at an agent that a command or a remote shell started: the keys under which the agents of a
// run may connect to each other past the shell's channel. Needs kDirectFeature.
struct DirectQuery {
  OneTimeKeys keys;
  bool listen = false;  // on `port`, 0 for any, until the agent ends
  uint16_t port = 0;
};
constexpr size_t kMaxOneTimeKeyBytes = 4096;  // each of the two

// A mount point of the agent's host.
struct MountedPlace {
  std::string point;        // absolute, at most 4096 bytes
  std::string file_system;  // which one, for people, at most 64 bytes; only its agent compares it
  friend bool operator==(const MountedPlace&, const MountedPlace&) = default;
};
constexpr size_t kMaxMounts = 1024;
constexpr size_t kMaxMountBytes = size_t{1} << 20;  // of all points

// Where are the file systems of the session's tree mounted, and which of these, as told before, are not any more? Of an
// open source session; needs kMountsFeature.
struct MountQuery {
  std::vector<MountedPlace> recorded;
};

// What are the names of these ids at this agent, and which ids have these names? In an open session; needs
// kNamesFeature.
struct NameQuery {
  std::vector<uint32_t> uids;
  std::vector<uint32_t> gids;
  std::vector<std::string> users;
  std::vector<std::string> groups;
};
constexpr size_t kMaxNameQuery = 4096;  // of each kind
constexpr size_t kMaxAccountNameBytes = 256;

// What is at these paths of the session's tree now, as its manifest would tell it? In an open session; needs
// kEntryLooksFeature. Rules of the session hide nothing from it. Their bytes count for kMaxPathBytesPerMessage
// (wire_size.h).
struct EntryQuery {
  std::vector<RelPath> paths;
  std::optional<DigestKey> digest_key = std::nullopt;  // as in StartManifest
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
  // MetadataSelection::digest_key of this manifest; needs kDigestKeyFeature.
  std::optional<DigestKey> digest_key;
  bool prove = false;  // Entry::proof; needs kProofFeature, and a session without operands and followed links
};
constexpr size_t kMaxOnlyDirectories = 4096;
struct ManifestCredit {
  uint32_t batches = 0;
};
// What becomes of folded listings, counted 1, 2, 3, ... in the order of the stream. The agent keeps their entries until
// then, in a window of its own, which takes the place of credit for them.
struct ListingVerdicts {
  uint64_t through = 0;          // all up to this one are judged
  std::vector<uint64_t> expand;  // of those, ascending: their entries are wanted
  bool stop_folding = false;     // from now on all entries are wanted
};
// Questions to an agent's index, before StartManifest; needs kIndexFeature.
constexpr char kIndexFeature[] = "keyed-tree-digests";
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
  kMakeDirectory = 1,  // mkdir, 0700; metadata follows as kSetMetadata at the end
  kPutFile,            // contents and metadata, published whole
  kPutSymlink,
  kPutSpecial,   // FIFO, socket, device
  kLink,         // hard link of `link_target`
  kSetMetadata,  // metadata only, object stays
  kDelete,       // the object; a directory must be empty by then
};

// An object of a basis directory that an action uses; it lies there at the action's own path.
struct ActionBasis {
  uint32_t directory = 0;  // index in OpenSession::basis_directories
  Entry object;            // as planned with. Another one by then: the action goes on without it
};

// Where the contents of a file may lie at the destination already, under another name: it seems to have been moved at
// the source. Nothing is taken for equal: digests of both ends' contents are compared before anything of it is used.
struct ActionOrigin {
  enum class Fate : uint8_t {
    kStays = 1,  // copied from
    kReplaced,   // likewise; something else takes its place in the same phase
    kGoes        // deleted later in the plan: the object itself may become the new one
  };
  RelPath path;  // below the session's root
  Entry object;  // as planned with. Another one by then: the action goes on without it
  Fate fate = Fate::kStays;
};

struct Action {
  uint64_t id = 0;  // 1, 2, 3, ... within the session
  ActionKind kind = ActionKind::kPutFile;
  RelPath path;  // relative to the session's root; the root itself for its metadata
  Entry wanted;  // the source's entry (kDelete: the destination's)
  // The destination's object as planned against; nullopt: nothing there. An action finds something else: conflict.
  Boxed<Entry> existing;
  RelPath link_target;  // kLink without basis
  // kLink: a hard link of the basis object. kPutFile: its contents are copied, not fetched.
  Boxed<ActionBasis> basis;
  Boxed<ActionOrigin> origin;  // kPutFile without basis, of a file with contents
  bool xattrs_differ = false;  // fetch and apply xattrs and ACLs (always fetched for new objects that have some)
};

// The agent finishes everything of one phase (and makes it durable) before it starts a batch of another phase. The
// planner sends kCreate, kLink, kDelete, then kCreate and kLink again for objects that had to wait for a delete, then
// kDirectoryMetadata.
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

using ClientMessage = std::variant<Hello, OpenSession, ConnectData, StartManifest, ManifestCredit, ActionBatch,
                                   FinishApply, CloseSession, ListingVerdicts, TreeQuery, RunBench, OperandBatch,
                                   PathQuery, NameQuery, EntryQuery, DirectQuery, MountQuery>;

}  // namespace uringsync

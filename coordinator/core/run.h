// RunSync: drives one source session and one destination session from hello to the exit code.
//
// Blocks the calling thread until the run has ended; every Observer call comes from it. Starts three threads of its own
// (one that receives from each agent, one that plans and sends) and joins them. Receiving never waits for sending,
// every queue is bounded. The first thing that goes wrong for the whole run (an agent dies, refuses, breaks the
// protocol, is silent too long, Ctrl-C) closes both streams and decides the exit code; an object that fails is a
// Problem and the run goes on.
//
// Use:
//   SyncRequest request;  request.source.root = ...;  request.choose_route = ...;
//   SyncOutcome outcome = RunSync(request, *source_stream, *destination_stream, observer);
//   return static_cast<int>(outcome.exit_code);
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/exit_code.h"
#include "coordinator/core/id_rules.h"
#include "coordinator/core/mode_changes.h"
#include "coordinator/core/observer.h"
#include "coordinator/core/planner.h"
#include "coordinator/core/preflight.h"
#include "coordinator/core/rewritten_manifest.h"
#include "engine/base/link_rules.h"
#include "engine/coro/cancel.h"
#include "proto/transport.h"

namespace uringsync {

class PlannedActions;

// For how long lost connections are tried again where nobody said (SyncRequest::idle_timeout): short enough that a lock
// whose holder was killed is free within a minute.
constexpr absl::Duration kDefaultRideOut = absl::Seconds(30);

enum class SyncMode : uint8_t {
  kSync = 1,
  kPlan,    // what a sync would do; no lock, nothing written
  kVerify,  // contents by digest on both sides; every difference is listed, exit 23 when there is one
};

// Where a session lives in its agent.
struct SessionTarget {
  std::string root;  // "": `host_path`, of a private agent's host
  RelPath path;
  std::string host_path;  // relative to the agent's working directory; "" for that
  SessionId session{};    // two different ones, also where both sessions live in one agent
  SessionToken token{};   // the source's admits the destination's data connections, or the other way for kAccept
};

// How contents will move, decided by coordinator/link once both agents have said hello.
struct RouteChoice {
  DataRoute route;                             // goes to the destination
  std::optional<ConnectData> source_connects;  // kAccept: what the source is told after both sessions are open
};

// A tree at the destination's agent that objects may be taken from.
struct BasisDirectory {
  TreePlace place;
  SessionId session{};  // of the session that reads it; of its own
  std::string shown;    // as the user wrote it, for messages
};

// What becomes of a source file that changes through every try to read it at rest.
enum class UnstableFiles : uint8_t {
  kSkip,         // it is a problem: nothing of it is copied
  kCopy,         // it is copied as it was read, and told; agents that cannot end the run (kVersion)
  kCopyIfKnown,  // the same, but with such agents kSkip
};

// rsync's --backup, --suffix and --backup-dir.
struct BackupRequest {
  std::string suffix = "~";  // with a directory it may be empty
  // Filled by coordinator/link (LinkOptions::backup_directory): the directory, and where it is in the destination, if
  // it is there.
  std::optional<TreePlace> directory;
  std::optional<RelPath> inside;
};

// What is known of the mounts of a source from an earlier run.
struct RecalledMounts {
  std::vector<MountedPlace> mounts;  // none: no earlier run is known
  std::string unusable;              // why the record of them is of no use, with its path; empty: it is good, or none is
};

struct SyncRequest {
  SyncMode mode = SyncMode::kSync;
  SessionTarget source;
  SessionTarget destination;
  std::function<absl::StatusOr<RouteChoice>(const HelloReply& source, const HelloReply& destination)> choose_route;

  // What of the source is in the transfer; empty: the whole directory. Needs kOperandsFeature at both agents, as host
  // paths do.
  std::vector<SourceOperand> operands;
  // The source's agent is this command's own: nobody checks that it tells only what was asked for (asked_manifest.h).
  bool trust_source = false;
  bool make_path = false;  // with create_root: what is missing above the destination's directory, too
  MetadataSelection selection;
  bool checksum = false;  // kVerify always compares by digest
  bool one_file_system = false;
  LinkFollowing follow_links;         // of the source
  bool keep_directory_links = false;  // of the destination, where the source has a directory
  bool plain_ways = false;            // the same on the way to operands whose ways are no part of the transfer
  bool sparse = true;
  bool create_root = true;
  bool wait_for_lock = false;
  Durability durability = Durability::kBatch;
  uint32_t data_connections = 0;
  DeltaPolicy delta = DeltaPolicy::kAuto;
  ReflinkMode reflink = ReflinkMode::kAuto;
  DirectIoMode direct_io = DirectIoMode::kAuto;
  // As in OpenSession; what an agent does not know ends the run (kVersion) instead of being left out.
  CompressionSettings compression;
  uint64_t bytes_per_second = 0;
  uint32_t jobs = 0;
  bool background = false;
  // Filter rules in rsync's syntax, in order; merge files of the client are expanded (engine/tree/filter_text.h),
  // dir-merge rules are not.
  std::vector<std::string> filters;
  bool delete_excluded = false;        // rules that name no side are for the source alone
  bool nul_separated_filters = false;  // rules of per-directory files end with NUL
  // Equal directories are told by digests where both agents can; false: every entry is sent and compared.
  bool fold_listings = true;
  // Directories that live indexes of both agents know to be equal are not read; false: every object is looked at.
  bool use_index = true;

  // Switches of the plan, named as in PlanOptions.
  bool delete_extraneous = false;
  bool force_delete = false;
  bool preserve_hard_links = true;
  bool symlinks = true;
  bool devices = true;
  bool specials = true;
  bool explicit_devices = false;
  bool omit_root_metadata = false;
  bool size_only = false;  // as in ComparePolicy
  bool ignore_times = false;
  // --prune-empty-dirs holds the whole source manifest back until its end has come.
  TransferRules rules;
  // Owners and groups by number, or by name where the destination knows it; then --usermap and --groupmap (or --chown).
  // Names that a rule leads to and the destination does not know end the run (kUsage). Entries of ACLs keep their
  // numbers.
  bool numeric_ids = true;
  IdRules owner_map;
  IdRules group_map;
  ModeChanges mode_changes;  // --chmod
  LinkMunging link_munging = LinkMunging::kNone;

  // Where the source, read without rules, would meet the destination. If the rules leave out every such path whatever
  // stands there, a destination inside the source is no reason to end the run.
  std::vector<RelPath> destination_in_transfer;

  // Set: what an earlier run between these places was told of the source's mounts (SyncOutcome::mounts); on the driving
  // thread, once. Where one of them is lost, or what was recorded cannot be used, nothing is deleted, but with
  // `accept_lost_mounts`. An agent that cannot tell is not asked.
  std::function<RecalledMounts(const SessionOpened& source, const SessionOpened& destination)> recall_mounts;
  bool accept_lost_mounts = false;
  // What the agent then told, before anything is planned; on the driving thread. What it fails with ends the run.
  std::function<absl::Status(const std::vector<MountedPlace>&)> record_mounts;

  // What is no directory and reached the asked state is removed at the source, at the end.
  bool remove_source_files = false;
  // Files that are there are written over instead of replaced, but with `backup`.
  bool in_place = false;
  bool copy_devices = false;       // devices of the source are files with what they hold
  bool write_devices = false;      // contents for a device of the destination go into it
  uint32_t delta_block_bytes = 0;  // as in OpenSession
  UnstableFiles unstable = UnstableFiles::kSkip;
  bool resume = true;  // as in OpenSession
  bool readback = false;  // as in OpenSession; kVersion where the destination's agent does not know it
  SnapshotMode snapshot = SnapshotMode::kNone;  // as in OpenSession; a run that changes nothing makes none
  // What is new at its path is looked for under other names of the destination (PlanOptions::detect_renames).
  bool detect_renames = false;
  // How new contents come to their names. coordinator/link fills in the places (LinkOptions::partial_directory and
  // temporary_directory).
  StagingSettings staging;
  // What is replaced or deleted is kept.
  std::optional<BackupRequest> backup;

  // rsync's --compare-dest, --copy-dest or --link-dest: the directories in order of preference, at most
  // kMaxBasisDirectories. coordinator/link resolves them (LinkOptions::basis_directories) and fills `basis` and the
  // function.
  BasisUse basis_use = BasisUse::kNone;
  std::vector<BasisDirectory> basis;
  // A further control stream to the destination's agent.
  std::function<absl::StatusOr<std::unique_ptr<ClientStream>>()> open_destination_stream;

  // What is looked at before the first byte moves; what the plan needs in all, where somebody planned before.
  PreflightMode preflight = PreflightMode::kCheap;
  std::optional<PlanNeeds> needs;
  // Each action of the plan as it is made, on a thread of the run; what it fails with ends the run.
  std::function<absl::Status(const PlannedAction&)> record;
  // With kPlan: at the end these paths are looked at on both sides, whatever the rules say of them.
  std::vector<RelPath> look_at;
  std::function<void(std::vector<EntryFinding> source, std::vector<EntryFinding> destination)> on_looked;
  // The basis directories that exist, as the user wrote them and in the order in which actions name them. On the
  // planning thread, before anything is planned.
  std::function<void(const std::vector<std::string>& shown)> on_bases;
  // Observer::OnUnchanged hears of each object that needs nothing: none may stay behind a digest or an index then
  // (fold_listings, use_index).
  bool tell_unchanged = false;
  // Under which both agents digest contents and attributes, where they know keys. Unset: one is drawn for the run, but
  // with `plan`, whose digests have been made already (none: by XXH3-128).
  std::optional<DigestKey> digest_key;
  // Set: these actions are carried out, or with kPlan listed, as far as everything is still what they were planned
  // with; nothing is scanned. Rules that choose objects have no meaning then. Outlives the run.
  PlannedActions* plan = nullptr;
  // The directory of the source's host that holds the file of that plan, whose time moved with it.
  std::optional<FileId> plan_directory;

  std::string software;                                     // of this program, for the hellos
  std::string spool_directory;                              // of the planner; $TMPDIR, else /tmp, when empty
  absl::Duration idle_timeout = absl::InfiniteDuration();   // one agent silent for so long: exit 30
  absl::Duration total_timeout = absl::InfiniteDuration();  // the whole run: exit 30
  absl::Duration progress_interval = absl::Milliseconds(100);
  CancelToken cancel;  // Ctrl-C: exit 20
};

struct SyncOutcome {
  ExitCode exit_code = ExitCode::kOk;
  std::string error;               // why the run as a whole ended early; empty otherwise. Escaped, one line
  std::optional<Side> error_side;  // the agent it concerns
  bool complete = false;           // every action was answered (sync) or listed (plan, verify)
  PlanCounters plan;
  ApplyCounters apply;
  uint64_t actions_done = 0;
  uint64_t actions_failed = 0;
  uint64_t actions_skipped = 0;
  uint64_t actions_durable = 0;  // of actions_done: the destination has said that what they did is on disk
  uint64_t sources_removed = 0;
  ProblemTally problems;
  ManifestEnd source_manifest;
  ManifestEnd destination_manifest;
  Durability durability = Durability::kNone;  // weakest state reached by everything published; sync only
  std::vector<MountedPlace> mounts;  // of the source, where SyncRequest::recall_mounts is set; empty: not told
  bool deletes_held = false;         // nothing was deleted because the source may not be mounted as it was
  // The same, where that is sure but for what is mounted now: nothing may be mounted, or the record is of no use.
  bool source_in_doubt = false;
};

// One for SyncRequest::digest_key, from the kernel's randomness.
DigestKey DrawDigestKey();

// Runs to the end. Both streams are connected and unused; they are closed on return.
SyncOutcome RunSync(const SyncRequest& request, ClientStream& source, ClientStream& destination, Observer& observer);

}  // namespace uringsync

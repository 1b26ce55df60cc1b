// The directory that a session is about: found below a named root, made if asked, described.
//
// Thread rule: coroutines and functions of the shard that owns `driver`.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/access_list.h"
#include "agent/session_handler.h"
#include "engine/base/leaf_digest.h"
#include "engine/coro/task.h"
#include "engine/fs/directory.h"
#include "engine/fs/process_capabilities.h"
#include "engine/fs/tree_view.h"
#include "engine/ring/driver.h"
#include "engine/tree/scan_filter.h"
#include "proto/messages.h"

namespace uringsync {

struct SessionRoot {
  DirectoryPtr directory;  // null: it does not exist
  bool created = false;
  DirectoryPtr parent;    // of one that was created
  std::string name;       // likewise
  std::string full_path;  // of this host, for messages
  absl::Status not_made;  // why it could not be made
  Verbs verbs = Verbs::All();
};

// Finds `open.path` below the named root, or `open.host_path` where no root is named and the context allows it.
// NotFound, PermissionDenied (read-only root) and FailedPrecondition (no directory) say what and where. A destination's
// missing directory is made when `create_root` says so and its parent exists; in a dry run it stays missing. Where
// making fails the result says why (not_made).
absl::StatusOr<SessionRoot> OpenSessionRoot(Driver* driver, const AgentContext& context, const OpenSession& open);

// Makes the name of a root that was created durable: on every file system that keeps the order of changes also those
// of the directories that were made above it.
Task<absl::Status> SyncCreatedRoot(Driver* driver, const SessionRoot& root);

// A directory beside the session's own, only read: below a named root of this agent, or by a host path where that is
// allowed.
absl::StatusOr<DirectoryPtr> OpenPlace(Driver* driver, const AgentContext& context, const TreePlace& place);
// The same of one that is written to: its root has to be writable.
absl::StatusOr<DirectoryPtr> OpenWritablePlace(Driver* driver, const AgentContext& context, const TreePlace& place);

// From where a source session's links are followed: by an agent that a command started for itself wherever they lead,
// by any other never out of the named root.
absl::StatusOr<FollowBase> FollowBaseOf(Driver* driver, const AgentContext& context, const OpenSession& open,
                                        const SessionRoot& root);

// The view that a session's operands make of its tree (SourceOperand in proto/messages.h); null for a session without
// any. `links`: where its links are followed, if they are. A source's operands that the rules of `filter` leave out are
// not in it.
std::shared_ptr<const TreeView> MakeView(Driver* driver, const OpenSession& open, const SessionRoot& root,
                                         size_t shards, const std::optional<FollowBase>& links,
                                         const ScanFilter& filter);
// Ids of the directories that are in `view` with all below them, at most kMaxTreeRoots.
std::vector<FileId> TreeRootsOf(Driver* driver, const TreeView& view);

// Takes back the directory that OpenSessionRoot made, if it is still there and empty: for a session that ends before it
// was told to do anything. The caller holds the lock.
void RemoveCreatedRoot(Driver* driver, const SessionRoot& root);

// Fills exists, created, root, file_system, time_granularity_ns and what this process may set.
absl::Status DescribeRoot(Driver* driver, const SessionRoot& root, const OpenSession& open, SessionOpened* opened);

// The root and the directories above it; not OK where the root cannot be looked at.
absl::Status LocateRoot(Driver* driver, const SessionRoot& root, FileId* id, std::vector<FileId>* above);

// What this process may set in the session's root: what it may set anywhere, less what the peer has no verb for.
ProcessCapabilities CapabilitiesIn(const SessionRoot& root, bool fake_super);

// The same where owners and groups cannot be set.
ProcessCapabilities WithoutOwners(ProcessCapabilities capabilities);

// True for file systems that live in memory: there is nothing to sync.
bool IsVolatileFileSystem(const std::string& file_system);

// How many of an agent's `shards` work for a session: all but where it asked for fewer; in the background one.
size_t SessionShards(const OpenSession& open, size_t shards);

// Seed of the wire digests: both ends derive it from the token, which they share.
uint64_t DigestSeedOf(const SessionToken& token);
// Secret of the tags that decide about old contents, from the token as well.
LeafSecret LeafSecretOf(const SessionToken& token);

}  // namespace uringsync

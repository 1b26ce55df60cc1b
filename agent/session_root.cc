#include "agent/session_root.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <utility>
#include <vector>

#include "agent/path_query.h"
#include "agent/roots.h"
#include "agent/session_place.h"
#include "engine/base/digest.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/fs/descriptor_budget.h"
#include "engine/fs/file.h"
#include "engine/fs/file_system.h"
#include "engine/fs/host_path.h"
#include "engine/fs/metadata.h"
#include "engine/fs/process_capabilities.h"
#include "engine/fs/syscalls.h"
#include "engine/fs/volume.h"
#include "engine/fs/xattrs.h"
#include "engine/tree/view_filter.h"
#include "proto/convert.h"

namespace uringsync {
namespace {

std::string FullPath(const Root& root, const RelPath& path) {
  return EscapeName(path.is_root() ? root.path : (root.path == "/" ? "" : root.path) + "/" + path.text());
}

// The root was pinned when the agent started. A file system mounted over its path since then, or another directory
// there, is what people mean by that path: to go on with the old one would compare, and with --delete empty, the wrong
// trees.
absl::Status CheckStillThere(Driver* driver, const Root& root) {
  const std::string what = "root '" + root.name + "' (" + EscapeName(root.path) + ")";
  struct statx pinned {};
  struct statx named {};
  US_RETURN_IF_ERROR(WithContext(StatDescriptor(driver, root.directory->fd(), &pinned), what));
  const int result = sys::Statx(driver, AT_FDCWD, root.path.c_str(), 0, STATX_INO, &named);
  const bool same = result == 0 && pinned.stx_ino == named.stx_ino && pinned.stx_dev_major == named.stx_dev_major &&
                    pinned.stx_dev_minor == named.stx_dev_minor;
  if (same) return absl::OkStatus();
  return absl::FailedPreconditionError(what + ": since the agent started, the directory at that path has been " +
                                       (result == 0 ? "replaced or mounted over" : "moved, removed or hidden") +
                                       "; restart the agent to serve what is there now");
}

// What is there instead of a directory, for the message.
std::string WhatIsThere(Driver* driver, const Directory& base, const RelPath& path) {
  absl::StatusOr<DirectoryPtr> parent = OpenBeneath(driver, base, path.Parent(), DirectoryAccess::kPath);
  struct statx found {};
  if (!parent.ok() || !StatAt(driver, (*parent)->fd(), LeafName(path), &found).ok()) return "not a directory";
  std::optional<FileType> type = FileTypeFromMode(found.stx_mode);
  return type.has_value() ? std::string("a ") + FileTypeName(*type) : "not a directory";
}

absl::StatusOr<DirectoryPtr> CreateRoot(Driver* driver, const Directory& base, const RelPath& path) {
  US_ASSIGN_OR_RETURN(DirectoryPtr parent, OpenBeneath(driver, base, path.Parent(), DirectoryAccess::kPath));
  // An ordinary directory, as mkdir(1) makes it: its metadata follows from the source unless that is left out.
  int made = sys::Mkdirat(driver, parent->fd(), LeafName(path), 0777);
  if (made < 0 && made != -EEXIST) return ErrnoStatus(-made, "mkdir");
  return OpenChild(driver, *parent, std::string(path.name()));
}

// Makes what is missing on the way to `path`.
absl::Status MakeWayTo(Driver* driver, const Directory& base, const RelPath& path) {
  std::vector<RelPath> missing;
  for (RelPath above = path; !above.is_root(); above = above.Parent()) {
    const absl::StatusOr<DirectoryPtr> found = OpenBeneath(driver, base, above, DirectoryAccess::kPath);
    if (found.ok()) break;
    if (StatusErrno(found.status()) != ENOENT) return found.status();
    missing.push_back(above);
  }
  for (; !missing.empty(); missing.pop_back()) US_RETURN_IF_ERROR(CreateRoot(driver, base, missing.back()).status());
  return absl::OkStatus();
}

// The session's directory by a path of this host.
absl::StatusOr<SessionRoot> OpenHostRoot(Driver* driver, const AgentContext& context, const OpenSession& open) {
  US_RETURN_IF_ERROR(CheckHostPathsAllowed(context));
  // What a source's operands name is opened by them.
  const std::string path = open.host_path.empty() ? "." : open.host_path;
  SessionRoot result;
  result.full_path = EscapeName(path);
  absl::StatusOr<DirectoryPtr> found = OpenRoot(driver, path);
  if (!found.ok() && StatusErrno(found.status()) == ENOTDIR)
    return absl::FailedPreconditionError(result.full_path + " is not a directory; a directory is needed");
  if (!found.ok() && (StatusErrno(found.status()) != ENOENT || open.role == Role::kSource || !open.create_root))
    return found.status();
  if (found.ok()) {
    result.directory = *std::move(found);
    return result;
  }
  const std::string above = ParentOfHostPath(path);
  absl::StatusOr<DirectoryPtr> parent = OpenRoot(driver, above, DirectoryAccess::kPath);
  if (open.dry_run && (parent.ok() || open.make_path)) return result;
  if (!open.dry_run) result.not_made = MakeHostDirectory(driver, path, open.make_path);
  if (!result.not_made.ok()) return result;
  if (!parent.ok()) parent = OpenRoot(driver, above, DirectoryAccess::kPath);
  if (!parent.ok()) return WithContext(parent.status(), "the directory above " + result.full_path);
  US_ASSIGN_OR_RETURN(result.directory, OpenRoot(driver, path));
  result.created = true;
  result.parent = *std::move(parent);
  result.name = NameOfHostPath(path);
  return result;
}

// Every directory above `root` that can be climbed to, nearest first: up to the root of this process, where ".." is
// itself.
std::vector<FileId> AncestorsOf(Driver* driver, const Directory& root, FileId id) {
  std::vector<FileId> ancestors;
  UniqueFd below;
  int fd = root.fd();
  while (ancestors.size() < kMaxAncestors) {
    UniqueFd above(static_cast<int>(
        driver->Call(CallCode::kOpenat, fd, reinterpret_cast<long>(".."), O_PATH | O_DIRECTORY | O_CLOEXEC)));
    struct statx stat {};
    Entry entry;
    if (!above.valid() || !StatDescriptor(driver, above.get(), &stat).ok() || !EntryFromStatx(stat, false, &entry))
      break;
    if (entry.id == id) break;
    id = entry.id;
    ancestors.push_back(id);
    below = std::move(above);
    fd = below.get();
  }
  return ancestors;
}

std::string HostId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace

absl::StatusOr<SessionRoot> OpenSessionRoot(Driver* driver, const AgentContext& context, const OpenSession& open) {
  if (open.root.empty()) return OpenHostRoot(driver, context, open);
  const bool writes = open.role == Role::kDestination && !open.dry_run;
  US_ASSIGN_OR_RETURN(const Root* root,
                      context.roots->FindForRole(open.root, writes ? Role::kDestination : Role::kSource));
  // What removes is a source nevertheless: it has to be allowed both.
  if (open.remove_sources) US_RETURN_IF_ERROR(context.roots->FindForRole(open.root, Role::kDestination).status());
  US_RETURN_IF_ERROR(CheckStillThere(driver, *root));
  const DirectoryPtr& base = root->directory;
  if (open.remove_sources && !root->verbs.Has(Verb::kDelete)) {
    return absl::PermissionDeniedError(
        "what was copied cannot be removed: the agent's --allow grants no delete in root '" + root->name + "'");
  }
  SessionRoot result;
  result.verbs = root->verbs;
  result.full_path = FullPath(*root, open.path);
  absl::StatusOr<DirectoryPtr> found = OpenBeneath(driver, *base, open.path);
  if (found.ok()) {
    result.directory = *found;
    return result;
  }
  const int error = StatusErrno(found.status());
  if (error == ENOTDIR || error == ELOOP)
    return absl::FailedPreconditionError(result.full_path + " is " + WhatIsThere(driver, *base, open.path) +
                                         "; a directory is needed");
  if (error != ENOENT) return WithContext(found.status(), result.full_path);
  if (open.role == Role::kSource) return absl::NotFoundError(result.full_path + " does not exist");
  if (!open.create_root) return absl::NotFoundError(result.full_path + " does not exist");
  if (open.make_path && open.dry_run) return result;
  if (open.make_path) US_RETURN_IF_ERROR(WithContext(MakeWayTo(driver, *base, open.path.Parent()), result.full_path));
  absl::StatusOr<DirectoryPtr> parent = OpenBeneath(driver, *base, open.path.Parent(), DirectoryAccess::kPath);
  if (!parent.ok()) return WithContext(parent.status(), "the directory above " + result.full_path);
  if (open.dry_run) return result;
  absl::StatusOr<DirectoryPtr> made = CreateRoot(driver, *base, open.path);
  if (!made.ok()) {
    result.not_made = WithContext(made.status(), result.full_path);
    return result;
  }
  result.directory = *made;
  result.created = true;
  result.parent = *parent;
  result.name = open.path.name();
  return result;
}

Task<absl::Status> SyncCreatedRoot(Driver* driver, const SessionRoot& root) {
  const int fd = sys::Openat(driver, root.parent->fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  UniqueFd parent(fd);
  absl::Status synced;
  if (parent.valid()) {
    synced = co_await SyncDirectory(driver, Directory(std::move(parent), /*readable=*/true, root.parent->systems()));
    // Told; and so it will be of the root itself.
    if (IsUnsyncable(synced)) synced = absl::OkStatus();
  } else {
    // It may not be read, but what lies in it may.
    synced = sys::SysStatus(sys::Syncfs(driver, root.directory->fd()), "syncfs");
  }
  co_return synced.ok() ? synced : WithContext(synced, "the directory above " + root.full_path);
}

absl::StatusOr<DirectoryPtr> OpenWritablePlace(Driver* driver, const AgentContext& context, const TreePlace& place) {
  if (!place.root.empty()) US_RETURN_IF_ERROR(context.roots->FindForRole(place.root, Role::kDestination).status());
  return OpenPlace(driver, context, place);
}

absl::StatusOr<DirectoryPtr> OpenPlace(Driver* driver, const AgentContext& context, const TreePlace& place) {
  if (place.root.empty()) {
    US_RETURN_IF_ERROR(CheckHostPathsAllowed(context));
    absl::StatusOr<DirectoryPtr> base = OpenRoot(driver, place.host_path);
    if (base.ok() && !place.path.is_root()) base = OpenBeneath(driver, **base, place.path);
    return base.ok() ? base : WithContext(base.status(), EscapeName(place.host_path));
  }
  US_ASSIGN_OR_RETURN(const Root* root, context.roots->FindForRole(place.root, Role::kSource));
  US_RETURN_IF_ERROR(CheckStillThere(driver, *root));
  absl::StatusOr<DirectoryPtr> found = OpenBeneath(driver, *root->directory, place.path);
  if (found.ok()) return found;
  return WithContext(found.status(), FullPath(*root, place.path));
}

absl::StatusOr<FollowBase> FollowBaseOf(Driver* driver, const AgentContext& context, const OpenSession& open,
                                        const SessionRoot& root) {
  // An agent that a command started for its user reads what the user may read.
  if (context.host_paths) return FollowBase{.directory = root.directory};
  US_ASSIGN_OR_RETURN(const Root* const named, context.roots->Find(open.root));
  // The session's own: what it learns of file systems ends with it.
  US_ASSIGN_OR_RETURN(DirectoryPtr directory, OpenBeneath(driver, *named->directory, RelPath()));
  return FollowBase{.directory = std::move(directory), .prefix = open.path.text(), .beneath = true};
}

std::shared_ptr<const TreeView> MakeView(Driver* driver, const OpenSession& open, const SessionRoot& root,
                                         size_t shards, const std::optional<FollowBase>& links,
                                         const ScanFilter& filter) {
  if (open.operands.empty() || root.directory == nullptr) return nullptr;
  std::vector<ViewMember> members;
  members.reserve(open.operands.size());
  for (const SourceOperand& operand : open.operands) {
    members.push_back({.base = operand.base,
                       .from = operand.from,
                       .at = operand.at,
                       .depth = static_cast<ViewDepth>(operand.depth),
                       .implied = operand.implied,
                       .follow = operand.follow});
  }
  TreeViewOptions options;
  options.mirror = open.role == Role::kDestination;
  options.systems = root.directory->systems();
  if (options.mirror || !open.root.empty()) options.root = root.directory;
  if (links) {
    options.follow = options.mirror ? LinkFollowing{.directories = true} : open.follow_links;
    options.root_base = *links;
  }
  options.open_bases = DescriptorBudget::OfProcess(shards).cached_directories;
  const auto view = std::make_shared<TreeView>(std::move(members), std::move(options));
  if (filter.rules != nullptr && !view->mirror()) DropExcluded(driver, filter, view);
  return view;
}

std::vector<FileId> TreeRootsOf(Driver* driver, const TreeView& view) {
  std::vector<FileId> roots;
  const std::vector<TreeView::Member>& members = view.members();
  for (size_t i = 0; i < members.size() && roots.size() < kMaxTreeRoots; ++i) {
    if (members[i].depth != ViewDepth::kTree) continue;
    std::string name;
    const absl::StatusOr<DirectoryPtr> parent = view.OpenParent(driver, {i, RelPath()}, &name);
    struct statx stat {};
    Entry entry;
    if (!parent.ok() || !StatAt(driver, (*parent)->fd(), name.c_str(), &stat).ok()) continue;
    if (EntryFromStatx(stat, false, &entry) && entry.type == FileType::kDirectory) roots.push_back(entry.id);
  }
  return roots;
}

void RemoveCreatedRoot(Driver* driver, const SessionRoot& root) {
  struct statx ours {};
  struct statx there {};
  if (!root.created || !StatDescriptor(driver, root.directory->fd(), &ours).ok()) return;
  if (!StatAt(driver, root.parent->fd(), root.name.c_str(), &there).ok()) return;
  const bool same = ours.stx_ino == there.stx_ino && ours.stx_dev_major == there.stx_dev_major &&
                    ours.stx_dev_minor == there.stx_dev_minor;
  // It goes only when it is empty; whatever else is the matter changes nothing about how the session ended.
  if (same) static_cast<void>(sys::Unlinkat(driver, root.parent->fd(), root.name.c_str(), AT_REMOVEDIR));
}

ProcessCapabilities CapabilitiesIn(const SessionRoot& root, bool fake_super) {
  ProcessCapabilities capabilities = ReadProcessCapabilities();
  if (fake_super) capabilities = WithFakeSuper(std::move(capabilities));
  if (!root.verbs.Has(Verb::kChown)) capabilities = WithoutOwners(std::move(capabilities));
  if (!root.verbs.Has(Verb::kDevice)) capabilities.can_mknod = false;
  return capabilities;
}

ProcessCapabilities WithoutOwners(ProcessCapabilities capabilities) {
  capabilities.can_chown = false;
  // Groups that the process is a member of could still be given.
  capabilities.groups.clear();
  return capabilities;
}

absl::Status DescribeRoot(Driver* driver, const SessionRoot& root, const OpenSession& open, SessionOpened* opened) {
  const ProcessCapabilities capabilities = CapabilitiesIn(root, /*fake_super=*/false);
  opened->can_chown = capabilities.can_chown;
  opened->can_mknod = capabilities.can_mknod;
  opened->can_set_capabilities = capabilities.can_set_capabilities;
  opened->can_set_trusted = capabilities.can_set_trusted;
  opened->uid = capabilities.uid;
  opened->groups = capabilities.groups;
  opened->created = root.created;
  opened->exists = root.directory != nullptr;
  if (root.directory == nullptr) return absl::OkStatus();
  US_ASSIGN_OR_RETURN(opened->file_system, FileSystemTypeName(driver, root.directory->fd()));
  if (open.role == Role::kDestination) {
    opened->time_granularity_ns = ProbeTimeGranularity(driver, *root.directory);
    opened->time_range = ProbeTimeRange(driver, *root.directory);
    opened->volume = LookAtVolume(driver, *root.directory, opened->file_system);
  }
  struct statx stat {};
  US_RETURN_IF_ERROR(WithContext(StatDescriptor(driver, root.directory->fd(), &stat), root.full_path));
  if (!EntryFromStatx(stat, open.selection.atime, &opened->root)) return absl::InternalError("no type for the root");
  opened->host_id = HostId();
  opened->place = PlaceOf(driver, *root.directory);
  opened->ancestors = AncestorsOf(driver, *root.directory, opened->root.id);
  XattrAccess xattrs(driver);
  XattrDigests digests;
  if (SelectsXattrs(open.selection)) {
    opened->root.error = xattrs.Digest(ObjectHandle::At(root.directory->fd(), "."), open.selection, &digests);
    opened->root.xattr_digest = digests.ordinary;
    opened->root.capability_digest = digests.capability;
    opened->root.trusted_digest = digests.trusted;
  }
  return absl::OkStatus();
}

absl::Status LocateRoot(Driver* driver, const SessionRoot& root, FileId* id, std::vector<FileId>* above) {
  struct statx stat {};
  Entry entry;
  US_RETURN_IF_ERROR(WithContext(StatDescriptor(driver, root.directory->fd(), &stat), root.full_path));
  if (!EntryFromStatx(stat, false, &entry)) return absl::InternalError("no type for the root");
  *id = entry.id;
  *above = AncestorsOf(driver, *root.directory, entry.id);
  return absl::OkStatus();
}

bool IsVolatileFileSystem(const std::string& file_system) {
  return file_system == "tmpfs" || file_system == "ramfs";
}

size_t SessionShards(const OpenSession& open, size_t shards) {
  if (open.background) return 1;
  return open.jobs > 0 ? std::min<size_t>(open.jobs, shards) : shards;
}

LeafSecret LeafSecretOf(const SessionToken& token) {
  LeafSecret secret{};
  // Each half under another label; neither tells anything of the token.
  for (std::string_view label :
       {std::string_view("leaf tags, first half"), std::string_view("leaf tags, other half")}) {
    const LeafKey half = DeriveLeafKey(token, std::as_bytes(std::span(label)));
    std::copy(half.begin(), half.end(), secret.begin() + (label.ends_with("other half") ? half.size() : 0));
  }
  return secret;
}

uint64_t DigestSeedOf(const SessionToken& token) {
  return Xxh128(std::string_view(reinterpret_cast<const char*>(token.data()), token.size())).low;
}

}  // namespace uringsync

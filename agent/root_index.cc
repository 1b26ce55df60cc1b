#include "agent/root_index.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <random>
#include <string_view>
#include <utility>

#include "agent/logging.h"
#include "agent/roots.h"
#include "engine/base/errno_status.h"
#include "engine/fs/file_system.h"
#include "engine/fs/mount_table.h"

namespace uringsync {
namespace {

constexpr size_t kEntriesAtOnce = 1024;
// How often the age is looked at, and events are read where none woke the thread.
constexpr int kPollMs = 1000;
// Subdirectories in one reply, unless the first directory has more.
constexpr size_t kChildrenOfReply = 8192;
constexpr size_t kBytesOfLinkedInode = 40;

uint64_t RandomSeed() {
  std::random_device random;
  return (uint64_t{random()} << 32 | random()) | 1;  // 0 says that there is none
}

// Every change to one of these goes through this kernel, and so past the watch.
bool IsLocalFileSystem(const std::string& name) {
  for (const char* known : {"ext4", "ext3", "ext2", "ext2/ext3/ext4", "xfs", "btrfs", "tmpfs", "f2fs", "bcachefs"}) {
    if (name == known) return true;
  }
  return false;
}

// The mounts at and below the directory, as one text.
std::string MountsBelow(int fd) {
  std::array<char, PATH_MAX> target{};
  const ssize_t bytes = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target.data(), target.size());
  const std::string_view path(target.data(), static_cast<size_t>(std::max<ssize_t>(bytes, 0)));
  std::string below;
  for (const Mount& mount : ReadMountTable()) {
    if (LiesWithin(mount.point, path)) below += mount.line + "\n";
  }
  return below;
}

}  // namespace

bool IndexCovers(const OpenSession& open) {
  MetadataSelection selection = open.selection;
  selection.explicit_owner = false;
  selection.explicit_privileged_xattrs = false;
  return selection == MetadataSelection() && !open.checksum && !open.one_file_system && !open.follow_links.any() &&
         !open.keep_directory_links && open.filters.empty() && open.operands.empty();
}

RootIndexes::RootIndexes(const Roots& roots, const RootIndexOptions& defaults) {
  for (const Root& root : roots.all()) {
    RootIndexOptions options = defaults;
    options.name = root.name;
    options.directory = root.directory;
    indexes_[root.name] = std::make_unique<RootIndex>(std::move(options));
  }
}

RootIndex* RootIndexes::Find(const std::string& root) const {
  const auto found = indexes_.find(root);
  return found == indexes_.end() ? nullptr : found->second.get();
}

uint64_t IndexSeedFor(const RootIndexes* indexes, const OpenSession& open) {
  RootIndex* const index = indexes == nullptr ? nullptr : indexes->Find(open.root);
  return index != nullptr && IndexCovers(open) ? index->seed() : 0;
}

RootIndex::RootIndex(RootIndexOptions options)
    : options_(std::move(options)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), seed_(RandomSeed()) {
  thread_ = std::thread([this] { Run(); });
}

RootIndex::~RootIndex() {
  stopping_ = true;
  ::eventfd_write(wake_.get(), 1);
  thread_.join();
}

uint64_t RootIndex::seed() {
  const State state = state_.load();
  if (state == State::kValid) return seed_.load();
  if (state == State::kInvalid) {
    rebuild_ = true;
    ::eventfd_write(wake_.get(), 1);
  }
  return 0;
}

void RootIndex::Adopt(uint64_t seed) {
  if (state_.load() == State::kOff || seed_.exchange(seed) == seed) return;
  State valid = State::kValid;
  state_.compare_exchange_strong(valid, State::kInvalid);
  rebuild_ = true;
  ::eventfd_write(wake_.get(), 1);
}

bool RootIndex::WaitReady(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit, [this] { return !rebuild_ && state_ != State::kBuilding; });
  return !rebuild_ && state_ == State::kValid;
}

void RootIndex::Run() {
  DriverOptions options;
  options.backend = IoBackend::kThreads;  // inline calls only
  options.pool_threads = 1;
  absl::StatusOr<DriverChoice> driver = MakeDriver(options);
  if (!driver.ok()) {
    std::lock_guard lock(mutex_);
    Fail(driver.status());
    state_ = State::kOff;
    return;
  }
  {
    std::lock_guard lock(mutex_);
    driver_ = std::move(driver->driver);
  }
  rebuild_ = true;
  while (!stopping_) {
    if (rebuild_) {
      std::lock_guard lock(mutex_);
      Build();
      changed_.notify_all();
    }
    if (state_ == State::kOff) return;
    WaitForEvents();
    std::lock_guard lock(mutex_);
    if (state_ != State::kValid) continue;
    const absl::Status drained = Drain();
    if (!drained.ok()) Fail(drained);
    if (std::chrono::steady_clock::now() - built_at_ > options_.max_age) rebuild_ = true;
  }
}

void RootIndex::WaitForEvents() {
  pollfd waited[2] = {{wake_.get(), POLLIN, 0}, {-1, POLLIN, 0}};
  // Only this thread replaces the watch.
  if (state_ == State::kValid && watch_ != nullptr) waited[1].fd = watch_->fd();
  ::poll(waited, 2, kPollMs);
  eventfd_t ignored = 0;
  static_cast<void>(::eventfd_read(wake_.get(), &ignored));
}

void RootIndex::Fail(const absl::Status& why) {
  if (stopping_) return;
  state_ = State::kInvalid;
  LogEvent(LogLevel::kWarn, "the index of a root is invalid; the next session that could use it starts it anew",
           {{"root", options_.name}, {"reason", std::string(ToStd(why.message()))}});
}

absl::Status RootIndex::StartWatch() {
  US_ASSIGN_OR_RETURN(const std::string type, FileSystemTypeName(driver_.get(), options_.directory->fd()));
  if (!IsLocalFileSystem(type)) {
    return MakeStatus(absl::StatusCode::kUnimplemented, "changes on " + type + " may come past this kernel's events");
  }
  watch_.reset();
  US_ASSIGN_OR_RETURN(watch_, TreeWatch::Start(options_.directory->fd(), {.fanotify = options_.fanotify}));
  return absl::OkStatus();
}

void RootIndex::Build() {
  rebuild_ = false;
  state_ = State::kBuilding;
  const auto started = std::chrono::steady_clock::now();
  DigestRules rules{.seed = seed_.load()};
  rules.selection.digest_key = DigestKeyOf(rules.seed);
  tree_ = std::make_unique<IndexTree>(rules);
  lister_ = std::make_unique<DirectoryLister>(driver_.get(), DirectoryListerOptions{.selection = rules.selection});
  dirty_.clear();
  linked_.clear();
  unknown_link_ = false;
  mounts_ = MountsBelow(options_.directory->fd());
  building_ = true;
  absl::Status built = StartWatch();
  if (built.ok()) built = ListAll({IndexTree::kRoot});
  building_ = false;
  if (!built.ok()) {
    Fail(built);
    // What would fail again in the same way is not tried again.
    if (absl::IsResourceExhausted(built) || absl::IsUnimplemented(built)) state_ = State::kOff;
    tree_.reset();
    return;
  }
  built_at_ = std::chrono::steady_clock::now();
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(built_at_ - started).count();
  LogEvent(LogLevel::kInfo, "the index of a root is complete",
           {{"root", options_.name},
            {"directories", std::to_string(tree_->directories())},
            {"milliseconds", std::to_string(milliseconds)},
            {"memory_bytes", std::to_string(MemoryBytes())},
            {"watch", std::string(watch_->kind())}});
  state_ = State::kValid;
}

size_t RootIndex::MemoryBytes() const {
  return tree_->memory_bytes() + tree_->directories() * watch_->bytes_per_directory() +
         linked_.size() * kBytesOfLinkedInode;
}

void RootIndex::MarkDirty(IndexTree::Id id) {
  if (!tree_->known(id) || tree_->node(id).dirty) return;
  tree_->node(id).dirty = true;
  dirty_.push_back(id);
}

absl::Status RootIndex::ListAll(std::vector<IndexTree::Id> pending) {
  while (!pending.empty()) {
    if (stopping_) return absl::CancelledError("the agent stops");
    const IndexTree::Id id = pending.back();
    pending.pop_back();
    if (!tree_->known(id)) continue;
    US_RETURN_IF_ERROR(ListOne(id, &pending));
    if (MemoryBytes() > options_.max_memory_bytes) {
      return MakeStatus(absl::StatusCode::kResourceExhausted,
                        "it takes more than " + std::to_string(options_.max_memory_bytes >> 20) + " MiB of memory");
    }
  }
  return absl::OkStatus();
}

absl::Status RootIndex::ListOne(IndexTree::Id id, std::vector<IndexTree::Id>* added) {
  tree_->node(id).dirty = false;
  const absl::StatusOr<DirectoryPtr> directory =
      OpenBeneath(driver_.get(), *options_.directory, tree_->PathOf(id), DirectoryAccess::kReadIfPermitted);
  // Gone, or not to be read: the directory above was told of the one, and the other stays a difference.
  if (!directory.ok()) {
    tree_->SetUncertain(id);
    return absl::OkStatus();
  }
  // Before it is listed: what changes from here on is told.
  US_RETURN_IF_ERROR(watch_->Add((*directory)->fd(), id));
  IndexListing listing;
  const absl::Status read = ReadListing(id, **directory, &listing);
  if (absl::IsUnimplemented(read)) return read;
  if (!read.ok()) {
    tree_->SetUncertain(id);
    return absl::OkStatus();
  }
  std::vector<IndexTree::Id> removed;
  tree_->SetListing(id, listing, added, &removed);
  for (const IndexTree::Id gone : removed) {
    // An id that is in use again belongs to a directory that is yet to be watched.
    watch_->Remove(gone);
  }
  return absl::OkStatus();
}

absl::Status RootIndex::ReadListing(IndexTree::Id id, const Directory& directory, IndexListing* listing) {
  listing->certain = true;
  US_RETURN_IF_ERROR(lister_->Begin(directory, &listing->self));
  if (id == IndexTree::kRoot) device_ = listing->self.id.device;
  if (listing->self.id.device != device_) {
    return MakeStatus(absl::StatusCode::kUnimplemented, "another file system is mounted below the root");
  }
  ListingDigester digester(tree_->rules());
  digester.Begin();
  std::vector<Entry> entries;
  while (true) {
    US_ASSIGN_OR_RETURN(const bool more, lister_->Next(kEntriesAtOnce, &entries));
    if (!more) break;
    for (Entry& entry : entries) NoteEntry(id, entry, &digester, listing);
  }
  // Temporaries of dead sessions are for the next session to remove.
  if (lister_->holds_temporaries()) listing->certain = false;
  listing->digest = digester.Finish().digest;
  return absl::OkStatus();
}

void RootIndex::NoteEntry(IndexTree::Id id, const Entry& entry, ListingDigester* digester, IndexListing* listing) {
  if (entry.type == FileType::kDirectory && entry.error == 0) {
    listing->directories.push_back(entry);
    return;
  }
  ++listing->own.entries;
  if (entry.type == FileType::kRegular) {
    ++listing->own.files;
    listing->own.bytes += entry.size_bytes;
  }
  if (digester->Add(entry)) return;
  listing->certain = false;
  if (entry.unsettled) MarkDirty(id);
  // A file that was listed with one name may be changed through the other one now, past the directory that it was
  // listed in.
  if (entry.nlink > 1 && linked_.insert(entry.id.inode).second && !building_) unknown_link_ = true;
}

absl::Status RootIndex::Drain() {
  events_.clear();
  US_RETURN_IF_ERROR(watch_->Drain(&events_));
  for (const TreeWatch::Id id : events_) MarkDirty(id);
  return absl::OkStatus();
}

absl::Status RootIndex::CheckMounts() {
  if (MountsBelow(options_.directory->fd()) == mounts_) return absl::OkStatus();
  return absl::AbortedError("something was mounted or unmounted below the root");
}

// Brings everything up to what it was when the call began.
absl::Status RootIndex::Refresh() {
  US_RETURN_IF_ERROR(CheckMounts());
  US_RETURN_IF_ERROR(Drain());
  US_RETURN_IF_ERROR(ListAll(std::exchange(dirty_, {})));
  if (unknown_link_) return absl::AbortedError("a file has a further hard link");
  return absl::OkStatus();
}

TreeRow RootIndex::RowOf(IndexTree::Id id) {
  TreeRow row;
  if (id == IndexTree::kNone) return row;
  const auto digest_of = [](const IndexNode& node) { return TreeDigest{node.tree, node.tree_certain, node.totals}; };
  row.found = true;
  row.tree = digest_of(tree_->Summed(id));
  for (const IndexTree::Id child : tree_->node(id).children) {
    row.children.push_back({tree_->node(child).name, digest_of(tree_->node(child))});
  }
  return row;
}

TreeReply RootIndex::Answer(const RelPath& session_root, const TreeQuery& query) {
  TreeReply reply;
  // Building holds the lock for long.
  if (state_ != State::kValid) return reply;
  std::lock_guard lock(mutex_);
  if (state_ != State::kValid || rebuild_) return reply;
  const absl::Status fresh = Refresh();
  if (!fresh.ok()) {
    Fail(fresh);
    rebuild_ = true;
    ::eventfd_write(wake_.get(), 1);
    return reply;
  }
  size_t children = 0;
  for (const RelPath& directory : query.directories) {
    std::string path = session_root.text();
    if (!path.empty() && !directory.is_root()) path += '/';
    path += directory.text();
    const absl::StatusOr<RelPath> full = RelPath::Parse(path);
    TreeRow row = RowOf(full.ok() ? tree_->Find(*full) : IndexTree::kNone);
    children += row.children.size();
    if (children > kMaxTreeChildren && reply.rows.empty()) return reply;
    if (children > kChildrenOfReply && !reply.rows.empty()) break;
    reply.rows.push_back(std::move(row));
  }
  reply.valid = true;
  return reply;
}

}  // namespace uringsync

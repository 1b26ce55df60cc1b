// How one directory is scanned: opened, listed, looked at entry by entry, and handed over.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "engine/base/errno_status.h"
#include "engine/base/kill_point.h"
#include "engine/fs/replace.h"
#include "engine/fs/state_name.h"
#include "engine/fs/syscalls.h"
#include "engine/tree/content_digests.h"
#include "engine/tree/name_kind.h"
#include "engine/tree/scanner_impl.h"

namespace uringsync {

absl::Status ManifestScanner::Impl::Open(Job* job, EntryReader* reader, struct statx* stat) {
  Driver* driver = job->shard->driver();
  job->self.name = job->node->path->name();
  job->self.type = FileType::kDirectory;
  absl::StatusOr<DirectoryPtr> opened = OpenNode(driver, job->node->path);
  // Nothing is known of it, not even its mode.
  if (!opened.ok()) job->self.error = StatusErrno(opened.status());
  US_RETURN_IF_ERROR(opened.status());
  job->directory = *std::move(opened);
  if (options_.links) reader->FollowLinks(options_.links->Below(job->node->path->path()));
  reader->ReadDirectory(*job->directory, stat, &job->self);
  if (job->node->path->depth() == 0) root_device_.store(job->self.id.device);
  // Every other one has it in the listing above.
  if (options_.prove && job->node->path->depth() == 0)
    AddProof(driver, *job->directory, options_.selection, &job->self);
  if (!job->directory->readable()) return ErrnoStatus(EACCES, "open directory");
  if (job->self.error != 0) return ErrnoStatus(job->self.error, "statx");
  if (options_.links && options_.links->stay_links && LeadsBack(job)) return ErrnoStatus(ELOOP, "open directory");
  // Somebody mounted here since the parent was listed.
  if (options_.one_file_system && job->self.id.device != root_device_.load())
    return ErrnoStatus(EXDEV, "open directory");
  return options_.filter.rules != nullptr ? EnterFilter(job) : absl::OkStatus();
}

// A destination's link to a directory that it lies in: nobody writes to places by way of themselves, and several such
// links would never end.
bool ManifestScanner::Impl::LeadsBack(Job* job) {
  PathNode& node = *job->node->path;
  node.set_id(job->self.id);
  for (const PathNode* above = node.parent().get(); above != nullptr; above = above->parent().get()) {
    if (above->id() == node.id()) return true;
  }
  return false;
}

absl::StatusOr<DirectoryPtr> ManifestScanner::Impl::OpenNode(Driver* driver, const PathNodePtr& node) {
  constexpr DirectoryAccess kAccess = DirectoryAccess::kReadIfPermitted;
  absl::StatusOr<DirectoryPtr> opened = directories_.Open(driver, node, kAccess);
  if (opened.ok() || !options_.links || !IsLinkInTheWay(opened.status())) return opened;
  return OpenFollowedDirectory(driver, options_.links->base.Below(node->path().text()), kAccess);
}

absl::Status ManifestScanner::Impl::EnterFilter(Job* job) {
  const PathNodePtr& node = job->node->path;
  const FilterScopePtr& parent = node->parent() == nullptr ? options_.filter.scope : node->parent()->scope();
  std::string path = options_.filter.path;
  if (node->depth() > 0) path += (path.empty() ? "" : "/") + node->path().text();
  US_ASSIGN_OR_RETURN(DirectoryFilter entered, DirectoryFilter::Enter(job->shard->driver(), options_.filter, parent,
                                                                      std::move(path), *job->directory));
  node->set_scope(entered.scope());
  job->filter = std::move(entered);
  return absl::OkStatus();
}

bool ManifestScanner::Impl::LeftOut(Job* job, EntryReader* reader, const DirectoryItem& item) {
  if (!job->filter) return false;
  const std::optional<bool> directory = reader->IsDirectory(job->directory->fd(), item.name.data(), item.type);
  if (directory) return job->filter->LeavesOut(item.name, *directory);
  return job->filter->LeavesOut(item.name, false) || job->filter->LeavesOut(item.name, true);
}

bool ManifestScanner::Impl::Hidden(Job* job, const DirectoryItem& item, const struct statx& stat,
                                   std::vector<std::string>* strays) {
  const NameKind kind = KindOfName(job->shard->driver(), *job->directory, item, stat, options_.remove_strays_but,
                                   job->node->path->depth() == 0);
  if (kind == NameKind::kStray) strays->emplace_back(item.name);
  return kind != NameKind::kShown;
}

bool ManifestScanner::Impl::LeavesTemporaryOut(Job* job, Tools* tools, const DirectoryItem& item) {
  if (LeftOut(job, &tools->entries, item)) return true;
  if (IsForeignState(job->shard->driver(), *job->directory, std::string(item.name))) return false;
  if (job->temporaries++ == 0 || item.name < job->first_temporary) job->first_temporary = item.name;
  return true;
}

// The directory keeps the time that it is listed with: nobody sets it again where that is the source's.
absl::Status ManifestScanner::Impl::RemoveStrays(const Job& job, const std::vector<std::string>& strays,
                                                 bool empty_stray, const struct statx& stat, SortedNames* names) {
  Driver* const driver = job.shard->driver();
  const int fd = job.directory->fd();
  uint64_t removed = 0;
  for (const std::string& stray : strays) {
    PassKillPoint(KillPoint::kScanStray);
    const StrayFate fate = RecoverStray(driver, *job.directory, stray);
    removed += fate == StrayFate::kRemoved;
    // It is told: its entry has an error.
    const absl::Status told = fate == StrayFate::kForeign ? names->Add(stray, DT_UNKNOWN) : absl::OkStatus();
    if (!told.ok()) Stop(told);
    US_RETURN_IF_ERROR(told);
  }
  if (empty_stray) removed += sys::Unlinkat(driver, fd, options_.empty_stray.c_str(), AT_REMOVEDIR) == 0;
  if (removed == 0) return absl::OkStatus();
  strays_removed_.fetch_add(removed);
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                             {.tv_sec = stat.stx_mtime.tv_sec, .tv_nsec = static_cast<long>(stat.stx_mtime.tv_nsec)}};
  static_cast<void>(sys::Utimensat(driver, fd, nullptr, times, 0));
  return absl::OkStatus();
}

absl::StatusOr<bool> ManifestScanner::Impl::ReadNames(Job* job, Tools* tools, const struct statx& stat,
                                                      SortedNames* names) {
  DirectoryReader* const reader = &tools->names;
  reader->Restart(job->directory->fd());
  DirectoryItem item;
  std::vector<std::string> strays;  // removed after the reading: a file system may skip entries otherwise
  bool empty_stray = false;
  job->temporaries = 0;
  while (true) {
    const int more = reader->Next(&item);
    if (more < 0) return ErrnoStatus(-more, "getdents");
    if (more == 0) break;
    empty_stray = empty_stray || (options_.remove_strays_but.has_value() && item.name == options_.empty_stray);
    const bool hidden = options_.tell_temporaries && IsStateName(item.name)
                            ? LeavesTemporaryOut(job, tools, item)
                            : Hidden(job, item, stat, &strays) || LeftOut(job, &tools->entries, item);
    if (hidden) continue;
    // The spool's failure is the scan's, not this directory's.
    const absl::Status added = names->Add(item.name, item.type);
    if (!added.ok()) {
      Stop(added);
      return added;
    }
    if (!job->streaming && names->size() > job->limit) {
      std::lock_guard lock(mutex_);
      if (!window_.IsHead(job->node)) {
        if (!job->node->abandoned) {
          window_.Release(job->node);
          job->node->state = ScanNode::State::kWaiting;
          job->node->head_only = true;
        }
        return false;
      }
      window_.Release(job->node);
      job->streaming = true;
    }
    if (stopped()) return false;
  }
  PassKillPoint(KillPoint::kScanDirectory);
  US_RETURN_IF_ERROR(RemoveStrays(*job, strays, empty_stray, stat, names));
  const absl::Status finished = names->Finish();
  if (!finished.ok()) Stop(finished);
  US_RETURN_IF_ERROR(finished);
  return true;
}

DirectoryBatch ManifestScanner::Impl::MakeBatch(Job* job) const {
  DirectoryBatch batch;
  batch.self = job->self;
  batch.holds_excluded = job->filter && job->filter->holds_excluded();
  return batch;
}

// Remembers a subdirectory that is to be scanned, or says in the entry why it is not.
absl::Status ManifestScanner::Impl::NoteChild(Job* job, Entry* entry) {
  if ((entry->type != FileType::kDirectory && !entry->directory_link) || entry->error != 0) return absl::OkStatus();
  if (options_.one_file_system && entry->id.device != root_device_.load()) {
    entry->not_entered = true;
    return absl::OkStatus();
  }
  if (job->node->path->path_bytes() + 1 + entry->name.size() > kMaxRelPathBytes) {
    entry->error = ENAMETOOLONG;
    return absl::OkStatus();
  }
  job->has_children = true;
  if (job->streaming) return job->child_spool->Append(entry->name);
  job->children.push_back(entry->name);
  return absl::OkStatus();
}

Task<void> ManifestScanner::Impl::ReadChunk(Job* job, Tools* tools, std::vector<Entry>* entries) {
  const NameList& names = tools->chunk;
  entries->reserve(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    if (stopped()) co_return;
    Entry& entry = entries->emplace_back();
    if (!tools->entries.Read(job->directory->fd(), names.c_str(i), names.name(i).size(), names.type(i), &entry)) {
      entries->pop_back();
      continue;
    }
    if (job->filter) entry.protection = job->filter->ProtectionOf(entry.name, entry.type == FileType::kDirectory);
    const absl::Status noted = NoteChild(job, &entry);
    if (!noted.ok()) Stop(noted);
    if (++tools->looked_at >= kEntriesPerTurn) {
      tools->looked_at = 0;
      co_await Yield{};
    }
  }
  if (options_.prove)
    co_await AddProofs(job->shard, job->directory->fd(), entries, &options_.selection, options_.cancel);
  if (!options_.checksum) co_return;
  std::optional<FollowBase> links;
  if (options_.links) links = options_.links->base.Below(job->node->path->path().text());
  co_await AddContentDigests(job->shard, job->directory->fd(), entries, options_.selection.digest_key, options_.cancel,
                             links ? &*links : nullptr);
}

// Hands a batch over: at once for the head (waiting for room), with the rest of the directory otherwise.
Task<void> ManifestScanner::Impl::Emit(Job* job, DirectoryBatch batch) {
  if (!job->streaming) {
    job->batches.push_back(std::move(batch));
    co_return;
  }
  if (batch.last) {
    // Goes out together with the subdirectories, in Finish: the head must not be popped before they are in their place.
    job->batches.push_back(std::move(batch));
    co_return;
  }
  co_await WaitAwaiter{this, /*consumer=*/false};
  std::lock_guard lock(mutex_);
  job->node->batches.push_back(std::move(batch));
  consumer_.Wake();
}

void ManifestScanner::Impl::Finish(Job* job) {
  if (job->has_children) directories_.Keep(job->node->path, job->directory);
  Driver* driver = job->shard->driver();
  std::lock_guard lock(mutex_);
  if (!failure_.ok() || job->node->abandoned) return;
  ScanNode& node = *job->node;
  node.temporaries = job->temporaries;
  node.first_temporary = std::move(job->first_temporary);
  if (!job->streaming) {
    size_t entries = 1;
    for (const DirectoryBatch& batch : job->batches) entries += batch.entries.size();
    window_.Charge(job->node, entries);
  }
  for (DirectoryBatch& batch : job->batches) node.batches.push_back(std::move(batch));
  node.state = ScanNode::State::kComplete;
  const absl::Status inserted = job->streaming ? window_.InsertChildrenOfHead(driver, *job->child_spool)
                                               : window_.InsertChildren(driver, job->node, job->children);
  if (!inserted.ok()) return StopLocked(inserted);
  if (window_.IsHead(job->node)) consumer_.Wake();
  StartLoops();
}

void ManifestScanner::Impl::FinishFailed(Job* job, int error) {
  DirectoryBatch batch = MakeBatch(job);
  batch.error = error;
  if (job->streaming && job->child_spool == nullptr)
    job->child_spool = std::make_unique<Spool>(job->shard->driver(), SpoolOptions{});
  job->batches.push_back(std::move(batch));
  Finish(job);
}

Task<void> ManifestScanner::Impl::ScanNodeOn(Job* job, Tools* tools) {
  struct statx stat = {};
  absl::Status opened = Open(job, &tools->entries, &stat);
  for (int tries = 1; IsOutOfDescriptors(StatusErrno(opened)) && tries <= kMaxDescriptorTries && !stopped(); ++tries) {
    directories_.CloseKept();
    co_await AwaitDescriptor(job->shard->driver());
    opened = Open(job, &tools->entries, &stat);
  }
  ++tools->looked_at;
  if (absl::IsInvalidArgument(opened) && StatusErrno(opened) == 0) {
    // A rule that is wrong: nobody knows what the run is to leave out.
    Stop(opened);
    co_return;
  }
  if (!opened.ok()) {
    FinishFailed(job, StatusErrno(opened));
    co_return;
  }
  SortedNames names(job->shard->driver(), options_.spool_directory, options_.names_in_memory);
  const absl::StatusOr<bool> read = ReadNames(job, tools, stat, &names);
  if (!read.ok()) {
    // Names of a listing that broke off are not shown: half a directory looks like deletions.
    FinishFailed(job, StatusErrno(read.status()) != 0 ? StatusErrno(read.status()) : EIO);
    co_return;
  }
  if (!*read) co_return;
  if (job->streaming)
    job->child_spool = std::make_unique<Spool>(
        job->shard->driver(), SpoolOptions{.memory_bytes = kChildSpoolBytes, .directory = options_.spool_directory});
  uint64_t taken = 0;
  while (true) {
    const absl::Status next = names.Take(kBatchEntries, &tools->chunk);
    if (!next.ok()) Stop(next);
    if (stopped()) co_return;
    taken += tools->chunk.size();
    DirectoryBatch batch = MakeBatch(job);
    co_await ReadChunk(job, tools, &batch.entries);
    if (stopped()) co_return;
    // A short chunk is the last one; a full last chunk is followed by an empty one unless the count is known.
    batch.last = tools->chunk.size() < kBatchEntries || (!names.spilled() && taken == names.size());
    const bool last = batch.last;
    co_await Emit(job, std::move(batch));
    if (last) break;
  }
  Finish(job);
}

}  // namespace uringsync

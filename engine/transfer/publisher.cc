#include "engine/transfer/publisher.h"

#include <cerrno>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/kill_point.h"
#include "engine/fs/file.h"

namespace uringsync {
namespace {

PublishResult PublishOne(StagedObject* object, const char* name, const std::optional<Entry>& existing) {
  PublishResult result;
  const bool unnamed = object->temporary_name().empty();
  result.status = object->Publish(name, existing);
  // A name takes room too. Who stages again waits for room as for that of the contents.
  const int error = StatusErrno(result.status);
  result.stage_again = IsUnnamedRefused(result.status) || (unnamed && (error == ENOSPC || error == EDQUOT));
  return result;
}

}  // namespace

Publisher::Publisher(Driver* driver, bool sync, size_t batch_files, bool drop_behind)
    : driver_(driver), sync_(sync), drop_behind_(drop_behind), batch_files_(batch_files) {}

void Publisher::Abandon() {
  --staging_;
  MaybeFlush();
}

void Publisher::SetMoreComing(bool more) {
  more_coming_ = more;
  MaybeFlush();
}

void Publisher::MaybeFlush() {
  if (batch_.empty()) return;
  bool full = batch_.size() >= batch_files_ || batch_bytes_ >= kBatchBytes;
  if (full || (staging_ == 0 && !more_coming_)) StartFlush();
}

void Publisher::StartFlush() {
  batch_bytes_ = 0;
  flushes_.Spawn(Flush(std::exchange(batch_, {})));
}

Task<PublishResult> Publisher::Commit(StagedObject* object, const char* name, const std::optional<Entry>* existing,
                                      uint64_t bytes, bool alone) {
  --staging_;
  if (!sync_) {
    co_return PublishOne(object, name, *existing);
  }
  struct Suspend {
    Publisher* publisher;
    Item* item;
    bool alone;
    uint64_t bytes;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const {
      item->waiter = handle;
      if (alone) {
        publisher->flushes_.Spawn(publisher->Flush({item}));
      } else {
        publisher->batch_.push_back(item);
        publisher->batch_bytes_ += bytes;
      }
      publisher->MaybeFlush();
    }
    void await_resume() const noexcept {}
  };
  Item item{object, name, existing, bytes, {}, {}};
  co_await Suspend{this, &item, alone, bytes};
  co_return std::move(item.result);
}

Task<void> Publisher::SyncOne(Item* item) {
  const int fd = item->object->fd();
  if (fd < 0) co_return;
  item->result.status = co_await SyncFile(driver_, fd);
  if (drop_behind_ && item->bytes > kDropAboveBytes && item->result.status.ok()) AdviseDontNeed(driver_, fd, 0, 0);
}

Task<void> Publisher::Flush(Batch batch) {
  PassKillPoint(KillPoint::kSyncFiles);
  Scope syncs;
  for (Item* item : batch) syncs.Spawn(SyncOne(item));
  co_await syncs.Join();
  PassKillPoint(KillPoint::kSyncedFiles);
  bool valid = true;
  for (Item* item : batch) valid = valid && item->result.status.ok();
  for (Item* item : batch) {
    if (valid) {
      item->result = PublishOne(item->object, item->name, *item->existing);
    } else {
      item->result.stage_again = true;
    }
    Executor::Current()->Post(item->waiter);
  }
}

Task<void> Publisher::Drain() {
  co_await flushes_.Join();
}

}  // namespace uringsync

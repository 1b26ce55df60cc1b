#include "engine/net/tls_identity.h"

#include <sys/stat.h>

#include <utility>

namespace uringsync {
namespace {

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

TlsIdentity::Stamps TlsIdentity::StampsOf(const TlsFiles& files) {
  Stamps stamps;
  for (const std::string* path : {&files.certificate, &files.key, &files.authority, &files.revocations}) {
    struct stat found{};
    Stamp stamp;
    if (!path->empty() && ::stat(path->c_str(), &found) == 0) {
      stamp = {.device = found.st_dev,
               .inode = found.st_ino,
               .size = found.st_size,
               .changed_ns = Nanoseconds(found.st_ctim),
               .modified_ns = Nanoseconds(found.st_mtim)};
    }
    stamps.push_back(stamp);
  }
  return stamps;
}

absl::StatusOr<std::shared_ptr<TlsIdentity>> TlsIdentity::Load(TlsFiles files) {
  std::shared_ptr<TlsIdentity> made(new TlsIdentity());
  // Before they are read: what changes meanwhile is read once more.
  made->seen_ = StampsOf(files);
  absl::StatusOr<std::shared_ptr<const TlsContext>> context = TlsContext::Load(files);
  if (!context.ok()) return context.status();
  made->files_ = std::move(files);
  made->current_ = *std::move(context);
  return made;
}

std::shared_ptr<TlsIdentity> TlsIdentity::Of(std::shared_ptr<const TlsContext> context) {
  std::shared_ptr<TlsIdentity> made(new TlsIdentity());
  made->current_ = std::move(context);
  return made;
}

std::shared_ptr<const TlsContext> TlsIdentity::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

TlsRefresh TlsIdentity::Refresh() {
  const std::lock_guard refreshing(refreshing_);
  TlsRefresh result;
  if (files_.certificate.empty()) return result;
  Stamps now = StampsOf(files_);
  // What could not be used is tried again in any case: two changes within a tick of the clock look like one.
  if (now == seen_ && told_.ok()) return result;
  seen_ = std::move(now);
  absl::StatusOr<std::shared_ptr<const TlsContext>> context = TlsContext::Load(files_);
  if (!context.ok()) {
    if (context.status() != told_) result.problem = context.status();
    told_ = context.status();
    return result;
  }
  told_ = absl::OkStatus();
  const std::lock_guard lock(mutex_);
  current_ = *std::move(context);
  result.renewed = true;
  return result;
}

}  // namespace uringsync

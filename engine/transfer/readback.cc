#include "engine/transfer/readback.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "engine/base/errno_status.h"
#include "engine/fs/extents.h"
#include "engine/fs/file.h"
#include "engine/fs/file_system.h"
#include "engine/fs/page_cache.h"
#include "engine/ring/buffer_pool.h"

namespace uringsync {
namespace {

// What is read at once of a range; every range of WrittenContents that has a digest fits in.
constexpr size_t kReadBytes = kLeafBytes;

// Between these and the storage there is no cache but the kernel's pages.
bool HasNoOtherCache(const std::string& file_system) {
  constexpr std::array kKnown = {"ext4",  "ext3", "ext2",     "ext2/ext3/ext4", "xfs",
                                 "btrfs", "f2fs", "bcachefs", "vfat",           "exfat"};
  return std::find(kKnown.begin(), kKnown.end(), file_system) != kKnown.end();
}

absl::Status Differs(uint64_t offset) {
  return MakeStatus(absl::StatusCode::kDataLoss,
                    "what was read again is not what was written, from byte " + std::to_string(offset) + " on");
}

bool IsZero(std::span<const std::byte> bytes) {
  return bytes.empty() || (bytes[0] == std::byte{0} && std::equal(bytes.begin() + 1, bytes.end(), bytes.begin()));
}

bool IsRight(const WrittenRange& range, std::span<const std::byte> bytes) {
  return range.kind == WrittenRange::Kind::kData ? Xxh128(bytes) == range.digest : IsZero(bytes);
}

// `range` has at most kReadBytes.
Task<absl::Status> CheckRange(Driver* driver, DataFile file, const WrittenRange* range, Buffer* buffer) {
  const size_t length = static_cast<size_t>(range->length);
  const absl::StatusOr<size_t> got =
      co_await ReadData(driver, file, buffer->data(), length, range->offset, buffer->registered_index());
  if (!got.ok()) co_return got.status();
  const bool right = *got == length && IsRight(*range, std::span<const std::byte>(buffer->data(), length));
  co_return right ? absl::OkStatus() : Differs(range->offset);
}

// What of a range has to be read, in parts of at most kReadBytes: of zeros only what is no hole. -errno in `error`.
std::vector<WrittenRange> PartsOf(Driver* driver, int fd, const WrittenRange& range, uint64_t size_bytes, int* error) {
  std::vector<WrittenRange> parts;
  if (range.kind == WrittenRange::Kind::kUnknown) return parts;
  if (range.kind == WrittenRange::Kind::kData) return {range};
  ExtentIterator extents(driver, fd, range.offset, range.offset + range.length, size_bytes);
  Extent extent;
  while ((*error = extents.Next(&extent)) > 0) {
    for (uint64_t at = 0; extent.is_data && at < extent.length; at += kReadBytes) {
      parts.push_back({range.kind, extent.offset + at, std::min<uint64_t>(kReadBytes, extent.length - at), {}});
    }
  }
  return parts;
}

}  // namespace

void Readback::Tell(Driver* driver, int fd, const std::string& why) {
  struct statx stat {};
  if (tell_ == nullptr || !StatDescriptor(driver, fd, &stat).ok()) return;
  {
    std::lock_guard lock(mutex_);
    if (!told_.insert(uint64_t{stat.stx_dev_major} << 32 | stat.stx_dev_minor).second) return;
  }
  const absl::StatusOr<std::string> name = FileSystemTypeName(driver, fd);
  tell_("readback: " + (name.ok() ? *name : std::string("a file system")) + " " + why +
        "; what was written is compared with what this host reads, not with what is stored");
}

UniqueFd Readback::PastTheCache(Driver* driver, int fd, bool is_device, uint64_t size_bytes) {
  AdviseDontNeed(driver, fd, 0, 0);
  const absl::StatusOr<std::string> name = FileSystemTypeName(driver, fd);
  if (!is_device && (!name.ok() || !HasNoOtherCache(*name))) {
    Tell(driver, fd, "may answer from memory, its own or a server's");
    return {};
  }
  const std::optional<uint64_t> cached = CachedPages(driver, fd, 0, size_bytes);
  if (cached && *cached == 0) return {};
  UniqueFd direct = DirectIo(DirectIoMode::kOn).Open(driver, fd, O_RDONLY);
  if (!direct.valid()) Tell(driver, fd, "keeps pages in memory and does no direct I/O");
  return direct;
}

Task<absl::Status> Readback::Check(Shard* shard, int fd, uint64_t size_bytes, const WrittenContents* written) {
  Driver* const driver = shard->driver();
  US_CO_RETURN_IF_ERROR(co_await SyncFile(driver, fd));
  struct statx stat {};
  US_CO_RETURN_IF_ERROR(StatDescriptor(driver, fd, &stat));
  const bool is_file = (stat.stx_mode & S_IFMT) == S_IFREG;
  if (is_file && stat.stx_size != size_bytes) co_return Differs(std::min<uint64_t>(stat.stx_size, size_bytes));
  if (size_bytes == 0) co_return absl::OkStatus();
  const UniqueFd direct = PastTheCache(driver, fd, !is_file, size_bytes);
  Buffer buffer = co_await shard->buffers()->Get();
  for (const WrittenRange& range : written->Ranges(size_bytes)) {
    int error = 0;
    for (const WrittenRange& part : PartsOf(driver, fd, range, size_bytes, &error)) {
      US_CO_RETURN_IF_ERROR(co_await CheckRange(driver, {fd, direct.get()}, &part, &buffer));
    }
    if (error < 0) co_return ErrnoStatus(-error, "lseek");
  }
  // The pages that were read for this alone.
  if (is_file) AdviseDontNeed(driver, fd, 0, 0);
  co_return absl::OkStatus();
}

}  // namespace uringsync

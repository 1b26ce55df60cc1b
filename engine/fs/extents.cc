#include "engine/fs/extents.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/fs/syscalls.h"

namespace uringsync {

ExtentIterator::ExtentIterator(Driver* driver, int fd, uint64_t begin, uint64_t end, uint64_t size_bytes,
                               FileSystemFacts* system)
    : driver_(driver),
      fd_(fd),
      system_(system),
      position_(begin),
      end_(std::min(end, size_bytes)),
      all_data_(system != nullptr && system->Lacks(Lack::kHoles)) {}

bool ExtentIterator::IsRefused(int64_t result) {
  const bool of_system = result == -EINVAL || result == -EOPNOTSUPP || result == -ENOSYS;
  if (of_system && system_ != nullptr) system_->Tell(Lack::kHoles);
  return of_system || result == -ESPIPE;
}

int ExtentIterator::Next(Extent* extent) {
  if (position_ >= end_) return 0;
  const auto emit = [&](uint64_t until, bool is_data) {
    until = std::min(until, end_);
    *extent = {.offset = position_, .length = until - position_, .is_data = is_data};
    position_ = until;
    return 1;
  };
  if (all_data_) return emit(end_, true);
  if (!at_data_) {
    const int64_t data = sys::Lseek(driver_, fd_, static_cast<int64_t>(position_), SEEK_DATA);
    if (data == -ENXIO) return emit(end_, false);  // nothing but a hole up to the end
    if (IsRefused(data)) {
      all_data_ = true;
      return emit(end_, true);
    }
    if (data < 0) return static_cast<int>(data);
    at_data_ = true;
    if (static_cast<uint64_t>(data) > position_) return emit(static_cast<uint64_t>(data), false);
  }
  const int64_t hole = sys::Lseek(driver_, fd_, static_cast<int64_t>(position_), SEEK_HOLE);
  at_data_ = false;
  // ENXIO: the file was cut meanwhile; the rest is told as data, and reading it finds the end.
  if (hole == -ENXIO) return emit(end_, true);
  if (IsRefused(hole)) {
    all_data_ = true;
    return emit(end_, true);
  }
  if (hole < 0) return static_cast<int>(hole);
  if (static_cast<uint64_t>(hole) <= position_) {
    // Somebody punched a hole between the two calls. Data is always a correct answer: holes read as zeros.
    return emit(std::min(end_, position_ + kRecheckBytes), true);
  }
  return emit(static_cast<uint64_t>(hole), true);
}

}  // namespace uringsync

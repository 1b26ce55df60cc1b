#include "engine/tree/pending_stack.h"

#include <cstring>

#include "engine/base/errno_status.h"
#include "engine/fs/spool.h"

namespace uringsync {
namespace {

constexpr size_t kTailBytes = sizeof(uint16_t) + sizeof(uint32_t);

template <typename T>
T LoadAt(const std::string& bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

template <typename T>
void AppendValue(T value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace

absl::Status PendingStack::Push(Driver* driver, uint32_t depth, std::string_view name) {
  if (memory_.size() >= 2 * chunk_bytes_) {
    // The lower part goes to disk, the upper chunk stays: pops right after this must not read back what was just
    // written.
    size_t keep_from = memory_.size();
    while (memory_.size() - keep_from < chunk_bytes_) {
      const size_t lower = keep_from - kTailBytes - LoadAt<uint16_t>(memory_, keep_from - kTailBytes);
      if (lower == 0) break;  // at least one record goes, however large those above it are
      keep_from = lower;
    }
    if (!file_.valid()) {
      US_ASSIGN_OR_RETURN(file_, OpenScratchFile(driver, spool_directory_));
    }
    US_RETURN_IF_ERROR(WriteScratch(driver, file_.get(), std::string_view(memory_).substr(0, keep_from), file_bytes_));
    chunks_.push_back(static_cast<uint32_t>(keep_from));
    file_bytes_ += keep_from;
    memory_.erase(0, keep_from);
  }
  memory_ += name;
  AppendValue(static_cast<uint16_t>(name.size()), &memory_);
  AppendValue(depth, &memory_);
  ++records_;
  return absl::OkStatus();
}

absl::Status PendingStack::Load(Driver* driver) {
  if (!memory_.empty()) return absl::OkStatus();
  if (chunks_.empty()) return MakeStatus(absl::StatusCode::kFailedPrecondition, "the stack of directories is empty");
  memory_.resize(chunks_.back());
  const uint64_t begin = file_bytes_ - chunks_.back();
  US_RETURN_IF_ERROR(ReadScratch(driver, file_.get(), memory_.data(), memory_.size(), begin));
  file_bytes_ = begin;
  chunks_.pop_back();
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> PendingStack::TopDepth(Driver* driver) {
  US_RETURN_IF_ERROR(Load(driver));
  return LoadAt<uint32_t>(memory_, memory_.size() - sizeof(uint32_t));
}

absl::Status PendingStack::Pop(Driver* driver, uint32_t* depth, std::string* name) {
  US_RETURN_IF_ERROR(Load(driver));
  const size_t tail = memory_.size() - kTailBytes;
  const auto length = LoadAt<uint16_t>(memory_, tail);
  *depth = LoadAt<uint32_t>(memory_, tail + sizeof(uint16_t));
  name->assign(memory_, tail - length, length);
  memory_.resize(tail - length);
  --records_;
  return absl::OkStatus();
}

}  // namespace uringsync

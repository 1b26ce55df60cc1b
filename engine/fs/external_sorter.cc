#include "engine/fs/external_sorter.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

constexpr size_t kLengthBytes = sizeof(uint32_t);

void AppendRecord(std::string_view record, std::string* out) {
  const auto length = static_cast<uint32_t>(record.size());
  out->append(reinterpret_cast<const char*>(&length), sizeof(length));
  out->append(record);
}

// Collects records and writes them in large pieces.
class RunWriter {
 public:
  RunWriter(Driver* driver, int fd, uint64_t offset) : driver_(driver), fd_(fd), offset_(offset) {}
  absl::Status Add(std::string_view record) {
    AppendRecord(record, &buffer_);
    return buffer_.size() >= ExternalSorter::kRunBufferBytes ? Flush() : absl::OkStatus();
  }
  absl::Status Flush() {
    US_RETURN_IF_ERROR(WriteScratch(driver_, fd_, buffer_, offset_));
    offset_ += buffer_.size();
    buffer_.clear();
    return absl::OkStatus();
  }
  uint64_t offset() const { return offset_; }

 private:
  Driver* driver_;
  int fd_;
  uint64_t offset_;
  std::string buffer_;
};

}  // namespace

// Walks one run with a read-ahead buffer. current() is valid until Advance.
class ExternalSorter::RunReader {
 public:
  RunReader(Driver* driver, int fd, Run run) : driver_(driver), fd_(fd), position_(run.begin), end_(run.end) {}

  std::string_view current() const { return current_; }

  // True: current() is the next record; false: the run is read.
  absl::StatusOr<bool> Advance() {
    if (consumed_ == buffer_.size() && position_ == end_) return false;
    US_RETURN_IF_ERROR(Need(kLengthBytes));
    uint32_t length = 0;
    std::memcpy(&length, buffer_.data() + consumed_, kLengthBytes);
    US_RETURN_IF_ERROR(Need(kLengthBytes + length));
    current_ = std::string_view(buffer_).substr(consumed_ + kLengthBytes, length);
    consumed_ += kLengthBytes + length;
    return true;
  }

 private:
  // Makes `bytes` available from consumed_ on.
  absl::Status Need(size_t bytes) {
    if (buffer_.size() - consumed_ >= bytes) return absl::OkStatus();
    buffer_.erase(0, consumed_);
    consumed_ = 0;
    const size_t had = buffer_.size();
    const size_t want =
        static_cast<size_t>(std::min<uint64_t>(std::max(bytes, kRunBufferBytes) - had, end_ - position_));
    if (had + want < bytes) return MakeStatus(absl::StatusCode::kDataLoss, "spool file: a sorted run is cut off");
    buffer_.resize(had + want);
    US_RETURN_IF_ERROR(ReadScratch(driver_, fd_, buffer_.data() + had, want, position_));
    position_ += want;
    return absl::OkStatus();
  }

  Driver* driver_;
  int fd_;
  uint64_t position_;
  uint64_t end_;
  std::string buffer_;
  size_t consumed_ = 0;
  std::string_view current_;
};

// k-way merge of runs, stable: of equal records that of the earlier run comes first.
class ExternalSorter::Merge {
 public:
  Merge(ExternalSorter* sorter, const std::vector<Run>& runs) : sorter_(sorter) {
    for (const Run& run : runs) readers_.emplace_back(sorter->driver_, sorter->file_.get(), run);
  }
  absl::Status Start() {
    for (size_t i = 0; i < readers_.size(); ++i) {
      US_ASSIGN_OR_RETURN(const bool more, readers_[i].Advance());
      if (more) heap_.push_back(i);
    }
    std::make_heap(heap_.begin(), heap_.end(), Later{this});
    return absl::OkStatus();
  }
  absl::StatusOr<bool> Next(std::string* record) {
    if (heap_.empty()) return false;
    std::pop_heap(heap_.begin(), heap_.end(), Later{this});
    RunReader& reader = readers_[heap_.back()];
    record->assign(reader.current());
    US_ASSIGN_OR_RETURN(const bool more, reader.Advance());
    if (more) {
      std::push_heap(heap_.begin(), heap_.end(), Later{this});
    } else {
      heap_.pop_back();
    }
    return true;
  }

 private:
  struct Later {
    const Merge* merge;
    bool operator()(size_t a, size_t b) const {
      const std::string_view x = merge->readers_[a].current();
      const std::string_view y = merge->readers_[b].current();
      if (merge->sorter_->less_(y, x)) return true;
      if (merge->sorter_->less_(x, y)) return false;
      return a > b;
    }
  };
  ExternalSorter* sorter_;
  std::vector<RunReader> readers_;
  std::vector<size_t> heap_;
};

ExternalSorter::ExternalSorter(Driver* driver, Less less, ExternalSorterOptions options)
    : driver_(driver), less_(std::move(less)), options_(std::move(options)) {}
ExternalSorter::~ExternalSorter() = default;

absl::Status ExternalSorter::Add(std::string_view record) {
  if (record.size() > Spool::kMaxRecordBytes)
    return MakeStatus(absl::StatusCode::kInvalidArgument, "sorted record is longer than 16 MiB");
  const size_t held = arena_.size() + places_.size() * sizeof(Place);
  if (!places_.empty() && held + record.size() + sizeof(Place) > options_.memory_bytes) US_RETURN_IF_ERROR(WriteRun());
  places_.push_back({.offset = arena_.size(), .length = static_cast<uint32_t>(record.size())});
  arena_ += record;
  ++records_;
  return absl::OkStatus();
}

void ExternalSorter::SortMemory() {
  // The offset breaks ties in the order of Add: a stable sort without its second buffer.
  std::sort(places_.begin(), places_.end(), [this](const Place& a, const Place& b) {
    if (less_(At(a), At(b))) return true;
    return a.offset < b.offset && !less_(At(b), At(a));
  });
}

absl::Status ExternalSorter::WriteRun() {
  if (!file_.valid()) {
    US_ASSIGN_OR_RETURN(file_, OpenScratchFile(driver_, options_.directory));
  }
  SortMemory();
  RunWriter writer(driver_, file_.get(), file_bytes_);
  for (const Place& place : places_) US_RETURN_IF_ERROR(writer.Add(At(place)));
  US_RETURN_IF_ERROR(writer.Flush());
  runs_.push_back({.begin = file_bytes_, .end = writer.offset()});
  file_bytes_ = writer.offset();
  arena_.clear();
  places_.clear();
  return absl::OkStatus();
}

absl::StatusOr<ExternalSorter::Run> ExternalSorter::WriteMerged(const std::vector<Run>& runs) {
  Merge merge(this, runs);
  US_RETURN_IF_ERROR(merge.Start());
  RunWriter writer(driver_, file_.get(), file_bytes_);
  std::string record;
  while (true) {
    US_ASSIGN_OR_RETURN(const bool more, merge.Next(&record));
    if (!more) break;
    US_RETURN_IF_ERROR(writer.Add(record));
  }
  US_RETURN_IF_ERROR(writer.Flush());
  const Run merged = {.begin = file_bytes_, .end = writer.offset()};
  file_bytes_ = writer.offset();
  return merged;
}

// Passes over the runs until kFanIn or fewer are left. Neighbours are merged, so that equal records keep their order.
absl::Status ExternalSorter::ReduceRuns() {
  while (runs_.size() > kFanIn) {
    std::vector<Run> longer;
    for (size_t begin = 0; begin < runs_.size(); begin += kFanIn) {
      const size_t end = std::min(begin + kFanIn, runs_.size());
      const std::vector<Run> group(runs_.begin() + static_cast<ptrdiff_t>(begin),
                                   runs_.begin() + static_cast<ptrdiff_t>(end));
      US_ASSIGN_OR_RETURN(const Run merged, WriteMerged(group));
      longer.push_back(merged);
    }
    runs_ = std::move(longer);
  }
  return absl::OkStatus();
}

absl::Status ExternalSorter::Finish() {
  finished_ = true;
  if (!file_.valid()) {
    SortMemory();
    return absl::OkStatus();
  }
  if (!places_.empty()) US_RETURN_IF_ERROR(WriteRun());
  std::string().swap(arena_);
  std::vector<Place>().swap(places_);
  US_RETURN_IF_ERROR(ReduceRuns());
  merge_ = std::make_unique<Merge>(this, runs_);
  return merge_->Start();
}

absl::StatusOr<bool> ExternalSorter::Next(std::string* record) {
  if (!finished_) return MakeStatus(absl::StatusCode::kFailedPrecondition, "sorter: Next before Finish");
  if (merge_ != nullptr) return merge_->Next(record);
  if (next_place_ >= places_.size()) return false;
  record->assign(At(places_[next_place_++]));
  return true;
}

}  // namespace uringsync

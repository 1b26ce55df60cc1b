// Spool: records that may be too many for memory. Append, then read from the front or from the back, any number of
// times.
//
// Up to memory_bytes are kept in memory; what is more goes to an unlinked temporary file on disk. Reading and appending
// may alternate; a reader sees the records that were there when it was made. Thread rule: the shard that owns `driver`,
// one user at a time. Use:  Spool spool(driver, {});  US_RETURN_IF_ERROR(spool.Append(bytes));
//       Spool::Reader it = spool.Backward();  std::string record;
//       while (true) { US_ASSIGN_OR_RETURN(bool more, it.Next(&record)); if (!more) break; ... }
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/base/unique_fd.h"
#include "engine/ring/driver.h"

namespace uringsync {

// An unlinked file on disk: O_TMPFILE in `directory`, else O_EXCL and unlink. `directory` empty: $TMPDIR, else /tmp.
absl::StatusOr<UniqueFd> OpenScratchFile(Driver* driver, const std::string& directory);

// pread and pwrite until done; DataLoss at an unexpected end.
absl::Status ReadScratch(Driver* driver, int fd, char* buffer, size_t bytes, uint64_t offset);
absl::Status WriteScratch(Driver* driver, int fd, std::string_view bytes, uint64_t offset);

struct SpoolOptions {
  size_t memory_bytes = size_t{1} << 20;
  std::string directory;  // of the temporary file; empty: $TMPDIR, else /tmp
};

class Spool {
 public:
  Spool(Driver* driver, SpoolOptions options) : driver_(driver), options_(std::move(options)) {}

  // A record is any bytes, at most kMaxRecordBytes. ResourceExhausted when the disk is full; the spool is then
  // unusable.
  absl::Status Append(std::string_view record);
  static constexpr size_t kMaxRecordBytes = size_t{16} << 20;

  uint64_t records() const { return records_; }
  bool empty() const { return records_ == 0; }
  uint64_t spilled_bytes() const { return file_bytes_; }

  class Reader {
   public:
    // True: `record` is filled; false: no further record.
    absl::StatusOr<bool> Next(std::string* record);

   private:
    friend class Spool;
    Reader(const Spool* spool, bool backward);
    absl::StatusOr<bool> NextForward(std::string* record);
    absl::StatusOr<bool> NextBackward(std::string* record);
    // Makes [offset, offset + bytes) of the spool's byte sequence available at the returned place until the next call.
    absl::StatusOr<const char*> Window(uint64_t offset, size_t bytes);
    const Spool* spool_;
    bool backward_;
    uint64_t position_;  // next byte forwards; end of the next record backwards
    uint64_t end_;
    std::string window_;  // bytes of the file
    uint64_t window_offset_ = 0;
  };
  // Readers must not outlive the spool.
  Reader Forward() const { return Reader(this, false); }
  Reader Backward() const { return Reader(this, true); }

 private:
  uint64_t total_bytes() const { return file_bytes_ + memory_.size(); }
  absl::Status Spill();

  Driver* driver_;
  SpoolOptions options_;
  UniqueFd file_;
  uint64_t file_bytes_ = 0;  // [0, file_bytes_) lies in the file, the rest in memory_
  std::string memory_;       // records, each: length (u32), bytes, length (u32)
  uint64_t records_ = 0;
};

}  // namespace uringsync

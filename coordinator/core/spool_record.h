// Spool records: values of the planner as bytes, for its own temporary files.
//
// Compact (variable-length integers, absent fields cost a bit), never leaves the process, so it has no version. A
// reader that meets anything else than what a writer made says so through ok(); it never reads beyond its bytes.
//
// Thread rule: values. Use:
//   RecordWriter writer;  writer.PutEntry(entry);  spool.Append(writer.bytes());
//   RecordReader reader(bytes);  Entry entry = reader.GetEntry();  if (!reader.ok()) ...
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "coordinator/core/planner.h"
#include "engine/base/entry.h"
#include "engine/base/rel_path.h"

namespace uringsync {

class RecordWriter {
 public:
  void PutByte(uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  void PutNumber(uint64_t value);
  // Eight bytes whose byte order is the order of the numbers: for sort keys.
  void PutKey(uint64_t value);
  void PutBytes(std::string_view value);
  void PutPath(const RelPath& path) { PutBytes(path.text()); }
  void PutEntry(const Entry& entry);
  void PutOptionalEntry(const Entry* entry);
  void PutDifferences(const Differences& differences);
  void PutAction(const Action& action);
  void PutBasis(const ActionBasis* basis);
  void PutOrigin(const ActionOrigin* origin);
  const std::string& bytes() const { return bytes_; }
  // Forgets everything, keeps the memory.
  void Clear() { bytes_.clear(); }

 private:
  void PutTime(const FileTime& time);
  void PutDigest(const Digest128& digest);
  std::string bytes_;
};

class RecordReader {
 public:
  // `bytes` must outlive the reader.
  explicit RecordReader(std::string_view bytes) : rest_(bytes) {}
  uint8_t GetByte();
  uint64_t GetNumber();
  uint64_t GetKey();
  std::string_view GetBytes();
  RelPath GetPath();
  Entry GetEntry();
  std::optional<Entry> GetOptionalEntry();
  Differences GetDifferences();
  Action GetAction();
  std::optional<ActionBasis> GetBasis();
  std::optional<ActionOrigin> GetOrigin();
  // False once anything was missing or malformed; what was read since is without meaning.
  bool ok() const { return ok_; }
  // What was not read.
  std::string_view rest() const { return rest_; }

 private:
  FileTime GetTime();
  Digest128 GetDigest();
  std::string_view rest_;
  bool ok_ = true;
};

// What a record that cannot be read means: the temporary file was damaged. DataLoss.
absl::Status DamagedSpool();

}  // namespace uringsync

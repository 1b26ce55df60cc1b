// What a resume journal (resume_journal.h) says: the temporaries in which large files were being put together. The
// grammar is in docs/protocol.md, "Resume journal".
//
// A journal is read after whatever ended the session that wrote it: its end may be missing or wrong, and what stands
// before that counts. Nothing here does I/O. Thread rule: values. Use:
//   std::string text = ResumeHeader{tag, device}.Text();
//   text += ResumeRecordText(header, entry);
//   std::optional<ResumeContents> read = DecodeResumeJournal(text);
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/entry.h"
#include "engine/base/rel_path.h"

namespace uringsync {

// A journal of more bytes is neither written nor read.
constexpr size_t kMaxResumeJournalBytes = size_t{1} << 20;

// One temporary.
struct ResumeEntry {
  RelPath path;           // the file that it becomes, below the session's directory
  std::string temporary;  // its name (state_name.h), in the directory of `path`
  FileId object;          // which inode it is
  // The source's file.
  uint64_t size_bytes = 0;
  FileTime mtime;
  bool whole = false;  // all contents were there, and its metadata may have been set
  friend bool operator==(const ResumeEntry&, const ResumeEntry&) = default;
};

struct ResumeHeader {
  uint64_t session_tag = 0;  // of its session's temporaries
  uint64_t device = 0;       // on which the journal lay: numbers of devices may be others after a reboot
  // Records count in a journal with this header only.
  std::string Text() const;
};

// The record of `entry`; a later one of the same temporary takes its place.
std::string ResumeRecordText(const ResumeHeader& header, const ResumeEntry& entry);

struct ResumeContents {
  ResumeHeader header;
  std::vector<ResumeEntry> entries;  // each temporary once
};

// nullopt where `bytes` do not begin with the header of a journal that this version knows. Records end with the first
// one that is cut off, damaged or makes no sense.
std::optional<ResumeContents> DecodeResumeJournal(std::string_view bytes);

}  // namespace uringsync

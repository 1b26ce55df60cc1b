// OutFormat: --out-format and --log-file-format, read once and filled in for each object (rsyncd.conf(5), "log
// format").
//
// Thread rule: values.
// Use:  US_ASSIGN_OR_RETURN(OutFormat format, OutFormat::Parse("%i %n%L"));  format.Fill(facts);
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace uringsync {

// What the escapes stand for. Raw bytes; the caller makes the line printable.
struct ItemFacts {
  std::string code;             // %i
  std::string name;             // %n
  std::string long_name;        // %f
  std::string arrow;            // %L
  std::string operation;        // %o
  std::string digest;           // %C, hex; empty: not known
  uint64_t size = 0;            // %l
  uint64_t moved = 0;           // %b
  uint32_t uid = 0;             // %U
  std::optional<uint32_t> gid;  // %G; not kept: DEFAULT
  uint32_t mode = 0;            // %B
  std::time_t mtime = 0;        // %M
  std::time_t now = 0;          // %t
  int64_t pid = 0;              // %p
};

class OutFormat {
 public:
  // InvalidArgument for %c, whose number only rsync has. Escapes that are known to a daemon alone, and unknown ones,
  // stay as they are.
  static absl::StatusOr<OutFormat> Parse(std::string_view text);
  std::string Fill(const ItemFacts& facts) const;
  bool empty() const { return parts_.empty(); }
  // %i is in it: objects of which only metadata changes get a line too.
  bool itemizes() const { return Has('i'); }
  // %i or %o is in it: deletions get a line like the others.
  bool tells_operation() const { return Has('i') || Has('o'); }

 private:
  struct Part {
    char escape = 0;   // 0: `text` as it is
    std::string text;  // of an escape: as it was written
    bool left = false;
    bool zeros = false;
    size_t width = 0;
    int human = 0;
  };
  bool Has(char escape) const;
  std::vector<Part> parts_;
};

}  // namespace uringsync

// ModeChanges: what --chmod makes of a mode, in rsync's syntax.
//
// Values, any thread. A list of changes separated by commas, each for files (F), directories (D) or both, octal
// ("D2755") or symbolic ("ug+rwX", "o=", "g=u"). Where no class is named, the bits that the umask withholds stay as
// they are. Use:  US_ASSIGN_OR_RETURN(ModeChanges changes, ModeChanges::Parse("D755,F=rw", umask));
//       entry.mode = changes.Apply(entry.mode, entry.type);
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/entry.h"

namespace uringsync {

class ModeChanges {
 public:
  // InvalidArgument for anything that rsync refuses. `umask`: of the process that was given the option.
  static absl::StatusOr<ModeChanges> Parse(std::string_view text, uint32_t umask);

  // `more` comes after these.
  void Append(const ModeChanges& more);
  bool empty() const { return changes_.empty(); }
  // Permission, setuid, setgid and sticky bits of `mode` (07777) after all changes. Symlinks keep theirs.
  uint32_t Apply(uint32_t mode, FileType type) const;

 private:
  friend class ModeChangeParser;
  struct Change {
    bool directories = true;
    bool files = true;
    uint32_t keep = 07777;  // bits of the mode that stay
    uint32_t set = 0;       // bits that are added
    bool may_execute =
        true;  // X: false where only an object that is executable, or a directory, gets execute bits of `set`
    // A class whose permissions are taken ("g=u"): shift of its bits, spread over `places` and cut to `mask`.
    int copied_shift = -1;
    bool copy_removes = false;
    uint32_t places = 0;
    uint32_t mask = 0;
  };
  std::vector<Change> changes_;
};

}  // namespace uringsync

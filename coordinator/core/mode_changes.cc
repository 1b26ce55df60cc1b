#include "coordinator/core/mode_changes.h"

#include <string>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

constexpr uint32_t kAllBits = 07777;
constexpr uint32_t kPermissions = 0777;
constexpr uint32_t kExecute = 0111;
constexpr uint32_t kSetuid = 04000;
constexpr uint32_t kSetgid = 02000;
constexpr uint32_t kSticky = 01000;

// One bit in each class that is named: multiplied by rwx bits it places them there.
constexpr uint32_t kUser = 0100;
constexpr uint32_t kGroup = 0010;
constexpr uint32_t kOther = 0001;
constexpr uint32_t kEveryone = kUser | kGroup | kOther;

}  // namespace

// One change of the list: classes and prefixes, an operator, permissions; or prefixes and an octal number.
class ModeChangeParser {
 public:
  ModeChangeParser(std::string_view text, uint32_t umask) : rest_(text), umask_(umask) {}

  bool Parse(ModeChanges::Change* change) {
    if (!ParseClasses(change)) return false;
    if (rest_.empty()) return false;
    if (rest_.front() >= '0' && rest_.front() <= '7') return places_ == 0 && ParseOctal(change);
    const char operation = rest_.front();
    if (operation != '+' && operation != '-' && operation != '=') return false;
    rest_.remove_prefix(1);
    return ParsePermissions(change) && Finish(operation, change);
  }

 private:
  bool ParseClasses(ModeChanges::Change* change) {
    for (; !rest_.empty(); rest_.remove_prefix(1)) {
      switch (rest_.front()) {
        case 'D': change->files = false; break;
        case 'F': change->directories = false; break;
        case 'u':
          places_ |= kUser;
          named_special_ |= kSetuid;
          break;
        case 'g':
          places_ |= kGroup;
          named_special_ |= kSetgid;
          break;
        case 'o': places_ |= kOther; break;
        case 'a':
          places_ |= kEveryone;
          named_special_ |= kSetuid | kSetgid;
          break;
        default: return change->files || change->directories;
      }
    }
    return false;
  }

  bool ParseOctal(ModeChanges::Change* change) {
    uint32_t mode = 0;
    for (; !rest_.empty(); rest_.remove_prefix(1)) {
      if (rest_.front() < '0' || rest_.front() > '7') return false;
      mode = mode << 3 | static_cast<uint32_t>(rest_.front() - '0');
      if (mode > kAllBits) return false;
    }
    change->keep = 0;
    change->set = mode;
    return true;
  }

  bool ParsePermissions(ModeChanges::Change* change) {
    if (rest_ == "u") change->copied_shift = 6;
    if (rest_ == "g") change->copied_shift = 3;
    if (rest_ == "o") change->copied_shift = 0;
    if (change->copied_shift >= 0) return true;
    for (; !rest_.empty(); rest_.remove_prefix(1)) {
      switch (rest_.front()) {
        case 'r': permissions_ |= 4; break;
        case 'w': permissions_ |= 2; break;
        case 'X': change->may_execute = false; [[fallthrough]];
        case 'x': permissions_ |= 1; break;
        case 's': special_ |= named_special_ != 0 ? named_special_ : kSetuid; break;
        case 't': special_ |= kSticky; break;
        default: return false;
      }
    }
    return true;
  }

  bool Finish(char operation, ModeChanges::Change* change) {
    const uint32_t mask = places_ == 0 ? kPermissions & ~umask_ : kPermissions;
    const uint32_t places = places_ == 0 ? kEveryone : places_;
    if (change->copied_shift >= 0) {
      change->places = places;
      change->mask = mask;
      change->copy_removes = operation == '-';
      // As with rsync, and other than with letters, what others may do brings the sticky bit along.
      const uint32_t sticky = (places & kOther) != 0 ? kSticky : 0;
      const uint32_t special = sticky | (places_ == 0 ? kSetuid | kSetgid : named_special_);
      if (operation == '=') change->keep = kAllBits & ~(places * 7 | special);
      return true;
    }
    const uint32_t bits = places * permissions_ & mask;
    if (operation == '-') {
      change->keep = kAllBits & ~(bits | special_);
      return true;
    }
    change->set = bits | special_;
    if (operation == '=') change->keep = kAllBits & ~(places * 7 | (special_ != 0 ? named_special_ : 0));
    return true;
  }

  std::string_view rest_;
  const uint32_t umask_;
  uint32_t places_ = 0;
  uint32_t named_special_ = 0;  // setuid and setgid of the named classes
  uint32_t permissions_ = 0;    // rwx
  uint32_t special_ = 0;
};

absl::StatusOr<ModeChanges> ModeChanges::Parse(std::string_view text, uint32_t umask) {
  ModeChanges result;
  std::string_view rest = text;
  while (true) {
    const size_t comma = rest.find(',');
    Change change;
    if (!ModeChangeParser(rest.substr(0, comma), umask).Parse(&change)) {
      return MakeStatus(absl::StatusCode::kInvalidArgument, "not a change of modes: \"" + EscapeName(text) + "\"");
    }
    result.changes_.push_back(change);
    if (comma == std::string_view::npos) return result;
    rest.remove_prefix(comma + 1);
  }
}

void ModeChanges::Append(const ModeChanges& more) {
  changes_.insert(changes_.end(), more.changes_.begin(), more.changes_.end());
}

uint32_t ModeChanges::Apply(uint32_t mode, FileType type) const {
  if (type == FileType::kSymlink) return mode;
  const bool directory = type == FileType::kDirectory;
  // As it is before any of the changes.
  const bool executable = directory || (mode & kExecute) != 0;
  for (const Change& change : changes_) {
    if (directory ? !change.directories : !change.files) continue;
    uint32_t set = change.set;
    uint32_t keep = change.keep;
    if (change.copied_shift >= 0) {
      const uint32_t copied = ((mode >> change.copied_shift & 7) * change.places) & change.mask;
      if (change.copy_removes) keep &= ~copied;
      if (!change.copy_removes) set |= copied;
    }
    if (!change.may_execute && !executable) set &= ~kExecute;
    mode = (mode & keep) | set;
  }
  return mode;
}

}  // namespace uringsync

#include "coordinator/cli/rsync/option_effects.h"
#include "coordinator/cli/rsync/option_table.h"

namespace uringsync {
namespace {

using S = Settings;

constexpr OptionRow kRows[] = {
    {.name = "archive", .letter = 'a', .programs = kForUrsync,
     .on = SetAll<true, &S::recursive, &S::links, &S::perms, &S::times, &S::group, &S::owner, &S::devices, &S::specials>,
     .help = "The same as -rlptgoD (not -A, -X, -U, -H)"},
    {.name = "archive", .letter = 'a', .programs = kForUringsync | kForVerify,
     .on = SetAll<true, &S::recursive, &S::links, &S::perms, &S::times, &S::group, &S::owner, &S::devices, &S::specials>,
     .help = "Accepted for rsync's users; all of it is already the default"},
    {.name = "recursive", .letter = 'r', .programs = kForUrsync, .on = Set<&S::recursive, true>, .off = Set<&S::recursive, false>,
     .help = "Enter directories"},
    {.name = "recursive", .letter = 'r', .programs = kForUringsync, .on = Already, .help = "Accepted for rsync's users; it is so always"},
    {.name = "inc-recursive", .aliases = "i-r", .on = Already, .off = Already,
     .help = "Accepted: lists are always made and compared piece by piece"},
    {.name = "relative", .letter = 'R', .off = Already, .help = "Keep the whole path names of the sources", .refused = kLater},
    {.name = "implied-dirs", .on = Already, .off = Already, .refused = kLater},
    {.name = "dirs", .letter = 'd', .off = Already, .help = "Copy directories without entering them", .refused = kLater},
    {.name = "old-dirs", .aliases = "old-d", .refused = kLater},
    {.name = "one-file-system", .letter = 'x', .programs = kForAll, .on = Count<&S::one_file_system>,
     .off = Set<&S::one_file_system, 0>, .help = "Do not enter other file systems"},
    {.name = "links", .letter = 'l', .programs = kForRuns, .on = Set<&S::links, true>, .off = Set<&S::links, false>,
     .help = "Copy symlinks as symlinks"},
    {.name = "links", .programs = kForVerify, .on = Set<&S::links, true>, .off = Set<&S::links, false>,
     .help = "Leave symlinks out"},
    {.name = "copy-links", .letter = 'L', .help = "Copy what symlinks lead to", .refused = kLater},
    {.name = "copy-unsafe-links", .help = "Copy what symlinks lead to that leave the tree", .refused = kLater},
    {.name = "safe-links", .help = "Leave symlinks out that leave the tree", .refused = kLater},
    {.name = "munge-links", .off = Already, .help = "Make symlinks unusable and safe", .refused = kLater},
    {.name = "insecure-links", .off = Already, .refused = "paths are never followed through somebody else's symlinks"},
    {.name = "confine-root", .argument = "DIR", .refused = kLater},
    {.name = "copy-dirlinks", .letter = 'k', .help = "Enter directories that symlinks lead to", .refused = kLater},
    {.name = "keep-dirlinks", .letter = 'K', .help = "Write into directories that symlinks of DST lead to", .refused = kLater},
    {.name = "copy-devices", .help = "Copy what devices hold", .refused = kLater},
    {.name = "specials", .programs = kForAll, .on = Set<&S::specials, true>, .off = Set<&S::specials, false>,
     .help = "FIFOs and sockets"},
    {.name = "drop-D", .off = Already, .refused = kLater},
    {.name = "checksum", .letter = 'c', .on = Set<&S::checksum, true>, .off = Set<&S::checksum, false>,
     .help = "Compare files by content (XXH3-128), not by size and mtime"},
    {.name = "checksum-choice", .aliases = "cc", .argument = "STR",
     .on = +[](Settings&, const std::string& value) {
       if (value == "auto" || value == "xxh128") return absl::OkStatus();
       return absl::UnimplementedError("contents are compared by xxh128 alone");
     },
     .help = "xxh128 or auto: contents are compared by XXH3-128"},
    {.name = "checksum-seed", .argument = "NUM", .on = Already},
    {.name = "update", .letter = 'u', .help = "Leave files alone that are newer at DST", .refused = kLater},
    {.name = "existing", .aliases = "ignore-non-existing", .help = "Make nothing that DST does not have", .refused = kLater},
    {.name = "ignore-existing", .help = "Leave alone what DST has", .refused = kLater},
    {.name = "ignore-times", .letter = 'I', .help = "Copy files also where size and mtime are equal", .refused = kLater},
    {.name = "size-only", .help = "Files of equal size are equal", .refused = kLater},
    {.name = "modify-window", .letter = '@', .argument = "NUM", .help = "Times that differ by so many seconds are equal",
     .refused = kLater},
    {.name = "max-size", .argument = "SIZE", .help = "Leave larger files out", .refused = kLater},
    {.name = "min-size", .argument = "SIZE", .help = "Leave smaller files out", .refused = kLater},
    {.name = "prune-empty-dirs", .letter = 'm', .off = Already, .help = "Leave directories out that hold nothing",
     .refused = kLater},
    {.name = "cvs-exclude", .letter = 'C', .help = "Leave out what CVS ignores", .refused = kLater},
    {.name = "filter", .letter = 'f', .argument = "RULE", .help = "Add a filter rule", .refused = kLater},
    {.letter = 'F', .help = "Filter by .rsync-filter files", .refused = kLater},
    {.name = "exclude", .argument = "PATTERN", .help = "Leave out what matches", .refused = kLater},
    {.name = "exclude-from", .argument = "FILE", .help = "Patterns to leave out, from FILE", .refused = kLater},
    {.name = "include", .argument = "PATTERN", .help = "Do not leave out what matches", .refused = kLater},
    {.name = "include-from", .argument = "FILE", .help = "Patterns not to leave out, from FILE", .refused = kLater},
    {.name = "files-from", .argument = "FILE", .help = "Names of what is to be copied, from FILE", .refused = kLater},
    {.name = "from0", .letter = '0', .off = Already, .help = "Names and rules in files end with a NUL byte", .refused = kLater},
    {.name = "ignore-missing-args", .help = "Sources that are missing are no error", .refused = kLater},
    {.name = "delete-missing-args", .help = "Sources that are missing are deleted at DST", .refused = kLater},
    {.name = "no-index", .on = Set<&S::no_index, true>,
     .help = "Look at every object, also where the indexes of both agents say that nothing changed"},
    {.name = "allow-extra", .programs = kForVerify, .on = Set<&S::allow_extra, true>,
     .help = "Objects that only DST has are no difference"},
};

}  // namespace

std::span<const OptionRow> SelectionOptions() {
  return kRows;
}

}  // namespace uringsync

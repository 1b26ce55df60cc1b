#include "coordinator/cli/rsync/option_effects.h"
#include "coordinator/cli/rsync/option_table.h"

namespace uringsync {
namespace {

using S = Settings;

template <FilterOption::Kind kKind>
absl::Status Filter(Settings& settings, const std::string& value) {
  settings.filters.push_back({kKind, value});
  return absl::OkStatus();
}

constexpr OptionRow kRows[] = {
    {.name = "archive", .letter = 'a', .programs = kForUrsync,
     .on = SetAll<true, &S::recursive, &S::links, &S::perms, &S::times, &S::group, &S::owner, &S::devices, &S::specials>,
     .help = "The same as -rlptgoD (not -A, -X, -U, -H)"},
    {.name = "archive", .letter = 'a', .programs = kForUringsync | kForVerify,
     .on = SetAll<true, &S::recursive, &S::links, &S::perms, &S::times, &S::group, &S::owner, &S::devices, &S::specials>,
     .help = "Accepted for rsync's users; all of it is already the default"},
    {.name = "recursive", .letter = 'r', .programs = kForUrsync, .on = SetAll<true, &S::recursive, &S::recursive_itself>,
     .off = SetAll<false, &S::recursive, &S::recursive_itself>,
     .help = "Enter directories"},
    {.name = "recursive", .letter = 'r', .programs = kForUringsync, .on = Already, .help = "Accepted for rsync's users; it is so always"},
    {.name = "inc-recursive", .aliases = "i-r", .on = Set<&S::inc_recursive, true>, .off = Set<&S::inc_recursive, false>,
     .help = "Lists are always made and compared piece by piece; only what -v tells of them changes"},
    {.name = "relative", .letter = 'R', .programs = kForUrsync, .on = Set<&S::relative, true>, .off = Set<&S::relative, false>,
     .help = "Keep the whole path names of the sources, from \"/./\" on where that is in them"},
    {.name = "implied-dirs", .programs = kForUrsync, .on = Set<&S::implied_dirs, true>, .off = Set<&S::implied_dirs, false>,
     .help = "With -R the attributes of directories on the way, which is the default"},
    {.name = "dirs", .letter = 'd', .programs = kForUrsync, .on = Set<&S::dirs, true>, .off = Set<&S::dirs, false>,
     .help = "Copy directories without entering them; of \"dir/\" what is in it"},
    {.name = "old-dirs", .aliases = "old-d", .programs = kForUrsync, .on = Set<&S::old_dirs, true>,
     .help = "The same as -r --exclude='/*/*'"},
    {.name = "old-dirs", .aliases = "old-d", .programs = kForUringsync, .refused = kUrsyncOnly},
    {.name = "relative", .letter = 'R', .programs = kForUringsync, .refused = kUrsyncOnly},
    {.name = "dirs", .letter = 'd', .programs = kForUringsync, .refused = kUrsyncOnly},
    {.name = "one-file-system", .letter = 'x', .programs = kForAll, .on = Count<&S::one_file_system>,
     .off = Set<&S::one_file_system, 0>, .help = "Do not enter other file systems"},
    {.name = "links", .letter = 'l', .programs = kForRuns, .on = Set<&S::links, true>, .off = Set<&S::links, false>,
     .help = "Copy symlinks as symlinks"},
    {.name = "links", .programs = kForVerify, .on = Set<&S::links, true>, .off = Set<&S::links, false>,
     .help = "Leave symlinks out"},
    {.name = "copy-links", .letter = 'L', .programs = kForAll, .on = Set<&S::copy_links, true>, .help = "Copy what symlinks lead to"},
    {.name = "copy-unsafe-links", .programs = kForAll, .on = Set<&S::copy_unsafe_links, true>,
     .help = "Copy what symlinks lead to that leave the tree"},
    {.name = "safe-links", .on = Set<&S::safe_links, true>, .help = "Leave symlinks out that leave the tree"},
    {.name = "munge-links", .on = Set<&S::munge_links, true>, .off = Set<&S::munge_links, false>, .help = "Make symlinks unusable and safe"},
    {.name = "insecure-links", .off = Already, .refused = "paths are never followed through somebody else's symlinks"},
    {.name = "confine-root", .argument = "DIR", .refused = kLater},
    {.name = "copy-dirlinks", .letter = 'k', .programs = kForAll, .on = Set<&S::copy_dirlinks, true>,
     .help = "Enter directories that symlinks lead to"},
    {.name = "keep-dirlinks", .letter = 'K', .programs = kForAll, .on = Set<&S::keep_dirlinks, true>,
     .help = "Write into directories that symlinks of DST lead to, below DST"},
    {.name = "copy-devices", .on = Set<&S::copy_devices, true>, .help = "Copy what devices of SRC hold, as files"},
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
    {.name = "update", .letter = 'u', .on = Set<&S::update, true>, .help = "Leave files alone that are newer at DST"},
    {.name = "existing", .aliases = "ignore-non-existing", .on = Set<&S::existing, true>, .help = "Make nothing that DST does not have"},
    {.name = "ignore-existing", .on = Set<&S::ignore_existing, true>, .help = "Leave alone what DST has"},
    {.name = "ignore-times", .letter = 'I', .on = Set<&S::ignore_times, true>, .help = "Copy files also where size and mtime are equal"},
    {.name = "size-only", .on = Set<&S::size_only, true>, .help = "Files of equal size are equal"},
    {.name = "modify-window", .letter = '@', .argument = "NUM", .on = Number<&S::modify_window, -1, 1000000000>, .help = "Times that differ by so many seconds are equal"},
    {.name = "max-size", .argument = "SIZE", .on = Size<&S::max_size>, .help = "Leave larger files out"},
    {.name = "min-size", .argument = "SIZE", .on = Size<&S::min_size>, .help = "Leave smaller files out"},
    {.name = "prune-empty-dirs", .letter = 'm', .on = Set<&S::prune_empty_dirs, true>, .off = Set<&S::prune_empty_dirs, false>, .help = "Leave directories out that hold nothing"},
    {.name = "cvs-exclude", .letter = 'C', .on = Set<&S::cvs_exclude, true>, .help = "Leave out what CVS ignores"},
    {.name = "filter", .letter = 'f', .argument = "RULE", .on = Filter<FilterOption::Kind::kRule>, .help = "Add a filter rule"},
    {.letter = 'F', .on = Filter<FilterOption::Kind::kPerDirectory>, .help = "Filter by .rsync-filter files; twice: and leave these out"},
    {.name = "exclude", .argument = "PATTERN", .on = Filter<FilterOption::Kind::kExclude>, .help = "Leave out what matches"},
    {.name = "exclude-from", .argument = "FILE", .on = Filter<FilterOption::Kind::kExcludeFrom>, .help = "Patterns to leave out, from FILE"},
    {.name = "include", .argument = "PATTERN", .on = Filter<FilterOption::Kind::kInclude>, .help = "Do not leave out what matches"},
    {.name = "include-from", .argument = "FILE", .on = Filter<FilterOption::Kind::kIncludeFrom>, .help = "Patterns not to leave out, from FILE"},
    {.name = "files-from", .argument = "FILE", .programs = kForUrsync, .on = Store<&S::files_from>,
     .help = "Names below SRC of what is to be copied, from FILE"},
    {.name = "files-from", .argument = "FILE", .programs = kForUringsync, .refused = kUrsyncOnly},
    {.name = "from0", .letter = '0', .on = Set<&S::from0, true>, .off = Set<&S::from0, false>,
     .help = "Names and rules in files end with a NUL byte"},
    {.name = "ignore-missing-args", .programs = kForUrsync, .on = Set<&S::ignore_missing_args, true>,
     .help = "Sources that are missing are no error"},
    {.name = "delete-missing-args", .programs = kForUrsync, .on = Set<&S::delete_missing_args, true>,
     .help = "Sources that are missing are deleted at DST"},
    {.name = "delete-missing-args", .programs = kForUringsync, .refused = kUrsyncOnly},
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

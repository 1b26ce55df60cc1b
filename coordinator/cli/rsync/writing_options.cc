#include <algorithm>
#include <bit>
#include <charconv>

#include "coordinator/cli/rsync/option_effects.h"
#include "coordinator/cli/rsync/option_table.h"
#include "coordinator/cli/rsync/sizes.h"
#include "engine/delta/signature.h"

namespace uringsync {
namespace {

using S = Settings;

absl::Status DeleteSometime(Settings& settings, const std::string&) {
  settings.delete_extraneous = true;
  ++settings.delete_whens;
  return absl::OkStatus();
}

absl::Status DeleteBefore(Settings& settings, const std::string& value) {
  settings.delete_before = true;
  return DeleteSometime(settings, value);
}

absl::Status DeleteAfter(Settings& settings, const std::string& value) {
  settings.delete_after = true;
  return DeleteSometime(settings, value);
}

// Below zero is none, as it was in rsync before 3.0.
absl::Status MaxDelete(Settings& settings, const std::string& value) {
  int32_t number = 0;
  const std::errc error = ReadInteger(value, &number);
  if (error == std::errc::result_out_of_range) return absl::InvalidArgumentError("number too large or too small");
  if (error != std::errc()) return absl::InvalidArgumentError("invalid numeric value");
  settings.max_delete = static_cast<uint64_t>(std::max(number, 0));
  return absl::OkStatus();
}

// --compare-dest, --copy-dest, --link-dest: several directories of one kind.
template <Words kOption>
absl::Status AddBasis(Settings& settings, const std::string& value) {
  if (!settings.basis_option.empty() && settings.basis_option != kOption.text) {
    return absl::InvalidArgumentError("it conflicts with the --" + settings.basis_option + " option");
  }
  settings.basis_option = kOption.text;
  settings.basis_directories.push_back(value);
  return absl::OkStatus();
}

absl::Status NoSnapshot(Settings& settings, const std::string&) {
  settings.snapshot = false;
  settings.snapshot_mode.clear();
  return absl::OkStatus();
}

absl::Status PlanOut(Settings& settings, const std::string& value) {
  if (value.empty()) return absl::InvalidArgumentError("a file name belongs there");
  if (value == "-") return absl::InvalidArgumentError("a plan is a file that is read back; ./- is one of that name");
  settings.plan_out = value;
  settings.dry_run = true;
  return absl::OkStatus();
}

// The engine has blocks of powers of two; any size that rsync takes is one for it.
absl::Status BlockSize(Settings& settings, const std::string& value) {
  constexpr uint64_t kMost = 128 << 10;  // of rsync
  const std::optional<uint64_t> bytes = ParseSize(value);
  if (!bytes) return absl::InvalidArgumentError("is invalid");
  if (*bytes > kMost) return absl::InvalidArgumentError("is too large (max: 128.00K)");
  const uint64_t floor = std::bit_floor(*bytes);
  settings.block_size =
      *bytes == 0 ? 0 : static_cast<uint32_t>(std::clamp<uint64_t>(floor, kMinBlockBytes, kMaxBlockBytes));
  return absl::OkStatus();
}

constexpr OptionRow kRows[] = {
    {.name = "dry-run",
     .letter = 'n',
     .programs = kForUrsync | kForSync | kForApply,
     .on = Set<&S::dry_run, true>,
     .help = "Change nothing, show what would be done"},
    {.name = "plan-out",
     .argument = "FILE",
     .on = PlanOut,
     .help = "Change nothing; write down in FILE what would be done, for 'uringsync apply FILE'"},
    {.name = "preflight",
     .programs = kForRuns | kForApply,
     .on = Set<&S::preflight, true>,
     .off = Set<&S::preflight, false>,
     .help = "Make the whole plan once before, and refuse a run that lacks room, inodes or fitting names "
             "(--no-preflight: look at nothing)"},
    {.name = "show",
     .argument = "FILE",
     .programs = kForPlan,
     .on = Store<&S::show>,
     .help = "Show the plan of a file of --plan-out, nothing else; without SRC and DST"},
    {.name = "delete", .on = Set<&S::delete_extraneous, true>, .help = "Remove from DST what SRC does not have"},
    {.name = "delete-during",
     .aliases = "del",
     .on = DeleteSometime,
     .help = "--delete; nothing is removed before all is there"},
    {.name = "delete-delay", .on = DeleteSometime, .help = "--delete, after all is there"},
    {.name = "delete-after", .on = DeleteAfter, .help = "--delete, after all is there"},
    {.name = "delete-before", .on = DeleteBefore, .help = "--delete, before anything is copied"},
    {.name = "delete-excluded",
     .on = SetAll<true, &S::delete_extraneous, &S::delete_excluded>,
     .help = "--delete, also what filters leave out"},
    {.name = "ignore-errors",
     .on = Set<&S::ignore_errors, true>,
     .off = Set<&S::ignore_errors, false>,
     .help = "Delete also where SRC could not be read"},
    {.name = "force",
     .on = Set<&S::force, true>,
     .off = Set<&S::force, false>,
     .help = "Let a directory that is not empty make way for another kind of object, without --delete"},
    {.name = "max-delete", .argument = "NUM", .on = MaxDelete, .help = "Delete no more than so many objects"},
    {.name = "allow-empty-source",
     .programs = kForRuns | kForApply,
     .on = Set<&S::allow_empty_source, true>,
     .off = Set<&S::allow_empty_source, false>,
     .help = "Delete also where SRC is not mounted as in the last run"},
    {.name = "remove-source-files",
     .aliases = "remove-sent-files",
     .on = Set<&S::remove_source_files, true>,
     .help = "Remove from SRC the files that DST has got"},
    {.name = "mkpath",
     .programs = kForUrsync,
     .on = Set<&S::mkpath, true>,
     .off = Set<&S::mkpath, false>,
     .help = "Make all of DST's path"},
    {.name = "backup",
     .letter = 'b',
     .on = Set<&S::backup, true>,
     .off = Set<&S::backup, false>,
     .help = "Keep what is replaced or deleted"},
    {.name = "backup-dir", .argument = "DIR", .on = Store<&S::backup_dir>, .help = "Keep it below DIR"},
    {.name = "suffix", .argument = "SUFFIX", .on = Store<&S::suffix>, .help = "What backups have behind their names"},
    {.name = "inplace",
     .on = Set<&S::inplace, true>,
     .off = Set<&S::inplace, false>,
     .help = "Write into the files that are there"},
    {.name = "append",
     .on = Set<&S::append, AppendMode::kTrust>,
     .off = Set<&S::append, AppendMode::kNone>,
     .help = "Write only behind the end of shorter files"},
    {.name = "append-verify",
     .on = Set<&S::append, AppendMode::kVerify>,
     .help = "--append, and look at what was there"},
    {.name = "write-devices",
     .on = SetAll<true, &S::write_devices, &S::inplace>,
     .off = Set<&S::write_devices, false>,
     .help = "Write files into devices that have their names at DST; --inplace for all"},
    {.name = "preallocate", .on = Set<&S::preallocate, true>, .help = "Allocate a file before it is written"},
    {.name = "sparse",
     .letter = 'S',
     .programs = kForUrsync | kForSync,
     .on = Set<&S::sparse, true>,
     .off = Set<&S::sparse, false>,
     .help = "Holes stay holes"},
    {.name = "sparse", .letter = 'S', .programs = kForPlan | kForVerify, .on = Already},
    {.name = "partial",
     .on = Set<&S::partial, true>,
     .off = Set<&S::partial, false>,
     .help = "Keep what arrived of a file when a run breaks off"},
    {.name = "partial-dir", .argument = "DIR", .on = Store<&S::partial_dir>, .help = "Keep it in DIR"},
    {.name = "delay-updates",
     .on = Set<&S::delay_updates, true>,
     .off = Set<&S::delay_updates, false>,
     .help = "Show all new files at the end"},
    {.name = "temp-dir",
     .letter = 'T',
     .argument = "DIR",
     .on = Store<&S::temp_dir>,
     .help = "Put new files together in DIR"},
    {.name = "fuzzy",
     .letter = 'y',
     .on = Count<&S::fuzzy>,
     .off = Set<&S::fuzzy, 0>,
     .help = "Use similar files for what DST lacks (twice: of basis directories too)"},
    {.name = "detect-renames",
     .on = Set<&S::detect_renames, true>,
     .off = Set<&S::detect_renames, false>,
     .help = "Rename or copy at DST what was only moved at SRC, instead of sending it; deletes come last"},
    {.name = "compare-dest", .argument = "DIR", .on = AddBasis<"compare-dest">, .help = "Leave out what DIR has"},
    {.name = "copy-dest", .argument = "DIR", .on = AddBasis<"copy-dest">, .help = "Copy from DIR what it has"},
    {.name = "link-dest", .argument = "DIR", .on = AddBasis<"link-dest">, .help = "Link to what DIR has"},
    {.name = "whole-file",
     .letter = 'W',
     .programs = kForUrsync | kForSync,
     .on = Set<&S::whole_file, true>,
     .off = Set<&S::whole_file, false>,
     .help = "Send changed files whole; by default only what differs, where that is faster (--no-whole-file: always)"},
    {.name = "block-size",
     .letter = 'B',
     .argument = "SIZE",
     .on = BlockSize,
     .help = "Blocks that are compared in a file that changed: the power of two up to SIZE, from 512 to 64K"},
    {.name = "verify",
     .argument = "MODE",
     .on = OneOf<&S::verify, "none|readback">,
     .help = "readback: read what was written again, past the cache, before it gets its name (none)"},
    {.name = "unstable",
     .argument = "skip|copy",
     .programs = kForUrsync | kForSync,
     .on = OneOf<&S::unstable, "skip|copy">,
     .help = "A file that keeps changing while it is read: leave DST as it is and exit 23, or copy what was read"},
    {.name = "snapshot",
     .programs = kForUrsync | kForSync,
     .on = Set<&S::snapshot, true>,
     .off = NoSnapshot,
     .help = "Read SRC as of one instant: a btrfs snapshot of the tree, else a clone of each file; fail without both"},
    {.name = "snapshot-mode",
     .argument = "MODE",
     .programs = kForUrsync | kForSync,
     .on = OneOf<&S::snapshot_mode, "require|auto|tree|files">,
     .help = "--snapshot as said (require), of the whole tree or of each file alone, or as far as it goes (auto)"},
    {.name = "resume",
     .programs = kForUrsync | kForSync | kForApply,
     .on = Set<&S::resume, true>,
     .off = Set<&S::resume, false>,
     .help =
         "Go on with large files that a run before did not finish (default), and leave those of this one for the next"},
    {.name = "fsync",
     .programs = kForUrsync | kForSync | kForApply,
     .on =
         +[](Settings& settings, const std::string&) {
           settings.durability = "file";
           return absl::OkStatus();
         },
     .help = "The same as --durability=file"},
    {.name = "durability",
     .argument = "none|batch|file",
     .programs = kForUrsync | kForSync | kForApply,
     .on = OneOf<&S::durability, "none|batch|file">,
     .help =
         "batch: every file is on disk before its name shows it, and names are synced together; file: each action ends "
         "when what it did is on disk; none: the kernel writes when it likes"},
    {.name = "reflink",
     .argument = "auto|always|never",
     .programs = kForUrsync | kForSync,
     .on = OneOf<&S::reflink, "auto|always|never">,
     .help = "Between local paths: clone files where the file system can (auto, default), or fail (always)"},
    {.name = "direct-io",
     .argument = "auto|on|off",
     .programs = kForUrsync | kForSync,
     .on = OneOf<&S::direct_io, "auto|on|off">,
     .help = "Large files past the page cache where the file system can (on); auto (default) is off: it did not pay"},
    {.name = "wait",
     .programs = kForUrsync | kForSync | kForApply,
     .on = Set<&S::wait, true>,
     .help = "Wait for another run into the same DST instead of giving up"},
    {.name = "write-batch", .argument = "FILE", .refused = kBatch},
    {.name = "only-write-batch", .argument = "FILE", .refused = kBatch},
    {.name = "read-batch", .argument = "FILE", .refused = kBatch},
};

}  // namespace

std::span<const OptionRow> WritingOptions() {
  return kRows;
}

}  // namespace uringsync

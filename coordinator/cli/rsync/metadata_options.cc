#include "coordinator/cli/rsync/option_effects.h"
#include "coordinator/cli/rsync/option_table.h"

namespace uringsync {
namespace {

using S = Settings;
constexpr uint8_t kKeeping = kForUringsync | kForVerify;

// A map implies that what it maps is kept.
template <auto Map, auto Kept>
absl::Status MapIds(Settings& settings, const std::string& value) {
  settings.*Kept = true;
  return StoreOnce<Map>(settings, value);
}

absl::Status Chown(Settings& settings, const std::string& value) {
  if (!value.empty() && value.front() != ':') settings.owner = true;
  if (const size_t colon = value.find(':'); colon != std::string::npos && colon + 1 < value.size())
    settings.group = true;
  settings.chown = value;
  return absl::OkStatus();
}

// For uringsync, which keeps what it may: a long name says that it must.
constexpr OptionRow kRows[] = {
    {.name = "perms",
     .letter = 'p',
     .programs = kForAll,
     .on = Set<&S::perms, true>,
     .off = Set<&S::perms, false>,
     .help = "Mode"},
    {.name = "executability",
     .letter = 'E',
     .on = Set<&S::executability, true>,
     .help = "Whether a file can be executed"},
    {.name = "chmod", .argument = "CHANGES", .on = Append<&S::chmod>, .help = "Change the modes on the way"},
    {.name = "owner",
     .letter = 'o',
     .programs = kForUrsync,
     .on = Set<&S::owner, true>,
     .off = Set<&S::owner, false>,
     .help = "Owner, where DST's process may set it"},
    {.name = "group",
     .letter = 'g',
     .programs = kForUrsync,
     .on = Set<&S::group, true>,
     .off = Set<&S::group, false>,
     .help = "Group, where DST's process may set it"},
    {.name = "owner",
     .programs = kKeeping,
     .on = SetAll<true, &S::owner, &S::must_owner>,
     .off = SetAll<false, &S::owner, &S::must_owner>,
     .help = "Owner, also without CAP_CHOWN: then an error"},
    {.letter = 'o', .programs = kKeeping, .on = Set<&S::owner, true>, .off = Set<&S::owner, false>},
    {.name = "group",
     .programs = kKeeping,
     .on = SetAll<true, &S::group, &S::must_owner>,
     .off = Set<&S::group, false>,
     .help = "Group, also one that this process is not in: then an error"},
    {.letter = 'g', .programs = kKeeping, .on = Set<&S::group, true>, .off = Set<&S::group, false>},
    {.name = "devices",
     .programs = kForUrsync,
     .on = Set<&S::devices, true>,
     .off = Set<&S::devices, false>,
     .help = "Block and character devices, where DST's process may make them"},
    {.name = "devices",
     .programs = kKeeping,
     .on = SetAll<true, &S::devices, &S::must_devices>,
     .off = SetAll<false, &S::devices, &S::must_devices>,
     .help = "Devices, also without CAP_MKNOD: then an error"},
    {.letter = 'D',
     .programs = kForAll,
     .on = SetAll<true, &S::devices, &S::specials>,
     .off = SetAll<false, &S::devices, &S::specials>,
     .help = "The same as --devices --specials"},
    {.name = "times",
     .letter = 't',
     .programs = kForAll,
     .on = Set<&S::times, true>,
     .off = Set<&S::times, false>,
     .help = "Modification times"},
    {.name = "atimes",
     .letter = 'U',
     .programs = kForAll,
     .on = Set<&S::atimes, true>,
     .off = Set<&S::atimes, false>,
     .help = "Access times"},
    {.name = "open-noatime",
     .on = Already,
     .off = Already,
     .help = "Leave the source's access times alone; they are anyway"},
    {.name = "crtimes", .letter = 'N', .off = Already, .refused = "Linux cannot set the time at which a file was made"},
    {.name = "omit-dir-times",
     .letter = 'O',
     .on = Set<&S::omit_dir_times, true>,
     .off = Set<&S::omit_dir_times, false>,
     .help = "Not the times of directories"},
    {.name = "omit-link-times",
     .letter = 'J',
     .on = Set<&S::omit_link_times, true>,
     .off = Set<&S::omit_link_times, false>,
     .help = "Not the times of symlinks"},
    {.name = "hard-links",
     .letter = 'H',
     .programs = kForAll,
     .on = Set<&S::hard_links, true>,
     .off = Set<&S::hard_links, false>,
     .help = "Hard links"},
    {.name = "acls",
     .letter = 'A',
     .programs = kForUrsync,
     .on = SetAll<true, &S::acls, &S::perms>,
     .off = Set<&S::acls, false>,
     .help = "POSIX ACLs; implies -p"},
    {.name = "acls",
     .letter = 'A',
     .programs = kKeeping,
     .on = Set<&S::acls, true>,
     .off = Set<&S::acls, false>,
     .help = "POSIX ACLs"},
    {.name = "xattrs",
     .letter = 'X',
     .programs = kForUrsync,
     .on =
         +[](Settings& settings, const std::string&) {
           settings.xattrs = true;
           ++settings.xattrs_given;
           return absl::OkStatus();
         },
     .off =
         +[](Settings& settings, const std::string&) {
           settings.xattrs = false;
           settings.xattrs_given = 0;
           return absl::OkStatus();
         },
     .help = "Extended attributes and capabilities, where DST's process may set them"},
    {.name = "xattrs",
     .programs = kKeeping,
     .on = SetAll<true, &S::xattrs, &S::must_xattrs>,
     .off = SetAll<false, &S::xattrs, &S::must_xattrs>,
     .help = "trusted.*, security.* and capabilities, also without the privilege: then an error"},
    {.letter = 'X', .programs = kKeeping, .on = Set<&S::xattrs, true>, .off = Set<&S::xattrs, false>},
    {.name = "selinux", .programs = kForAll, .on = Set<&S::selinux, true>, .help = "SELinux labels (security.selinux)"},
    {.name = "xattr",
     .argument = "NAME",
     .programs = kForAll,
     .on = Append<&S::extra_xattrs>,
     .help = "Also this one: lustre.*, trusted.lov or system.nfs4_acl. Repeatable"},
    {.name = "omit-root-metadata",
     .programs = kForAll,
     .on = Set<&S::omit_root_metadata, true>,
     .help = "Leave owner, mode, times and xattrs of the directory DST itself alone"},
    {.name = "super",
     .programs = kForUrsync,
     .on = SetAll<true, &S::must_owner, &S::must_devices, &S::must_xattrs>,
     .off = Already,
     .help = "Try what only root may, also as somebody else: what fails is an error"},
    {.name = "fake-super",
     .programs = kForAll,
     .on = Set<&S::fake_super, true>,
     .off = Set<&S::fake_super, false>,
     .help = "On this host keep what only root may set in xattrs, and take it from there (far away: -M--fake-super)"},
    {.name = "numeric-ids",
     .on = Set<&S::numeric_ids, true>,
     .off = Set<&S::numeric_ids, false>,
     .help = "Owners and groups by number"},
    {.name = "usermap", .argument = "MAP", .on = MapIds<&S::usermap, &S::owner>, .help = "Owners by this map"},
    {.name = "groupmap", .argument = "MAP", .on = MapIds<&S::groupmap, &S::group>, .help = "Groups by this map"},
    {.name = "chown", .argument = "USER:GROUP", .on = Chown, .help = "Everything belongs to these"},
    {.name = "copy-as", .argument = "USER[:GROUP]", .refused = "run it as that user: sudo -u USER ursync ..."},
};

}  // namespace

std::span<const OptionRow> MetadataOptions() {
  return kRows;
}

}  // namespace uringsync

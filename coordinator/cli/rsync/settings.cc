#include "coordinator/cli/rsync/settings.h"

namespace uringsync {

Settings Settings::For(Command command) {
  Settings settings;
  settings.command = command;
  if (command == Command::kUrsync) {
    settings.durability = "none";
    return settings;
  }
  // The plan says what is kept.
  if (command == Command::kApply) return settings;
  settings.durability = "batch";
  for (bool Settings::* member :
       {&Settings::recursive, &Settings::links, &Settings::devices, &Settings::specials, &Settings::perms,
        &Settings::owner, &Settings::group, &Settings::times, &Settings::acls, &Settings::xattrs, &Settings::hard_links,
        &Settings::sparse, &Settings::numeric_ids}) {
    settings.*member = true;
  }
  return settings;
}

}  // namespace uringsync

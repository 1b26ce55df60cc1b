// --help, --version and --version --version of ursync, and --help of uringsync sync, plan and verify: texts made from
// the option table.
//
// Thread rule: functions.
#pragma once

#include <string>

#include "coordinator/cli/rsync/settings.h"

namespace uringsync {

std::string HelpText(Command command);
std::string VersionText();
// One JSON object with rsync's keys.
std::string VersionJson();

}  // namespace uringsync

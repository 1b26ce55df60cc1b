// Item: what a planned or done action is to rsync: its itemised letters, its name, and whether a line is due to it.
//
// Pure functions, any thread. The notation is rsync's (rsync(1), --itemize-changes); coordinator/core/itemize.h is our
// own, which tells the same without what rsync derives from its options.
#pragma once

#include <string>
#include <string_view>

#include "coordinator/core/compare.h"
#include "coordinator/core/planner.h"
#include "proto/messages.h"

namespace uringsync {

// What the letters depend on besides the action.
struct ItemRules {
  MetadataSelection selection;
  bool sends = false;    // the contents leave this host: '<' instead of '>'
  bool planned = false;  // nothing is done (a dry run)
};

// What of `differences` rsync comes to tell: it looks at a file that runs as somebody again when it has set its owner
// or group, which takes these bits away, and then finds the owner right and the mode wrong. Empty: it tells nothing.
Differences ToldDifferences(const Action& action, const Differences& differences, const ItemRules& rules);

// 11 characters: ">f.st......", "cd+++++++++", "*deleting  ".
std::string ItemCode(const Action& action, const Differences& differences, const ItemRules& rules);

// The path; "./" for the root, '/' behind directories. Raw bytes.
std::string ItemName(const RelPath& path, FileType type);

// " -> target", " => leader" or nothing. Raw bytes.
std::string ItemArrow(const Action& action);

// The action is one that rsync tells without letters too: not the metadata of a file alone.
bool NamedWithoutLetters(const Action& action);

// As rsync prints text: control bytes but tabs, and a backslash that would look like one of these, as \#ooo; bytes
// above 127 too, unless `eight_bit`, or they are valid UTF-8 and `utf8` says that the terminal's text is.
struct PrintRules {
  bool eight_bit = false;
  bool utf8 = false;
};
std::string PrintableText(std::string_view bytes, const PrintRules& rules);

}  // namespace uringsync

// Which directories of which host a session is about, as one short text: so that what is remembered of a pair of trees is
// found again whatever way led to them.
//
// Thread rule: the shard that owns `driver`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/fs/directory.h"
#include "engine/fs/tree_view.h"
#include "engine/ring/driver.h"

namespace uringsync {

// 32 hex digits: of the host's machine id (of hosts that have none, of the paths alone) and the resolved path of the
// directory. Empty: unknown.
std::string PlaceOf(Driver* driver, const Directory& directory);
// The same of the directories that are in the transfer with all below them, in any order. Of more than 64 only where
// they lie counts: they come from a list, which may be another one in each run.
std::string PlaceOf(Driver* driver, const TreeView& view);

// The digest itself; no paths: empty.
std::string PlaceOfPaths(std::string_view machine, std::vector<std::string> paths);

}  // namespace uringsync

// Paths as a user writes them for a shell: "~" in front, and "*", "?" and "[...]", as glob(7) has them.
//
// A pattern stands for the names that are there, sorted by bytes, and for itself, less its backslashes, where there are
// none. A '\\' takes the meaning from the wildcard behind it. Names that begin with '.' are found by a '.' in the
// pattern only.
//
// Use:  US_RETURN_IF_ERROR(ExpandTilde(&path));
//       US_RETURN_IF_ERROR(ExpandWildcards(driver, path, &paths));
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/ring/driver.h"

namespace uringsync {

// "~" is $HOME, or the home of this process's user; "~USER" that user's. A user that there is not stays as written.
// Asks the name service: on a thread that is no shard.
void ExpandTilde(std::string* path);

// Appends what `pattern` stands for. ResourceExhausted where `paths` would hold more than a PathReply can tell
// (kMaxPathReply, kMaxPathReplyBytes). A directory that cannot be read holds nothing. On the shard that owns `driver`.
absl::Status ExpandWildcards(Driver* driver, const std::string& pattern, std::vector<std::string>* paths);

}  // namespace uringsync

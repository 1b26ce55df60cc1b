// Itemize: a planned action in rsync's itemised notation and in words.
//
// Pure functions, any thread. The notation is that of rsync's %i (rsync(1), "--itemize-changes"): YXcstpoguax.
// Y: '>' contents move, 'c' made or changed in place at the destination, 'h' hard link, '.' metadata only, '*' message.
// X: f file, d directory, L symlink, D device, S FIFO or socket.
// Then c (contents, target, device number or type), s size, t time, p mode, o owner, g group, u access time, a ACLs, x
// xattrs;
// '+' everywhere for a new object. Where ACLs and other attributes share a digest both letters cannot be told apart:
// 'x' stands for either unless only ACLs are selected.
//
// Use:  Itemize(planned.action, planned.differences)  →  ">f.st......"
#pragma once

#include <string>

#include "coordinator/core/compare.h"
#include "proto/messages.h"

namespace uringsync {

// The X of the notation.
char ItemTypeLetter(FileType type);

// 11 characters, or "*deleting".
std::string Itemize(const Action& action, const Differences& differences, bool acls_only = false);

// "<code> <path>", with " -> target" for symlinks and " => leader" for hard links; directories end in '/', the root is
// "./". Names are escaped.
std::string ItemizeLine(const Action& action, const Differences& differences, bool acls_only = false);

// Machine-readable kind: "mkdir", "put", "symlink", "special", "link", "metadata", "delete".
const char* ActionKindName(ActionKind kind);

}  // namespace uringsync

// The one escaper for everything that is printed from a file name or a peer.
#pragma once

#include <string>
#include <string_view>

namespace uringsync {

// Printable UTF-8 stays; backslash doubles; control bytes, DEL, C1 controls, Unicode line, paragraph and direction
// controls, and bytes that are not valid UTF-8 become "\ooo" (three octal digits a byte). The result holds no newline,
// no terminal control and is valid UTF-8.
std::string EscapeName(std::string_view bytes);

// Inverse of EscapeName; false in `ok` where a backslash sequence is malformed.
std::string UnescapeName(std::string_view text, bool* ok);

// Bytes of the valid UTF-8 sequence that `bytes` begins with; 0 where there is none (overlong, surrogate, cut off).
size_t Utf8Length(std::string_view bytes);

}  // namespace uringsync

// Errors in rsync's words: the line of an object that failed, and the last line of a run that did not go well.
//
// Thread rule: functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "coordinator/core/exit_code.h"
#include "proto/messages.h"

namespace uringsync {

// `ursync: [sender] send_files failed to open "/src/a": Permission denied (13)`. `path`: of the object, raw; the line
// is raw too.
std::string ProblemText(const Problem& problem, std::string_view path);

// The line that tells of the list of objects.
struct ListLine {
  std::string told;    // on standard output
  std::string logged;  // in the log; empty: nothing
};
// `text` names what is done at the source ("building file list ... done"); where it is another host (not
// `source_is_local`) the list is received. With `counts` (per-file progress) the count of what is found stands in the
// place of "done", where that is known.
ListLine ListLineOf(const std::string& text, bool source_is_local, bool counts, std::optional<uint64_t> count);

// "some files/attrs were not transferred (see previous errors) (code 23)": the reason of an exit code and its number.
// Empty for 0.
std::string ExitReason(int code);
// "ursync error: <reason>", or "ursync warning: ..." where only something vanished. `reason`: instead of rsync's own;
// empty: that.
std::string ExitLine(std::string_view program, int code, std::string_view reason = {});

}  // namespace uringsync

#include "coordinator/cli/rsync/info_levels.h"
#include "coordinator/cli/rsync/option_effects.h"
#include "coordinator/cli/rsync/option_table.h"

namespace uringsync {
namespace {

using S = Settings;

absl::Status Info(Settings& settings, const std::string& value) {
  if (value == "help") {
    settings.info_help = true;
    return absl::OkStatus();
  }
  InfoLevels levels;
  if (const absl::Status status = levels.Apply(value); !status.ok()) return status;
  settings.info.push_back(value);
  return absl::OkStatus();
}

absl::Status StandardError(Settings&, const std::string& value) {
  constexpr std::string_view kErrors = "errors";
  if (!value.empty() && kErrors.substr(0, value.size()) == value) return absl::OkStatus();
  return absl::InvalidArgumentError("errors alone go to standard error; for other text redirect it: ursync ... >&2");
}

absl::Status OutputBuffer(Settings& settings, const std::string& value) {
  const char letter = value.empty() ? 0 : static_cast<char>(value[0] & ~0x20);
  if (letter == 'U') {
    settings.outbuf = 'N';
  } else if (letter == 'F') {
    settings.outbuf = 'B';
  } else if (letter == 'N' || letter == 'L' || letter == 'B') {
    settings.outbuf = letter;
  } else {
    return absl::InvalidArgumentError("None, Line or Block belongs there");
  }
  return absl::OkStatus();
}

constexpr OptionRow kRows[] = {
    {.name = "verbose",
     .letter = 'v',
     .programs = kForUrsync | kForSync | kForApply,
     .on = Count<&S::verbose>,
     .off = Set<&S::verbose, 0>,
     .help = "A line for each object that changes"},
    {.name = "quiet",
     .letter = 'q',
     .programs = kForCarrying,
     .on = Set<&S::quiet, true>,
     .help = "Nothing but errors"},
    {.name = "itemize-changes",
     .letter = 'i',
     .programs = kForRuns | kForApply,
     .on = Count<&S::itemize>,
     .off = Set<&S::itemize, 0>,
     .help = "What changes of each object: --out-format='%i %n%L'"},
    {.name = "out-format",
     .aliases = "log-format",
     .argument = "FORMAT",
     .programs = kForRuns | kForApply,
     .on = Store<&S::out_format>,
     .help = "A line like this for each object that changes"},
    {.name = "log-file",
     .argument = "FILE",
     .programs = kForRuns | kForApply,
     .on = Store<&S::log_file>,
     .help = "Write down there what is done"},
    {.name = "log-file-format",
     .argument = "FORMAT",
     .programs = kForRuns | kForApply,
     .on = Store<&S::log_file_format>,
     .help = "Lines of the log; '%i %n%L' by default"},
    {.name = "stats", .programs = kForCarrying, .on = Set<&S::stats, true>, .help = "A table of counts at the end"},
    {.name = "list-only",
     .programs = kForUrsync,
     .on = Set<&S::list_only, true>,
     .help = "List the source; a single operand does that too"},
    {.name = "progress",
     .programs = kForUrsync,
     .on = Set<&S::progress, true>,
     .off = Set<&S::progress, false>,
     .help = "Tell of each file how far it is"},
    {.name = "progress",
     .programs = kForUringsync | kForVerify | kForApply,
     .on = Set<&S::progress, true>,
     .off = Set<&S::progress, false>,
     .help = "Progress also where standard error is no terminal (--no-progress: nowhere)"},
    {.letter = 'P',
     .on =
         +[](Settings& settings, const std::string&) {
           settings.partial = true;
           settings.progress = true;
           return absl::OkStatus();
         },
     .help = "The same as --partial --progress"},
    {.name = "info",
     .argument = "FLAGS",
     .programs = kForRuns | kForApply,
     .on = Info,
     .help = "What to tell, by name; --info=help lists the names"},
    {.name = "debug", .argument = "FLAGS", .refused = kDebug},
    {.name = "human-readable",
     .letter = 'h',
     .programs = kForRuns | kForApply,
     .on = Count<&S::human>,
     .off = Set<&S::human, 0>,
     .help = "Numbers with units of 1000; -hh: of 1024; --no-h: digits alone"},
    {.name = "8-bit-output",
     .letter = '8',
     .programs = kForRuns | kForApply,
     .on = Set<&S::eight_bit, true>,
     .off = Set<&S::eight_bit, false>,
     .help = "Print bytes of names above 127 as they are"},
    {.name = "stderr", .argument = "e", .on = StandardError, .help = "errors: only errors go to standard error"},
    {.name = "msgs2stderr", .off = Already, .refused = "redirect standard output instead"},
    {.name = "outbuf",
     .argument = "N|L|B",
     .on = OutputBuffer,
     .help = "Write standard output at once, by line, or by block"},
    {.name = "json",
     .programs = kForCarrying,
     .on = Set<&S::json, true>,
     .help = "Events, one JSON object a line (docs/json.md)"},
    {.name = "version",
     .letter = 'V',
     .programs = kForUrsync,
     .on = Count<&S::version>,
     .help = "Print the version; twice: as JSON"},
    {.name = "help", .programs = kForCarrying, .on = Set<&S::help, true>, .help = "Print this help"},
};

}  // namespace

std::span<const OptionRow> TellingOptions() {
  return kRows;
}

}  // namespace uringsync

// Program: what the commands get from main(): the console, and where things are. No command looks at the process
// itself.
#pragma once

#include <string>

namespace uringsync {

class Console;

struct Program {
  Console* console = nullptr;      // borrowed
  const char* name = "uringsync";  // what its own messages begin with; a literal
  std::string self;                // path of the running executable
  std::string agent_override;      // $URINGSYNC_AGENT
  std::string search_path;         // $PATH
  std::string fallback;            // $URSYNC_FALLBACK
  std::string state_directory;     // where runs remember something for the next ones; empty: nowhere
  bool utf8 = false;               // text of this process's locale is UTF-8
};

}  // namespace uringsync

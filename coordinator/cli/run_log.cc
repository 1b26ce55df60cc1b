#include "coordinator/cli/run_log.h"

#include <unistd.h>

#include <cerrno>

#include "coordinator/cli/rsync/item.h"
#include "coordinator/cli/rsync/numbers.h"

namespace uringsync {

int RunLog::Open(const std::string& file) {
  file_.reset(std::fopen(file.c_str(), "ae"));
  return file_ == nullptr ? errno : 0;
}

void RunLog::Line(std::time_t now, std::string_view line) {
  if (file_ == nullptr) return;
  const std::string text = PrintableText(line, {.eight_bit = true, .utf8 = false});
  std::fprintf(file_.get(), "%s [%d] %s\n", HumanTime(now, ' ').c_str(), static_cast<int>(::getpid()), text.c_str());
  std::fflush(file_.get());
}

}  // namespace uringsync

#include "coordinator/cli/fallback.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "coordinator/cli/console.h"

namespace uringsync {
namespace {

bool SameFile(const std::string& a, const std::string& b) {
  struct stat first;
  struct stat second;
  if (::stat(a.c_str(), &first) != 0 || ::stat(b.c_str(), &second) != 0) return false;
  return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

// Empty where there is none.
std::string Find(const std::string& name, const Program& program) {
  if (name.find('/') != std::string::npos) return name;
  std::string_view rest = program.search_path;
  while (!rest.empty()) {
    const size_t end = rest.find(':');
    const std::string_view directory = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    const std::string path = (directory.empty() ? std::string(".") : std::string(directory)) + "/" + name;
    if (::access(path.c_str(), X_OK) == 0 && !SameFile(path, program.self)) return path;
  }
  return {};
}

}  // namespace

int RunInstead(const std::string& name, int argc, const char* const* argv, const Program& program) {
  const std::string path = Find(name, program);
  if (path.empty()) return ENOENT;
  if (SameFile(path, program.self)) return ELOOP;
  std::vector<char*> arguments = {const_cast<char*>(path.c_str())};
  for (int i = 1; i < argc; ++i) arguments.push_back(const_cast<char*>(argv[i]));
  arguments.push_back(nullptr);
  ::unsetenv("URSYNC_FALLBACK");
  ::signal(SIGPIPE, SIG_DFL);  // a program inherits what is ignored
  program.console->Flush();
  ::execv(path.c_str(), arguments.data());
  return errno;
}

}  // namespace uringsync

// uringsync: the operator's command. Wires what the commands need from the process, and nothing else.
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "coordinator/cli/app.h"
#include "coordinator/cli/console.h"
#include "coordinator/cli/far_agent.h"
#include "coordinator/cli/ursync_command.h"
#include "coordinator/core/exit_code.h"
#include "engine/base/exhaustion.h"
#include "engine/base/kill_point.h"

namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::string SelfPath() {
  char path[PATH_MAX];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof(path));
  return n > 0 ? std::string(path, static_cast<size_t>(n)) : std::string();
}

std::string StateDirectory() {
  if (const char* set = std::getenv("URINGSYNC_STATE_DIR"); set != nullptr) return set;
  if (::geteuid() == 0) return "/var/lib/uringsync";
  if (const std::string set = Variable("XDG_STATE_HOME"); set.starts_with('/')) return set + "/uringsync";
  const std::string home = Variable("HOME");
  return home.starts_with('/') ? home + "/.local/state/uringsync" : std::string();
}

bool LocaleIsUtf8() {
  const locale_t locale = ::newlocale(LC_CTYPE_MASK, "", nullptr);
  if (locale == nullptr) return false;
  const bool utf8 = std::strcmp(::nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
  ::freelocale(locale);
  return utf8;
}

// The name by which the program was called decides which command line it has.
bool CalledAsRsync(const char* path) {
  const char* slash = std::strrchr(path, '/');
  const char* name = slash == nullptr ? path : slash + 1;
  return std::strcmp(name, "ursync") == 0 || std::strcmp(name, "rsync") == 0;
}

int TerminalColumns() {
  winsize size = {};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

// A signal before a run watches for them (Interrupts): there is nothing to put in order yet.
void EndBySignal(int) {
  constexpr char kLine[] = "received SIGINT, SIGTERM, or SIGHUP\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kLine, sizeof(kLine) - 1);
  ::_exit(static_cast<int>(uringsync::ExitCode::kInterrupted));
}

void EndBySignals() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction now = {};
    if (::sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) ::signal(number, &EndBySignal);
  }
}

}  // namespace

int main(int argc, char** argv) {
  uringsync::StartKillPoints();
  const bool as_rsync = argc > 0 && CalledAsRsync(argv[0]);
  const char* const name = as_rsync ? "ursync" : "uringsync";
  uringsync::EndInWordsWhenExhausted(name);
  EndBySignals();
  ::signal(SIGPIPE, SIG_IGN);  // a closed pipe shows as an error of the write
  uringsync::Console console({.out = stdout,
                              .err = stderr,
                              .err_is_terminal = ::isatty(STDERR_FILENO) == 1,
                              .out_is_terminal = ::isatty(STDOUT_FILENO) == 1,
                              .columns = &TerminalColumns});
  const uringsync::Program program{.console = &console,
                                   .name = name,
                                   .self = SelfPath(),
                                   .agent_override = Variable("URINGSYNC_AGENT"),
                                   .search_path = Variable("PATH"),
                                   .fallback = Variable("URSYNC_FALLBACK"),
                                   .state_directory = StateDirectory(),
                                   .utf8 = LocaleIsUtf8()};
  if (uringsync::AsksForStdio(argc, argv)) return uringsync::BecomeStdioAgent(argc, argv, program);
  if (as_rsync) return uringsync::UrsyncCommand(argc, argv, program);
  return uringsync::RunApp(argc, argv, program);
}

// clock_steps: runs a program, and whatever it starts, with a real-time clock that is set while they run, for tests: no
// clock of the machine moves. The clocks that nobody can set (CLOCK_MONOTONIC and its kin), and the times that the
// kernel stamps files with, stay as they are.
//
//   clock_steps [--told FILE] SECONDS... -- PROGRAM [ARGUMENT...]
//
// The clock is right for its first kReadsOfAStep reads, then it is off by the first of SECONDS, after as many reads by
// the next one, and stays at the last. FILE gets the number of reads that were off. It ends as the program does; 77: it
// cannot be done here.
//
// How: the program is traced. Its auxiliary vector loses the vDSO, so that clocks are read by system calls, and a
// seccomp filter stops it at those that read this clock, whose answers come from here.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace uringsync::clock_steps {
namespace {

constexpr int kCannot = 77;
constexpr uint64_t kReadsOfAStep = 3;
constexpr long kAuxVdso = 33;   // AT_SYSINFO_EHDR
constexpr long kAuxIgnore = 1;  // AT_IGNORE

struct Clock {
  std::vector<int64_t> steps;
  uint64_t reads = 0;

  int64_t Offset() {
    const uint64_t step = reads++ / kReadsOfAStep;
    if (step == 0 || steps.empty()) return 0;
    return steps[step - 1 < steps.size() ? step - 1 : steps.size() - 1];
  }
  uint64_t ReadsThatWereOff() const { return reads > kReadsOfAStep ? reads - kReadsOfAStep : 0; }
};

int Cannot(const char* what) {
  std::fprintf(stderr, "clock_steps: %s: %s\n", what, std::strerror(errno));
  return kCannot;
}

bool StopAtClocks() {
  const auto load = [](uint32_t offset) { return sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset); };
  const auto equal = [](uint32_t value, uint8_t yes, uint8_t no) {
    return sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
  };
  const sock_filter program[] = {load(offsetof(seccomp_data, nr)),
                                 equal(__NR_gettimeofday, 5, 0),
                                 equal(__NR_time, 4, 0),
                                 equal(__NR_clock_gettime, 0, 4),
                                 load(offsetof(seccomp_data, args[0])),
                                 equal(CLOCK_REALTIME, 1, 0),
                                 equal(CLOCK_REALTIME_COARSE, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog filter = {sizeof(program) / sizeof(program[0]), const_cast<sock_filter*>(program)};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0) return true;
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

long Peek(pid_t pid, uint64_t address) {
  return ::ptrace(PTRACE_PEEKDATA, pid, address, nullptr);
}
void Poke(pid_t pid, uint64_t address, long word) {
  ::ptrace(PTRACE_POKEDATA, pid, address, word);
}

// The stack of a program that was just begun: argc, arguments, 0, environment, 0, pairs of the auxiliary vector.
void HideVdso(pid_t pid) {
  user_regs_struct registers{};
  if (::ptrace(PTRACE_GETREGS, pid, nullptr, &registers) != 0) return;
  uint64_t at = registers.rsp + 8 * (static_cast<uint64_t>(Peek(pid, registers.rsp)) + 2);
  while (Peek(pid, at) != 0) at += 8;
  for (at += 8; Peek(pid, at) != 0; at += 16) {
    if (Peek(pid, at) == kAuxVdso) Poke(pid, at, kAuxIgnore);
  }
}

// Answers the call that `pid` is about to make, and has it skipped.
void Answer(pid_t pid, Clock* clock) {
  user_regs_struct registers{};
  if (::ptrace(PTRACE_GETREGS, pid, nullptr, &registers) != 0) return;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  now.tv_sec += clock->Offset();
  registers.rax = 0;
  switch (registers.orig_rax) {
    case __NR_clock_gettime:
      Poke(pid, registers.rsi, now.tv_sec);
      Poke(pid, registers.rsi + 8, now.tv_nsec);
      break;
    case __NR_gettimeofday:
      if (registers.rdi != 0) Poke(pid, registers.rdi, now.tv_sec);
      if (registers.rdi != 0) Poke(pid, registers.rdi + 8, now.tv_nsec / 1000);
      break;
    default:
      if (registers.rdi != 0) Poke(pid, registers.rdi, now.tv_sec);
      registers.rax = static_cast<unsigned long long>(now.tv_sec);
  }
  registers.orig_rax = ~0ULL;
  ::ptrace(PTRACE_SETREGS, pid, nullptr, &registers);
}

// Until nobody is left. What `first` ended with.
int Watch(pid_t first, Clock* clock) {
  int code = 0;
  while (true) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, __WALL);
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) return code;
    if (!WIFSTOPPED(status)) {
      if (pid == first) code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      continue;
    }
    const int event = status >> 16;
    if (event == PTRACE_EVENT_EXEC) HideVdso(pid);
    if (event == PTRACE_EVENT_SECCOMP) Answer(pid, clock);
    ::ptrace(PTRACE_CONT, pid, nullptr, event == 0 ? WSTOPSIG(status) : 0);
  }
}

[[noreturn]] void Become(int ready, char** command) {
  char byte = 0;
  if (::read(ready, &byte, 1) != 1) ::_exit(kCannot);
  ::close(ready);
  if (!StopAtClocks()) ::_exit(Cannot("a seccomp filter"));
  ::execvp(command[0], command);
  ::_exit(Cannot(command[0]));
}

int Run(char** command, const std::string& told, Clock clock) {
  int ready[2];
  if (::pipe(ready) != 0) return Cannot("pipe");
  const pid_t child = ::fork();
  if (child < 0) return Cannot("fork");
  if (child == 0) {
    ::close(ready[1]);
    Become(ready[0], command);
  }
  ::close(ready[0]);
  constexpr long kOptions = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                            PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
  if (::ptrace(PTRACE_SEIZE, child, nullptr, kOptions) != 0) {
    const int cannot = Cannot("ptrace");
    ::close(ready[1]);
    ::waitpid(child, nullptr, 0);
    return cannot;
  }
  if (::write(ready[1], "x", 1) != 1) return Cannot("pipe");
  ::close(ready[1]);
  const int code = Watch(child, &clock);
  if (told.empty()) return code;
  std::FILE* const file = std::fopen(told.c_str(), "w");
  if (file == nullptr) return Cannot(told.c_str());
  std::fprintf(file, "%llu\n", static_cast<unsigned long long>(clock.ReadsThatWereOff()));
  std::fclose(file);
  return code;
}

int Main(int count, char** words) {
  std::string told;
  Clock clock;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--told" && i + 1 < count) {
      told = words[++i];
    } else if (word == "--" && i + 1 < count) {
      return Run(words + i + 1, told, std::move(clock));
    } else {
      clock.steps.push_back(std::strtoll(word.c_str(), nullptr, 10));
    }
  }
  std::fprintf(stderr, "usage: clock_steps [--told FILE] SECONDS... -- PROGRAM [ARGUMENT...]\n");
  return 1;
}

}  // namespace
}  // namespace uringsync::clock_steps

int main(int count, char** words) {
  return uringsync::clock_steps::Main(count, words);
}

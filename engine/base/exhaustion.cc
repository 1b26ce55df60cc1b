#include "engine/base/exhaustion.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <latch>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace uringsync {
namespace {

constexpr int kExitFileIo = 11;  // docs/cli.md, "Exit codes"
const char* program_name = "";

void Say(const char* text) {
  // Nothing that allocates: there may be no memory.
  static_cast<void>(!::write(STDERR_FILENO, text, std::strlen(text)));
}

void EndInWords(const char* what, const char* way_out) {
  Say(program_name);
  Say(": ");
  Say(what);
  Say("; ");
  Say(way_out);
  Say("\n");
  ::_exit(kExitFileIo);
}

[[noreturn]] void OnTerminate() {
  const std::exception_ptr thrown = std::current_exception();
  if (thrown == nullptr) std::abort();
  try {
    std::rethrow_exception(thrown);
  } catch (const std::system_error&) {
    EndInWords(
        "the system refuses to start another thread",
        "raise the limit of threads or of memory (ulimit -u, ulimit -v, the container's pids limit), or use --jobs 1");
  } catch (const std::bad_alloc&) {
    EndInWords("out of memory", "raise the limit of memory (ulimit -v, the container's limit), or use --jobs 1");
  } catch (...) {
  }
  std::abort();
}

}  // namespace

void ProveThreads(int count) {
  std::latch all_run(count);
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(count));
  try {
    for (int i = 0; i < count; ++i) threads.emplace_back([&all_run] { all_run.arrive_and_wait(); });
  } catch (...) {
    // Here, where the exception is known: unwinding would destroy threads that still wait, and end without a word.
    std::terminate();
  }
  for (std::thread& thread : threads) thread.join();
}

void EndInWordsWhenExhausted(const char* program) {
  program_name = program;
  std::set_terminate(&OnTerminate);
}

}  // namespace uringsync

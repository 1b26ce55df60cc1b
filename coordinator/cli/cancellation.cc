#include "coordinator/cli/cancellation.h"

#include <signal.h>
#include <unistd.h>

#include <string_view>

#include "coordinator/core/exit_code.h"
#include "engine/base/errno_status.h"

namespace uringsync {

void Cancellation::OnSignal(int signal, int count) {
  if (count == 1 && running) {
    source.Cancel(
        MakeStatus(absl::StatusCode::kCancelled, signal == SIGINT ? "interrupted (SIGINT)" : "interrupted (SIGTERM)"));
    std::lock_guard lock(mutex_);
    has_come_ = true;
    came_.notify_all();
    return;
  }
  // Nothing of ours is left behind: a private agent sees its socket's end and removes its temporaries, the lock goes
  // with it.
  for (const std::string_view part :
       {std::string_view("\n"), std::string_view(program), std::string_view(": interrupted\n")})
    (void)!::write(STDERR_FILENO, part.data(), part.size());
  ::_exit(static_cast<int>(ExitCode::kInterrupted));
}

bool Cancellation::WaitForSignal(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return came_.wait_for(lock, patience, [this] { return has_come_; });
}

}  // namespace uringsync

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
    return;
  }
  // Nothing of ours is left behind: a private agent sees its socket's end and removes its temporaries, the lock goes
  // with it.
  constexpr std::string_view kText = "\nuringsync: interrupted\n";
  (void)!::write(STDERR_FILENO, kText.data(), kText.size());
  ::_exit(static_cast<int>(ExitCode::kInterrupted));
}

}  // namespace uringsync

#include <string>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/ring/driver.h"
#include "engine/ring/thread_driver.h"
#include "engine/ring/uring_driver.h"

namespace uringsync {

absl::StatusOr<DriverChoice> MakeDriver(const DriverOptions& options) {
  DriverChoice choice;
  if (options.backend != IoBackend::kThreads) {
    absl::StatusOr<std::unique_ptr<UringDriver>> uring = UringDriver::Create(options);
    if (uring.ok()) {
      choice.driver = *std::move(uring);
      return choice;
    }
    if (options.backend == IoBackend::kUring) return WithContext(uring.status(), "--io-backend=uring");
    choice.fallback_reason = "io_uring is not usable here (" + std::string(uring.status().message()) +
                             "); going on with --io-backend=threads";
  }
  US_ASSIGN_OR_RETURN(choice.driver, ThreadDriver::Create(options));
  return choice;
}

}  // namespace uringsync

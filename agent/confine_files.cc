// Landlock: the roots, and the little else of a file system that the agent and its libraries read.
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/confinement.h"
#include "engine/base/errno_status.h"
#include "engine/base/escape.h"
#include "engine/base/unique_fd.h"

namespace uringsync {
namespace {

constexpr int kLeastAbi = 2;
// linux/landlock.h; not all of them in the headers of Debian 12.
constexpr uint64_t kTruncate = uint64_t{1} << 14;  // ABI 3
constexpr uint64_t kIoctlDev = uint64_t{1} << 15;  // ABI 5
constexpr int kTruncateAbi = 3;
constexpr int kIoctlDevAbi = 5;
constexpr uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
// All of ABI 2.
constexpr uint64_t kEverything = (uint64_t{1} << 14) - 1;
constexpr uint64_t kScratch =
    kRead | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE | kTruncate;

// Names of users and hosts, time zones, certificates of the system, plug-ins of the C library, facts about the process
// and the machine. Directories: what is replaced in them stays readable.
constexpr const char* kReadable[] = {"/etc", "/usr", "/lib", "/lib64", "/proc", "/sys", "/run", "/var/lib/sss"};
constexpr const char* kDevices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};

uint64_t Handled(int abi) {
  return kEverything | (abi >= kTruncateAbi ? kTruncate : 0) | (abi >= kIoctlDevAbi ? kIoctlDev : 0);
}

class Ruleset {
 public:
  static absl::StatusOr<Ruleset> Create(uint64_t handled) {
    landlock_ruleset_attr attributes{};
    attributes.handled_access_fs = handled;
    const long fd = ::syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
    if (fd < 0) return ErrnoStatus(errno, "landlock_create_ruleset");
    return Ruleset(UniqueFd(static_cast<int>(fd)), handled);
  }
  // What is not there needs no rule; of a file, what concerns files counts.
  absl::Status Allow(const std::string& path, uint64_t access) {
    const UniqueFd place(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat found{};
    if (!place.valid() || ::fstat(place.get(), &found) != 0) return absl::OkStatus();
    constexpr uint64_t kOfFiles = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate | kIoctlDev;
    landlock_path_beneath_attr rule{};
    rule.allowed_access = access & handled_ & (S_ISDIR(found.st_mode) ? ~uint64_t{0} : kOfFiles);
    rule.parent_fd = place.get();
    if (::syscall(SYS_landlock_add_rule, fd_.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
      return ErrnoStatus(errno, "landlock_add_rule for " + EscapeName(path));
    return absl::OkStatus();
  }
  absl::Status Enforce() {
    if (::syscall(SYS_landlock_restrict_self, fd_.get(), 0) != 0) return ErrnoStatus(errno, "landlock_restrict_self");
    return absl::OkStatus();
  }

 private:
  Ruleset(UniqueFd fd, uint64_t handled) : fd_(std::move(fd)), handled_(handled) {}
  UniqueFd fd_;
  uint64_t handled_;
};

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

absl::StatusOr<int> ConfineFiles(const ConfinementPlan& plan) {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 0) return ErrnoStatus(errno, "landlock_create_ruleset");
  if (abi < kLeastAbi)
    return absl::UnimplementedError("this kernel's Landlock cannot rename between directories (5.19 can)");
  US_ASSIGN_OR_RETURN(Ruleset rules, Ruleset::Create(Handled(static_cast<int>(abi))));
  const uint64_t all = ~uint64_t{LANDLOCK_ACCESS_FS_EXECUTE} & (plan.device_data ? ~uint64_t{0} : ~kIoctlDev);
  for (const RootSpec& root : plan.roots) US_RETURN_IF_ERROR(rules.Allow(root.path, root.read_only ? kRead : all));
  for (const char* path : kReadable) US_RETURN_IF_ERROR(rules.Allow(path, kRead));
  for (const char* path : kDevices) US_RETURN_IF_ERROR(rules.Allow(path, kRead | LANDLOCK_ACCESS_FS_WRITE_FILE));
  for (const std::string& file : plan.read_beside) {
    if (!file.empty()) US_RETURN_IF_ERROR(rules.Allow(DirectoryOf(file), kRead));
  }
  if (!plan.scratch.empty()) {
    US_RETURN_IF_ERROR(rules.Allow(plan.scratch, kScratch));
    // It goes at the end; what it lies in loses no more than empty directories.
    US_RETURN_IF_ERROR(rules.Allow(DirectoryOf(plan.scratch), LANDLOCK_ACCESS_FS_REMOVE_DIR));
  }
  US_RETURN_IF_ERROR(rules.Enforce());
  return static_cast<int>(abi);
}

}  // namespace uringsync

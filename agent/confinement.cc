#include "agent/confinement.h"

#include <cap-ng.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "engine/base/errno_status.h"

// The leak checker stops its own process to look at it.
#if defined(__SANITIZE_ADDRESS__)
#define URINGSYNC_TRACES_ITSELF 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define URINGSYNC_TRACES_ITSELF 1
#endif
#endif

namespace uringsync {
namespace {

// What a sync sets or reads past permissions (docs/operations.md, "Who may do what"); leases on files of others; limits
// of locked memory and of quotas that root does not have either; ports below 1024; labels.
constexpr unsigned kKeptCapabilities[] = {
    CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,       CAP_FSETID,           CAP_SETFCAP,  CAP_MKNOD,
    CAP_LEASE, CAP_SYS_ADMIN,    CAP_IPC_LOCK,        CAP_SYS_RESOURCE, CAP_NET_BIND_SERVICE, CAP_MAC_ADMIN};

// By name: a library that does not know one leaves it out.
constexpr const char* kRefusedCalls[] = {"execve",
                                         "execveat",
#if !defined(URINGSYNC_TRACES_ITSELF)
                                         "ptrace",
#endif
                                         "process_vm_readv",
                                         "process_vm_writev",
                                         "process_madvise",
                                         "pidfd_getfd",
                                         "kcmp",
                                         "userfaultfd",
                                         "bpf",
                                         "perf_event_open",
                                         "mount",
                                         "umount",
                                         "umount2",
                                         "pivot_root",
                                         "chroot",
                                         "move_mount",
                                         "open_tree",
                                         "fsopen",
                                         "fsconfig",
                                         "fsmount",
                                         "fspick",
                                         "mount_setattr",
                                         "setns",
                                         "unshare",
                                         "swapon",
                                         "swapoff",
                                         "reboot",
                                         "kexec_load",
                                         "kexec_file_load",
                                         "init_module",
                                         "finit_module",
                                         "delete_module",
                                         "create_module",
                                         "acct",
                                         "quotactl",
                                         "quotactl_fd",
                                         "settimeofday",
                                         "clock_settime",
                                         "clock_adjtime",
                                         "adjtimex",
                                         "stime",
                                         "sethostname",
                                         "setdomainname",
                                         "syslog",
                                         "vhangup",
                                         "iopl",
                                         "ioperm",
                                         "modify_ldt",
                                         "uselib",
                                         "nfsservctl",
                                         "add_key",
                                         "request_key",
                                         "keyctl",
                                         "setuid",
                                         "setgid",
                                         "setreuid",
                                         "setregid",
                                         "setresuid",
                                         "setresgid",
                                         "setgroups",
                                         "setfsuid",
                                         "setfsgid",
                                         "capset"};
// Types something into a terminal as if it had been typed there.
constexpr unsigned long kPushTerminalInput = 0x5412;  // TIOCSTI
constexpr int kSocketFamilies[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

absl::Status Refuse(scmp_filter_ctx filter, const char* name) {
  const int call = ::seccomp_syscall_resolve_name(name);
  if (call == __NR_SCMP_ERROR) return absl::OkStatus();
  const int added = ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0);
  // A call of another architecture.
  if (added == -EDOM) return absl::OkStatus();
  return added == 0 ? absl::OkStatus() : ErrnoStatus(-added, std::string("seccomp rule for ") + name);
}

// Families lie in a row but for gaps: each value that is not permitted gets its rule, and all above the last one.
absl::Status RefuseSockets(scmp_filter_ctx filter) {
  const auto refuse = [filter](scmp_compare compare, int family) {
    return ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                              SCMP_CMP32(0, compare, static_cast<uint32_t>(family)));
  };
  int last = 0;
  for (const int family : kSocketFamilies) last = std::max(last, family);
  int result = refuse(SCMP_CMP_GT, last);
  for (int family = 0; family <= last && result == 0; ++family) {
    const bool permitted =
        std::find(std::begin(kSocketFamilies), std::end(kSocketFamilies), family) != std::end(kSocketFamilies);
    if (!permitted) result = refuse(SCMP_CMP_EQ, family);
  }
  return result == 0 ? absl::OkStatus() : ErrnoStatus(-result, "seccomp rule for socket");
}

}  // namespace

absl::StatusOr<ConfinementMode> ParseConfinementMode(std::string_view text) {
  if (text == "auto") return ConfinementMode::kAuto;
  if (text == "off") return ConfinementMode::kOff;
  if (text == "require") return ConfinementMode::kRequire;
  return absl::InvalidArgumentError("auto, off or require belongs there");
}

absl::StatusOr<std::string> DropCapabilities() {
  ::capng_clear(CAPNG_SELECT_BOTH);
  if (::capng_get_caps_process() != 0) return ErrnoStatus(errno, "capget");
  std::string kept;
  for (unsigned capability = 0; capability <= static_cast<unsigned>(CAP_LAST_CAP); ++capability) {
    const bool useful = std::find(std::begin(kKeptCapabilities), std::end(kKeptCapabilities), capability) !=
                        std::end(kKeptCapabilities);
    if (useful) {
      if (::capng_have_capability(CAPNG_EFFECTIVE, capability) == 0) continue;
      kept += (kept.empty() ? "" : " ") + std::string(::capng_capability_to_name(capability));
      continue;
    }
    ::capng_update(CAPNG_DROP, static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE),
                   capability);
  }
  if (::capng_apply(CAPNG_SELECT_CAPS) != 0) return ErrnoStatus(errno, "capset");
  return kept.empty() ? "none" : kept;
}

absl::Status ConfineSystemCalls() {
  const std::unique_ptr<void, decltype(&::seccomp_release)> filter(::seccomp_init(SCMP_ACT_ALLOW), &::seccomp_release);
  if (filter == nullptr) return absl::InternalError("seccomp_init");
  ::seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
  for (const char* name : kRefusedCalls) US_RETURN_IF_ERROR(Refuse(filter.get(), name));
  US_RETURN_IF_ERROR(RefuseSockets(filter.get()));
  const int typed = ::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                                       SCMP_CMP32(1, SCMP_CMP_EQ, static_cast<uint32_t>(kPushTerminalInput)));
  if (typed != 0) return ErrnoStatus(-typed, "seccomp rule for ioctl");
  const int loaded = ::seccomp_load(filter.get());
  return loaded == 0 ? absl::OkStatus() : ErrnoStatus(-loaded, "seccomp");
}

absl::StatusOr<ConfinementReport> Confine(const ConfinementPlan& plan) {
  ConfinementReport report;
  if (plan.mode == ConfinementMode::kOff) return report;
  const auto miss = [&report](const char* what, const absl::Status& status) {
    report.missing.push_back(std::string(what) + ": " + std::string(ToStd(status.message())));
  };
  absl::StatusOr<std::string> kept = DropCapabilities();
  if (kept.ok()) {
    report.capabilities = *std::move(kept);
  } else {
    miss("capabilities", kept.status());
  }
  // Without it the rest would need privileges; a program that nobody can execute gains none either.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) miss("no new privileges", ErrnoStatus(errno, "prctl"));
  if (!plan.roots.empty()) {
    const absl::StatusOr<int> abi = ConfineFiles(plan);
    if (abi.ok()) {
      report.landlock_abi = *abi;
    } else {
      miss("Landlock", abi.status());
    }
  }
  const absl::Status filtered = ConfineSystemCalls();
  report.system_calls = filtered.ok();
  if (!filtered.ok()) miss("seccomp", filtered);
  if (plan.mode != ConfinementMode::kRequire || report.missing.empty()) return report;
  std::string all;
  for (const std::string& line : report.missing) all += (all.empty() ? "" : "; ") + line;
  return absl::FailedPreconditionError("--confinement=require: " + all + " (--confinement=auto goes without)");
}

}  // namespace uringsync

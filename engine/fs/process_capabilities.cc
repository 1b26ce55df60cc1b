#include "engine/fs/process_capabilities.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

namespace uringsync {
namespace {

// The only way to ask umask(2) is to set it, for all threads at once: /proc tells it (since Linux 4.7).
uint32_t ReadUmask(uint32_t otherwise) {
  std::ifstream status("/proc/self/status");
  for (std::string key; status >> key;) {
    uint32_t value = 0;
    if (key == "Umask:" && status >> std::oct >> value) return value & 0777;
  }
  return otherwise;
}

}  // namespace

bool ProcessCapabilities::InGroup(uint32_t gid) const {
  return std::binary_search(groups.begin(), groups.end(), gid);
}

ProcessCapabilities WithFakeSuper(ProcessCapabilities capabilities) {
  capabilities.can_chown = capabilities.can_mknod = true;
  capabilities.can_set_capabilities = capabilities.can_set_trusted = true;
  return capabilities;
}

ProcessCapabilities ReadProcessCapabilities() {
  ProcessCapabilities result;
  result.uid = ::geteuid();
  result.gid = ::getegid();
  result.umask = ReadUmask(result.umask);
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  // Credentials of the process, no call of a session: not the driver's business.
  if (::syscall(SYS_capget, &header, data) == 0) {
    const auto has = [&data](int capability) {
      return (data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability)) != 0;
    };
    result.can_chown = has(CAP_CHOWN);
    result.can_mknod = has(CAP_MKNOD);
    result.can_set_capabilities = has(CAP_SETFCAP);
    result.can_set_trusted = has(CAP_SYS_ADMIN);
    result.can_override_owner = has(CAP_FOWNER);
  }
  const int count = ::getgroups(0, nullptr);
  if (count > 0) {
    std::vector<gid_t> groups(static_cast<size_t>(count));
    const int got = ::getgroups(count, groups.data());
    if (got > 0) result.groups.assign(groups.begin(), groups.begin() + got);
  }
  result.groups.push_back(::getegid());
  std::sort(result.groups.begin(), result.groups.end());
  result.groups.erase(std::unique(result.groups.begin(), result.groups.end()), result.groups.end());
  return result;
}

}  // namespace uringsync

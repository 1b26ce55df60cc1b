#include "engine/fs/process_capabilities.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace uringsync {

bool ProcessCapabilities::InGroup(uint32_t gid) const {
  return std::binary_search(groups.begin(), groups.end(), gid);
}

ProcessCapabilities ReadProcessCapabilities() {
  ProcessCapabilities result;
  result.uid = ::geteuid();
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

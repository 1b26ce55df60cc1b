// What this process may set, from its effective capabilities and groups: the can_* fields of SessionOpened; and its
// umask.
//
// Thread rule: reads the calling thread's credentials; a value afterwards.
#pragma once

#include <cstdint>
#include <vector>

namespace uringsync {

struct ProcessCapabilities {
  bool can_chown = false;             // CAP_CHOWN
  bool can_mknod = false;             // CAP_MKNOD: devices (FIFOs and sockets need nothing)
  bool can_set_capabilities = false;  // CAP_SETFCAP: security.capability
  bool can_set_trusted = false;       // CAP_SYS_ADMIN: trusted.* and other security.*
  bool can_override_owner = false;    // CAP_FOWNER: mode, times, ACLs of files of others
  uint32_t uid = 0;                   // effective
  uint32_t gid = 0;                   // effective
  uint32_t umask = 022;               // what a plain creation leaves out
  std::vector<uint32_t> groups;       // effective and supplementary, sorted, unique

  bool InGroup(uint32_t gid) const;
};

// With all that FakeSuper (fake_super.h) makes possible.
ProcessCapabilities WithFakeSuper(ProcessCapabilities capabilities);

// A capget that fails counts as no capability at all.
ProcessCapabilities ReadProcessCapabilities();

}  // namespace uringsync

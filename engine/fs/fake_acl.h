// POSIX ACLs as rsync keeps them in attributes of files (--fake-super): numbers of 32 bits, little-endian: what owner,
// group, mask and others may, then id and permissions of each named user and group. What the mode says anyway is left
// out.
//
// Thread rule: functions.
// Use:  std::optional<std::string> stored = PackAcl(system_value, kAccessAcl);
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace uringsync {

enum class AclKind : uint8_t { kAccess = 1, kDefault };

// `value` as the kernel has it (system.posix_acl_*) in rsync's form; nullopt: it is none.
std::optional<std::string> PackAcl(std::string_view value, AclKind kind);
// The other way round, for an object of `mode`; nullopt: it is none.
std::optional<std::string> UnpackAcl(std::string_view stored, AclKind kind, uint32_t mode);

}  // namespace uringsync

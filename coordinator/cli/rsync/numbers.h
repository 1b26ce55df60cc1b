// Numbers as rsync prints them, by level: 0 plain digits, 1 groups of three, 2 units of 1000, 3 units of 1024.
//
// Thread rule: functions.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>

namespace uringsync {

// "1234567", "1,234,567", "1.23M", "1.18M".
std::string HumanNumber(uint64_t number, int level);
// The same with `decimals` behind the point where no unit stands: "1,234.50".
std::string HumanDecimal(double number, int level, int decimals);
// "2026/11/22" `separator` "22:14:10", local time.
std::string HumanTime(std::time_t time, char separator);
// "rwxr-xr-x" with s, S, t and T of the special bits.
std::string PermissionText(uint32_t mode);

}  // namespace uringsync

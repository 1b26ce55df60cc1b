// What a verify makes of a difference when it has looked at the object again: trees that are in use change while they
// are compared.
//
// Pure. Thread rule: values.
// Use:  switch (JudgeAgain(planned, source, destination, policy)) ...
#pragma once

#include <cstdint>

#include "coordinator/core/compare.h"
#include "coordinator/core/planner.h"
#include "proto/messages.h"

namespace uringsync {

enum class SecondLook : uint8_t {
  kDiffers = 1,  // neither side moved, and they differ
  kChanging,     // at least one side is not what it was, and they differ still
  kSettled,      // they are equal by now
};

// `planned` is of the first look; the findings are of the same path, with digests of contents where the first look had
// them.
SecondLook JudgeAgain(const PlannedAction& planned, const EntryFinding& source, const EntryFinding& destination,
                      const ComparePolicy& policy);

}  // namespace uringsync

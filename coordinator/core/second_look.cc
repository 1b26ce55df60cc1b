#include "coordinator/core/second_look.h"

namespace uringsync {
namespace {

// Whether the object changed between two looks. Its status change time moves with everything but a store through a
// mapping, which its contents tell.
bool Moved(const std::optional<Entry>& then, const std::optional<Entry>& now) {
  if (then.has_value() != now.has_value()) return true;
  if (!then) return false;
  if (then->type != now->type || then->id != now->id || then->mtime != now->mtime || then->ctime != now->ctime)
    return true;
  if (then->type != FileType::kRegular) return false;
  // A file that changed while it was read has no digest; one that may not be read never has one.
  return then->size_bytes != now->size_bytes || then->content_digest != now->content_digest;
}

bool EqualNow(const EntryFinding& source, const EntryFinding& destination, const ComparePolicy& policy) {
  if (source.error != 0 || destination.error != 0) return false;
  if (!source.entry || !destination.entry) return !source.entry && !destination.entry;
  if (source.entry->error != 0 || destination.entry->error != 0) return false;
  return Compare(*source.entry, *destination.entry, policy).empty();
}

}  // namespace

SecondLook JudgeAgain(const PlannedAction& planned, const EntryFinding& source, const EntryFinding& destination,
                      const ComparePolicy& policy) {
  if (EqualNow(source, destination, policy)) return SecondLook::kSettled;
  const bool extra = planned.action.kind == ActionKind::kDelete;
  const std::optional<Entry> at_source = extra ? std::nullopt : std::optional(planned.action.wanted);
  const std::optional<Entry> at_destination = extra ? std::optional(planned.action.wanted) : planned.action.existing.ToOptional();
  const bool moved = Moved(at_source, source.entry) || Moved(at_destination, destination.entry);
  return moved ? SecondLook::kChanging : SecondLook::kDiffers;
}

}  // namespace uringsync

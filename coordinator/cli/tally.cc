#include "coordinator/cli/tally.h"

namespace uringsync {

void Tally::Add(const Action& action, const Differences& differences, ActionOutcome outcome) {
  if (outcome == ActionOutcome::kFailed) ++failed;
  if (outcome == ActionOutcome::kSkipped) ++skipped;
  if (outcome != ActionOutcome::kDone && outcome != ActionOutcome::kPlanned) return;
  if (differences.empty()) return;
  switch (action.kind) {
    case ActionKind::kMakeDirectory: ++(action.existing ? updated : new_directories); return;
    case ActionKind::kPutFile:
      ++(action.existing ? updated : new_files);
      if (action.origin) {
        ++renamed;
      } else {
        transfer_bytes += action.wanted.size_bytes;
      }
      return;
    case ActionKind::kPutSymlink:
    case ActionKind::kPutSpecial: ++(action.existing ? updated : new_others); return;
    case ActionKind::kLink: ++linked; return;
    case ActionKind::kDelete: ++deleted; return;
    case ActionKind::kSetMetadata: ++metadata; return;
  }
}

}  // namespace uringsync

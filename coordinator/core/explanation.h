// Explanations: why a run would do with an object what it would do, put together from a plan that was made for it and a
// look at the object.
//
// Thread rule: values and pure functions. Use:
//   Explanation why = Explain(seen);   // what the plan said of the path, what is there, which rule decides
//   console.Line(...);                 // why.decision, why.reason, why.changes
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/core/compare.h"
#include "coordinator/core/planner.h"
#include "engine/tree/path_filter.h"

namespace uringsync {

// A rule that decides of a path, or of a directory above it.
struct DecidingRule {
  std::string rule;  // as it is written in full
  std::string file;  // where it stands; empty: on the command line, or built in
  size_t line = 0;
  RelPath of;                  // what it matches: the path, or a directory above it
  bool may_be_before = false;  // a per-directory file may hold one that decides before
};

// What is known of one path after a plan was made.
struct SeenOfPath {
  RelPath path;
  std::vector<PlannedAction> actions;  // that are about it, in order
  std::optional<SkipReason> skipped;
  std::optional<Problem> problem;
  std::optional<RelPath> skipped_above;  // a directory above it that was left out
  EntryFinding source;                   // rules hide nothing from these looks
  EntryFinding destination;
  std::optional<DecidingRule> hidden;      // a rule of the run that hides it at the source
  std::optional<DecidingRule> protected_;  // that keeps it at the destination
  std::vector<std::string> bases;          // the basis directories of the run, as actions name them
  std::optional<uint32_t> in_basis;        // of these: it is left out because that one has it
  bool unchanged = false;                  // the plan had it and found nothing to do; never of directories
  bool per_directory_rules = false;        // the run has rules in files of the trees
  bool deletes = false;                    // --delete
  bool deletes_held = false;               // nothing is deleted: SyncOutcome::deletes_held
};

// One field that differs, ready to print.
struct FieldChange {
  std::string field;  // as DifferenceNames
  std::string from;   // at the destination; empty: nothing is there
  std::string to;
};

struct Explanation {
  RelPath path;
  // "copy", "update", "metadata", "link", "delete", "nothing", "skip", "exclude", "protect", "problem", "missing".
  std::string decision;
  std::string reason;  // a sentence for people; names escaped
  std::optional<DecidingRule> rule;
  std::vector<FieldChange> changes;
};

Explanation Explain(const SeenOfPath& seen);

// "2026-11-23 02:00:00.000000000", UTC.
std::string TimeText(const FileTime& time);

}  // namespace uringsync

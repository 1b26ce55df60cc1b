#include "coordinator/core/explanation.h"

#include <cstdio>
#include <cstring>
#include <ctime>

#include "engine/base/escape.h"

namespace uringsync {
namespace {

const char* WordsOf(SkipReason reason) {
  switch (reason) {
    case SkipReason::kSymlinkOff: return "symlinks are left out by an option";
    case SkipReason::kDeviceOff: return "devices are left out by an option";
    case SkipReason::kSpecialOff: return "FIFOs and sockets are left out by an option";
    case SkipReason::kNoMknod: return "the destination's agent may not make devices";
    case SkipReason::kBelowProblem: return "it is below a directory that could not be read or made";
    case SkipReason::kNotEmpty: return "DST alone has it, and something in it stays";
    case SkipReason::kMountPoint: return "it is a mount point that is not entered";
    case SkipReason::kNotExisting: return "DST does not have it (--existing)";
    case SkipReason::kExists: return "DST has it already (--ignore-existing)";
    case SkipReason::kNewer: return "it is newer at DST (--update)";
    case SkipReason::kTooLarge: return "it is larger than --max-size";
    case SkipReason::kTooSmall: return "it is smaller than --min-size";
    case SkipReason::kNotShorter: return "it is not shorter at DST, and only shorter files are added to (--append)";
    case SkipReason::kUnsafeLink: return "the symlink may lead out of the tree (--safe-links)";
    case SkipReason::kSparedByErrors: return "nothing is deleted, because something of SRC could not be read";
    case SkipReason::kDeleteLimit: return "--max-delete is reached";
  }
  return "it is left out";
}

std::string Octal(uint32_t mode) {
  char text[16];
  std::snprintf(text, sizeof(text), "%04o", mode & 07777u);
  return text;
}

std::string Device(const Entry& entry) {
  return std::to_string(entry.rdev_major) + ":" + std::to_string(entry.rdev_minor);
}

// The value of a field for people; digests say no more than that something differs.
std::string ValueOf(std::string_view field, const Entry& entry) {
  if (field == "type") return FileTypeName(entry.type);
  if (field == "size") return std::to_string(entry.size_bytes);
  if (field == "mtime") return TimeText(entry.mtime);
  if (field == "atime") return entry.atime ? TimeText(*entry.atime) : "";
  if (field == "target") return EscapeName(entry.symlink_target);
  if (field == "device") return Device(entry);
  if (field == "mode") return Octal(entry.mode);
  if (field == "owner") return std::to_string(entry.uid);
  if (field == "group") return std::to_string(entry.gid);
  if (field == "content" && entry.content_digest) return entry.content_digest->Hex();
  if (field == "xattrs") return entry.xattr_digest.is_zero() ? "none" : entry.xattr_digest.Hex();
  if (field == "capabilities") return entry.capability_digest.is_zero() ? "none" : entry.capability_digest.Hex();
  if (field == "trusted") return entry.trusted_digest.is_zero() ? "none" : entry.trusted_digest.Hex();
  return {};
}

std::vector<FieldChange> ChangesOf(const PlannedAction& planned, const EntryFinding& destination) {
  std::vector<FieldChange> changes;
  const Entry* const before = planned.action.existing ? &*planned.action.existing
                              : destination.entry     ? &*destination.entry
                                                      : nullptr;
  for (std::string& name : DifferenceNames(planned.differences)) {
    if (name == "new" || name == "extraneous") continue;
    FieldChange change{.field = name,
                       .from = before == nullptr ? "" : ValueOf(name, *before),
                       .to = ValueOf(name, planned.action.wanted)};
    changes.push_back(std::move(change));
  }
  return changes;
}

// The action that tells most: what is made before what is set.
const PlannedAction* MainAction(const SeenOfPath& seen) {
  for (const PlannedAction& planned : seen.actions) {
    // Nothing differs from what a basis directory has.
    if (!planned.differences.empty() || planned.action.basis) return &planned;
  }
  return nullptr;
}

std::string BasisText(const SeenOfPath& seen, uint32_t basis) {
  if (basis >= seen.bases.size()) return "a basis directory";
  return "the basis directory " + EscapeName(seen.bases[basis]);
}

// --compare-dest left it out.
Explanation OfBasis(const SeenOfPath& seen) {
  Explanation why{.path = seen.path, .decision = "skip"};
  why.reason = BasisText(seen, *seen.in_basis) + " has the same object";
  if (!seen.destination.entry) return why;
  why.decision = "delete";
  why.reason += ", and what DST has of it goes";
  return why;
}

Explanation OfAction(const SeenOfPath& seen, const PlannedAction& planned) {
  Explanation why{.path = seen.path, .changes = ChangesOf(planned, seen.destination)};
  const bool is_new =
      planned.differences.Has(Attribute::kExistence) ||
      (!planned.action.existing && !seen.destination.entry && planned.action.kind != ActionKind::kDelete);
  switch (planned.action.kind) {
    case ActionKind::kDelete:
      why.decision = "delete";
      why.reason =
          seen.hidden ? "the rules hide it at SRC, and excluded objects are deleted too" : "SRC does not have it";
      return why;
    case ActionKind::kLink:
      why.decision = "link";
      why.reason = planned.action.basis
                       ? BasisText(seen, planned.action.basis->directory) + " has the same object"
                       : "it is a hard link of " + EscapeName(planned.action.link_target.text()) + " at SRC";
      return why;
    case ActionKind::kSetMetadata:
      why.decision = "metadata";
      why.reason = "its contents are equal, its metadata are not";
      return why;
    default: break;
  }
  why.decision = is_new ? "copy" : "update";
  why.reason = is_new ? "DST does not have it" : "it differs at DST";
  // What a basis directory has differs in something: that is no change of DST's.
  if (is_new) why.changes.clear();
  if (planned.action.basis)
    why.reason += "; its contents are copied from " + BasisText(seen, planned.action.basis->directory);
  if (planned.action.origin) {
    const bool goes = planned.action.origin->fate == ActionOrigin::Fate::kGoes;
    why.reason += "; " + EscapeName(planned.action.origin->path.text()) + " at DST looks like it, and " +
                  (goes ? "is renamed" : "is copied from") + " where contents are equal";
  }
  if (why.changes.size() == 1 && why.changes.front().field == "unchecked") {
    why.reason = "files are taken as changed (--ignore-times)";
    why.changes.clear();
  }
  return why;
}

std::string PlaceOf(const DecidingRule& rule) {
  if (rule.file.empty()) return " (command line)";
  return " (" + EscapeName(rule.file) + ", line " + std::to_string(rule.line) + ")";
}

std::string RuleText(const SeenOfPath& seen, const DecidingRule& rule) {
  std::string text = "the rule \"" + EscapeName(rule.rule) + "\"" + PlaceOf(rule);
  if (rule.of != seen.path) text += ", which is about " + EscapeName(rule.of.text()) + "/";
  return text;
}

Explanation Excluded(const SeenOfPath& seen, const char* decision, const std::optional<DecidingRule>& rule,
                     const char* does) {
  Explanation why{.path = seen.path, .decision = decision, .rule = rule};
  if (!rule) {
    why.reason = std::string("a rule in a per-directory file of the tree ") + does;
    return why;
  }
  why.reason = RuleText(seen, *rule) + " " + does;
  if (rule->may_be_before) why.reason += ", unless a per-directory file of the tree has one before it";
  return why;
}

Explanation Plain(const SeenOfPath& seen, const char* decision, std::string reason) {
  return {.path = seen.path, .decision = decision, .reason = std::move(reason)};
}

std::string ProblemText(const Problem& problem) {
  std::string text = problem.operation;
  if (problem.error != 0) text += std::string(": ") + std::strerror(problem.error);
  if (!problem.detail.empty()) text += ": " + EscapeName(problem.detail);
  return text;
}

}  // namespace

std::string TimeText(const FileTime& time) {
  const std::time_t seconds = static_cast<std::time_t>(time.seconds);
  std::tm utc = {};
  if (::gmtime_r(&seconds, &utc) == nullptr) return std::to_string(time.seconds);
  char day[64];
  const size_t length = std::strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &utc);
  char fraction[16];
  std::snprintf(fraction, sizeof(fraction), ".%09u", time.nanoseconds);
  return std::string(day, length) + fraction;
}

Explanation Explain(const SeenOfPath& seen) {
  if (const PlannedAction* planned = MainAction(seen)) return OfAction(seen, *planned);
  if (seen.problem) return Plain(seen, "problem", ProblemText(*seen.problem));
  if (seen.in_basis) return OfBasis(seen);
  if (seen.skipped == SkipReason::kDeleteLimit && seen.deletes_held) {
    return Plain(seen, "skip",
                 "nothing is deleted, because SRC is not mounted as in the last run (--allow-empty-source accepts it)");
  }
  if (seen.skipped) return Plain(seen, "skip", WordsOf(*seen.skipped));
  if (seen.skipped_above) {
    return Plain(seen, "skip", "the directory " + EscapeName(seen.skipped_above->text()) + "/ above it is left out");
  }
  const bool at_source = seen.source.entry.has_value();
  const bool at_destination = seen.destination.entry.has_value();
  if (!at_source && !at_destination) return Plain(seen, "missing", "neither SRC nor DST has it");
  if (at_source && seen.hidden) return Excluded(seen, "exclude", seen.hidden, "hides it at SRC");
  if (!at_source) {
    if (seen.protected_) return Excluded(seen, "protect", seen.protected_, "keeps it at DST");
    if (!seen.deletes) return Plain(seen, "nothing", "DST alone has it, and nothing is deleted without --delete");
    if (seen.per_directory_rules) return Excluded(seen, "protect", std::nullopt, "keeps it at DST");
    return Plain(seen, "nothing", "DST alone has it, in a directory in which nothing is deleted");
  }
  const bool told = seen.unchanged || seen.source.entry->type == FileType::kDirectory || !seen.per_directory_rules;
  if (at_destination && told) return Plain(seen, "nothing", "it is equal at SRC and DST, as far as it is compared");
  if (seen.per_directory_rules) return Excluded(seen, "exclude", std::nullopt, "hides it at SRC");
  return Plain(seen, "skip", "it is no part of the transfer");
}

}  // namespace uringsync

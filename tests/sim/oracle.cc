#include "tests/sim/oracle.h"

#include <algorithm>
#include <functional>

#include "engine/fs/state_name.h"
#include "tests/sim/kernel.h"

namespace uringsync::sim {
namespace {

constexpr size_t kMostLines = 6;

// The path itself, or something above or below it.
bool Concerns(const std::set<std::string>& paths, const std::string& path) {
  return std::any_of(paths.begin(), paths.end(), [&path](const std::string& other) {
    return other == path || other.empty() || path.starts_with(other + "/") || other.starts_with(path + "/");
  });
}

class Lines {
 public:
  void Add(const std::string& line) {
    if (++count_ <= kMostLines) text_ += line + "\n";
  }
  std::string text() const { return text_; }

 private:
  size_t count_ = 0;
  std::string text_;
};

std::set<std::string> PathsOf(const std::map<std::string, std::string>& named) {
  std::set<std::string> names;
  for (const auto& [name, unused] : named) names.insert(name);
  return names;
}

}  // namespace

bool IsTemporary(const std::string& path) {
  return IsStateName(path.substr(path.rfind('/') + 1));
}

std::string CheckWhole(const Evidence& evidence) {
  Lines wrong;
  for (const auto& [path, now] : evidence.after) {
    if (path.empty() || IsTemporary(path)) continue;
    if (evidence.strangers.contains(path)) {
      continue;  // CheckStrangers
    }
    const auto known = evidence.history->find(path);
    const bool in_source = evidence.source_before.contains(path) || evidence.source_after.contains(path) ||
                           evidence.source_changed.contains(path) || known != evidence.history->end();
    const auto ever = evidence.ever->find(path);
    if (ever == evidence.ever->end() && !in_source) wrong.Add("somebody made " + path);
    if (!now.is_file()) continue;
    const bool was = ever != evidence.ever->end() && ever->second.contains(now.contents);
    const bool of_source = known != evidence.history->end() && known->second.contains(now.contents);
    if (!was && !of_source) wrong.Add(path + " is neither the old file nor one that the source had: " + now.Text());
  }
  return wrong.text();
}

std::string CheckNothingLost(const Evidence& evidence) {
  Lines wrong;
  if (evidence.power_lost && !evidence.settled) return {};
  for (const auto& [path, old] : evidence.before) {
    if (path.empty() || IsTemporary(path) || evidence.after.contains(path)) continue;
    const bool at_source = evidence.source_before.contains(path) && evidence.source_after.contains(path) &&
                           !evidence.source_changed.contains(path);
    // A directory makes way for something else, with all that is in it; a file where a directory is to be.
    if (at_source) {
      const Shown& wanted = evidence.source_after.at(path);
      const bool makes_way = (wanted.mode & 0170000) != (old.mode & 0170000);
      if (!makes_way) wrong.Add(path + " is gone although the source has it");
      continue;
    }
    bool above_changes = false;
    for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      const auto above = evidence.source_after.find(path.substr(0, slash));
      above_changes = above_changes || (above != evidence.source_after.end() && !above->second.is_directory()) ||
                      evidence.source_changed.contains(path.substr(0, slash));
    }
    if (!evidence.habits->delete_extraneous && !above_changes && !evidence.source_changed.contains(path))
      wrong.Add(path + " was deleted, which nobody had asked for");
  }
  return wrong.text();
}

std::string CheckStrangers(const Evidence& evidence) {
  Lines wrong;
  for (const auto& [path, contents] : evidence.strangers) {
    const bool there = std::any_of(evidence.after.begin(), evidence.after.end(), [&](const auto& entry) {
      return entry.second.is_file() && entry.second.contents == contents;
    });
    if (!there) wrong.Add("what somebody else put at " + path + " while the run went on is lost");
  }
  return wrong.text();
}

std::string CheckReport(const Evidence& evidence) {
  const SyncRecord& record = *evidence.record;
  if (!record.over) return {};
  const SyncOutcome& outcome = record.outcome;
  Lines wrong;
  if (outcome.exit_code != ExitCode::kOk) {
    if (outcome.error.empty() && record.problems.empty()) wrong.Add("it failed and said nothing");
    return wrong.text();
  }
  if (!record.problems.empty()) wrong.Add("exit code 0 with problems: " + record.Text());
  std::set<std::string> excused = evidence.source_changed;
  for (const std::string& name : PathsOf(evidence.strangers)) {
    excused.insert(name);
    excused.insert(name.find('/') == std::string::npos ? "" : name.substr(0, name.rfind('/')));
  }
  const std::string differences = Differences(evidence.source_after, evidence.after, *evidence.habits, excused);
  if (!differences.empty()) wrong.Add("exit code 0, but:\n" + differences);
  const uint64_t done = record.CountOf(ActionOutcome::kDone);
  const auto number = [&wrong](const char* what, uint64_t said, uint64_t found) {
    if (said != found)
      wrong.Add(std::string(what) + ": " + std::to_string(said) + " were told, " + std::to_string(found) + " found");
  };
  number("actions done", outcome.actions_done, done);
  number("actions failed", outcome.actions_failed, record.CountOf(ActionOutcome::kFailed));
  number("actions planned", outcome.plan.actions, record.actions.size());
  const auto of_kind = [&record](ActionKind kind) {
    return static_cast<uint64_t>(std::count_if(record.actions.begin(), record.actions.end(),
                                               [kind](const SyncRecord::Ended& ended) { return ended.kind == kind; }));
  };
  number("deletes", outcome.plan.deletes, of_kind(ActionKind::kDelete));
  if (outcome.durability != Durability::kNone) number("actions on disk", outcome.actions_durable, outcome.actions_done);
  return wrong.text();
}

std::string CheckDurable(const Evidence& evidence) {
  Lines wrong;
  if (!evidence.power_lost) return {};
  // What is done later at a path, or above it, may have been under way.
  std::map<std::string, const SyncRecord::Ended*> last;
  for (const SyncRecord::Ended& ended : evidence.record->actions) last[ended.path] = &ended;
  for (const auto& [path, ended] : last) {
    const bool told = ended->id <= evidence.record->durable_through && ended->outcome == ActionOutcome::kDone;
    if (!told || Concerns(PathsOf(evidence.strangers), path)) continue;
    const auto now = evidence.after.find(path);
    if (ended->kind == ActionKind::kDelete) {
      // What takes its place may have come without having been told of.
      const bool replaced = evidence.source_before.contains(path) || evidence.source_after.contains(path);
      if (now != evidence.after.end() && !replaced)
        wrong.Add(path + " is there again: its deletion was told to be on disk");
      continue;
    }
    if (now == evidence.after.end()) {
      wrong.Add(path + " is gone: it was told to be on disk");
      continue;
    }
    const bool file = ended->kind == ActionKind::kPutFile;
    const Nanos mtime = ended->wanted.mtime.seconds * kSecond + ended->wanted.mtime.nanoseconds - kWallClockStart;
    const auto known = evidence.history->find(path);
    if (file && (known == evidence.history->end() || !known->second.contains(now->second.contents)))
      wrong.Add(path + " is not whole: it was told to be on disk: " + now->second.Text());
    // A file that changed while it was read has the time that it had then.
    const bool timed = file && !evidence.source_changed.contains(path);
    if (timed && now->second.modified != mtime) wrong.Add(path + " has not its time: it was told to be on disk");
  }
  return wrong.text();
}

std::string Differences(const Tree& source, const Tree& destination, const SyncHabits& habits,
                        const std::set<std::string>& excused) {
  Lines wrong;
  for (const auto& [path, wanted] : source) {
    // Times of the directories above a change move with it.
    if (excused.contains(path)) continue;
    if (Concerns(excused, path) && wanted.is_directory()) continue;
    const auto found = destination.find(path);
    if (found == destination.end()) {
      if (!Concerns(excused, path)) wrong.Add("  " + path + " is missing");
      continue;
    }
    Shown here = found->second;
    Shown there = wanted;
    // Further names that the source does not have.
    std::erase_if(here.links, [&source](const std::string& name) { return !source.contains(name); });
    if (here.links.size() < 2) here.links.clear();
    // Groups of names are compared where nothing of them has changed.
    const auto changed = [&excused](const std::string& name) { return excused.contains(name); };
    const bool loose = std::any_of(here.links.begin(), here.links.end(), changed) ||
                       std::any_of(there.links.begin(), there.links.end(), changed);
    if (!habits.hard_links || loose || !excused.empty()) here.links = there.links = {};
    if (!here.SameAs(there)) wrong.Add("  " + path + " is " + here.Text() + ", should be " + there.Text());
  }
  for (const auto& [path, here] : destination) {
    if (!habits.delete_extraneous || source.contains(path) || Concerns(excused, path)) continue;
    wrong.Add("  " + path + " should not be there");
  }
  return wrong.text();
}

Tree WithoutAttributes(Tree tree) {
  for (auto& [path, shown] : tree) shown = {.mode = shown.mode & 0170000, .contents = shown.contents};
  return tree;
}

std::string Strays(const Tree& tree) {
  Lines wrong;
  for (const auto& [path, shown] : tree) {
    if (IsTemporary(path)) wrong.Add("  " + path + " was left behind");
  }
  return wrong.text();
}

std::string Touched(const Tree& before, const Tree& after) {
  Lines wrong;
  for (const auto& [path, now] : after) {
    const auto old = before.find(path);
    if (old == before.end()) {
      wrong.Add("  " + path + " was made");
    } else if (old->second.inode != now.inode || old->second.changed != now.changed) {
      wrong.Add("  " + path + " was touched");
    }
  }
  for (const auto& [path, old] : before) {
    if (!after.contains(path)) wrong.Add("  " + path + " was removed");
  }
  return wrong.text();
}

}  // namespace uringsync::sim

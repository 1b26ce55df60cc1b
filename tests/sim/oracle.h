// What must be true after every run of a history, whatever was done to it (docs/consistency.md), as functions of what
// was there before, what is there now, and what the run said. Each returns what is wrong; empty: nothing.
#pragma once

#include <map>
#include <set>
#include <string>

#include "tests/sim/sync_process.h"
#include "tests/sim/trees.h"

namespace uringsync::sim {

// One run, seen from outside.
struct Evidence {
  Tree source_before;
  Tree source_after;
  Tree before;  // the destination
  Tree after;
  std::set<std::string> source_changed;          // paths of the source that were changed while it ran
  std::map<std::string, std::string> strangers;  // of the destination, made while it ran: contents by path
  bool power_lost = false;                       // the destination's host lost its power in it
  bool settled = false;                          // all of `before` was on disk
  const std::map<std::string, std::set<std::string>>* history = nullptr;  // contents that names of the source ever had
  const std::map<std::string, std::set<std::string>>* ever = nullptr;     // the same of the destination, between runs
  const SyncHabits* habits = nullptr;
  const SyncRecord* record = nullptr;
};

// Each file is wholly the old one or wholly one that the source had; nothing is there that nobody made.
std::string CheckWhole(const Evidence& evidence);
// Nothing is gone that the source has, and nothing at all without --delete.
std::string CheckNothingLost(const Evidence& evidence);
// What others made while the run went on is there.
std::string CheckStrangers(const Evidence& evidence);
// A run that says that all went well has made the trees equal; one that failed has said why. Its numbers agree.
std::string CheckReport(const Evidence& evidence);
// What was told to be on disk is there.
std::string CheckDurable(const Evidence& evidence);

// Differences of two trees, as the habits keep objects. At most a few. `excused`: paths that may differ.
std::string Differences(const Tree& source, const Tree& destination, const SyncHabits& habits,
                        const std::set<std::string>& excused);
// A tree with nothing but kinds and contents.
Tree WithoutAttributes(Tree tree);
// A name of the product's own.
bool IsTemporary(const std::string& path);
// Names of temporaries in a tree.
std::string Strays(const Tree& tree);
// Whether a tree was not touched at all: same objects, same change times.
std::string Touched(const Tree& before, const Tree& after);

}  // namespace uringsync::sim

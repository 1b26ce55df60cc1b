// The option table: every option of ursync and of uringsync sync, plan and verify, with what it does, as data. The
// parser, --help, the refusal of what is not supported, and the check of docs/rsync-compatibility.md are all made from
// it.
//
// Thread rule: constant data.
// Use:  for (const OptionGroup& group : OptionTable()) for (const OptionRow& row : group.rows) if (row.IsFor(command))
// ...
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/cli/rsync/settings.h"

namespace uringsync {

// What giving an option does. `value` is its argument, empty where it has none. InvalidArgument: the value cannot be;
// the text says why and is put behind "--name=value: ".
using OptionEffect = absl::Status (*)(Settings& settings, const std::string& value);

constexpr uint8_t kForUrsync = 1;
constexpr uint8_t kForSync = 2;
constexpr uint8_t kForPlan = 4;
constexpr uint8_t kForVerify = 8;
constexpr uint8_t kForApply = 16;
constexpr uint8_t kForProve = 64;
constexpr uint8_t kForUringsync = kForSync | kForPlan;
constexpr uint8_t kForRuns = kForUrsync | kForUringsync;
constexpr uint8_t kForAll = kForRuns | kForVerify;
constexpr uint8_t kForCarrying = kForAll | kForApply;  // how it runs and what is told, whatever is done

struct OptionRow {
  const char* name = nullptr;      // without dashes; nullptr: there is only the letter
  char letter = 0;                 // 0: there is only the name
  const char* aliases = nullptr;   // further names, separated by spaces
  const char* argument = nullptr;  // what --help calls it; nullptr: takes none
  uint8_t programs = kForRuns;     // kFor...
  OptionEffect on = nullptr;       // of --name and -letter
  OptionEffect off = nullptr;      // of --no-name and --no-letter; nullptr: there are none
  const char* help = nullptr;      // one line; nullptr: not shown
  const char* refused = nullptr;   // why it cannot be given; nullptr: it can
  int refusal_code = 1;            // exit code of that

  bool IsFor(Command command) const {
    // What a plan is made with it is explained with.
    if (command == Command::kExplain && name != nullptr && std::string_view(name) != "show" &&
        std::string_view(name) != "plan-out") {
      return (programs & kForPlan) != 0;
    }
    if (command == Command::kProve) return name != nullptr && IsForProof();
    if (command == Command::kExplain) return name == nullptr && (programs & kForPlan) != 0;
    return (programs & static_cast<uint8_t>(command)) != 0;
  }
  // It means something where a tree is proven, or checked with a proof.
  bool IsForProof() const;
  // "--name", or "-letter" where there is no name.
  std::string Name() const;
  std::vector<std::string> Aliases() const;
};

struct OptionGroup {
  const char* title;
  std::span<const OptionRow> rows;
};

// All of them, in the order of --help.
std::span<const OptionGroup> OptionTable();

// The parts of the table, a file each.
std::span<const OptionRow> SelectionOptions();
std::span<const OptionRow> MetadataOptions();
std::span<const OptionRow> WritingOptions();
std::span<const OptionRow> RunningOptions();
std::span<const OptionRow> TellingOptions();

}  // namespace uringsync

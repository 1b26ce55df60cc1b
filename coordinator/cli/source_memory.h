// SourceMemory: around a run that deletes, the record of the source's mounts (source_record.h): put into the request
// before, brought up to date after.
//
// Thread rule: the command's thread. Use:
//   SourceMemory memory(options, facts, program.state_directory);
//   memory.Attach(&options.request);   ... the run ...   tell(memory.Remember(outcome));
#pragma once

#include <optional>
#include <string>

#include "coordinator/cli/options.h"
#include "coordinator/cli/reporter.h"
#include "coordinator/cli/source_record.h"

namespace uringsync {

class SourceMemory {
 public:
  // Does nothing for a run that deletes nothing by itself. Without a state directory nothing is recorded; a plan knows
  // by itself what its source was mounted from.
  SourceMemory(const RunOptions& options, const ReportFacts& facts, const std::string& state_directory);

  // Lets the run of `request` ask for what is recorded; this object outlives it. A record that is there and cannot be
  // used is no reason to take the run for a first one.
  void Attach(SyncRequest* request);
  // After a run that wrote: records what its source was mounted from, but where it held deletes back. What could not be
  // written, a line for the user; empty: nothing.
  std::string Remember(const SyncOutcome& outcome) const;

 private:
  RecalledMounts Recall(const SessionOpened& source, const SessionOpened& destination);

  const std::string state_directory_;
  const SourceRecordKey written_;
  std::optional<SourceRecord> record_;
  bool records_ = false;
  bool writes_ = false;
  bool recorded_ = false;
  bool unusable_ = false;
  std::vector<MountedPlace> known_;
  std::vector<MountedPlace> of_plan_;
};

// What tells a run's source and destination from those of others, as they are written: for agents that do not tell their
// places (SessionOpened::place). Absolute places, and which directories of the source are in the transfer, of many only
// where they lie.
SourceRecordKey SourceKeyOf(const ReportFacts& facts);

}  // namespace uringsync

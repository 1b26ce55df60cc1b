// ProblemCauses: which problems of a run are shown one by one and which are only counted, so that ten thousand files on
// a full disk do not become ten thousand lines.
//
// Problems of one side, kind, operation and errno share a cause. Thread rule: one thread.
// Use:  if (causes.Show(problem)) Print(problem);   ...   for (const std::string& line : causes.Hidden()) Print(line);
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "proto/messages.h"

namespace uringsync {

class ProblemCauses {
 public:
  static constexpr uint64_t kShownOfEach = 20;
  // Causes told apart. Operations are text of an agent's: what comes beyond it shares one cause.
  static constexpr size_t kMaxCauses = 256;

  // Counts `problem`; true for the first kShownOfEach of its cause.
  bool Show(const Problem& problem);
  // "and 9980 more at the destination: create: No space left on device": a line for each cause that was not shown in
  // full.
  std::vector<std::string> Hidden() const;

 private:
  using Cause = std::tuple<Side, ProblemKind, std::string, int>;  // operation, errno
  std::map<Cause, uint64_t> seen_;
  uint64_t others_ = 0;
};

}  // namespace uringsync

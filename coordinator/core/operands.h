// Operands: what source arguments and names of a list are as SourceOperands, by rsync's rules (rsync(1), "ADVANCED
// USAGE", --relative,
// --files-from).
//
//   a/b      the object, called b            a/b/, a/b/., a/..   what is in the directory, at the top
// With `relative` the name is the path behind the last "/./" (or all of it), and with `implied_directories` the
// directories on the way bring their attributes along.
//
// Pure; one thread. Use:
//   OperandList list({.recursive = true});
//   US_RETURN_IF_ERROR(list.Add("src/"));
//   request.operands = list.Take();
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "proto/messages.h"

namespace uringsync {

struct OperandRules {
  bool relative = false;            // -R; --files-from implies it
  bool implied_directories = true;  // --no-implied-dirs
  bool recursive = false;           // -r
  bool directories = false;         // -d; --files-from implies it
};

class OperandList {
 public:
  explicit OperandList(OperandRules rules) : rules_(rules) {}

  // One argument, as it is typed. InvalidArgument, ready to print: a ".." in the part that becomes the name, a name
  // that no file can have.
  absl::Status Add(std::string_view argument);
  // One name of a list, below the directory `base`: a '/' at its front is nothing, ".." goes no higher than `base`, a
  // '/' at its end means what is in the directory. Errors as Add.
  absl::Status AddListed(std::string_view base, std::string_view name);
  std::vector<SourceOperand> Take();

 private:
  absl::Status AddPlain(std::string_view argument);
  absl::Status AddRelative(std::string base, std::string_view below, std::string_view argument);
  OperandDepth DepthOf(bool contents) const;

  const OperandRules rules_;
  std::vector<SourceOperand> operands_;
  std::unordered_set<std::string> ways_;  // implied directories that are there already
};

// True where the argument means what is in a directory, not the object itself.
bool NamesContents(std::string_view argument);

// The operands of a destination session: the parts of its tree that `operands` are compared with. With `deletes`, where
// directories may go (what the source lacks, or what is in the way of something else), each with all that is below.
std::vector<SourceOperand> CoveredParts(const std::vector<SourceOperand>& operands, bool deletes);

}  // namespace uringsync

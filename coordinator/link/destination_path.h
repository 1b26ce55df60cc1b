// What the destination argument of several sources, or of one, stands for: rsync's rules (rsync(1), "COPYING TO A
// DIFFERENT NAME").
//
// Pure; any thread. Use:
//   US_ASSIGN_OR_RETURN(PathReply reply, questions->Ask({.paths = {"dst"}}));
//   US_ASSIGN_OR_RETURN(DestinationChoice choice, ChooseDestination({.path = "dst", .found = reply.paths[0],
//   .single_object = true}));
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "proto/messages.h"

namespace uringsync {

struct DestinationQuestion {
  std::string path;               // as typed
  PathInfo found;                 // what is there
  bool several = false;           // more than one operand, or a list of names
  bool single_object = false;     // one operand, and what it names is no directory
  bool make_path = false;         // --mkpath
  std::string working_directory;  // of the destination's agent, to make paths in messages absolute; empty: they stay as
                                  // they are
};

struct DestinationChoice {
  std::string directory;   // that the session is opened on
  std::string new_name;    // not empty: the one object is called so there
  bool create = false;     // `directory` is to be made
  bool make_path = false;  // with what is missing above it
};

// LinkError with rsync's words and the kind of its exit code: kSelection (3) where several things would go to one that
// is no directory or the directory of a new name is missing, kFileIo (11) where a directory cannot be made.
absl::StatusOr<DestinationChoice> ChooseDestination(const DestinationQuestion& question);

}  // namespace uringsync

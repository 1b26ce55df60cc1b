// TreeWatch: tells which directories had something changed in them, from the kernel's queue of events.
//
// Two kinds. fanotify with one mark for the whole file system, where the process may (CAP_SYS_ADMIN) and the kernel can
// (5.9): no limit of directories. Else inotify with a watch for each directory, within fs.inotify.max_user_watches.
//
// The kernel queues an event before the call that caused it returns: after Drain, everything that had happened before
// it began is known. What raises no event is not: docs/consistency.md. A queue that overflowed, or a file system that
// was unmounted, makes Drain fail with DataLoss once and for all: whoever relied on the watch must look at everything
// again with a new one.
//
// Thread rule: one thread. Use:
//   US_ASSIGN_OR_RETURN(std::unique_ptr<TreeWatch> watch, TreeWatch::Start(root_fd, {}));
//   US_RETURN_IF_ERROR(watch->Add(directory_fd, id));   // and only then list the directory
//   ...
//   US_RETURN_IF_ERROR(watch->Drain(&changed));          // look at those again
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace uringsync {

struct TreeWatchOptions {
  bool fanotify = true;  // try it first
};

class TreeWatch {
 public:
  using Id = uint32_t;
  // `fd`: any directory of the file system. Unimplemented, PermissionDenied, ResourceExhausted: no kind works; the text
  // says why.
  static absl::StatusOr<std::unique_ptr<TreeWatch>> Start(int fd, const TreeWatchOptions& options);
  virtual ~TreeWatch() = default;

  // Watches the directory behind `fd` as `id`. Again for a directory that is watched: it has the new id from now on.
  // ResourceExhausted where the limit of watches is reached.
  virtual absl::Status Add(int fd, Id id) = 0;
  // The directory that had `id` is no longer of interest, unless it has another id by now.
  virtual void Remove(Id id) = 0;
  // Appends every directory in which something changed since the last call: an entry was made, removed, renamed,
  // written to, or given other metadata, or the directory itself was. In any order, possibly several times.
  virtual absl::Status Drain(std::vector<Id>* changed) = 0;
  // To be polled for reading.
  virtual int fd() const = 0;
  // "fanotify" or "inotify".
  virtual std::string_view kind() const = 0;
  // Memory that each watched directory takes here, about.
  virtual size_t bytes_per_directory() const = 0;
};

}  // namespace uringsync

// SessionSystems: what one side of a session learns of its file systems, and how the user hears of it.
//
// What is missing by the time the session opens stands in SessionOpened; what shows later is a Notice of its own.
//
// Thread rule: any thread, but for Begin and TakeEarly, which belong to the opening.
// Use:  systems.Begin(driver, root);  ...  opened.notices = systems.TakeEarly();  ...  systems.Mute();
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/session_root.h"
#include "engine/coro/task.h"
#include "engine/fs/file_system_facts.h"
#include "proto/messages.h"

namespace uringsync {

class SessionSystems {
 public:
  // `later` gets what is to be told once TakeEarly was called.
  explicit SessionSystems(std::function<void(std::string)> later);
  // Directories may outlive it.
  ~SessionSystems() { Mute(); }

  // The session's root, which nobody else has yet, takes part; without a directory there is nothing to learn.
  void Begin(Driver* driver, const SessionRoot& root);
  // Another directory of the session, likewise.
  void Add(const DirectoryPtr& directory) const { directory->Share(systems_); }
  const std::shared_ptr<FileSystems>& all() const { return systems_; }
  std::vector<std::string> TakeEarly();
  // Nobody is told any more, when this returns.
  void Mute() { systems_->Mute(); }

 private:
  void Tell(std::string text);

  const std::function<void(std::string)> later_;
  std::mutex mutex_;
  bool open_ = false;               // under mutex_
  std::vector<std::string> early_;  // likewise
  const std::shared_ptr<FileSystems> systems_;
};

// Tries what a destination's root has to be known for before anything is planned: whether owners can be given away
// (`opened` says so to the planner), and, with `durable`, whether directories can be synced. Only on file systems of
// which it is not known that they do both. An error: what was made for that could not be removed.
Task<absl::Status> ProbeDestination(Driver* driver, const SessionRoot& root, const OpenSession& open, bool durable,
                                    SessionOpened* opened);

}  // namespace uringsync

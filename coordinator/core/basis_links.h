// BasisLinks: the sessions of a run that only read: one for each basis directory, at the destination's agent, for its
// manifest.
//
// A basis directory that does not exist is left out, and told. Thread rule: Stop on any thread, the rest on the
// planning one, Join and the destructor after it has ended. Use:
//   US_RETURN_IF_ERROR(links.Open(request, template_open));
//   destination.basis_directories = links.places();  ...  links.Start();  BasisTrees trees(request.basis_use,
//   links.streams());
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "coordinator/core/agent_link.h"
#include "coordinator/core/run.h"

namespace uringsync {

class BasisLinks {
 public:
  explicit BasisLinks(RunEvents* events) : events_(events) {}
  // Opens a session at every directory of request.basis; `open` says what manifests hold.
  absl::Status Open(const SyncRequest& request, const OpenSession& open);
  // Asks for the manifests. `before_waiting` as in AgentLink.
  // `digest_key` as in StartManifest.
  absl::Status Start(const std::function<absl::Status()>& before_waiting, const std::optional<DigestKey>& digest_key);
  // Those that exist, in the order of the request.
  std::vector<TreePlace> places() const { return places_; }
  // The same as the user wrote them.
  const std::vector<std::string>& shown() const { return shown_; }
  std::vector<ManifestStream*> streams() const;
  // Ends the sessions.
  void Stop();
  void Join();

 private:
  struct Session {
    std::unique_ptr<ClientStream> stream;
    std::unique_ptr<AgentLink> link;
  };
  absl::StatusOr<SessionOpened> OpenOne(const SyncRequest& request, const OpenSession& open);

  RunEvents* const events_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Session>> sessions_;  // grows under the lock
  bool stopped_ = false;
  std::vector<AgentLink*> existing_;
  std::vector<TreePlace> places_;
  std::vector<std::string> shown_;
};

}  // namespace uringsync

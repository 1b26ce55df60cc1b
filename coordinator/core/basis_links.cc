#include "coordinator/core/basis_links.h"

#include <utility>

#include "coordinator/core/basis_notice.h"
#include "engine/base/errno_status.h"
#include "proto/handshake.h"

namespace uringsync {

absl::StatusOr<SessionOpened> BasisLinks::OpenOne(const SyncRequest& request, const OpenSession& open) {
  auto session = std::make_unique<Session>();
  US_ASSIGN_OR_RETURN(session->stream, request.open_destination_stream());
  session->link = std::make_unique<AgentLink>(Side::kDestination, session->stream.get(), events_, nullptr);
  AgentLink* const link = session->link.get();
  {
    std::lock_guard lock(mutex_);
    if (stopped_) return absl::CancelledError("the run has ended");
    link->Start();
    sessions_.push_back(std::move(session));
  }
  Hello hello;
  hello.software = request.software;
  hello.features = {kAliveFeature, std::string(kBasisFeature)};
  US_RETURN_IF_ERROR(link->Send(hello));
  US_RETURN_IF_ERROR(link->Open(open));
  US_RETURN_IF_ERROR(link->AwaitHello().status());
  return link->AwaitOpened();
}

absl::Status BasisLinks::Open(const SyncRequest& request, const OpenSession& open) {
  for (const BasisDirectory& basis : request.basis) {
    OpenSession one = open;
    one.session = basis.session;
    one.root = basis.place.root;
    one.path = basis.place.path;
    one.host_path = basis.place.host_path;
    // One that is missing with its parents is as missing.
    one.make_path = one.root.empty();
    US_ASSIGN_OR_RETURN(const SessionOpened opened, OpenOne(request, one));
    if (opened.exists) {
      existing_.push_back(sessions_.back()->link.get());
      places_.push_back(basis.place);
      shown_.push_back(basis.shown);
    } else {
      events_->Push(NoticeEvent{Side::kDestination, UnusableBasis(request.basis_use, basis.shown, true), true});
    }
  }
  return absl::OkStatus();
}

absl::Status BasisLinks::Start(const std::function<absl::Status()>& before_waiting,
                               const std::optional<DigestKey>& digest_key) {
  for (AgentLink* link : existing_) {
    link->SetBeforeWaiting(before_waiting);
    link->SetDigestKey(digest_key);
    US_RETURN_IF_ERROR(link->StartManifest({}));
  }
  return absl::OkStatus();
}

std::vector<ManifestStream*> BasisLinks::streams() const {
  return {existing_.begin(), existing_.end()};
}

void BasisLinks::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
  for (const std::unique_ptr<Session>& session : sessions_) {
    // That the stream ends is what was asked for.
    session->link->ExpectEnd();
    session->link->Stop();
  }
}

void BasisLinks::Join() {
  for (const std::unique_ptr<Session>& session : sessions_) session->link->Join();
}

}  // namespace uringsync

#include "agent/session_table.h"

#include <algorithm>
#include <utility>

#include "engine/base/escape.h"

namespace uringsync {
namespace {

// Of one peer: a session outlives few renewals.
constexpr size_t kMaxCertificates = 16;

bool EqualInConstantTime(const SessionToken& a, const SessionToken& b) {
  volatile uint8_t difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference = difference | (a[i] ^ b[i]);
  return difference == 0;
}

// What a certificate's successor has in common with it.
std::vector<std::string> NamesOf(const PeerIdentity& peer) {
  std::vector<std::string> names;
  for (const auto* list : {&peer.dns_names, &peer.ip_addresses, &peer.uris})
    names.insert(names.end(), list->begin(), list->end());
  if (names.empty()) names.push_back(peer.common_name);
  std::sort(names.begin(), names.end());
  return names;
}

template <typename T>
void TakeRevoked(const T& rows, const std::function<bool(const std::string& pem)>& revoked, auto* found) {
  for (const auto& [id, row] : rows) {
    if (std::any_of(row.certificates.begin(), row.certificates.end(), revoked))
      found->emplace_back(row.session, row.names.front());
  }
}

template <typename T>
size_t BreakAll(const T& found) {
  for (const auto& [session, name] : found) {
    session->Break("the certificate of the agent at the other end of the data connections (" + EscapeName(name) +
                   ") has been revoked");
  }
  return found.size();
}

}  // namespace

template <typename T>
absl::Status SessionTable::Add(Rows<T>* rows, const SessionId& id, std::shared_ptr<T> session) {
  if (rows->size() >= kMaxSessions) return absl::ResourceExhaustedError("this agent serves too many sessions");
  if (!rows->emplace(id, Row<T>{.session = std::move(session), .names = {}, .certificates = {}}).second)
    return absl::AlreadyExistsError("the session id is in use");
  return absl::OkStatus();
}

template <typename T>
absl::StatusOr<std::shared_ptr<T>> SessionTable::Find(Rows<T>* rows, const SessionId& id, const SessionToken& token,
                                                      const PeerIdentity* peer) {
  const absl::Status refused = absl::PermissionDeniedError("no such session, or a wrong token");
  const auto found = rows->find(id);
  if (found == rows->end() || !EqualInConstantTime(found->second.session->token(), token)) return refused;
  Row<T>& row = found->second;
  if (peer == nullptr) return row.session;
  std::vector<std::string> names = NamesOf(*peer);
  if (row.names.empty()) row.names = std::move(names);
  else if (row.names != names) return refused;
  if (std::find(row.certificates.begin(), row.certificates.end(), peer->pem) == row.certificates.end()) {
    if (row.certificates.size() >= kMaxCertificates) row.certificates.erase(row.certificates.begin());
    row.certificates.push_back(peer->pem);
  }
  return row.session;
}

absl::Status SessionTable::AddSource(const SessionId& id, std::shared_ptr<LiveSource> source) {
  std::lock_guard lock(mutex_);
  return Add(&sources_, id, std::move(source));
}

absl::Status SessionTable::AddDestination(const SessionId& id, std::shared_ptr<LiveDestination> destination) {
  std::lock_guard lock(mutex_);
  return Add(&destinations_, id, std::move(destination));
}

void SessionTable::RemoveSource(const SessionId& id) {
  std::lock_guard lock(mutex_);
  sources_.erase(id);
}

void SessionTable::RemoveDestination(const SessionId& id) {
  std::lock_guard lock(mutex_);
  destinations_.erase(id);
}

absl::StatusOr<std::shared_ptr<LiveSource>> SessionTable::FindSource(const SessionId& id, const SessionToken& token,
                                                                     const PeerIdentity* peer) {
  std::lock_guard lock(mutex_);
  return Find(&sources_, id, token, peer);
}

absl::StatusOr<std::shared_ptr<LiveDestination>> SessionTable::FindDestination(const SessionId& id,
                                                                               const SessionToken& token,
                                                                               const PeerIdentity* peer) {
  std::lock_guard lock(mutex_);
  return Find(&destinations_, id, token, peer);
}

size_t SessionTable::BreakRevoked(const std::function<bool(const std::string& pem)>& revoked) {
  // Broken without the lock: a session that ends meanwhile leaves the table.
  std::vector<std::pair<std::shared_ptr<LiveSource>, std::string>> sources;
  std::vector<std::pair<std::shared_ptr<LiveDestination>, std::string>> destinations;
  {
    std::lock_guard lock(mutex_);
    TakeRevoked(sources_, revoked, &sources);
    TakeRevoked(destinations_, revoked, &destinations);
  }
  return BreakAll(sources) + BreakAll(destinations);
}

}  // namespace uringsync

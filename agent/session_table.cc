#include "agent/session_table.h"

#include <utility>

namespace uringsync {
namespace {

bool EqualInConstantTime(const SessionToken& a, const SessionToken& b) {
  volatile uint8_t difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference = difference | (a[i] ^ b[i]);
  return difference == 0;
}

template <typename T>
absl::Status Add(std::map<SessionId, std::shared_ptr<T>>* sessions, const SessionId& id, std::shared_ptr<T> session) {
  if (sessions->size() >= SessionTable::kMaxSessions)
    return absl::ResourceExhaustedError("this agent serves too many sessions");
  if (!sessions->emplace(id, std::move(session)).second) return absl::AlreadyExistsError("the session id is in use");
  return absl::OkStatus();
}

template <typename T>
absl::StatusOr<std::shared_ptr<T>> Find(const std::map<SessionId, std::shared_ptr<T>>& sessions, const SessionId& id,
                                        const SessionToken& token) {
  auto found = sessions.find(id);
  if (found == sessions.end() || !EqualInConstantTime(found->second->token(), token))
    return absl::PermissionDeniedError("no such session, or a wrong token");
  return found->second;
}

}  // namespace

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

absl::StatusOr<std::shared_ptr<LiveSource>> SessionTable::FindSource(const SessionId& id,
                                                                     const SessionToken& token) const {
  std::lock_guard lock(mutex_);
  return Find(sources_, id, token);
}

absl::StatusOr<std::shared_ptr<LiveDestination>> SessionTable::FindDestination(const SessionId& id,
                                                                               const SessionToken& token) const {
  std::lock_guard lock(mutex_);
  return Find(destinations_, id, token);
}

}  // namespace uringsync

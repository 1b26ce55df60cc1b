#include "coordinator/core/id_mapper.h"

#include <algorithm>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

absl::Status Unfit(const char* side) {
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    std::string(side) + ": an answer that does not fit the names asked for");
}

bool Fits(const NameReply& reply, const NameQuery& query) {
  return reply.user_names.size() == query.uids.size() && reply.group_names.size() == query.gids.size() &&
         reply.user_ids.size() == query.users.size() && reply.group_ids.size() == query.groups.size();
}

}  // namespace

bool IdMapOptions::NeedsNames() const {
  if (ByName() && (owner || group)) return true;
  const bool patterns = !numeric && (users.UsesNames() || groups.UsesNames());
  return patterns || users.HasNamedTargets() || groups.HasNamedTargets();
}

absl::Status IdMapper::Prepare() {
  for (const bool users : {true, false}) {
    const std::vector<IdRules::Target*> targets = (users ? options_.users : options_.groups).NamedTargets();
    for (size_t begin = 0; begin < targets.size(); begin += kMaxNameQuery) {
      const size_t end = std::min(targets.size(), begin + kMaxNameQuery);
      NameQuery query;
      std::vector<std::string>& names = users ? query.users : query.groups;
      for (size_t i = begin; i < end; ++i) names.push_back(targets[i]->name);
      US_ASSIGN_OR_RETURN(const NameReply reply, ask_destination_(query));
      if (!Fits(reply, query)) return Unfit("destination agent");
      for (size_t i = begin; i < end; ++i) {
        const std::optional<uint32_t> id = (users ? reply.user_ids : reply.group_ids)[i - begin];
        if (!id) {
          return MakeStatus(absl::StatusCode::kNotFound, std::string("no ") + (users ? "user" : "group") +
                                                             " is called \"" + EscapeName(targets[i]->name) +
                                                             "\" at the destination");
        }
        targets[i]->id = *id;
      }
    }
  }
  return absl::OkStatus();
}

absl::Status IdMapper::Learn(std::span<const Entry> entries) {
  if (known_users_.size() > kMaxKnown) known_users_.clear();
  if (known_groups_.size() > kMaxKnown) known_groups_.clear();
  NameQuery fresh;
  std::unordered_set<uint32_t> users;
  std::unordered_set<uint32_t> groups;
  for (const Entry& entry : entries) {
    if (entry.error != 0) continue;
    const bool user = options_.owner && !known_users_.contains(entry.uid) && users.insert(entry.uid).second;
    const bool group = options_.group && !known_groups_.contains(entry.gid) && groups.insert(entry.gid).second;
    if (user) fresh.uids.push_back(entry.uid);
    if (group) fresh.gids.push_back(entry.gid);
    if (std::max(fresh.uids.size(), fresh.gids.size()) < kMaxNameQuery) continue;
    US_RETURN_IF_ERROR(LearnIds(std::exchange(fresh, NameQuery())));
  }
  return fresh.uids.empty() && fresh.gids.empty() ? absl::OkStatus() : LearnIds(fresh);
}

absl::StatusOr<IdMapper::Names> IdMapper::SourceNames(const NameQuery& ids) {
  NameQuery query;
  // With numeric ids rules see no names, as with rsync.
  if (options_.ByName() || (!options_.numeric && options_.users.UsesNames())) query.uids = ids.uids;
  if (options_.ByName() || (!options_.numeric && options_.groups.UsesNames())) query.gids = ids.gids;
  Names names;
  if (!query.uids.empty() || !query.gids.empty()) {
    US_ASSIGN_OR_RETURN(NameReply reply, ask_source_(query));
    if (!Fits(reply, query)) return Unfit("source agent");
    names.users = std::move(reply.user_names);
    names.groups = std::move(reply.group_names);
  }
  names.users.resize(ids.uids.size());
  names.groups.resize(ids.gids.size());
  return names;
}

void IdMapper::Resolve(const std::vector<uint32_t>& ids, const std::vector<std::string>& names, const IdRules& rules,
                       Known* known, std::vector<std::string>* unresolved,
                       std::vector<uint32_t>* unresolved_ids) const {
  for (size_t i = 0; i < ids.size(); ++i) {
    (*known)[ids[i]] = ids[i];
    if (const IdRules::Target* target = rules.Find(ids[i], names[i])) {
      (*known)[ids[i]] = target->id;
    } else if (options_.ByName() && ids[i] != 0 && !names[i].empty()) {
      unresolved->push_back(names[i]);
      unresolved_ids->push_back(ids[i]);
    }
  }
}

absl::Status IdMapper::LearnIds(const NameQuery& ids) {
  US_ASSIGN_OR_RETURN(const Names names, SourceNames(ids));
  NameQuery query;
  std::vector<uint32_t> uids;
  std::vector<uint32_t> gids;
  Resolve(ids.uids, names.users, options_.users, &known_users_, &query.users, &uids);
  Resolve(ids.gids, names.groups, options_.groups, &known_groups_, &query.groups, &gids);
  if (uids.empty() && gids.empty()) return absl::OkStatus();
  US_ASSIGN_OR_RETURN(const NameReply reply, ask_destination_(query));
  if (!Fits(reply, query)) return Unfit("destination agent");
  for (size_t i = 0; i < uids.size(); ++i) known_users_[uids[i]] = reply.user_ids[i].value_or(uids[i]);
  for (size_t i = 0; i < gids.size(); ++i) known_groups_[gids[i]] = reply.group_ids[i].value_or(gids[i]);
  return absl::OkStatus();
}

}  // namespace uringsync

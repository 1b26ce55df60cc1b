// IdMapper: which user and group of the destination an object of the source belongs to.
//
// By the rules of --usermap and --groupmap; where none fits, by name: the id that has the source's name at the
// destination. An id without a name at the source, or with one that the destination does not know, keeps its number,
// and so does 0. With numeric ids nothing is looked up, and rules see numbers only.
//
// Both agents are asked for many ids at once, and only for those not met before.
// Thread rule: one thread. Use:
//   IdMapper mapper(options, ask_source, ask_destination);
//   US_RETURN_IF_ERROR(mapper.Prepare());
//   US_RETURN_IF_ERROR(mapper.Learn(entries));  uint32_t uid = mapper.User(entry.uid);
#pragma once

#include <functional>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include "absl/status/statusor.h"
#include "coordinator/core/id_rules.h"
#include "engine/base/entry.h"
#include "proto/messages.h"

namespace uringsync {

struct IdMapOptions {
  IdRules users;
  IdRules groups;
  bool numeric = true;
  // What the run does not keep is not looked up.
  bool owner = true;
  bool group = true;
  // Both agents give the same names to ids: by name means by number.
  bool same_names = false;

  bool ByName() const { return !numeric && !same_names; }
  // Something may become another number.
  bool Maps() const { return (ByName() && (owner || group)) || !users.empty() || !groups.empty(); }
  // An agent may be asked for names.
  bool NeedsNames() const;
};

class IdMapper {
 public:
  using Ask = std::function<absl::StatusOr<NameReply>(const NameQuery& query)>;
  // Ids remembered of each kind; beyond it they are asked for again.
  static constexpr size_t kMaxKnown = size_t{1} << 20;

  // Asking is called from Prepare and Learn, and its errors are theirs.
  IdMapper(IdMapOptions options, Ask ask_source, Ask ask_destination)
      : options_(std::move(options)),
        ask_source_(std::move(ask_source)),
        ask_destination_(std::move(ask_destination)) {}

  // Finds the ids of the names that rules lead to. NotFound names the first one that the destination does not know.
  absl::Status Prepare();
  // Makes known what owners and groups of `entries` become. InvalidArgument for an answer that does not fit its
  // question.
  absl::Status Learn(std::span<const Entry> entries);
  // Of ids that were learnt.
  uint32_t User(uint32_t uid) const { return Lookup(known_users_, uid); }
  uint32_t Group(uint32_t gid) const { return Lookup(known_groups_, gid); }

 private:
  using Known = std::unordered_map<uint32_t, uint32_t>;
  struct Names {
    std::vector<std::string> users;
    std::vector<std::string> groups;
  };
  static uint32_t Lookup(const Known& known, uint32_t id) {
    const auto found = known.find(id);
    return found == known.end() ? id : found->second;
  }
  absl::Status LearnIds(const NameQuery& ids);
  absl::StatusOr<Names> SourceNames(const NameQuery& ids);
  // For each id what a rule says, or the id itself; where neither, its name goes to `unresolved` with where the answer
  // belongs.
  void Resolve(const std::vector<uint32_t>& ids, const std::vector<std::string>& names, const IdRules& rules,
               Known* known, std::vector<std::string>* unresolved, std::vector<uint32_t>* unresolved_ids) const;

  IdMapOptions options_;
  const Ask ask_source_;
  const Ask ask_destination_;
  Known known_users_;
  Known known_groups_;
};

}  // namespace uringsync

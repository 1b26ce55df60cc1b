#include "agent/access_list.h"

#include <algorithm>

#include "engine/base/errno_status.h"
#include "engine/base/escape.h"

namespace uringsync {
namespace {

constexpr std::pair<Verb, std::string_view> kVerbs[] = {{Verb::kRead, "read"},
                                                        {Verb::kWrite, "write"},
                                                        {Verb::kDelete, "delete"},
                                                        {Verb::kChown, "chown"},
                                                        {Verb::kDevice, "device"}};

absl::Status BadGrant(std::string_view text, std::string_view what) {
  return MakeStatus(absl::StatusCode::kInvalidArgument,
                    "\"" + EscapeName(text) + "\": " + std::string(what) +
                        "; write WHO=ROOT:VERBS, e.g. backup.example=data:read or '*=data:read,write'");
}

}  // namespace

absl::StatusOr<Verbs> ParseVerbs(std::string_view text) {
  Verbs verbs;
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    const auto known =
        std::find_if(std::begin(kVerbs), std::end(kVerbs), [word](const auto& row) { return row.second == word; });
    if (word == "all") {
      verbs.Add(Verbs::All());
    } else if (known != std::end(kVerbs)) {
      verbs.Add(known->first);
    } else {
      return MakeStatus(absl::StatusCode::kInvalidArgument,
                        "\"" + EscapeName(word) + "\" is no verb; there are read, write, delete, chown, device, all");
    }
    if (comma == std::string_view::npos) return verbs;
    text.remove_prefix(comma + 1);
  }
}

// From its end: a URI of WHO has colons, and maybe equals signs, of its own.
absl::StatusOr<Grant> ParseGrant(std::string_view text) {
  const size_t colon = text.rfind(':');
  const size_t equals = colon == std::string_view::npos ? colon : text.rfind('=', colon);
  if (equals == std::string_view::npos) return BadGrant(text, "it is not of the form");
  Grant grant{.who = std::string(text.substr(0, equals)),
              .root = std::string(text.substr(equals + 1, colon - equals - 1)),
              .verbs = Verbs()};
  if (grant.who.empty() || grant.root.empty()) return BadGrant(text, "a part is empty");
  absl::StatusOr<Verbs> verbs = ParseVerbs(text.substr(colon + 1));
  if (!verbs.ok()) return BadGrant(text, ToStd(verbs.status().message()));
  grant.verbs = *verbs;
  return grant;
}

Verbs AccessList::Of(const std::vector<std::string>& identities, std::string_view root) const {
  Verbs verbs;
  for (const Grant& grant : grants_) {
    if (grant.root != kAnybody && grant.root != root) continue;
    const bool meant =
        grant.who == kAnybody || std::find(identities.begin(), identities.end(), grant.who) != identities.end();
    if (meant) verbs.Add(grant.verbs);
  }
  return verbs;
}

}  // namespace uringsync

#include "proto/convert_names.h"

#include <limits>

#include "engine/base/errno_status.h"
#include "proto/convert_fields.h"

namespace uringsync::convert_internal {
namespace {

constexpr uint64_t kMaxId = std::numeric_limits<uint32_t>::max();

template <typename Wire>
absl::Status EncodeNumbers(Where where, const std::vector<uint32_t>& ids, Wire* wire) {
  US_RETURN_IF_ERROR(CheckBound(where, ids.size(), kMaxNameQuery, "ids"));
  wire->Add(ids.begin(), ids.end());
  return absl::OkStatus();
}

template <typename Wire>
absl::StatusOr<std::vector<uint32_t>> DecodeNumbers(Where where, const Wire& wire) {
  US_RETURN_IF_ERROR(CheckBound(where, static_cast<size_t>(wire.size()), kMaxNameQuery, "ids"));
  return std::vector<uint32_t>(wire.begin(), wire.end());
}

absl::StatusOr<std::vector<std::string>> DecodeNames(Where where, const v1::Strings& wire) {
  US_ASSIGN_OR_RETURN(std::vector<std::string> names,
                      DecodeList(where, wire, kMaxNameQuery, kMaxAccountNameBytes, /*labels=*/false));
  for (size_t row = 0; row < names.size(); ++row) {
    // C strings at the agent, and of the agent.
    if (names[row].find('\0') != std::string::npos) return Bad(where, row, "a zero byte in a name");
  }
  return names;
}

template <typename Wire>
absl::Status EncodeIds(Where where, const std::vector<std::optional<uint32_t>>& ids, Wire* wire) {
  US_RETURN_IF_ERROR(CheckBound(where, ids.size(), kMaxNameQuery, "ids"));
  for (const std::optional<uint32_t> id : ids) wire->Add(id ? uint64_t{*id} + 1 : 0);
  return absl::OkStatus();
}

template <typename Wire>
absl::StatusOr<std::vector<std::optional<uint32_t>>> DecodeIds(Where where, const Wire& wire) {
  US_RETURN_IF_ERROR(CheckBound(where, static_cast<size_t>(wire.size()), kMaxNameQuery, "ids"));
  std::vector<std::optional<uint32_t>> ids;
  ids.reserve(static_cast<size_t>(wire.size()));
  for (const uint64_t number : wire) {
    if (number > kMaxId + 1) return Bad(where, ids.size(), std::to_string(number) + " is no id and one");
    ids.push_back(number == 0 ? std::nullopt : std::optional(static_cast<uint32_t>(number - 1)));
  }
  return ids;
}

}  // namespace

absl::Status EncodeNameQuery(const NameQuery& query, v1::NameQuery* wire) {
  US_RETURN_IF_ERROR(EncodeNumbers({"NameQuery", "uids"}, query.uids, wire->mutable_uids()));
  US_RETURN_IF_ERROR(EncodeNumbers({"NameQuery", "gids"}, query.gids, wire->mutable_gids()));
  US_RETURN_IF_ERROR(
      EncodeList({"NameQuery", "users"}, query.users, kMaxNameQuery, kMaxAccountNameBytes, wire->mutable_users()));
  return EncodeList({"NameQuery", "groups"}, query.groups, kMaxNameQuery, kMaxAccountNameBytes, wire->mutable_groups());
}

absl::StatusOr<NameQuery> DecodeNameQuery(const v1::NameQuery& wire) {
  NameQuery query;
  US_ASSIGN_OR_RETURN(query.uids, DecodeNumbers({"NameQuery", "uids"}, wire.uids()));
  US_ASSIGN_OR_RETURN(query.gids, DecodeNumbers({"NameQuery", "gids"}, wire.gids()));
  US_ASSIGN_OR_RETURN(query.users, DecodeNames({"NameQuery", "users"}, wire.users()));
  US_ASSIGN_OR_RETURN(query.groups, DecodeNames({"NameQuery", "groups"}, wire.groups()));
  return query;
}

absl::Status EncodeNameReply(const NameReply& reply, v1::NameReply* wire) {
  US_RETURN_IF_ERROR(EncodeList({"NameReply", "user_names"}, reply.user_names, kMaxNameQuery, kMaxAccountNameBytes,
                                wire->mutable_user_names()));
  US_RETURN_IF_ERROR(EncodeList({"NameReply", "group_names"}, reply.group_names, kMaxNameQuery, kMaxAccountNameBytes,
                                wire->mutable_group_names()));
  US_RETURN_IF_ERROR(EncodeIds({"NameReply", "user_ids"}, reply.user_ids, wire->mutable_user_ids()));
  return EncodeIds({"NameReply", "group_ids"}, reply.group_ids, wire->mutable_group_ids());
}

absl::StatusOr<NameReply> DecodeNameReply(const v1::NameReply& wire) {
  NameReply reply;
  US_ASSIGN_OR_RETURN(reply.user_names, DecodeNames({"NameReply", "user_names"}, wire.user_names()));
  US_ASSIGN_OR_RETURN(reply.group_names, DecodeNames({"NameReply", "group_names"}, wire.group_names()));
  US_ASSIGN_OR_RETURN(reply.user_ids, DecodeIds({"NameReply", "user_ids"}, wire.user_ids()));
  US_ASSIGN_OR_RETURN(reply.group_ids, DecodeIds({"NameReply", "group_ids"}, wire.group_ids()));
  return reply;
}

}  // namespace uringsync::convert_internal

// Names of ids on the wire: round trips, and what a decoder refuses.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "proto/convert.h"
#include "tests/support/message_samples.h"
#include "tests/support/status_matchers.h"
#include "uringsync/v1/agent.pb.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

TEST(NamesConvertTest, AQueryAndItsReplyKeepEveryField) {
  MessageSamples samples(11);
  for (int i = 0; i < 50; ++i) {
    const NameQuery query = samples.AnyNameQuery();
    v1::ClientMessage client;
    ASSERT_OK(EncodeMessage(ClientMessage(query), &client));
    const absl::StatusOr<ClientMessage> asked = DecodeMessage(client);
    ASSERT_OK(asked);
    const auto& decoded = std::get<NameQuery>(*asked);
    EXPECT_EQ(decoded.uids, query.uids);
    EXPECT_EQ(decoded.gids, query.gids);
    EXPECT_EQ(decoded.users, query.users);
    EXPECT_EQ(decoded.groups, query.groups);
    const NameReply reply = samples.AnyNameReply();
    v1::AgentMessage agent;
    ASSERT_OK(EncodeMessage(AgentMessage(reply), &agent));
    const absl::StatusOr<AgentMessage> answered = DecodeMessage(agent);
    ASSERT_OK(answered);
    const auto& names = std::get<NameReply>(*answered);
    EXPECT_EQ(names.user_names, reply.user_names);
    EXPECT_EQ(names.group_names, reply.group_names);
    EXPECT_EQ(names.user_ids, reply.user_ids);
    EXPECT_EQ(names.group_ids, reply.group_ids);
  }
}

absl::Status DecodedQuery(const std::function<void(v1::NameQuery*)>& spoil) {
  v1::ClientMessage wire;
  spoil(wire.mutable_name_query());
  return DecodeMessage(wire).status();
}
absl::Status DecodedReply(const std::function<void(v1::NameReply*)>& spoil) {
  v1::AgentMessage wire;
  spoil(wire.mutable_name_reply());
  return DecodeMessage(wire).status();
}
void AddName(v1::Strings* strings, const std::string& name) {
  strings->mutable_text()->append(name);
  strings->add_lengths(static_cast<uint32_t>(name.size()));
}

TEST(NamesConvertTest, WhatIsTooMuchOrNoNameIsRefused) {
  EXPECT_OK(DecodedQuery([](v1::NameQuery*) {}));
  EXPECT_THAT(DecodedQuery([](v1::NameQuery* q) {
                for (size_t i = 0; i <= kMaxNameQuery; ++i) q->add_uids(1);
              }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("NameQuery.uids")));
  EXPECT_THAT(DecodedQuery([](v1::NameQuery* q) {
                for (size_t i = 0; i <= kMaxNameQuery; ++i) AddName(q->mutable_groups(), "g");
              }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("NameQuery.groups")));
  EXPECT_THAT(
      DecodedQuery([](v1::NameQuery* q) { AddName(q->mutable_users(), std::string(kMaxAccountNameBytes + 1, 'x')); }),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("NameQuery.users")));
  EXPECT_THAT(DecodedQuery([](v1::NameQuery* q) { AddName(q->mutable_users(), std::string("a\0b", 3)); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("zero byte")));
  EXPECT_THAT(DecodedReply([](v1::NameReply* r) { AddName(r->mutable_user_names(), std::string("a\0b", 3)); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("zero byte")));
  EXPECT_OK(DecodedReply([](v1::NameReply* r) { r->add_user_ids(uint64_t{1} << 32); }));
  EXPECT_THAT(DecodedReply([](v1::NameReply* r) { r->add_user_ids((uint64_t{1} << 32) + 1); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("NameReply.user_ids[0]")));
  EXPECT_THAT(DecodedReply([](v1::NameReply* r) {
                for (size_t i = 0; i <= kMaxNameQuery; ++i) r->add_group_ids(0);
              }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("NameReply.group_ids")));
}

}  // namespace
}  // namespace uringsync

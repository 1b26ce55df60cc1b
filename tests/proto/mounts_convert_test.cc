// Mount points on the wire: round trips, and what a decoder refuses.
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

TEST(MountsConvertTest, AQueryAndItsReplyKeepEveryField) {
  MessageSamples samples(17);
  for (int i = 0; i < 50; ++i) {
    const MountQuery query = samples.AnyMountQuery();
    v1::ClientMessage client;
    ASSERT_OK(EncodeMessage(ClientMessage(query), &client));
    const absl::StatusOr<ClientMessage> asked = DecodeMessage(client);
    ASSERT_OK(asked);
    EXPECT_EQ(std::get<MountQuery>(*asked).recorded, query.recorded);
    const MountReply reply = samples.AnyMountReply();
    v1::AgentMessage agent;
    ASSERT_OK(EncodeMessage(AgentMessage(reply), &agent));
    const absl::StatusOr<AgentMessage> answered = DecodeMessage(agent);
    ASSERT_OK(answered);
    EXPECT_EQ(std::get<MountReply>(*answered).mounts, reply.mounts);
    EXPECT_EQ(std::get<MountReply>(*answered).lost, reply.lost);
  }
}

absl::Status DecodedReply(const std::function<void(v1::MountReply*)>& spoil) {
  v1::AgentMessage wire;
  spoil(wire.mutable_mount_reply());
  return DecodeMessage(wire).status();
}
void AddText(v1::Strings* strings, const std::string& text) {
  strings->mutable_text()->append(text);
  strings->add_lengths(static_cast<uint32_t>(text.size()));
}
void AddMount(v1::MountReply* reply, const std::string& point) {
  AddText(reply->mutable_mounts()->mutable_points(), point);
  AddText(reply->mutable_mounts()->mutable_file_systems(), "fs");
}

TEST(MountsConvertTest, WhatIsTooMuchOrNoPointIsRefused) {
  EXPECT_OK(DecodedReply([](v1::MountReply* r) { AddMount(r, "/mnt"); }));
  for (const std::string& point : {std::string("relative"), std::string(), std::string("/a\0b", 4)}) {
    EXPECT_THAT(DecodedReply([&](v1::MountReply* r) { AddMount(r, point); }),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("MountReply.mounts[0]")));
    EXPECT_THAT(DecodedReply([&](v1::MountReply* r) { AddText(r->mutable_lost(), point); }),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("MountReply.lost[0]")));
  }
  EXPECT_THAT(DecodedReply([](v1::MountReply* r) { AddText(r->mutable_mounts()->mutable_points(), "/a"); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not as many")));
  EXPECT_THAT(DecodedReply([](v1::MountReply* r) {
                for (size_t i = 0; i <= kMaxMounts; ++i) AddMount(r, "/mnt");
              }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("MountReply.mounts")));
  EXPECT_THAT(DecodedReply([](v1::MountReply* r) {
                for (size_t i = 0; i < 300; ++i) AddMount(r, "/" + std::string(4000, 'x'));
              }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("bytes")));
  EXPECT_THAT(DecodedReply([](v1::MountReply* r) { AddMount(r, "/" + std::string(5000, 'x')); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("MountReply.mounts")));
  EXPECT_THAT(DecodedReply([](v1::MountReply* r) {
                AddText(r->mutable_lost(), "/a");
                r->add_emptied_rows(1);
              }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("emptied_rows")));
  EXPECT_THAT(DecodedReply([](v1::MountReply* r) {
                AddText(r->mutable_lost(), "/a");
                r->add_replaced_rows(1);
              }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("replaced_rows")));
  EXPECT_THAT(DecodedReply([](v1::MountReply* r) {
                AddText(r->mutable_lost(), "/a");
                r->add_emptied_rows(0);
                r->add_replaced_rows(0);
              }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("replaced_rows")));
}

}  // namespace
}  // namespace uringsync

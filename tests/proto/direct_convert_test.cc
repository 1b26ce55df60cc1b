// Direct connections on the wire: round trips, and what a decoder refuses.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "proto/convert.h"
#include "tests/support/status_matchers.h"
#include "uringsync/v1/agent.pb.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

TEST(DirectConvertTest, AQueryAndItsReplyKeepEveryField) {
  const DirectQuery query{
      .keys = {.certificate = "the certificate", .key = std::string("k\0y", 3)}, .listen = true, .port = 65535};
  v1::ClientMessage client;
  ASSERT_OK(EncodeMessage(ClientMessage(query), &client));
  ASSERT_OK_AND_ASSIGN(const ClientMessage asked, DecodeMessage(client));
  const auto& query_again = std::get<DirectQuery>(asked);
  EXPECT_EQ(query_again.keys.certificate, query.keys.certificate);
  EXPECT_EQ(query_again.keys.key, query.keys.key);
  EXPECT_TRUE(query_again.listen);
  EXPECT_EQ(query_again.port, 65535);
  for (const char* address : {"", "2001:db8::1", "host.example"}) {
    v1::AgentMessage agent;
    ASSERT_OK(EncodeMessage(AgentMessage(DirectReply{address, 4711}), &agent));
    ASSERT_OK_AND_ASSIGN(const AgentMessage answered, DecodeMessage(agent));
    EXPECT_EQ(std::get<DirectReply>(answered).address, address);
    EXPECT_EQ(std::get<DirectReply>(answered).port, 4711);
  }
}

TEST(DirectConvertTest, TheWayOfARouteAndOfAConnectDataIsKept) {
  for (const bool direct : {false, true}) {
    v1::ClientMessage client;
    ASSERT_OK(EncodeMessage(ClientMessage(ConnectData{"h", 1, direct}), &client));
    ASSERT_OK_AND_ASSIGN(const ClientMessage connect, DecodeMessage(client));
    EXPECT_EQ(std::get<ConnectData>(connect).direct, direct);
    OpenSession open;
    open.root = "data";
    open.role = Role::kDestination;
    open.route = {.kind = DataRoute::Kind::kConnect, .host = "h", .port = 1, .direct = direct};
    ASSERT_OK(EncodeMessage(ClientMessage(open), &client));
    ASSERT_OK_AND_ASSIGN(const ClientMessage opened, DecodeMessage(client));
    EXPECT_EQ(std::get<OpenSession>(opened).route.direct, direct);
  }
}

absl::Status DecodedQuery(const std::function<void(v1::DirectQuery*)>& spoil) {
  v1::ClientMessage client;
  client.mutable_direct_query()->set_certificate("c");
  client.mutable_direct_query()->set_key("k");
  spoil(client.mutable_direct_query());
  return DecodeMessage(client).status();
}

TEST(DirectConvertTest, WhatIsTooLongOrNoPortIsRefused) {
  EXPECT_OK(DecodedQuery([](v1::DirectQuery*) {}));
  const std::string huge(kMaxOneTimeKeyBytes + 1, 'x');
  EXPECT_THAT(DecodedQuery([&](v1::DirectQuery* q) { q->set_certificate(huge); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("DirectQuery.certificate")));
  EXPECT_THAT(DecodedQuery([&](v1::DirectQuery* q) { q->set_key(huge); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("DirectQuery.key")));
  EXPECT_THAT(DecodedQuery([](v1::DirectQuery* q) { q->set_port(65536); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("DirectQuery.port")));
  v1::ClientMessage client;
  EXPECT_THAT(EncodeMessage(ClientMessage(DirectQuery{.keys = {.certificate = "c", .key = huge}}), &client),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("DirectQuery.key")));
  v1::AgentMessage agent;
  agent.mutable_direct_reply()->set_address("no host\n");
  EXPECT_THAT(DecodeMessage(agent).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("DirectReply.address")));
  agent.mutable_direct_reply()->set_address("h");
  agent.mutable_direct_reply()->set_port(70000);
  EXPECT_THAT(DecodeMessage(agent).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("DirectReply.port")));
}

}  // namespace
}  // namespace uringsync

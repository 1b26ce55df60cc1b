// Looks at single objects on the wire: round trips, and what a decoder refuses.
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

TEST(LooksConvertTest, AQueryAndItsReplyKeepEveryField) {
  MessageSamples samples(13);
  for (int i = 0; i < 50; ++i) {
    const EntryQuery query = samples.AnyEntryQuery();
    v1::ClientMessage client;
    ASSERT_OK(EncodeMessage(ClientMessage(query), &client));
    const absl::StatusOr<ClientMessage> asked = DecodeMessage(client);
    ASSERT_OK(asked);
    EXPECT_EQ(std::get<EntryQuery>(*asked).paths, query.paths);
    EXPECT_EQ(std::get<EntryQuery>(*asked).digest_key, query.digest_key);
    const EntryReply reply = samples.AnyEntryReply();
    v1::AgentMessage agent;
    ASSERT_OK(EncodeMessage(AgentMessage(reply), &agent));
    const absl::StatusOr<AgentMessage> answered = DecodeMessage(agent);
    ASSERT_OK(answered);
    const std::vector<EntryFinding>& findings = std::get<EntryReply>(*answered).findings;
    ASSERT_EQ(findings.size(), reply.findings.size());
    for (size_t row = 0; row < findings.size(); ++row) {
      ASSERT_EQ(findings[row].entry.has_value(), reply.findings[row].entry.has_value());
      EXPECT_EQ(findings[row].error, reply.findings[row].error);
      if (!findings[row].entry) continue;
      EXPECT_EQ(findings[row].entry->id, reply.findings[row].entry->id);
      EXPECT_EQ(findings[row].entry->ctime, reply.findings[row].entry->ctime);
    }
  }
}

absl::Status DecodedReply(const std::function<void(v1::EntryReply*)>& spoil) {
  v1::AgentMessage wire;
  wire.mutable_entry_reply()->add_errors(0);
  spoil(wire.mutable_entry_reply());
  return DecodeMessage(wire).status();
}

TEST(LooksConvertTest, WhatIsTooMuchOrContradictsItselfIsRefused) {
  v1::ClientMessage query;
  query.mutable_entry_query();
  EXPECT_THAT(DecodeMessage(query).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("EntryQuery.paths")));
  query.mutable_entry_query()->mutable_paths()->set_text("a/../b");
  query.mutable_entry_query()->mutable_paths()->add_lengths(6);
  EXPECT_THAT(DecodeMessage(query).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("EntryQuery.paths[0]")));
  query.mutable_entry_query()->mutable_paths()->clear_text();
  query.mutable_entry_query()->mutable_paths()->clear_lengths();
  query.mutable_entry_query()->mutable_paths()->add_lengths(0);
  query.mutable_entry_query()->set_digest_key("fifteen bytes..");
  EXPECT_THAT(DecodeMessage(query).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("EntryQuery.digest_key")));
  for (size_t i = 0; i <= kMaxEntryQuery; ++i) query.mutable_entry_query()->mutable_paths()->add_lengths(0);
  EXPECT_THAT(DecodeMessage(query).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("EntryQuery.paths")));

  EXPECT_OK(DecodedReply([](v1::EntryReply*) {}));
  EXPECT_THAT(DecodedReply([](v1::EntryReply* r) { r->clear_errors(); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("EntryReply.errors")));
  EXPECT_THAT(DecodedReply([](v1::EntryReply* r) { r->set_errors(0, kMaxErrno + 1); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("EntryReply.errors[0]")));
  EXPECT_THAT(DecodedReply([](v1::EntryReply* r) { r->add_found_rows(1); }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("EntryReply.found_rows")));
  EXPECT_THAT(DecodedReply([](v1::EntryReply* r) {
                r->set_errors(0, 2);
                r->add_found_rows(0);
              }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("an error beside an entry")));
  EXPECT_THAT(DecodedReply([](v1::EntryReply* r) {
                for (size_t i = 0; i < kMaxEntryQuery; ++i) r->add_errors(0);
              }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("EntryReply.errors")));
}

}  // namespace
}  // namespace uringsync

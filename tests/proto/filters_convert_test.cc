// Filter rules on the wire, and what a destination's manifest says of them.
#include <gtest/gtest.h>

#include "engine/tree/path_filter.h"
#include "proto/convert.h"
#include "tests/support/message_samples.h"
#include "tests/support/status_matchers.h"
#include "uringsync/v1/agent.pb.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

OpenSession WithFilters(std::vector<std::string> filters) {
  OpenSession open;
  open.root = "data";
  open.filters = std::move(filters);
  return open;
}

TEST(FiltersConvertTest, RulesComeAsTheyWere) {
  OpenSession open = WithFilters({"- *.o", ": /.rsync-filter", "-p a\nb\xff", "H _"});
  open.delete_excluded = true;
  open.nul_separated_filters = true;
  v1::ClientMessage wire;
  ASSERT_OK(EncodeMessage(ClientMessage(open), &wire));
  ASSERT_OK_AND_ASSIGN(const ClientMessage decoded, DecodeMessage(wire));
  const OpenSession& got = std::get<OpenSession>(decoded);
  EXPECT_EQ(got.filters, open.filters);
  EXPECT_TRUE(got.delete_excluded);
  EXPECT_TRUE(got.nul_separated_filters);
}

TEST(FiltersConvertTest, WithoutFiltersNothingIsSaid) {
  v1::ClientMessage wire;
  ASSERT_OK(EncodeMessage(ClientMessage(WithFilters({})), &wire));
  EXPECT_FALSE(wire.open_session().has_filters());
  ASSERT_OK_AND_ASSIGN(const ClientMessage decoded, DecodeMessage(wire));
  EXPECT_TRUE(std::get<OpenSession>(decoded).filters.empty());
}

TEST(FiltersConvertTest, MoreThanTheBoundsIsRefusedOnBothEnds) {
  const std::string longest(kMaxFilterRuleBytes, 'a');
  v1::ClientMessage wire;
  EXPECT_THAT(EncodeMessage(ClientMessage(WithFilters({longest + "a"})), &wire),
              StatusIs(absl::StatusCode::kInvalidArgument));
  const std::vector<std::string> many(kMaxFilterBytes / kMaxFilterRuleBytes, longest);
  ASSERT_OK(EncodeMessage(ClientMessage(WithFilters(many)), &wire));
  ASSERT_OK(DecodeMessage(wire).status());
  v1::Strings* filters = wire.mutable_open_session()->mutable_filters();
  filters->add_lengths(1);
  filters->mutable_text()->push_back('a');
  EXPECT_THAT(DecodeMessage(wire), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("OpenSession.filters")));
  ASSERT_OK(EncodeMessage(ClientMessage(WithFilters({"a"})), &wire));
  filters = wire.mutable_open_session()->mutable_filters();
  filters->clear_lengths();
  filters->clear_text();
  for (size_t i = 0; i <= kMaxFilterRules; ++i) filters->add_lengths(0);
  EXPECT_THAT(DecodeMessage(wire), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("OpenSession.filters")));
}

TEST(FiltersConvertTest, AnObjectIsProtectedInOneWayOnly) {
  MessageSamples samples(1);
  DirectoryBatch batch = samples.Batch(3);
  for (Entry& entry : batch.entries) entry.protection = Protection::kAlways;
  v1::AgentMessage wire;
  ASSERT_OK(EncodeMessage(AgentMessage(batch), &wire));
  wire.mutable_directory_batch()->mutable_entries()->add_perishable_rows(1);
  EXPECT_THAT(DecodeMessage(wire), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("perishable_rows")));
  wire.mutable_directory_batch()->mutable_entries()->clear_perishable_rows();
  wire.mutable_directory_batch()->mutable_entries()->add_protected_rows(7);
  EXPECT_THAT(DecodeMessage(wire), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("protected_rows")));
}

}  // namespace
}  // namespace uringsync

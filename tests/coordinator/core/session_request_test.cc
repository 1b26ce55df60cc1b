// What a destination is told of the run's rules.
#include "coordinator/core/session_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace uringsync {
namespace {

using testing::ElementsAre;

SyncRequest WithRules() {
  SyncRequest request;
  request.filters = {"- a", ":e .rules", "- b"};
  return request;
}

TEST(SessionRequestTest, ADestinationReadsMergeFilesOnlyWhereSomethingMayBeDeleted) {
  SyncRequest request = WithRules();
  EXPECT_THAT(MakeOpenSession(request, Role::kSource).filters, ElementsAre("- a", ":e .rules", "- b"));
  EXPECT_THAT(MakeOpenSession(request, Role::kDestination).filters, ElementsAre("- a"));
  request.delete_extraneous = true;
  EXPECT_EQ(MakeOpenSession(request, Role::kDestination).filters, request.filters);
  request = WithRules();
  request.force_delete = true;
  EXPECT_EQ(MakeOpenSession(request, Role::kDestination).filters, request.filters);
  request = WithRules();
  request.rules.missing_operands = MissingOperands::kDelete;
  EXPECT_EQ(MakeOpenSession(request, Role::kDestination).filters, request.filters);
}

}  // namespace
}  // namespace uringsync

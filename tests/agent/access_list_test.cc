// Who may do what: grants, and the roots that are left of an agent for the holder of a certificate.
#include "agent/access_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/roots.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Grant MustParse(std::string_view text) {
  absl::StatusOr<Grant> grant = ParseGrant(text);
  EXPECT_OK(grant.status()) << text;
  return grant.ok() ? *std::move(grant) : Grant{};
}

TEST(AccessListTest, GrantsAreReadFromTheirEnd) {
  const Grant grant = MustParse("spiffe://example/ns=a/backup=data:read,delete");
  EXPECT_EQ(grant.who, "spiffe://example/ns=a/backup");
  EXPECT_EQ(grant.root, "data");
  EXPECT_TRUE(grant.verbs.Has(Verb::kRead));
  EXPECT_TRUE(grant.verbs.Has(Verb::kDelete));
  EXPECT_FALSE(grant.verbs.Has(Verb::kWrite));
  EXPECT_EQ(MustParse("*=*:all").verbs, Verbs::All());
}

TEST(AccessListTest, WhatIsNoGrantIsShownWithTheWayOut) {
  for (const char* text : {"", "cli", "cli=data", "cli:read", "=data:read", "cli=:read"}) {
    EXPECT_THAT(ParseGrant(text), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("WHO=ROOT:VERBS"))) << text;
  }
  EXPECT_THAT(ParseGrant("cli=data:reed"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"reed\" is no verb; there are read, write")));
  EXPECT_FALSE(ParseGrant("cli=data:").ok());
  EXPECT_FALSE(ParseGrant("cli=data:read,").ok());
}

TEST(AccessListTest, EverythingIsDeniedThatNobodyGranted) {
  const AccessList access({MustParse("a=data:read"), MustParse("b=*:write"), MustParse("*=open:read")});
  EXPECT_TRUE(access.Of({"a"}, "data").Has(Verb::kRead));
  EXPECT_FALSE(access.Of({"a"}, "data").Has(Verb::kWrite));
  EXPECT_TRUE(access.Of({"a"}, "other").empty());
  EXPECT_TRUE(access.Of({"a"}, "open").Has(Verb::kRead));
  EXPECT_TRUE(access.Of({}, "data").empty());
  // A name is no prefix, no suffix and no pattern.
  for (const char* other : {"A", "a ", "a.example", "", "*x"}) EXPECT_TRUE(access.Of({other}, "data").empty()) << other;
  // Any name of the certificate counts, and what they have adds up.
  const Verbs both = access.Of({"x", "b", "a"}, "data");
  EXPECT_TRUE(both.Has(Verb::kRead) && both.Has(Verb::kWrite));
}

TEST(AccessListTest, RootsOfSomebodyElseAreNotThere) {
  TempDir directory;
  ASSERT_OK_AND_ASSIGN(const Roots roots,
                       Roots::Open({{"data", directory.path(), false}, {"secret", directory.path(), false}}));
  const Roots allowed = roots.AllowedTo({"a"}, AccessList({MustParse("a=data:read")}));
  EXPECT_OK(allowed.FindForRole("data", Role::kSource));
  EXPECT_THAT(allowed.FindForRole("data", Role::kDestination),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("--allow 'a=data:write'")));
  EXPECT_THAT(allowed.Find("secret"),
              StatusIs(absl::StatusCode::kNotFound, AllOf(HasSubstr("no root 'secret'"), HasSubstr("data"))));
  EXPECT_EQ(allowed.all().size(), 1U);
  EXPECT_TRUE(roots.AllowedTo({"b"}, AccessList({MustParse("a=data:read")})).all().empty());
}

}  // namespace
}  // namespace uringsync

#include "engine/net/address.h"

#include <gtest/gtest.h>

#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

TEST(HostPortTest, EveryFormIsUnderstood) {
  EXPECT_THAT(ParseHostPort("host", 7441), IsOkAndHolds(HostPort{"host", 7441}));
  EXPECT_THAT(ParseHostPort("host:1", 7441), IsOkAndHolds(HostPort{"host", 1}));
  EXPECT_THAT(ParseHostPort(":65535", 7441), IsOkAndHolds(HostPort{"", 65535}));
  EXPECT_THAT(ParseHostPort("10.0.0.1:0", 7441), IsOkAndHolds(HostPort{"10.0.0.1", 0}));
  EXPECT_THAT(ParseHostPort("[::1]:22", 7441), IsOkAndHolds(HostPort{"::1", 22}));
  EXPECT_THAT(ParseHostPort("[::1]", 7441), IsOkAndHolds(HostPort{"::1", 7441}));
  EXPECT_THAT(ParseHostPort("fe80::1", 7441), IsOkAndHolds(HostPort{"fe80::1", 7441}));
  EXPECT_THAT(ParseHostPort("unix:/run/a.sock", 7441), IsOkAndHolds(HostPort{"unix:/run/a.sock", 0}));
}

TEST(HostPortTest, WhatIsNoAddressIsNamed) {
  for (std::string_view bad :
       {"", "host:", "host:65536", "host:-1", "host:1x", "[::1", "[host]:1", "[::1]x", "unix:", "a:b:c"}) {
    EXPECT_THAT(ParseHostPort(bad, 1), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is no address"))) << bad;
  }
  EXPECT_THAT(ParseHostPort(std::string_view("a\0b", 3), 1),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\\000")));
}

TEST(HostPortTest, TextReadsBackAsItself) {
  for (std::string_view text : {"host:1", "[::1]:22", "1.2.3.4:5", "unix:/x"}) {
    absl::StatusOr<HostPort> parsed = ParseHostPort(text, 9);
    ASSERT_OK(parsed);
    EXPECT_EQ(parsed->ToString(), text);
  }
}

TEST(AddressTest, UnixPathsHaveABound) {
  ASSERT_OK_AND_ASSIGN(SocketAddress address, SocketAddress::FromUnixPath("/run/x"));
  EXPECT_EQ(address.ToString(), "unix:/run/x");
  EXPECT_THAT(SocketAddress::FromUnixPath(std::string(108, 'x')),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("107")));
}

TEST(AddressTest, TheLoopbackIsKnownInEveryForm) {
  const auto is_loopback = [](const char* literal) { return ResolveBlocking(literal, 1)->front().IsLoopback(); };
  for (const char* here : {"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "unix:/run/x"})
    EXPECT_TRUE(is_loopback(here)) << here;
  for (const char* elsewhere : {"0.0.0.0", "126.0.0.1", "128.0.0.1", "::", "::2", "::ffff:10.0.0.1", "fe80::1"})
    EXPECT_FALSE(is_loopback(elsewhere)) << elsewhere;
}

TEST(ResolveTest, LiteralsNeedNoNameService) {
  ASSERT_OK_AND_ASSIGN(std::vector<SocketAddress> four, ResolveBlocking("127.0.0.1", 80));
  ASSERT_EQ(four.size(), 1u);
  EXPECT_EQ(four[0].ToString(), "127.0.0.1:80");
  ASSERT_OK_AND_ASSIGN(std::vector<SocketAddress> six, ResolveBlocking("::1", 80));
  EXPECT_EQ(six[0].ToString(), "[::1]:80");
}

TEST(ResolveTest, AnUnknownNameIsReportedFromTheHelperThread) {
  std::unique_ptr<Runtime> runtime = StartTestRuntime();
  const auto result = RunOn(runtime->shard(0), Resolve("no-such-host.invalid", 1));
  EXPECT_FALSE(result.ok());
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("no-such-host.invalid"));
}

TEST(ResolveTest, ANameIsResolvedWithoutBlockingTheShard) {
  std::unique_ptr<Runtime> runtime = StartTestRuntime();
  ASSERT_OK_AND_ASSIGN(std::vector<SocketAddress> addresses, RunOn(runtime->shard(0), Resolve("localhost", 7)));
  EXPECT_EQ(addresses[0].port(), 7);
}

}  // namespace
}  // namespace uringsync

#include "coordinator/link/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "coordinator/link/link_error.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

Endpoint Parsed(std::string_view text) {
  absl::StatusOr<Endpoint> endpoint = ParseEndpoint(text);
  EXPECT_OK(endpoint);
  return endpoint.ok() ? *endpoint : Endpoint{};
}

std::string Refusal(std::string_view text) {
  absl::StatusOr<Endpoint> endpoint = ParseEndpoint(text);
  EXPECT_FALSE(endpoint.ok()) << text;
  if (endpoint.ok()) return {};
  EXPECT_EQ(LinkErrorKind(endpoint.status()), ErrorKind::kUsage);
  return std::string(endpoint.status().message());
}

TEST(EndpointTest, PlainPathsAreLocal) {
  for (const char* path : {"/srv/data", "data", ".", "../x", "a b", "./host:dir", "/a:b/c", "dir/with:colon"}) {
    const Endpoint endpoint = Parsed(path);
    ASSERT_TRUE(endpoint.is_local()) << path;
    EXPECT_EQ(endpoint.local().path, path);
  }
}

TEST(EndpointTest, AgentWithoutPortGetsTheDefault) {
  const AgentEndpoint agent = Parsed("agent://backup1/pool").agent();
  EXPECT_EQ(agent.host, "backup1");
  EXPECT_EQ(agent.port, kDefaultAgentPort);
  EXPECT_EQ(agent.root, "pool");
  EXPECT_TRUE(agent.path.is_root());
  EXPECT_EQ(agent.Address(), "backup1:7440");
}

TEST(EndpointTest, AgentWithPortAndPathIsSplit) {
  const AgentEndpoint agent = Parsed("agent://10.0.0.5:9000/pool/a/b.c/").agent();
  EXPECT_EQ(agent.host, "10.0.0.5");
  EXPECT_EQ(agent.port, 9000);
  EXPECT_EQ(agent.root, "pool");
  EXPECT_EQ(agent.path.text(), "a/b.c");
}

TEST(EndpointTest, Ipv6AddressStandsInBrackets) {
  const AgentEndpoint agent = Parsed("agent://[2001:db8::1]:7000/r").agent();
  EXPECT_EQ(agent.host, "2001:db8::1");
  EXPECT_EQ(agent.port, 7000);
  EXPECT_EQ(agent.Address(), "[2001:db8::1]:7000");
  EXPECT_EQ(Parsed("agent://[::1]/r").Display(), "agent://[::1]/r");
}

TEST(EndpointTest, PercentSequencesBecomeBytes) {
  const AgentEndpoint agent = Parsed("agent://h/r/a%0Ab/%ff%25").agent();
  EXPECT_EQ(agent.path.text(), "a\nb/\xff%");
  EXPECT_EQ(Parsed("agent://h/r/50%25").Display(), "agent://h/r/50%25");
}

TEST(EndpointTest, PercentSequencesCannotSmuggleStructure) {
  Refusal("agent://h/r/a%2Fb");
  Refusal("agent://h/r/%2e%2e/x");
  Refusal("agent://h/r/../x");
  Refusal("agent://h/r/./x");
  Refusal("agent://h/r/%00");
  EXPECT_THAT(Refusal("agent://h/r/100%"), HasSubstr("%25"));
  EXPECT_THAT(Refusal("agent://h/r/%zz"), HasSubstr("two hex digits"));
}

TEST(EndpointTest, IncompleteAgentEndpointsSayWhatIsMissing) {
  EXPECT_THAT(Refusal("agent://"), HasSubstr("host is missing"));
  EXPECT_THAT(Refusal("agent:///root"), HasSubstr("host is missing"));
  EXPECT_THAT(Refusal("agent://host"), HasSubstr("root is missing"));
  EXPECT_THAT(Refusal("agent://host/"), HasSubstr("root is missing"));
  EXPECT_THAT(Refusal("agent://host//x"), HasSubstr("root is missing"));
  EXPECT_THAT(Refusal("agent://host:/r"), HasSubstr("port"));
  EXPECT_THAT(Refusal("agent://host:0/r"), HasSubstr("1 to 65535"));
  EXPECT_THAT(Refusal("agent://host:65536/r"), HasSubstr("1 to 65535"));
  EXPECT_THAT(Refusal("agent://host:12a/r"), HasSubstr("1 to 65535"));
  EXPECT_THAT(Refusal("agent://::1/r"), HasSubstr("brackets"));
  EXPECT_THAT(Refusal("agent://[::1/r"), HasSubstr("without ']'"));
  EXPECT_THAT(Refusal("agent://[::1]x/r"), HasSubstr(":PORT"));
  EXPECT_THAT(Refusal("agent://[abc]/r"), HasSubstr("IPv6"));
  EXPECT_THAT(Refusal("agent://me@host/r"), HasSubstr("no user"));
  EXPECT_THAT(Refusal("agent://ho st/r"), HasSubstr("no host name"));
  EXPECT_THAT(Refusal("agent://" + std::string(256, 'a') + "/r"), HasSubstr("255"));
}

TEST(EndpointTest, AHostBeforeAColonIsReachedThroughAShell) {
  EXPECT_EQ(Parsed("backup1:/srv/a b").shell(), (ShellEndpoint{"", "backup1", "/srv/a b"}));
  EXPECT_EQ(Parsed("root@backup1:srv").shell(), (ShellEndpoint{"root", "backup1", "srv"}));
  EXPECT_EQ(Parsed("a@b@host:x:y").shell(), (ShellEndpoint{"a@b", "host", "x:y"}));
  EXPECT_EQ(Parsed("host:").shell(), (ShellEndpoint{"", "host", ""}));
  EXPECT_EQ(Parsed("host:-x%41").shell(), (ShellEndpoint{"", "host", "-x%41"}));
  EXPECT_EQ(Parsed("[::1]:/x").shell(), (ShellEndpoint{"", "::1", "/x"}));
  EXPECT_EQ(Parsed("me@[fe80::1%eth0]:").shell(), (ShellEndpoint{"me", "fe80::1%eth0", ""}));
  EXPECT_EQ(Parsed("me@[::1]:/x").Display(), "me@[::1]:/x");
  EXPECT_EQ(Parsed("h:a\nb").Display(), "h:a\\012b");
  EXPECT_FALSE(Parsed("host:x").is_local());
}

TEST(EndpointTest, WhatIsNoHostIsRefusedWithTheWayOut) {
  EXPECT_THAT(Refusal("host::module"), HasSubstr("daemon"));
  EXPECT_THAT(Refusal("[::1]::module"), HasSubstr("daemon"));
  EXPECT_THAT(Refusal("rsync://host/module"), HasSubstr("daemon"));
  EXPECT_THAT(Refusal(":x"), HasSubstr("./:x"));
  EXPECT_THAT(Refusal("@host:x"), HasSubstr("user before '@'"));
  EXPECT_THAT(Refusal("-oProxyCommand=x:y"), HasSubstr("cannot begin with '-'"));
  EXPECT_THAT(Refusal("-l@host:y"), HasSubstr("cannot begin with '-'"));
}

TEST(EndpointTest, OtherSchemesAreNamed) {
  EXPECT_THAT(Refusal("http://host/module"), HasSubstr("'http://' is not known"));
  EXPECT_THAT(Refusal("AGENT://host/r"), HasSubstr("'AGENT://' is not known"));
}

TEST(EndpointTest, EmptyAndNulAreRefused) {
  EXPECT_THAT(Refusal(""), HasSubstr("empty"));
  EXPECT_THAT(Refusal(std::string_view("a\0b", 3)), HasSubstr("NUL"));
}

TEST(EndpointTest, MessagesHoldNoControlCharacters) {
  const std::string text = Refusal("agent://h/r/%00\x1b[31m");
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(Parsed("a\x1b").Display(), "a\\033");
}

}  // namespace
}  // namespace uringsync

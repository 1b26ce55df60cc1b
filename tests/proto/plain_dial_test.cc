// Data connections without TLS stay on the loopback.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>
#include <string>
#include <utility>

#include "engine/base/unique_fd.h"
#include "engine/net/address.h"
#include "proto/data_stream.h"
#include "tests/support/run_on.h"
#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::HasSubstr;

// An address of this host that a network has, if it has one.
std::optional<std::string> OwnAddress() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return std::nullopt;
  std::optional<std::string> found;
  for (const ifaddrs* at = list; at != nullptr && !found; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET) continue;
    if (SocketAddress::FromSockaddr(at->ifa_addr, sizeof(sockaddr_in)).IsLoopback()) continue;
    char text[INET_ADDRSTRLEN];
    const auto* address = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
    if (::inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text)) != nullptr) found = text;
  }
  ::freeifaddrs(list);
  return found;
}

// Connections are made to its backlog, and nobody answers on them.
class Backlog {
 public:
  Backlog() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    EXPECT_EQ(0, ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)));
    EXPECT_EQ(0, ::listen(fd_.get(), 8));
  }
  uint16_t port() const {
    sockaddr_in name{};
    socklen_t size = sizeof(name);
    EXPECT_EQ(0, ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&name), &size));
    return ntohs(name.sin_port);
  }

 private:
  UniqueFd fd_;
};

Task<absl::Status> DialPlain(std::string host, uint16_t port) {
  DataDial dial;
  dial.host = std::move(host);
  dial.port = port;
  dial.timeouts.handshake = std::chrono::milliseconds(50);
  co_return (co_await DialRequestChannel(Shard::Current()->driver(), std::move(dial))).status();
}

TEST(PlainDialTest, WithoutTlsOnlyTheLoopbackIsSpokenTo) {
  std::unique_ptr<Runtime> runtime = StartTestRuntime();
  const Backlog backlog;
  EXPECT_THAT(RunOn(runtime->shard(0), DialPlain("127.0.0.1", backlog.port())),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("")));
  const std::optional<std::string> own = OwnAddress();
  if (!own) GTEST_SKIP() << "this host has no address but those of the loopback";
  EXPECT_THAT(
      RunOn(runtime->shard(0), DialPlain(*own, backlog.port())),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("over the loopback alone, and not to " + *own)));
}

}  // namespace
}  // namespace uringsync

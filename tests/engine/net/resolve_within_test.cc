// ResolveWithin against a name service that does not answer: this program's getaddrinfo holds one name back.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <chrono>
#include <cstring>
#include <semaphore>

#include "engine/net/address.h"
#include "tests/support/status_matchers.h"

namespace {

constexpr char kStuckName[] = "stuck.name.test";
std::counting_semaphore<> answers(0);
std::counting_semaphore<> answered(0);

}  // namespace

extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** list) {
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (host == nullptr || std::strcmp(host, kStuckName) != 0) return real(host, service, hints, list);
  answers.acquire();
  const int result = real("127.0.0.1", service, hints, list);
  answered.release();
  return result;
}

namespace uringsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ResolveWithinTest, ANameServiceThatIsSilentCostsTheLimitAndNoMore) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(ResolveWithin(kStuckName, 7440, milliseconds(50)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, testing::HasSubstr(kStuckName)));
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, milliseconds(50));
  EXPECT_LT(took, seconds(20));
  // The late answer goes nowhere.
  answers.release();
  answered.acquire();
}

TEST(ResolveWithinTest, AnAnswerInTimeIsTaken) {
  answers.release();
  ASSERT_OK_AND_ASSIGN(std::vector<SocketAddress> addresses, ResolveWithin(kStuckName, 7440, seconds(60)));
  answered.acquire();
  ASSERT_FALSE(addresses.empty());
  EXPECT_EQ(addresses[0].ToString(), "127.0.0.1:7440");
}

TEST(ResolveWithinTest, LiteralsAndPathsNeedNoThread) {
  ASSERT_OK_AND_ASSIGN(std::vector<SocketAddress> literal, ResolveWithin("::1", 80, milliseconds(0)));
  EXPECT_EQ(literal[0].ToString(), "[::1]:80");
  EXPECT_THAT(ResolveWithin(std::string("a\0b", 3), 1, milliseconds(0)),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
}

}  // namespace
}  // namespace uringsync

#include "engine/transfer/fetch_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

namespace uringsync {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// Files of 7 KB over a link; returns how many came in `time`.
uint64_t Fetch(FetchWindow* window, nanoseconds round_trip, double bytes_per_second, nanoseconds time) {
  constexpr uint64_t kBytes = 7168;
  const nanoseconds each(static_cast<int64_t>(kBytes / bytes_per_second * 1e9));
  nanoseconds now = seconds(7);
  const nanoseconds end = now + time;
  nanoseconds link_free = now;
  std::deque<std::pair<nanoseconds, nanoseconds>> under_way;  // asked, answered
  uint64_t done = 0;
  while (now < end) {
    while (under_way.size() < window->requests() && under_way.size() * kBytes < window->bytes()) {
      link_free = std::max(link_free, now + round_trip) + each;
      under_way.emplace_back(now, link_free);
    }
    now = under_way.front().second;
    window->OnAnswered(now - under_way.front().first, kBytes, now);
    under_way.pop_front();
    ++done;
  }
  return done;
}

TEST(FetchWindowTest, AShortWayKeepsTheSmallWindow) {
  FetchWindow window;
  Fetch(&window, microseconds(200), 1e9, seconds(1));
  EXPECT_LT(window.requests(), 2 * FetchWindow::kLeastRequests);
  EXPECT_EQ(window.bytes(), FetchWindow::kLeastBytes);
}

TEST(FetchWindowTest, ALongWayIsFilledWithinAFewRoundTrips) {
  for (const auto round_trip : {milliseconds(20), milliseconds(50), milliseconds(200)}) {
    FetchWindow window;
    constexpr double kRate = 62.5e6;  // one of two shards at 1 Gbit/s
    Fetch(&window, round_trip, kRate, 6 * round_trip);
    const double full = kRate / 7168 * 2;
    EXPECT_GT(static_cast<double>(Fetch(&window, round_trip, kRate, seconds(2))),
              full * (1 - std::chrono::duration<double>(round_trip).count()))
        << round_trip.count();
  }
}

TEST(FetchWindowTest, ItStaysWithinItsBounds) {
  FetchWindow window;
  Fetch(&window, seconds(2), 1e10, seconds(60));
  EXPECT_EQ(window.requests(), FetchWindow::kMostRequests);
  EXPECT_LE(window.bytes(), FetchWindow::kMostBytes);
  window.OnAnswered(nanoseconds(0), UINT64_MAX / 4, seconds(100));
  EXPECT_EQ(window.bytes(), FetchWindow::kMostBytes);
}

TEST(FetchWindowTest, ASlowDiskDoesNotGrowIt) {
  FetchWindow window;
  // A hundred files a second, each after 10 ms.
  nanoseconds now = seconds(1);
  for (int i = 0; i < 1000; ++i) {
    now += milliseconds(10);
    window.OnAnswered(milliseconds(10), 7168, now);
  }
  EXPECT_EQ(window.requests(), FetchWindow::kLeastRequests);
}

}  // namespace
}  // namespace uringsync

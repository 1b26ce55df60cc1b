#include "proto/replay_window.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

constexpr size_t kRoom = size_t{1} << 20;

// Sends what is left over a connection.
std::vector<std::string> Drain(ReplayWindow* window) {
  std::vector<std::string> sent;
  while (const auto message = window->Next()) {
    sent.push_back(*message);
    window->Advance();
  }
  return sent;
}

TEST(ReplayWindowTest, SendsEachMessageOnceInOrder) {
  ReplayWindow window(kRoom);
  window.Add("a");
  window.Add("b");
  EXPECT_EQ(Drain(&window), (std::vector<std::string>{"a", "b"}));
  window.Add("c");
  EXPECT_EQ(Drain(&window), (std::vector<std::string>{"c"}));
}

TEST(ReplayWindowTest, ANewConnectionBeginsBehindWhatArrived) {
  ReplayWindow window(kRoom);
  for (const char* message : {"a", "b", "c", "d"}) window.Add(message);
  window.Advance();
  window.Advance();
  window.Advance();
  ASSERT_OK(window.Rewind(1));
  EXPECT_EQ(window.acknowledged(), 1u);
  EXPECT_EQ(Drain(&window), (std::vector<std::string>{"b", "c", "d"}));
}

TEST(ReplayWindowTest, WhatWasConfirmedIsForgottenAndCannotBeAskedForAgain) {
  ReplayWindow window(kRoom);
  for (const char* message : {"a", "b", "c"}) window.Add(message);
  Drain(&window);
  ASSERT_OK(window.Acknowledge(2));
  EXPECT_EQ(window.bytes(), 1 + ReplayWindow::kOverheadBytes);
  EXPECT_THAT(window.CanRewind(1), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(window.Rewind(0), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_OK(window.CanRewind(2));
  EXPECT_OK(window.CanRewind(3));
}

TEST(ReplayWindowTest, ConfirmationsOfWhatWasNeverSentAndThoseThatGoBackAreRefused) {
  ReplayWindow window(kRoom);
  window.Add("a");
  window.Add("b");
  window.Advance();
  EXPECT_THAT(window.Acknowledge(2), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(window.Rewind(2), StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK(window.Acknowledge(1));
  EXPECT_THAT(window.Acknowledge(0), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ReplayWindowTest, WhatWentOutOnAnEarlierConnectionMayHaveArrived) {
  ReplayWindow window(kRoom);
  window.Add("a");
  window.Add("b");
  Drain(&window);
  ASSERT_OK(window.Rewind(0));  // a connection that carried nothing
  ASSERT_OK(window.Rewind(2));  // what was sent before it has arrived after all
  EXPECT_EQ(Drain(&window), std::vector<std::string>());
}

TEST(ReplayWindowTest, IsBoundedInBytesButHoldsAnySingleMessage) {
  ReplayWindow window(1000);
  EXPECT_TRUE(window.HasRoom(5000));
  window.Add(std::string(5000, 'x'));
  EXPECT_FALSE(window.HasRoom(1));
  Drain(&window);
  ASSERT_OK(window.Acknowledge(1));
  size_t messages = 0;
  for (; window.HasRoom(0); ++messages) window.Add("");
  EXPECT_EQ(messages, 1000 / ReplayWindow::kOverheadBytes);
}

TEST(ReplayWindowTest, APeerThatConfirmsNothingCostsNothing) {
  ReplayWindow window(kRoom);
  window.Add("a");
  window.Add("b");
  window.Advance();
  window.ForgetSent();
  EXPECT_EQ(Drain(&window), (std::vector<std::string>{"b"}));
  window.ForgetSent();
  EXPECT_EQ(window.bytes(), 0u);
}

// Two windows stand for one direction each; connections break anywhere, confirmations get lost.
TEST(ReplayWindowTest, NothingIsLostNorRepeatedThroughAnyCuts) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    ReplayWindow window(2000);
    uint64_t added = 0;
    uint64_t received = 0;
    while (received < 200) {
      // A connection: the receiver says what it has, then some messages and confirmations pass.
      ASSERT_OK(window.Rewind(received));
      const size_t passes = random() % 30;
      std::vector<std::string> wire;
      for (size_t i = 0; i < passes; ++i) {
        if (random() % 2 == 0 && added < 200 && window.HasRoom(8)) window.Add(std::to_string(added++));
        if (const auto message = window.Next()) {
          wire.push_back(*message);
          window.Advance();
        }
        // The wire holds what is cut off with it.
        while (!wire.empty() && random() % 3 != 0) {
          ASSERT_EQ(wire.front(), std::to_string(received));
          wire.erase(wire.begin());
          ++received;
        }
        if (random() % 4 == 0) ASSERT_OK(window.Acknowledge(received));
      }
    }
  }
}

}  // namespace
}  // namespace uringsync

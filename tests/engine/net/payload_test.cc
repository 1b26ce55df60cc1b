#include "engine/net/payload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <thread>
#include <utility>
#include <vector>

namespace uringsync {
namespace {

constexpr std::byte kA{0xA5};
constexpr size_t kLarge = size_t{256} << 10;

bool AllAre(const Payload& payload, std::byte value) {
  return std::all_of(payload.begin(), payload.end(), [value](std::byte b) { return b == value; });
}

TEST(PayloadTest, AnEmptyOneOwnsNothing) {
  Payload payload;
  EXPECT_TRUE(payload.empty());
  EXPECT_EQ(payload.data(), nullptr);
  payload.Append({});
  EXPECT_TRUE(payload.empty());
}

TEST(PayloadTest, WhatIsAppendedStaysWhereverTheBlockMoves) {
  Payload payload;
  std::vector<std::byte> expected;
  for (size_t i = 0; i < 3000; ++i) {
    const std::vector<std::byte> part(i % 613, static_cast<std::byte>(i));
    payload.Append(part);
    expected.insert(expected.end(), part.begin(), part.end());
  }
  EXPECT_TRUE(std::ranges::equal(payload, expected));
}

TEST(PayloadTest, CopiesAreTheirOwnAndMovesLeaveNothing) {
  Payload payload;
  payload.assign(100, kA);
  Payload copy = payload;
  EXPECT_TRUE(copy == payload);
  copy[3] = std::byte{1};
  EXPECT_FALSE(copy == payload);
  EXPECT_TRUE(AllAre(payload, kA));
  Payload moved = std::move(payload);
  EXPECT_EQ(moved.size(), 100u);
  payload = Payload();
  EXPECT_TRUE(payload.empty());
  moved = std::move(copy);
  EXPECT_EQ(moved[3], std::byte{1});
}

TEST(PayloadTest, ResizeWithAValueFillsOnlyWhatIsNew) {
  Payload payload;
  payload.assign(kLarge, kA);
  payload.resize(kLarge + 10, std::byte{1});
  EXPECT_EQ(payload[kLarge - 1], kA);
  EXPECT_EQ(payload[kLarge], std::byte{1});
  payload.resize(5, std::byte{2});
  EXPECT_EQ(payload.size(), 5u);
  EXPECT_TRUE(AllAre(payload, kA));
}

TEST(PayloadTest, ALargeBlockThatWasFreedIsUsedAgain) {
  const std::byte* block = nullptr;
  {
    Payload payload;
    payload.resize(kLarge);
    block = payload.data();
  }
  Payload again;
  again.resize(kLarge - 1000);
  EXPECT_EQ(again.data(), block);
}

TEST(PayloadTest, AThreadKeepsOnlySoMuch) {
  // Under the address sanitizer a leak or a double free of any of these would show.
  std::vector<Payload> many(2 * kKeptPayloadBytes / kLarge);
  for (Payload& payload : many) payload.assign(kLarge, kA);
  many.clear();
  Payload beyond;
  beyond.assign(size_t{5} << 20, kA);
  EXPECT_TRUE(AllAre(beyond, kA));
}

TEST(PayloadTest, AnotherThreadMayFreeIt) {
  Payload payload;
  payload.assign(kLarge, kA);
  std::thread([moved = std::move(payload)]() mutable { moved = Payload(); }).join();
  std::thread([&payload] { payload.assign(kLarge, kA); }).join();
  EXPECT_TRUE(AllAre(payload, kA));
}

}  // namespace
}  // namespace uringsync

#include "engine/transfer/arrived_prefix.h"

#include <gtest/gtest.h>

namespace uringsync {
namespace {

TEST(ArrivedPrefixTest, EverythingThatEndedCounts) {
  ArrivedPrefix arrived;
  EXPECT_EQ(arrived.bytes(), 0u);
  arrived.Begin(0, 10);
  arrived.Begin(10, 10);
  arrived.End(10);
  arrived.End(0);
  EXPECT_EQ(arrived.bytes(), 20u);
}

TEST(ArrivedPrefixTest, AGapEndsItHoweverMuchLiesBehind) {
  ArrivedPrefix arrived;
  for (const uint64_t offset : {0, 10, 20}) arrived.Begin(offset, 10);
  arrived.End(20);
  arrived.End(0);
  EXPECT_EQ(arrived.bytes(), 10u);
}

TEST(ArrivedPrefixTest, APartOfARangeCounts) {
  ArrivedPrefix arrived;
  arrived.Begin(0, 10);
  arrived.Begin(10, 10);
  arrived.End(0);
  arrived.Stop(10, 17);
  EXPECT_EQ(arrived.bytes(), 17u);
}

TEST(ArrivedPrefixTest, WhatWasThereBeforeCounts) {
  ArrivedPrefix arrived(100);
  EXPECT_EQ(arrived.bytes(), 100u);
  arrived.Begin(100, 10);
  EXPECT_EQ(arrived.bytes(), 100u);
  arrived.End(100);
  EXPECT_EQ(arrived.bytes(), 110u);
}

TEST(ArrivedPrefixTest, HolesBetweenRangesNeedNothing) {
  ArrivedPrefix arrived;
  arrived.Begin(0, 10);
  arrived.Begin(50, 10);
  arrived.End(0);
  arrived.Stop(50, 0);
  EXPECT_EQ(arrived.bytes(), 50u);
}

}  // namespace
}  // namespace uringsync

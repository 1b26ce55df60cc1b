#include "engine/transfer/compression_policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace uringsync {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// One connection: payloads of a megabyte over a link with a small socket buffer, and a CPU that compresses like ours.
struct Model {
  double link_bytes_per_second = 100e6;
  double slowdown = 1;         // of compression
  double compressibility = 1;  // 0: nothing gets smaller
  double source_bytes_per_second = 1e12;

  nanoseconds now = seconds(1000);
  uint64_t raw_bytes = 0;
  std::map<int, int> messages_at = {};  // by level, 0: plain

  static nanoseconds Time(double bytes, double rate) { return nanoseconds(static_cast<int64_t>(bytes / rate * 1e9)); }
  double Ratio(int level) const {
    static const std::map<int, double> ratios = {{-3, 0.45}, {1, 0.36}, {3, 0.32}, {5, 0.30}, {7, 0.29}, {9, 0.285}};
    return 1 - compressibility * (1 - ratios.at(level));
  }
  double Speed(int level) const {
    static const std::map<int, double> speeds = {{-3, 500e6}, {1, 350e6}, {3, 200e6}, {5, 90e6}, {7, 50e6}, {9, 25e6}};
    return speeds.at(level) / slowdown;
  }

  void SendOne(CompressionPolicy* policy) {
    constexpr double kBytes = 1 << 20;
    SentMessage sent;
    sent.raw_bytes = static_cast<uint64_t>(kBytes);
    double wire = kBytes;
    if (policy->wants_sample()) policy->OnSample(Ratio(1), 1e9 / Speed(1));
    const std::optional<int> level = policy->level();
    ++messages_at[level.value_or(0)];
    if (level) {
      sent.compress = Time(kBytes, Speed(*level));
      wire = kBytes * Ratio(*level);
    }
    sent.wire_bytes = static_cast<uint64_t>(wire);
    sent.send = Time(wire, link_bytes_per_second);
    sent.idle = std::max(Time(kBytes, source_bytes_per_second) - sent.compress - sent.send, nanoseconds(0));
    now += sent.idle + sent.compress + sent.send;
    raw_bytes += sent.raw_bytes;
    policy->OnSent(sent, now);
  }
  // Raw bytes a second over `time`.
  double Run(CompressionPolicy* policy, nanoseconds time) {
    const nanoseconds begin = now;
    const uint64_t before = raw_bytes;
    while (now - begin < time) SendOne(policy);
    return static_cast<double>(raw_bytes - before) / std::chrono::duration<double>(now - begin).count();
  }
};

CompressionPolicy Adaptive() {
  return CompressionPolicy({.mode = CompressionMode::kAdaptive}, 1);
}

TEST(CompressionPolicyTest, OffIsPlainAndAFixedLevelStaysWhateverHappens) {
  CompressionPolicy off({}, 1);
  CompressionPolicy fixed({.mode = CompressionMode::kFixed, .level = 7}, 1);
  Model model;
  model.Run(&off, seconds(1));
  EXPECT_EQ(off.level(), std::nullopt);
  model.link_bytes_per_second = 5e9;
  model.Run(&fixed, seconds(1));
  EXPECT_EQ(fixed.level(), 7);
}

TEST(CompressionPolicyTest, ASlowLinkIsSeenSoonAndGainsNearlyTheWholeRatio) {
  for (const double link : {1e6, 5e6, 10e6}) {
    CompressionPolicy policy = Adaptive();
    Model model{.link_bytes_per_second = link};
    model.Run(&policy, seconds(5));
    EXPECT_LE(model.messages_at[0], std::max(2.0, link * 0.1 / 1e6)) << link;
    EXPECT_GT(model.Run(&policy, seconds(10)), link * 2.2) << link;
    EXPECT_GE(policy.level().value_or(0), 1) << link;
  }
}

TEST(CompressionPolicyTest, AGigabitLinkGetsALevelThatKeepsUp) {
  CompressionPolicy policy = Adaptive();
  Model model{.link_bytes_per_second = 118e6};
  model.Run(&policy, seconds(3));
  EXPECT_GT(model.Run(&policy, seconds(10)), 118e6 * 1.3);
}

TEST(CompressionPolicyTest, ALinkFasterThanCompressionStaysPlain) {
  for (const double link : {600e6, 1e9, 5e9}) {
    CompressionPolicy policy = Adaptive();
    Model model{.link_bytes_per_second = link};
    EXPECT_GT(model.Run(&policy, seconds(10)), link * 0.98) << link;
    EXPECT_EQ(policy.level(), std::nullopt) << link;
    EXPECT_EQ(model.messages_at.size(), 1u) << "never tried at " << link;
  }
}

TEST(CompressionPolicyTest, WhatDoesNotGetSmallerIsNotTriedOver) {
  CompressionPolicy policy = Adaptive();
  Model model{.link_bytes_per_second = 10e6, .compressibility = 0};
  EXPECT_GT(model.Run(&policy, seconds(10)), 9.9e6);
  EXPECT_EQ(model.messages_at.size(), 1u);
}

TEST(CompressionPolicyTest, ATrialThatDoesNotPayCostsLittle) {
  // Samples promise much, the payloads hold nothing.
  CompressionPolicy policy = Adaptive();
  Model model{.link_bytes_per_second = 100e6, .compressibility = 0};
  const nanoseconds begin = model.now;
  while (model.now - begin < seconds(30)) {
    policy.OnSample(0.3, 2);
    model.SendOne(&policy);
  }
  const int all = static_cast<int>(model.raw_bytes >> 20);
  EXPECT_GT(model.messages_at[0], all * 95 / 100);
  EXPECT_GT(static_cast<double>(model.raw_bytes) / 30, 97e6);
}

TEST(CompressionPolicyTest, AnIdleSourceIsNotHelpedByCompression) {
  CompressionPolicy policy = Adaptive();
  Model model{.link_bytes_per_second = 100e6, .source_bytes_per_second = 20e6};
  model.Run(&policy, seconds(5));
  EXPECT_EQ(policy.level(), std::nullopt);
}

TEST(CompressionPolicyTest, ItClimbsDownWhenTheLinkGetsFast) {
  CompressionPolicy policy = Adaptive();
  Model model{.link_bytes_per_second = 3e6};
  model.Run(&policy, seconds(20));
  ASSERT_TRUE(policy.level().has_value());
  model.link_bytes_per_second = 2e9;
  model.Run(&policy, seconds(30));
  EXPECT_EQ(policy.level(), std::nullopt);
}

TEST(CompressionPolicyTest, ABusyCpuIsGivenLessToDo) {
  CompressionPolicy quick = Adaptive();
  CompressionPolicy slow = Adaptive();
  Model ours{.link_bytes_per_second = 20e6};
  Model loaded{.link_bytes_per_second = 20e6, .slowdown = 6};
  ours.Run(&quick, seconds(20));
  loaded.Run(&slow, seconds(20));
  EXPECT_GE(loaded.Run(&slow, seconds(10)), 19e6);
  EXPECT_LT(slow.level().value_or(-10), quick.level().value_or(-10));
}

TEST(IncompressibleFilesTest, AFileThatDidNotShrinkIsLeftAloneForLongerEachTime) {
  IncompressibleFiles files;
  const FileId file{1, 2};
  const FileId other{1, 3};
  constexpr uint64_t kPiece = 1 << 20;
  EXPECT_TRUE(files.WorthTrying(file, kPiece));
  uint64_t last = 0;
  for (int tries = 0; tries < 10; ++tries) {
    files.OnTried(file, false);
    uint64_t skipped = 0;
    while (!files.WorthTrying(file, kPiece)) skipped += kPiece;
    EXPECT_EQ(skipped,
              std::min(std::max(2 * last, IncompressibleFiles::kFirstSkipBytes), IncompressibleFiles::kMostSkipBytes));
    last = skipped;
    EXPECT_TRUE(files.WorthTrying(other, kPiece));
  }
  files.OnTried(file, true);
  EXPECT_TRUE(files.WorthTrying(file, kPiece));
}

TEST(IncompressibleFilesTest, ItForgetsTheOldestBeyondItsBound) {
  IncompressibleFiles files;
  for (uint64_t i = 0; i <= IncompressibleFiles::kRemembered; ++i) files.OnTried(FileId{1, i}, false);
  EXPECT_TRUE(files.WorthTrying(FileId{1, 0}, 1));
  EXPECT_FALSE(files.WorthTrying(FileId{1, 1}, 1));
  EXPECT_FALSE(files.WorthTrying(FileId{1, IncompressibleFiles::kRemembered}, 1));
}

}  // namespace
}  // namespace uringsync

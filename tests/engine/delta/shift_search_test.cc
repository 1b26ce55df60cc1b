#include "engine/delta/shift_search.h"

#include <gtest/gtest.h>

namespace uringsync {
namespace {

constexpr uint64_t kMib = uint64_t{1} << 20;
constexpr uint64_t kGrain = 64 << 10;

// A new file: [0, before) lies as in the old one, [after, size) shifted.
struct Truth {
  uint64_t size;
  uint64_t before;
  uint64_t after;
};

// Searches as DeltaFill does; returns the rounds it took.
int Search(const Truth& truth, ShiftSearch* search) {
  std::vector<uint64_t> probes = SampleOffsets(truth.size, kSampleBlockBytes);
  int rounds = 0;
  while (!probes.empty() && rounds < 20) {
    for (const uint64_t at : probes) {
      EXPECT_LE(at + kSampleBlockBytes, truth.size);
      search->Note(at, at + kSampleBlockBytes <= truth.before, at >= truth.after);
    }
    probes = search->Probes(8, kGrain);
    ++rounds;
  }
  return rounds;
}

TEST(ShiftSearchTest, BothBordersAreFoundToWithinAGrain) {
  const Truth truths[] = {{100 * kMib, 0, kMib},
                          {100 * kMib, 0, 0},
                          {100 * kMib, 50 * kMib, 50 * kMib},
                          {100 * kMib, 12345678, 23456789},
                          {100 * kMib, 99 * kMib, 100 * kMib},
                          {uint64_t{1} << 42, 123456789012, 123456789013},
                          {5 * kMib, 5 * kMib, 5 * kMib},
                          {200000, 0, 100000}};
  for (const Truth& truth : truths) {
    ShiftSearch search(truth.size);
    EXPECT_LE(Search(truth, &search), 10) << truth.size;
    EXPECT_LE(search.same_end(), truth.before) << truth.before;
    EXPECT_GE(search.same_end() + kGrain + kSampleBlockBytes, truth.before) << truth.before;
    EXPECT_GE(search.shifted_begin(), truth.after) << truth.after;
    EXPECT_LE(search.shifted_begin(), truth.after + kGrain + kSampleBlockBytes) << truth.after;
  }
}

TEST(ShiftSearchTest, ContradictionsEndAndTheTwoPartsNeverOverlap) {
  uint64_t state = 88172645463325252;
  for (int run = 0; run < 200; ++run) {
    ShiftSearch search(50 * kMib);
    std::vector<uint64_t> probes = SampleOffsets(50 * kMib, kSampleBlockBytes);
    for (int round = 0; round < 10 && !probes.empty(); ++round) {
      for (const uint64_t at : probes) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        search.Note(at, state % 3 == 0, state % 3 == 1);
      }
      probes = search.Probes(8, kGrain);
      EXPECT_LE(probes.size(), 18u);
    }
    EXPECT_LE(search.same_end(), search.shifted_begin());
    EXPECT_LE(search.shifted_begin(), 50 * kMib);
  }
}

}  // namespace
}  // namespace uringsync

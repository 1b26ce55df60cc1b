#include "proto/resumable_wire.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "uringsync/v1/resume.pb.h"

namespace uringsync {
namespace {

template <size_t N>
std::array<uint8_t, N> Counting(uint8_t first) {
  std::array<uint8_t, N> bytes{};
  for (size_t i = 0; i < N; ++i) bytes[i] = static_cast<uint8_t>(first + i);
  return bytes;
}

ResumeOffer Offer() {
  return {.stream = Counting<16>(0),
          .token = Counting<32>(200),
          .hold = std::chrono::seconds(32),
          .silence = std::chrono::seconds(10)};
}

TEST(ResumableWireTest, EverythingComesBackAsItWas) {
  const ResumeOffer offer = Offer();
  EXPECT_EQ(*DecodeResumeOffer(Encode(offer)), offer);
  const ResumeGrant grant{.hold = std::chrono::milliseconds(1)};
  EXPECT_EQ(*DecodeResumeGrant(Encode(grant)), grant);
  const ResumeRequest request{.stream = Counting<16>(9), .token = Counting<32>(1), .received = uint64_t{1} << 40};
  EXPECT_EQ(*DecodeResumeRequest(Encode(request)), request);
  for (const auto end : {StreamNote::End::kNone, StreamNote::End::kOrderly, StreamNote::End::kBrokenOff}) {
    const StreamNote note{.received = 77, .token = Counting<32>(3), .end = end};
    EXPECT_TRUE(IsStreamNote(Encode(note)));
    EXPECT_EQ(*DecodeStreamNote(Encode(note)), note);
  }
  EXPECT_EQ(*DecodeStreamNote(Encode(StreamNote())), StreamNote());
}

TEST(ResumableWireTest, IdsAndTokensOfAnotherLengthAreRefused) {
  v1::ResumeRequest wire;
  wire.set_stream(std::string(16, 'a'));
  for (const size_t length : {0, 31, 33}) {
    wire.set_token(std::string(length, 'b'));
    EXPECT_THAT(DecodeResumeRequest(wire.SerializeAsString()), StatusIs(absl::StatusCode::kInvalidArgument)) << length;
  }
  wire.set_token(std::string(32, 'b'));
  ASSERT_OK(DecodeResumeRequest(wire.SerializeAsString()));
  wire.set_stream(std::string(17, 'a'));
  EXPECT_THAT(DecodeResumeRequest(wire.SerializeAsString()), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ResumableWireTest, TimesBeyondTheirBoundsAreRefused) {
  for (const auto [hold, silence] : {std::pair(0, 1000), std::pair(86'400'001, 1000), std::pair(1000, 99),
                                     std::pair(1000, 3'600'001)}) {
    ResumeOffer offer = Offer();
    offer.hold = std::chrono::milliseconds(hold);
    offer.silence = std::chrono::milliseconds(silence);
    EXPECT_THAT(DecodeResumeOffer(Encode(offer)), StatusIs(absl::StatusCode::kInvalidArgument)) << hold << silence;
  }
}

TEST(ResumableWireTest, WhatIsTooLongOrNoNoteIsRefused) {
  EXPECT_THAT(DecodeResumeOffer(std::string(kMaxResumeMetadataBytes + 1, '\n')),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(DecodeStreamNote("\x0a"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(DecodeStreamNote(""), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(DecodeStreamNote(std::string(kMaxNoteBytes + 2, '\0')), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(DecodeStreamNote(std::string("\0\x18\x09", 3)), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ResumableWireTest, TokensAreDrawnAndCompared) {
  const absl::StatusOr<ResumeToken> a = DrawResumeToken();
  const absl::StatusOr<ResumeToken> b = DrawResumeToken();
  ASSERT_OK(a);
  ASSERT_OK(b);
  EXPECT_TRUE(TokensMatch(*a, *a));
  EXPECT_FALSE(TokensMatch(*a, *b));
}

}  // namespace
}  // namespace uringsync

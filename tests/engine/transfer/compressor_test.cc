#include "engine/transfer/compressor.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <cstring>
#include <optional>
#include <string>

#include "engine/coro/scope.h"
#include "tests/engine/transfer/transfer_fixture.h"

namespace uringsync {
namespace {

using testing::HasSubstr;
using Bytes = Payload;

std::span<const std::byte> BytesOf(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
std::string TextOf(const Bytes& bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// What compresses to about a third.
std::string Prose(size_t bytes) {
  const std::string noise = Pattern(bytes);
  std::string text;
  text.reserve(bytes + 64);
  for (size_t i = 0; text.size() < bytes; ++i) {
    text += "line " + std::to_string(i) + " of a log that somebody writes: " + std::to_string(noise[i] & 0x7f) + "\n";
  }
  text.resize(bytes);
  return text;
}

Task<void> Keep(Task<absl::StatusOr<bool>> task, std::optional<absl::StatusOr<bool>>* out) {
  out->emplace(co_await std::move(task));
}

bool Compress(Compressor* compressor, const std::string& raw, int level, Bytes* wire) {
  ManualExecutor executor;
  std::optional<absl::StatusOr<bool>> smaller;
  {
    Executor::Guard guard(&executor);
    Scope scope;
    scope.Spawn(Keep(compressor->Compress(BytesOf(raw), level, wire), &smaller));
    executor.RunUntilIdle();
  }
  EXPECT_TRUE(smaller.has_value());
  EXPECT_OK(*smaller);
  return smaller->value();
}

TEST(CompressorTest, EveryLevelGivesBackWhatItTook) {
  Compressor compressor;
  Decompressor decompressor;
  for (const size_t size : {size_t{100}, size_t{7 << 10}, size_t{200 << 10}, kMaxRawPayloadBytes}) {
    const std::string raw = Prose(size);
    for (const int level : {kMinCompressLevel, -1, 0, 1, 3, 6, 7, 9, kMaxCompressLevel}) {
      if (size == kMaxRawPayloadBytes && level > 9) continue;  // a second each
      Bytes wire;
      Bytes back;
      ASSERT_TRUE(Compress(&compressor, raw, level, &wire)) << size << " at " << level;
      EXPECT_LT(wire.size(), raw.size());
      ASSERT_OK(decompressor.Decompress(wire, raw.size(), &back)) << size << " at " << level;
      EXPECT_EQ(TextOf(back), raw);
    }
  }
}

TEST(CompressorTest, WhatDoesNotGetSmallerIsLeftPlainAtQuickAndSlowLevels) {
  Compressor compressor;
  for (const int level : {1, 9}) {
    for (const size_t size : {size_t{0}, size_t{1}, size_t{5000}, size_t{1} << 20}) {
      Bytes wire;
      EXPECT_FALSE(Compress(&compressor, Pattern(size), level, &wire)) << size << " at " << level;
    }
    Bytes wire;
    EXPECT_TRUE(Compress(&compressor, Prose(5000), level, &wire)) << "a context is good again after a failure";
  }
}

TEST(CompressorTest, SamplesTellNoiseFromProse) {
  Compressor compressor;
  for (const size_t size : {size_t{3000}, size_t{100000}, size_t{1} << 20}) {
    EXPECT_GT(compressor.SampleRatio(BytesOf(Pattern(size))), 0.99) << size;
    EXPECT_LT(compressor.SampleRatio(BytesOf(Prose(size))), 0.6) << size;
  }
  EXPECT_EQ(compressor.SampleRatio({}), 1);
}

TEST(CompressorTest, AMebibyteOfZerosIsWithinTheRatioThatIsAccepted) {
  Compressor compressor;
  Decompressor decompressor;
  const std::string raw(size_t{1} << 20, '\0');
  for (const int level : {1, 9}) {
    Bytes wire;
    Bytes back;
    ASSERT_TRUE(Compress(&compressor, raw, level, &wire));
    EXPECT_OK(decompressor.Decompress(wire, raw.size(), &back));
    EXPECT_EQ(back.size(), raw.size());
  }
}

TEST(DecompressorTest, LengthsThatCannotBeTrueAreRefusedBeforeAnythingIsAllocated) {
  Compressor compressor;
  Bytes wire;
  ASSERT_TRUE(Compress(&compressor, Prose(50000), 3, &wire));
  Decompressor decompressor;
  Bytes back;
  const auto refused = [&](uint64_t length) {
    const absl::Status status = decompressor.Decompress(wire, length, &back);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << length << ": " << status.ToString();
    EXPECT_EQ(back.data(), nullptr) << length;
  };
  refused(0);
  refused(49999);
  refused(50001);
  refused(wire.size());
  refused(kMaxRawPayloadBytes + 1);
  refused(UINT64_MAX);
  EXPECT_FALSE(CheckCompressedLengths(20, kMaxRawPayloadBytes).ok()) << "a ratio that zstd cannot express";
  EXPECT_OK(CheckCompressedLengths(100, kMaxRawPayloadBytes));
}

TEST(DecompressorTest, ABombThatClaimsMoreThanItsBytesCanHoldIsRefused) {
  // A true frame of 64 MiB of zeros: its own header gives it away.
  const std::string zeros(size_t{64} << 20, '\0');
  std::string bomb(ZSTD_compressBound(zeros.size()), '\0');
  bomb.resize(ZSTD_compress(bomb.data(), bomb.size(), zeros.data(), zeros.size(), 1));
  Decompressor decompressor;
  Bytes back;
  for (const uint64_t claimed : {uint64_t{1} << 20, uint64_t{kMaxRawPayloadBytes}, uint64_t{zeros.size()}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(decompressor.Decompress(BytesOf(bomb), claimed, &back))) << claimed;
  }
  EXPECT_EQ(back.data(), nullptr);
}

TEST(DecompressorTest, OtherFramesThanOneWholeOneOfTheFormatAreRefused) {
  Compressor compressor;
  Bytes good;
  const std::string raw = Prose(20000);
  ASSERT_TRUE(Compress(&compressor, raw, 3, &good));
  Decompressor decompressor;
  Bytes back;
  const auto refuse = [&](Bytes wire, const char* why) {
    const absl::Status status = decompressor.Decompress(wire, raw.size(), &back);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << why << ": " << status.ToString();
  };
  Bytes changed = good;
  changed.resize(good.size() - 1);
  refuse(changed, "cut");
  changed = good;
  changed.resize(good.size() + 1, std::byte{0});
  refuse(changed, "longer");
  changed = good;
  changed.Append(good);
  refuse(changed, "two frames");
  changed = good;
  changed[0] = std::byte{0x27};  // the magic number of zstd 0.7
  refuse(changed, "an old format");
  changed = good;
  changed[4] |= std::byte{1};
  refuse(changed, "a dictionary");
  changed.assign(10, std::byte{0});
  refuse(changed, "zeros");
  refuse(Bytes(), "nothing");
  changed.assign(8, std::byte{0});
  const uint32_t skip = 0x184d2a50;
  std::memcpy(changed.data(), &skip, sizeof(skip));
  refuse(changed, "a frame to skip");
  EXPECT_OK(decompressor.Decompress(good, raw.size(), &back)) << "good again after all those";
}

TEST(DecompressorTest, AWindowBeyondTheBoundIsRefused) {
  const std::string raw = Prose(20000);
  // Streaming without a pledged size makes a frame with a window of its own; the content size is put in by hand, since
  // zstd leaves it out there.
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
  std::string wire(ZSTD_compressBound(raw.size()), '\0');
  ZSTD_inBuffer in{raw.data(), raw.size(), 0};
  ZSTD_outBuffer out{wire.data(), wire.size(), 0};
  while (ZSTD_compressStream2(context, &out, &in, ZSTD_e_continue), in.pos < in.size) {
  }
  while (ZSTD_compressStream2(context, &out, &in, ZSTD_e_end) != 0) {
  }
  ZSTD_freeCCtx(context);
  wire.resize(out.pos);
  wire[4] = static_cast<char>(wire[4] | (2 << 6));  // four bytes of content size follow the window
  const auto size = static_cast<uint32_t>(raw.size());
  wire.insert(6, reinterpret_cast<const char*>(&size), sizeof(size));
  Decompressor decompressor;
  Bytes back;
  const absl::Status status = decompressor.Decompress(BytesOf(wire), raw.size(), &back);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("window"));
}

TEST(DecompressorTest, DamagedFramesNeverBreakIt) {
  Compressor compressor;
  Bytes good;
  const std::string raw = Prose(30000);
  ASSERT_TRUE(Compress(&compressor, raw, 1, &good));
  Decompressor decompressor;
  const std::string noise = Pattern(8000);
  for (size_t i = 0; i + 4 < noise.size(); i += 4) {
    Bytes damaged = good;
    uint32_t where = 0;
    std::memcpy(&where, noise.data() + i, sizeof(where));
    damaged[where % damaged.size()] ^= static_cast<std::byte>(1 + (where >> 24) % 255);
    Bytes back;
    const absl::Status status = decompressor.Decompress(damaged, raw.size(), &back);
    if (status.ok()) EXPECT_EQ(back.size(), raw.size());
  }
}

}  // namespace
}  // namespace uringsync

#include "engine/transfer/written_contents.h"

#include <gtest/gtest.h>

#include <string>

namespace uringsync {
namespace {

using Kind = WrittenRange::Kind;

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string Shown(const WrittenContents& written, uint64_t size) {
  std::string text;
  for (const WrittenRange& range : written.Ranges(size)) {
    const char* const kind = range.kind == Kind::kData ? "data" : range.kind == Kind::kZeros ? "zeros" : "unknown";
    text += std::string(kind) + "@" + std::to_string(range.offset) + "+" + std::to_string(range.length) + " ";
  }
  return text;
}

TEST(WrittenContentsTest, WhatWasNotWrittenHasToBeZeros) {
  WrittenContents written;
  EXPECT_EQ(Shown(written, 5), "zeros@0+5 ");
  written.Add(10, Bytes("abc"));
  EXPECT_EQ(Shown(written, 20), "zeros@0+10 data@10+3 zeros@13+7 ");
  EXPECT_EQ(written.Ranges(20)[1].digest, Xxh128("abc"));
  written.Clear();
  EXPECT_EQ(Shown(written, 5), "zeros@0+5 ");
}

TEST(WrittenContentsTest, TheLastWordAboutAPlaceCounts) {
  WrittenContents written;
  written.Add(0, Bytes("aaaa"));
  written.Add(0, Bytes("bbbb"));
  EXPECT_EQ(Shown(written, 4), "data@0+4 ");
  EXPECT_EQ(written.Ranges(4)[0].digest, Xxh128("bbbb"));
}

TEST(WrittenContentsTest, WhatIsLeftOfAPieceThatWasWrittenOverHasNoDigest) {
  WrittenContents written;
  written.Add(0, Bytes("0123456789"));
  written.Add(3, Bytes("xx"));
  EXPECT_EQ(Shown(written, 10), "unknown@0+3 data@3+2 unknown@5+5 ");
  written.Add(0, Bytes("0123456789ab"));
  EXPECT_EQ(Shown(written, 12), "data@0+12 ");
  written.Add(11, Bytes("yy"));
  EXPECT_EQ(Shown(written, 13), "unknown@0+11 data@11+2 ");
}

TEST(WrittenContentsTest, TrustedBytesAreNotJudged) {
  WrittenContents written;
  written.Trust(6);
  written.Add(6, Bytes("rest"));
  EXPECT_EQ(Shown(written, 12), "unknown@0+6 data@6+4 zeros@10+2 ");
}

TEST(WrittenContentsTest, APieceThatWasCutOffHasNoDigest) {
  WrittenContents written;
  written.Add(0, Bytes("0123456789"));
  EXPECT_EQ(Shown(written, 4), "unknown@0+4 ");
}

}  // namespace
}  // namespace uringsync

#include "engine/base/escape.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace uringsync {
namespace {

TEST(EscapeTest, PlainTextAndPrintableUnicodeStay) {
  EXPECT_EQ(EscapeName("plain name-1.txt"), "plain name-1.txt");
  EXPECT_EQ(EscapeName("\xc3\xa9t\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80"),
            "\xc3\xa9t\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80");
}

TEST(EscapeTest, ControlsAndBackslashAreSpelledOut) {
  EXPECT_EQ(EscapeName("a\nb"), "a\\012b");
  EXPECT_EQ(EscapeName("\x1b[31m"), "\\033[31m");
  EXPECT_EQ(EscapeName("a\\b"), "a\\\\b");
  EXPECT_EQ(EscapeName("\x7f"), "\\177");
}

TEST(EscapeTest, WhatRewritesALineOfATerminalIsSpelledOut) {
  EXPECT_EQ(EscapeName("\xe2\x80\xae"), "\\342\\200\\256");  // right-to-left override
  EXPECT_EQ(EscapeName("\xe2\x80\xa8"), "\\342\\200\\250");  // line separator
  EXPECT_EQ(EscapeName("\xc2\x9b"), "\\302\\233");           // C1 control sequence introducer
}

TEST(EscapeTest, InvalidUtf8IsSpelledOutByteByByte) {
  EXPECT_EQ(EscapeName("\xff"), "\\377");
  EXPECT_EQ(EscapeName("\xc3"), "\\303");
  EXPECT_EQ(EscapeName("\xc0\xaf"), "\\300\\257");                    // overlong
  EXPECT_EQ(EscapeName("\xed\xa0\x80"), "\\355\\240\\200");           // surrogate
  EXPECT_EQ(EscapeName("\xf4\x90\x80\x80"), "\\364\\220\\200\\200");  // beyond Unicode
}

TEST(EscapeTest, RandomBytesComeBackAndNeverHoldControls) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes(random() % 40, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % (round % 2 == 0 ? 256 : 128));
    const std::string escaped = EscapeName(bytes);
    for (const char c : escaped) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
    bool ok = false;
    EXPECT_EQ(UnescapeName(escaped, &ok), bytes);
    EXPECT_TRUE(ok);
  }
}

TEST(EscapeTest, MalformedSequencesAreReported) {
  for (const char* bad : {"\\", "\\x41", "\\12", "\\400", "\\189", "a\\"}) {
    bool ok = true;
    UnescapeName(bad, &ok);
    EXPECT_FALSE(ok) << bad;
  }
}

}  // namespace
}  // namespace uringsync

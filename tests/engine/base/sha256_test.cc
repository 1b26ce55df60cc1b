#include "engine/base/sha256.h"

#include <gtest/gtest.h>

namespace uringsync {
namespace {

TEST(Sha256Test, DigestsAreThoseOfTheStandard) {
  EXPECT_EQ(Hex(Sha256::Of("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hex(Sha256::Of("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256Test, PartsCountAsTheWholeAndTheNextOneBeginsAnew) {
  Sha256 sha;
  sha.Update("a");
  sha.Update("");
  sha.Update("bc");
  EXPECT_EQ(sha.Finish(), Sha256::Of("abc"));
  EXPECT_EQ(sha.Finish(), Sha256::Of(""));
}

TEST(Sha256Test, HexIsReadBackAndNothingElseIs) {
  const Sha256Digest digest = Sha256::Of("abc");
  EXPECT_EQ(ParseSha256(Hex(digest)), digest);
  std::string upper = Hex(digest);
  upper[0] = 'B';
  EXPECT_EQ(ParseSha256(upper), std::nullopt);
  EXPECT_EQ(ParseSha256(Hex(digest).substr(1)), std::nullopt);
  EXPECT_EQ(ParseSha256(Hex(digest) + "0"), std::nullopt);
}

}  // namespace
}  // namespace uringsync

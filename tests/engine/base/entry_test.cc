#include "engine/base/entry.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

namespace uringsync {
namespace {

TEST(EntryTest, TypesGoToModeBitsAndBack) {
  for (FileType type : {FileType::kRegular, FileType::kDirectory, FileType::kSymlink, FileType::kFifo,
                        FileType::kSocket, FileType::kBlockDevice, FileType::kCharDevice}) {
    EXPECT_EQ(FileTypeFromMode(FileTypeToMode(type) | 0755), type);
    EXPECT_NE(std::string(FileTypeName(type)), "");
  }
  EXPECT_EQ(FileTypeFromMode(0), std::nullopt);
  EXPECT_EQ(FileTypeFromMode(S_IFMT), std::nullopt);
}

TEST(EntryTest, XattrDigestTellsNamesFromValuesAndOrder) {
  EXPECT_TRUE(XattrDigest({}).is_zero());
  const XattrList base = {{"user.a", "1"}, {"user.b", "2"}};
  EXPECT_EQ(XattrDigest(base), XattrDigest(base));
  EXPECT_NE(XattrDigest(base), XattrDigest({{"user.a", "1"}}));
  EXPECT_NE(XattrDigest(base), XattrDigest({{"user.a", "1"}, {"user.b", "3"}}));
  // Lengths keep the boundary between name and value.
  EXPECT_NE(XattrDigest({{"user.ab", "c"}}), XattrDigest({{"user.a", "bc"}}));
  EXPECT_FALSE(XattrDigest({{"user.empty", ""}}).is_zero());
}

TEST(EntryTest, TimesCompareBySecondsThenNanoseconds) {
  EXPECT_LT((FileTime{-1, 999999999}), (FileTime{0, 0}));
  EXPECT_LT((FileTime{5, 1}), (FileTime{5, 2}));
  EXPECT_EQ((FileTime{5, 1}), (FileTime{5, 1}));
}

TEST(EntryTest, ExecutePermissionFollowsReadPermission) {
  EXPECT_EQ(WithExecutability(0644, 0700), 0755u);
  EXPECT_EQ(WithExecutability(0640, 0001), 0750u);
  EXPECT_EQ(WithExecutability(0200, 0755), 0200u);
  EXPECT_EQ(WithExecutability(0711, 0644), 0600u);
  EXPECT_EQ(WithExecutability(04701, 0755), 04701u);
}

}  // namespace
}  // namespace uringsync

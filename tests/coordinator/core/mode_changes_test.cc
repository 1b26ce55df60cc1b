#include "coordinator/core/mode_changes.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace uringsync {
namespace {

constexpr uint32_t kUmask = 027;

// What rsync 3.5 made, with a umask of 027, of directories with 0, 0755 and 02700, and of files with 0, 0444, 0600,
// 0644, 0755 and 04711.
struct Row {
  const char* changes;
  std::vector<uint32_t> directories;
  std::vector<uint32_t> files;
};
const std::vector<uint32_t> kDirectories = {0, 0755, 02700};
const std::vector<uint32_t> kFiles = {0, 0444, 0600, 0644, 0755, 04711};

TEST(ModeChangesTest, EveryFormDoesWhatRsyncDoes) {
  const std::vector<Row> rows = {
      {"D755,F644", {0755, 0755, 0755}, {0644, 0644, 0644, 0644, 0644, 0644}},
      {"u+x", {0100, 0755, 02700}, {0100, 0544, 0700, 0744, 0755, 04711}},
      {"+x", {0110, 0755, 02710}, {0110, 0554, 0710, 0754, 0755, 04711}},
      {"-w", {0, 0555, 02500}, {0, 0444, 0400, 0444, 0555, 04511}},
      {"a+X", {0111, 0755, 02711}, {0, 0444, 0600, 0644, 0755, 04711}},
      {"go=", {0, 0700, 02700}, {0, 0400, 0600, 0600, 0700, 04700}},
      {"u=rwX,go=rX", {0755, 0755, 02755}, {0644, 0644, 0644, 0644, 0755, 04755}},
      {"Dg+s", {02000, 02755, 02700}, {0, 0444, 0600, 0644, 0755, 04711}},
      {"ug=rw", {0660, 0665, 02660}, {0660, 0664, 0660, 0664, 0665, 04661}},
      {"+s", {04000, 04755, 06700}, {04000, 04444, 04600, 04644, 04755, 04711}},
      {"+t", {01000, 01755, 03700}, {01000, 01444, 01600, 01644, 01755, 05711}},
      {"o+s", {04000, 04755, 06700}, {04000, 04444, 04600, 04644, 04755, 04711}},
      {"a+s", {06000, 06755, 06700}, {06000, 06444, 06600, 06644, 06755, 06711}},
      {"a=s", {06000, 06000, 06000}, {06000, 06000, 06000, 06000, 06000, 06000}},
      {"g-s", {0, 0755, 0700}, {0, 0444, 0600, 0644, 0755, 04711}},
      {"o-s", {0, 0755, 02700}, {0, 0444, 0600, 0644, 0755, 0711}},
      {"g=s", {02000, 02705, 02700}, {02000, 02404, 02600, 02604, 02705, 06701}},
      {"=s", {04000, 04000, 06000}, {04000, 04000, 04000, 04000, 04000, 04000}},
      {"=t", {01000, 01000, 03000}, {01000, 01000, 01000, 01000, 01000, 05000}},
      {"uo=t", {01000, 01050, 03000}, {01000, 01040, 01000, 01040, 01050, 01010}},
      {"=", {0, 0, 02000}, {0, 0, 0, 0, 0, 04000}},
      {"=rw", {0640, 0640, 02640}, {0640, 0640, 0640, 0640, 0640, 04640}},
      {"F=rw", {0, 0755, 02700}, {0640, 0640, 0640, 0640, 0640, 04640}},
      {"u=r,Fg+w,D-x", {0400, 0445, 02400}, {0420, 0464, 0420, 0464, 0475, 04431}},
      {"D2775", {02775, 02775, 02775}, {0, 0444, 0600, 0644, 0755, 04711}},
      {"0", {0, 0, 0}, {0, 0, 0, 0, 0, 0}},
      {"07777", {07777, 07777, 07777}, {07777, 07777, 07777, 07777, 07777, 07777}},
      {"777,u-x", {0677, 0677, 0677}, {0677, 0677, 0677, 0677, 0677, 0677}},
      {"uD+x", {0100, 0755, 02700}, {0, 0444, 0600, 0644, 0755, 04711}},
      {"u+xX", {0100, 0755, 02700}, {0, 0444, 0600, 0644, 0755, 04711}},
      {"a-x,a+X", {0111, 0755, 02711}, {0, 0444, 0600, 0644, 0755, 04711}},
      {"u+x,g+X", {0110, 0755, 02710}, {0100, 0544, 0700, 0744, 0755, 04711}},
      {"-X", {0, 0645, 02600}, {0, 0444, 0600, 0644, 0645, 04601}},
      {"g=rs", {02040, 02745, 02740}, {02040, 02444, 02640, 02644, 02745, 06741}},
      // One class's permissions for another.
      {"o=u", {0, 0757, 02707}, {0, 0444, 0606, 0646, 0757, 04717}},
      {"g=u", {0, 0775, 0770}, {0, 0444, 0660, 0664, 0775, 04771}},
      {"u=g", {0, 0555, 02000}, {0, 0444, 0, 0444, 0555, 0111}},
      {"go=u", {0, 0777, 0777}, {0, 0444, 0666, 0666, 0777, 04777}},
      {"g+u", {0, 0775, 02770}, {0, 0444, 0660, 0664, 0775, 04771}},
      {"g-u", {0, 0705, 02700}, {0, 0404, 0600, 0604, 0705, 04701}},
      {"+u", {0, 0755, 02750}, {0, 0444, 0640, 0644, 0755, 04751}},
      {"=u", {0, 0750, 0750}, {0, 0440, 0640, 0640, 0750, 0750}},
      {"a=g", {0, 0555, 0}, {0, 0444, 0, 0444, 0555, 0111}},
      {"-g", {0, 0205, 02700}, {0, 04, 0600, 0204, 0205, 04601}},
      {"u=u", {0, 0755, 02700}, {0, 0444, 0600, 0644, 0755, 0711}},
      {"u=,g=u", {0, 05, 0}, {0, 04, 0, 04, 05, 04001}},
      {"D=o", {0, 0550, 0}, {0, 0444, 0600, 0644, 0755, 04711}},
  };
  for (const Row& row : rows) {
    const absl::StatusOr<ModeChanges> changes = ModeChanges::Parse(row.changes, kUmask);
    ASSERT_TRUE(changes.ok()) << changes.status();
    for (size_t i = 0; i < kDirectories.size(); ++i) {
      EXPECT_EQ(changes->Apply(kDirectories[i], FileType::kDirectory), row.directories[i])
          << row.changes << " of a directory with " << std::oct << kDirectories[i];
    }
    for (size_t i = 0; i < kFiles.size(); ++i) {
      EXPECT_EQ(changes->Apply(kFiles[i], FileType::kRegular), row.files[i])
          << row.changes << " of a file with " << std::oct << kFiles[i];
    }
  }
}

TEST(ModeChangesTest, WhatRsyncRefusesIsRefused) {
  for (const char* text : {"",      "u",     "x",    "D",  "DF+x", "a-x+X", "u-rw+x", ",u+x", "u+x,",  "8",
                           "77777", "10000", "755x", "7D", "u755", "u+q",   "o=ug",   "g+us", "u=g+x", "go+ u"}) {
    EXPECT_EQ(ModeChanges::Parse(text, kUmask).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(ModeChangesTest, FurtherChangesComeAfterTheFirstOnes) {
  ModeChanges changes = *ModeChanges::Parse("F600", 0);
  changes.Append(*ModeChanges::Parse("g+r", 0));
  EXPECT_EQ(changes.Apply(0755, FileType::kRegular), 0640u);
  EXPECT_FALSE(changes.empty());
  EXPECT_TRUE(ModeChanges().empty());
}

TEST(ModeChangesTest, SymlinksKeepTheirModeAndDevicesCountAsFiles) {
  const ModeChanges changes = *ModeChanges::Parse("F600", 0);
  EXPECT_EQ(changes.Apply(0777, FileType::kSymlink), 0777u);
  EXPECT_EQ(changes.Apply(0666, FileType::kCharDevice), 0600u);
  EXPECT_EQ(changes.Apply(0666, FileType::kFifo), 0600u);
}

TEST(ModeChangesTest, TheStickyBitGoesWithCopiedPermissionsOfOthersAlone) {
  for (const auto& [text, wanted] : std::vector<std::pair<std::string, uint32_t>>{
           {"o=u", 0757}, {"go=u", 0777}, {"=g", 0555}, {"g=u", 01770}, {"o=rwx", 01757}, {"o+u", 01757}}) {
    const absl::StatusOr<ModeChanges> changes = ModeChanges::Parse(text, 0);
    ASSERT_TRUE(changes.ok()) << text;
    EXPECT_EQ(changes->Apply(01750, FileType::kDirectory), wanted) << text;
  }
}

}  // namespace
}  // namespace uringsync

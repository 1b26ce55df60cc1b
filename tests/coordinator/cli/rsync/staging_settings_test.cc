#include "coordinator/cli/rsync/staging_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/support/status_matchers.h"

namespace uringsync {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Applied {
  SyncRequest request;
  StagingPlaces places;
};

Applied Apply(const Settings& settings) {
  Applied applied;
  EXPECT_OK(ApplyStagingSettings(settings, &applied.request, &applied.places));
  return applied;
}

std::string Refusal(const Settings& settings) {
  Applied applied;
  return std::string(ApplyStagingSettings(settings, &applied.request, &applied.places).message());
}

Settings Ursync() {
  return Settings::For(Command::kUrsync);
}

TEST(StagingSettingsTest, NothingIsAskedForByItself) {
  const Applied plain = Apply(Ursync());
  EXPECT_EQ(plain.request.staging, StagingSettings());
  EXPECT_THAT(plain.request.filters, IsEmpty());
  EXPECT_FALSE(plain.request.in_place);
}

TEST(StagingSettingsTest, ADirectoryForPartsIsCoveredByARule) {
  Settings settings = Ursync();
  settings.partial_dir = "./.parts//here/";
  const Applied applied = Apply(settings);
  EXPECT_TRUE(applied.request.staging.keep_partial);
  EXPECT_EQ(applied.request.staging.partial_directory.text(), ".parts/here");
  EXPECT_THAT(applied.request.filters, ElementsAre("-p .parts/here/"));
}

TEST(StagingSettingsTest, OneUpwardsIsSeenFromThere) {
  Settings settings = Ursync();
  settings.partial_dir = "../x/../../parts";
  const Applied applied = Apply(settings);
  EXPECT_EQ(applied.request.staging.partial_directory.text(), "parts");
  EXPECT_EQ(applied.request.staging.partial_climb, 2u);
  EXPECT_THAT(applied.request.filters, IsEmpty());
}

TEST(StagingSettingsTest, OneForAllFilesIsAPlace) {
  Settings settings = Ursync();
  settings.partial_dir = "/var/parts";
  const Applied applied = Apply(settings);
  EXPECT_EQ(applied.places.partial_directory, "/var/parts");
  EXPECT_TRUE(applied.request.staging.partial_directory.is_root());
  EXPECT_THAT(applied.request.filters, IsEmpty());
}

TEST(StagingSettingsTest, TheFilesOwnDirectoryIsNone) {
  for (const char* none : {"", ".", "./"}) {
    Settings settings = Ursync();
    settings.partial_dir = none;
    const Applied applied = Apply(settings);
    EXPECT_TRUE(applied.request.staging.keep_partial);
    EXPECT_TRUE(applied.request.staging.partial_directory.is_root());
  }
}

TEST(StagingSettingsTest, TheEnvironmentNamesTheDirectoryOfPartial) {
  ASSERT_EQ(::setenv("RSYNC_PARTIAL_DIR", ".rsync-partial", 1), 0);
  Settings settings = Ursync();
  EXPECT_TRUE(Apply(settings).request.staging.partial_directory.is_root());
  settings.partial = true;
  EXPECT_EQ(Apply(settings).request.staging.partial_directory.text(), ".rsync-partial");
  settings.inplace = true;
  EXPECT_TRUE(Apply(settings).request.staging.partial_directory.is_root());
  ASSERT_EQ(::unsetenv("RSYNC_PARTIAL_DIR"), 0);
}

TEST(StagingSettingsTest, DelayedUpdatesWaitInADirectory) {
  Settings settings = Ursync();
  settings.delay_updates = true;
  EXPECT_EQ(Apply(settings).request.staging.partial_directory.text(), ".~tmp~");
  settings.partial_dir = "mine";
  EXPECT_EQ(Apply(settings).request.staging.partial_directory.text(), "mine");
}

TEST(StagingSettingsTest, AppendingIsInPlace) {
  Settings settings = Ursync();
  settings.append = AppendMode::kVerify;
  const Applied applied = Apply(settings);
  EXPECT_TRUE(applied.request.in_place);
  EXPECT_TRUE(applied.request.rules.append);
  EXPECT_EQ(applied.request.staging.append, AppendMode::kVerify);
}

TEST(StagingSettingsTest, WhatExcludesEachOtherIsRefusedInRsyncsWords) {
  Settings settings = Ursync();
  settings.inplace = true;
  settings.partial_dir = ".parts";
  EXPECT_THAT(Refusal(settings), HasSubstr("--inplace cannot be used with --partial-dir"));
  settings.partial_dir.reset();
  settings.delay_updates = true;
  EXPECT_THAT(Refusal(settings), HasSubstr("--inplace cannot be used with --delay-updates"));
  settings.append = AppendMode::kTrust;
  EXPECT_THAT(Refusal(settings), HasSubstr("--append cannot be used with --delay-updates"));
  settings.delay_updates = false;
  settings.whole_file = true;
  EXPECT_THAT(Refusal(settings), HasSubstr("--append cannot be used with --whole-file"));
  settings = Ursync();
  settings.temp_dir = "";
  EXPECT_THAT(Refusal(settings), HasSubstr("The temp-dir does not exist: "));
}

}  // namespace
}  // namespace uringsync

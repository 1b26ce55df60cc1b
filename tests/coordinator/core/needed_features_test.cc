#include "coordinator/core/needed_features.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace uringsync {
namespace {

TEST(NeededFeaturesTest, APlainRunNeedsNothing) {
  const SyncRequest request;
  SyncRequest rooted = request;
  rooted.source.root = rooted.destination.root = "data";
  EXPECT_EQ(MissingFeature(rooted, Side::kSource, {}), "");
  EXPECT_EQ(MissingFeature(rooted, Side::kDestination, {}), "");
}

TEST(NeededFeaturesTest, WhatThisProgramKnowsIsEnoughForEverything) {
  SyncRequest request;
  request.direct_io = DirectIoMode::kOn;
  request.filters = {"- *.o"};
  request.in_place = true;
  request.background = true;
  request.staging.keep_partial = true;
  request.remove_source_files = true;
  request.selection.executability = true;
  for (const Side side : {Side::kSource, Side::kDestination})
    EXPECT_EQ(MissingFeature(request, side, CoordinatorFeatures()), "");
}

TEST(NeededFeaturesTest, ANeedIsOfTheSideThatDoesIt) {
  SyncRequest request;
  request.source.root = request.destination.root = "data";
  request.in_place = true;
  EXPECT_EQ(MissingFeature(request, Side::kSource, {}), "");
  EXPECT_EQ(MissingFeature(request, Side::kDestination, {}), "writing in place");
  request.in_place = false;
  request.staging.append = AppendMode::kTrust;
  EXPECT_EQ(MissingFeature(request, Side::kSource, {}), "");
  EXPECT_EQ(MissingFeature(request, Side::kDestination, {}), "partial files, appending and the like");
  request.staging = StagingSettings();
  request.remove_source_files = true;
  EXPECT_EQ(MissingFeature(request, Side::kDestination, {}), "");
  EXPECT_EQ(MissingFeature(request, Side::kSource, {}), "removing sources");
  request.copy_devices = true;
  EXPECT_EQ(MissingFeature(request, Side::kDestination, {}), "");
  EXPECT_EQ(MissingFeature(request, Side::kSource, {std::string(kRemoveSourcesFeature)}), "what devices hold");
  request.copy_devices = false;
  request.delta_block_bytes = 512;
  EXPECT_EQ(MissingFeature(request, Side::kDestination, {}), "a block size");
  request.delta_block_bytes = 0;
  request.unstable = UnstableFiles::kCopyIfKnown;
  EXPECT_EQ(MissingFeature(request, Side::kDestination, {}), "");
  request.unstable = UnstableFiles::kCopy;
  EXPECT_EQ(MissingFeature(request, Side::kDestination, {}), "--unstable=copy");
  EXPECT_EQ(MissingFeature(request, Side::kSource, {std::string(kRemoveSourcesFeature)}), "--unstable=copy");
  request.unstable = UnstableFiles::kSkip;
  request.detect_renames = true;
  EXPECT_EQ(MissingFeature(request, Side::kDestination, {std::string(kDeltaFeature)}), "--detect-renames");
  EXPECT_EQ(MissingFeature(request, Side::kSource, {std::string(kOriginsFeature), std::string(kRemoveSourcesFeature)}),
            "--detect-renames");
  EXPECT_EQ(MissingFeature(request, Side::kDestination, {std::string(kOriginsFeature)}), "");
  request.detect_renames = false;
  request.mode = SyncMode::kPlan;
  EXPECT_EQ(MissingFeature(request, Side::kSource, {}), "");
}

}  // namespace
}  // namespace uringsync

#include "coordinator/cli/source_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "coordinator/cli/source_memory.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace uringsync {
namespace {

using testing::ElementsAre;
using testing::Eq;
using testing::HasSubstr;
using testing::Optional;

const SourceRecordKey kKey{"/srv/data\n", "/backup"};
const std::vector<MountedPlace> kMounts{{"/srv", "ef53:1:2"}, {"/srv/data/new\nline", ""}};

TEST(SourceRecordTest, WhatWasSavedIsLoadedByTheSamePairAlone) {
  TempDir dir;
  const std::string state = dir.path() + "/a/b";
  const SourceRecord record(state, kKey);
  EXPECT_THAT(*record.Load(), Eq(std::nullopt));
  ASSERT_OK(record.Save({}));
  ASSERT_OK(record.Save(kMounts));
  EXPECT_THAT(*record.Load(), Optional(kMounts));
  EXPECT_THAT(*SourceRecord(state, {"/srv/data\n", "/backup2"}).Load(), Eq(std::nullopt));
  size_t files = 0;
  for ([[maybe_unused]] const auto& file : std::filesystem::recursive_directory_iterator(state)) ++files;
  EXPECT_EQ(files, 2u) << "the directory and one record";
}

TEST(SourceRecordTest, EveryCutAndEveryChangedByteIsNoticed) {
  const std::string whole = EncodeSourceRecord(kKey, kMounts);
  EXPECT_THAT(*DecodeSourceRecord(kKey, whole), kMounts);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(DecodeSourceRecord(kKey, whole.substr(0, size)).ok()) << size;
    std::string changed = whole;
    changed[size] = static_cast<char>(changed[size] ^ 1);
    EXPECT_FALSE(DecodeSourceRecord(kKey, changed).ok()) << size;
  }
  EXPECT_FALSE(DecodeSourceRecord({"/srv/other\n", "/backup"}, whole).ok());
}

TEST(SourceRecordTest, WhatIsDamagedOrCannotBeWrittenIsSaid) {
  TempDir dir;
  const SourceRecord record(dir.path(), kKey);
  ASSERT_OK(record.Save(kMounts));
  std::ofstream(record.path(), std::ios::app) << "x";
  EXPECT_THAT(record.Load().status(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("damaged")));
  std::ofstream(dir.path() + "/file") << "x";
  EXPECT_THAT(SourceRecord(dir.path() + "/file", kKey).Save(kMounts).message(), HasSubstr("mkdir"));
}

TEST(SourceMemoryTest, TheKeyTellsPlacesApartHoweverTheyAreWritten) {
  ReportFacts facts;
  facts.source_is_local = true;
  facts.source_absolute = "/srv/data";
  facts.destination_absolute = "/backup";
  const SourceRecordKey whole = SourceKeyOf(facts);
  EXPECT_EQ(whole.source, "/srv/data\n");
  facts.working_directory = "/srv";
  facts.operands = {{.base = "data/", .depth = OperandDepth::kTree}};
  EXPECT_EQ(SourceKeyOf(facts).source, whole.source);
  facts.operands = {{.base = "", .from = RelPath().Child("data"), .depth = OperandDepth::kTree},
                    {.base = "/etc", .from = RelPath().Child("passwd"), .depth = OperandDepth::kObject}};
  EXPECT_EQ(SourceKeyOf(facts).source, whole.source) << "a single file leads to no delete";
  for (const char* written : {"/backup/", "/backup/.", "/srv/../backup//"}) {
    facts.destination_absolute = written;
    EXPECT_EQ(SourceKeyOf(facts).destination, whole.destination) << written;
  }
  facts.source_is_local = false;
  facts.source = "host:data";
  EXPECT_NE(SourceKeyOf(facts).source, whole.source);
}

// A run that deletes, and what comes after it.
class SourceMemoryRunTest : public testing::Test {
 protected:
  SourceMemoryRunTest() {
    options_.request.delete_extraneous = true;
    facts_.source_absolute = "/srv/data";
    facts_.source_is_local = true;
    outcome_.complete = true;
    outcome_.mounts = {{"/srv", "1"}};
  }
  SourceMemory Recalled(SyncRequest* request) {
    SourceMemory memory(options_, facts_, dir_.path());
    EXPECT_EQ(memory.Recall(request), "");
    return memory;
  }
  std::optional<std::vector<MountedPlace>> Next() {
    SyncRequest request;
    Recalled(&request);
    return request.recorded_mounts;
  }
  TempDir dir_;
  RunOptions options_;
  ReportFacts facts_;
  SyncOutcome outcome_;
};

TEST_F(SourceMemoryRunTest, ARunIsToldWhatTheLastOneSaw) {
  SyncRequest first;
  EXPECT_EQ(Recalled(&first).Remember(outcome_), "");
  EXPECT_THAT(Next(), Optional(ElementsAre(MountedPlace{"/srv", "1"})));
}

TEST_F(SourceMemoryRunTest, ARunThatHeldDeletesBackOrBrokeOffChangesNothing) {
  SyncRequest request;
  Recalled(&request).Remember(outcome_);
  outcome_.mounts = {{"/", "2"}};
  outcome_.deletes_held = true;
  outcome_.plan.skipped_deletes = 1;
  Recalled(&request).Remember(outcome_);
  outcome_.deletes_held = false;
  outcome_.complete = false;
  Recalled(&request).Remember(outcome_);
  EXPECT_THAT(Next(), Optional(ElementsAre(MountedPlace{"/srv", "1"})));
  outcome_.complete = true;
  Recalled(&request).Remember(outcome_);
  EXPECT_THAT(Next(), Optional(ElementsAre(MountedPlace{"/", "2"})));
}

TEST_F(SourceMemoryRunTest, NothingIsKeptOfAHostsOwnFileSystemOrOfRunsThatDeleteNothing) {
  outcome_.mounts = {{"/", "2"}};
  SyncRequest request;
  Recalled(&request).Remember(outcome_);
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
  options_.request.delete_extraneous = false;
  EXPECT_EQ(Next(), std::nullopt);
}

TEST_F(SourceMemoryRunTest, ADamagedRecordIsToldAndTheRunGoesOn) {
  SyncRequest request;
  Recalled(&request).Remember(outcome_);
  std::ofstream(SourceRecord(dir_.path(), SourceKeyOf(facts_)).path()) << "nonsense";
  SourceMemory memory(options_, facts_, dir_.path());
  EXPECT_THAT(memory.Recall(&request), HasSubstr("damaged"));
  EXPECT_TRUE(request.recorded_mounts->empty());
}

}  // namespace
}  // namespace uringsync
